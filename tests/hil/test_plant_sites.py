"""Worlds of sites that nobody planned for: many of a kind, unknown profiles, kinds without physics, and mistakes."""

import math
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from energyctl.config import load_profiles
from energyctl.core.errors import ConfigError
from energyctl.core.resources import Binding
from energyctl.resources.base_load import BaseLoad
from energyctl.resources.battery import Battery
from energyctl.resources.deferrable import Deferrable
from energyctl.resources.ev import Ev
from energyctl.resources.heat_pump import HeatPump
from energyctl.resources.pv import Pv
from energyctl.resources.zone import Zone
from hil.plant import Plant, build
from hil.plant.building import stored_kwh
from hil.plant.parts import Charger, Room, Store
from hil.plant.parts import HeatPump as HeatPumpPart
from hil.world import World
from tests.hil.plant_site import METER, RW, Course, profile, site

MINUTE = timedelta(minutes=1)

# third-party names, plain writes, no commands, their own signs
ACCU = profile(
    "hybrid", {"p_ac": {"unit": "W", "invert": True}, "level_of_charge": {"unit": "%"}, "p_target": {"unit": "W", **RW},
               "cell_temperature": {"unit": "°C"}, "u_dc": {"unit": "V"}, "work_state": {"kind": "enum",
               "choices": {"idle": 0, "charging": 4, "discharging": 7}}}, "acme/accu@3",
)  # fmt: skip
POLE = profile(
    "wallbox", {"w": {"unit": "W"}, "amps_max": {"unit": "A", "minimum": 0, "maximum": 16, **RW}, "plugged": {"kind": "bool"},
                "delivered": {"unit": "Wh"}, "current_l1": {"unit": "A"}, "voltage_l2": {"unit": "V"}}, "acme/pole@1",
)  # fmt: skip
GEYSER = profile(
    "boiler-room", {"el": {"unit": "kW"}, "outside": {"unit": "°C"}, "leaving_water": {"unit": "°C"}}, "acme/hp@1"
)
SENSOR = profile("thermostat", {"is": {"unit": "°C"}, "should": {"unit": "°C", **RW}}, "acme/room@1")


def accu(number: int, kwh: float = 10.0) -> Battery:
    return Battery(
        id=f"accu{number}", power=f"accu{number}.p_ac", soc=f"accu{number}.level_of_charge", setpoint=f"accu{number}.p_target",
        capacity=f"{kwh} kWh", max_charge="5 kW", max_discharge="5 kW",
    )  # fmt: skip


def pole(number: int) -> Ev:
    return Ev(
        id=f"pole{number}", power=f"pole{number}.w", limit=f"pole{number}.amps_max", connected=f"pole{number}.plugged",
        charged=f"pole{number}.delivered", phases=1, max_current="16 A", wants="20 kWh",
    )  # fmt: skip


def zones(feeder: str, *numbers: int) -> list[Zone]:
    return [
        Zone(
            id=f"flat{n}", fed_by=feeder, temp=f"flat{n}.is", setpoint=f"flat{n}.should", comfort="office", area="80 m2"
        )
        for n in numbers
    ]


def heat_pump(number: int) -> HeatPump:
    return HeatPump(id=f"hp{number}", power=f"hp{number}.el", outdoor=f"hp{number}.outside", max_power="4 kW")


def step(plant: Plant, minutes: int) -> None:
    for _ in range(minutes):
        plant.step(plant.time + MINUTE)


def balanced(plant: Plant) -> None:
    """A step: the sum of the parts is the grid's power, every store changes by flow less losses, every zone by its flows."""
    stores = {store: store.energy_kwh for store in plant.of_kind(Store)}
    rooms = {room: stored_kwh(room.params, room.state) for room in plant.of_kind(Room)}
    plant.step(plant.time + MINUTE)
    assert plant.grid_kw == pytest.approx(sum(plant.powers_kw.values()), abs=1e-9)
    for store, before in stores.items():
        assert (store.energy_kwh - before) * 60 == pytest.approx(store.power_kw - store.loss_kw, abs=1e-6)
        assert store.loss_kw >= -1e-9
    for room, before in rooms.items():
        assert (stored_kwh(room.params, room.state) - before) * 60 == pytest.approx(room.flows.total_kw, abs=1e-6)
    for pump in plant.of_kind(HeatPumpPart):
        assert sum(room.flows.between_kw for room in pump.wing.rooms) == pytest.approx(0, abs=1e-9)
        given = sum(room.flows.emitter_kw for room in pump.wing.rooms)
        assert given == pytest.approx((pump.power_kw - pump.params.standby_kw) * pump.heat.cop, abs=1e-6)


def street() -> Plant:
    """Ten batteries, twelve chargers, three heat pumps with six zones, two roofs, a pump; all by third parties."""
    devices = {f"accu{n}": ACCU for n in range(10)} | {f"pole{n}": POLE for n in range(12)}
    devices |= {f"hp{n}": GEYSER for n in range(3)} | {f"flat{n}": SENSOR for n in range(6)}
    inverter = profile("string-inverter", {"yield_power": {"unit": "kW", "invert": True}, "e_total": {"unit": "kWh"}})
    devices |= {f"sun{n}": inverter for n in range(2)}
    devices["well"] = profile("relay", {"draw": {"unit": "kW"}, "relay": {"kind": "bool", **RW}})
    resources = [*(accu(n) for n in range(10)), *(pole(n) for n in range(12)), *(heat_pump(n) for n in range(3))]
    resources += [*zones("hp0", 0, 1, 2), *zones("hp1", 3, 4), *zones("hp2", 5), BaseLoad(id="house")]
    resources += [Pv(id=f"roof{n}", power=f"sun{n}.yield_power", peak="12 kWp") for n in range(2)]
    pump = Deferrable(
        id="pump", power="well.draw", switch="well.relay", draws="2 kW", runs="1 h", between="02:00-05:00"
    )
    return build(site(devices, *resources, pump, limit_kw=150.0), Course())


def test_a_street_of_third_party_devices_lives_and_balances() -> None:
    plant = street()
    world: World = plant
    assert len(world.devices) == 35
    assert set(plant.powers_kw) == {
        "base", "pump", *(f"accu{n}" for n in range(10)), *(f"pole{n}" for n in range(12)), *(f"hp{n}" for n in range(3)),
        "roof0", "roof1",
    }  # fmt: skip
    for minute in range(24 * 60):
        if minute == 100:
            plant.devices["accu3"].write("p_target", 2.0)
            plant.devices["pole5"].write("amps_max", 6.0)
            plant.devices["well"].write("relay", 1.0)
        balanced(plant)
    assert len(plant.trace) == 1440
    powers = plant.trace[150].powers_kw
    assert powers["pump"] == pytest.approx(2.0, rel=0.21)
    assert abs(powers["pump"] - 2.0) > 0.09  # not what the site file says
    assert powers["accu3"] == pytest.approx(2.0)
    assert max(row.powers_kw["pole5"] for row in plant.trace[101:]) <= 6 * 0.23 + 1e-9
    assert min(row.powers_kw["roof0"] for row in plant.trace) < -2
    states = [row.states for row in plant.trace[8 * 60 : 16 * 60]]
    assert all(19.8 < state[f"flat{n}.air_c"] < 22.5 for state in states for n in range(6))
    assert len({round(car.params.visits[0].needs_kwh, 3) for car in plant.of_kind(Charger)}) == 12


def test_what_unbound_points_show_follows_their_part() -> None:
    plant = street()
    pole_, accu_ = plant.devices["pole0"], plant.devices["accu0"]
    part = plant.parts["pole0"]
    while part.power_kw <= 0:
        plant.step(plant.time + MINUTE)
    values = pole_.values
    assert values["plugged"] == 1.0
    assert values["current_l1"] == pytest.approx(part.power_kw * 1000 / 231, rel=0.03)  # all on one phase
    assert 225 < values["voltage_l2"] < 235
    assert 500 < accu_.values["u_dc"] < 700
    assert accu_.values["work_state"] in (0.0, 4.0, 7.0)
    assert 10 < accu_.values["cell_temperature"] < 40
    sun = plant.devices["sun0"].values
    counted, before = sun["e_total"], plant.parts["roof0"].exported_kwh
    step(plant, 18 * 60)
    made = plant.parts["roof0"].exported_kwh - before
    assert made > 5
    assert sun["e_total"] - counted == pytest.approx(made)


def test_batteries_left_alone_share_the_work_and_keep_the_grid_at_zero() -> None:
    devices = {f"accu{n}": ACCU for n in range(3)}
    course = Course(plant={"accu0": {"initial_soc": 0.02, "floor": 0.02}})
    plant = build(site(devices, accu(0), accu(1), accu(2), limit_kw=40.0), course)
    step(plant, 30)
    assert plant.grid_kw == pytest.approx(0.0, abs=1e-9)
    assert plant.powers_kw["accu0"] == 0.0  # empty; the two others do its share
    assert plant.powers_kw["accu1"] < -1 and plant.powers_kw["accu2"] < -1
    last = build(site(devices, accu(2), accu(1), accu(0), limit_kw=40.0), course)  # in whatever order
    step(last, 30)
    assert last.grid_kw == pytest.approx(0.0, abs=1e-9)
    plant.devices["accu1"].write("p_target", 3.0)
    step(plant, 1)
    assert plant.powers_kw["accu1"] == pytest.approx(3.0)


def test_a_run_can_be_repeated_and_adding_a_part_changes_no_other_ones_luck() -> None:
    devices = {f"accu{n}": ACCU for n in range(2)}
    first, same = (build(site(devices, accu(0), accu(1)), Course(seed=4)) for _ in range(2))
    other = build(site(devices, accu(0), accu(1)), Course(seed=5))
    alone = build(site({"accu0": ACCU}, accu(0)), Course(seed=4))
    for plant in (first, same, other, alone):
        step(plant, 90)
    assert first.trace == same.trace
    assert {k: d.values for k, d in first.devices.items()} == {k: d.values for k, d in same.devices.items()}
    stores = [plant.parts["accu0"] for plant in (first, other, alone)]
    assert all(isinstance(store, Store) for store in stores)
    capacities = [store.params.capacity_kwh for store in stores if isinstance(store, Store)]
    assert capacities[0] == capacities[2] != capacities[1]
    assert all(0.05 <= abs(kwh / 10.0 - 1) <= 0.20 for kwh in capacities)


UNKNOWN = profile("fog-machine", {"power": {"unit": "kW"}, "mist": {"unit": "%", **RW}}, "acme/fog@1")


def test_what_nothing_simulates_stands_still_and_is_noted() -> None:
    plant = build(site({"fog": UNKNOWN, "accu0": ACCU}, accu(0)), Course())
    step(plant, 5)
    assert plant.devices["fog"].values == {"power": 0.0, "mist": 0.0}
    notes = [(event.kind.value, event.subject, event.text) for event in plant.log.events]
    assert notes == [("note", "fog", "nothing moves power of this fog-machine")]


def test_a_weather_station_shows_the_weather() -> None:
    station = profile(
        "weather-station", {"outdoor_temp": {"unit": "°C"}, "humidity": {"unit": "%"}, "dew": {"unit": "°C"}}
    )
    plant = build(site({"station": station}), Course())
    step(plant, 5)
    assert plant.devices["station"].values["outdoor_temp"] == pytest.approx(
        plant.trace[-1].states["outdoor_c"], abs=0.4
    )
    assert plant.devices["station"].values["humidity"] == pytest.approx(0.7)


@pytest.mark.parametrize("name", sorted(load_profiles()))
def test_every_profile_that_ships_can_be_lived_with(name: str) -> None:
    found = load_profiles()[name]
    plant = build(site({"one": found, "two": found}), Course())
    for _ in range(24 * 6):
        plant.step(plant.time + 10 * MINUTE)
    moved = [point for point, value in plant.devices["one"].values.items() if value]
    assert moved, plant.log.events
    assert all(math.isfinite(value) for device in plant.devices.values() for value in device.values.values())


@dataclass(frozen=True)
class Odd:
    """A resource of a plug-in that the bench has never heard of."""

    id: str
    kind: str
    power: str

    def bindings(self) -> tuple[Binding, ...]:
        return (Binding("power", self.power, "kW"),)


def test_a_resource_of_an_unknown_kind_goes_by_its_devices_kind() -> None:
    shed, ground = profile("pv-inverter", {"power": {"unit": "kW"}}), profile("heat-pump", {"power": {"unit": "kW"}})
    odd = (
        Odd("sunny", "solar-shed", "shed.power"),
        Odd("fog-on", "fog", "fog.power"),
        Odd("geo", "geothermal", "geo.power"),
    )
    devices = {"shed": shed, "fog": UNKNOWN, "geo": ground, "flat0": SENSOR}
    plant = build(site(devices, *odd, *zones("geo", 0)), Course())
    step(plant, 12 * 60)
    assert plant.powers_kw["sunny"] < 0
    assert plant.devices["shed"].values["power"] == pytest.approx(plant.powers_kw["sunny"], rel=0.1)
    assert max(row.powers_kw["geo"] for row in plant.trace) > 0.5
    assert plant.devices["flat0"].values["is"] == pytest.approx(20.5, abs=1.5)
    assert "fog-on: nothing simulates a fog; it stands still" in [f"{e.subject}: {e.text}" for e in plant.log.events]


@pytest.mark.parametrize(
    ("kind", "points", "told", "watched", "sense"),
    [
        ("pv-inverter", {"power": {"unit": "W"}, "limit_share": {"unit": "%", **RW}}, {"limit_share": 0.0}, "power", 0.0),
        ("battery", {"power": {"unit": "W"}, "target": {"unit": "W", **RW}}, {"target": 2.0}, "power", 2.0),
        ("ev-charger", {"power": {"unit": "W"}, "max_amps": {"unit": "A", **RW}}, {"max_amps": 0.0}, "power", 0.0),
        ("air-handling-unit", {"power": {"unit": "W"}, "boost": {"kind": "bool", **RW}}, {"boost": 1.0}, "power", 5.0),
        ("heat-pump", {"power": {"unit": "W"}, "a_temp": {"unit": "°C"}, "a_aim": {"unit": "°C", **RW}}, {"a_aim": 5.0},
         "power", 0.03),
        ("boiler", {"supply_temp": {"unit": "°C"}, "on": {"kind": "bool", **RW}}, {"on": 0.0}, "supply_temp", 18.0),
        ("hot-water-tank", {"power": {"unit": "kW"}, "aim": {"unit": "°C", **RW}}, {"aim": 5.0}, "power", 0.0),
        ("pool", {"power": {"unit": "kW"}, "aim": {"unit": "°C", **RW}, "pump": {"kind": "bool", **RW}},
         {"pump": 1.0, "aim": 5.0}, "power", 4.0),
        ("pump-station", {"power": {"unit": "kW"}, "level": {"unit": "%"}, "number": {**RW}}, {"number": 1.0}, "power", 6.6),
    ],
)  # fmt: skip
def test_a_device_that_no_resource_has_is_simulated_by_its_kind_and_obeys(kind, points, told, watched, sense) -> None:
    plant = build(site({"thing": profile(kind, points)}), Course())
    step(plant, 5)
    for name, value in told.items():
        plant.devices["thing"].write(name, value)
    step(plant, 60 if kind == "battery" else 12 * 60)
    assert plant.devices["thing"].values[watched] == pytest.approx(sense, abs=max(0.15, abs(sense) * 0.25))
    assert plant.log.events[0].kind.value == "commanded"


def test_shipped_profiles_of_kinds_without_resources_show_plausible_readings() -> None:
    names = ("boiler", "hot-water-tank", "pool", "pump-station")
    plant = build(site({name: load_profiles()[f"generic/{name}@1"] for name in names}), Course())
    seen: dict[str, set[float]] = {}
    for _ in range(24 * 12):
        plant.step(plant.time + 5 * MINUTE)
        for device in plant.devices.values():
            for point, value in device.values.items():
                seen.setdefault(f"{device.id}.{point}", set()).add(value)
    assert [event.text for event in plant.log.events] == []
    assert 50 < max(seen["boiler.supply_temp"]) < 70 and max(seen["boiler.fuel_power"]) > 20
    assert seen["boiler.enable"] == {1.0}
    assert min(seen["hot-water-tank.top_temp"]) > 40 and max(seen["hot-water-tank.power"]) > 4
    assert seen["pool.cover"] == {0.0, 1.0} and max(seen["pool.power"]) > 3
    assert seen["pump-station.pumps_running"] == {0.0, 3.0} and min(seen["pump-station.level"]) > 0.3
    plant.devices["boiler"].reboot()
    assert plant.devices["boiler"].values["enable"] == 1.0


def test_what_is_drawn_on_top_empties_a_tank_and_a_reservoir() -> None:
    tank = profile("hot-water-tank", {"top_temp": {"unit": "°C"}})
    water = profile("pump-station", {"level": {"unit": "%"}})
    plants = [build(site({"tank": tank, "hill": water}), Course()) for _ in range(2)]
    plants[1].influences.draw |= {"tank": 20.0, "hill": 200.0}
    for plant in plants:
        step(plant, 60)
    assert plants[1].devices["tank"].values["top_temp"] < plants[0].devices["tank"].values["top_temp"] - 5
    assert plants[1].devices["hill"].values["level"] < plants[0].devices["hill"].values["level"] - 0.2


def test_meters_see_what_the_scenario_says_and_else_the_base_load() -> None:
    meters = {
        "sub": profile("meter", METER),
        "cars": profile("meter", METER),
        "accu0": ACCU,
        "pole0": POLE,
        "pole1": POLE,
    }
    resources = (accu(0), pole(0), pole(1))
    course = Course(plant={"cars": {"sees": ["pole0", "pole1"]}}, begin=Course().begin + timedelta(hours=20))
    plant = build(site(meters, *resources), course)
    step(plant, 30)
    powers = plant.powers_kw
    assert plant.devices["sub"].values["power"] == pytest.approx(powers["base"], rel=0.05)
    assert powers["pole0"] + powers["pole1"] > 1
    assert plant.devices["cars"].values["power"] == pytest.approx(powers["pole0"] + powers["pole1"], rel=0.05)
    assert plant.devices["meter"].values["power"] == pytest.approx(plant.grid_kw, abs=0.2)
    assert "cars" not in powers
    assert plant.parts["sub"].imported_kwh == pytest.approx(plant.parts["base"].imported_kwh)


def test_where_all_cancels_out_a_meter_still_trembles() -> None:
    plant = build(site({"accu0": ACCU}, accu(0, kwh=50), limit_kw=10.0), Course())
    seen = set()
    for _ in range(20):
        plant.step(plant.time + timedelta(seconds=1))
        assert abs(plant.grid_kw) < 1e-9
        seen.add(plant.devices["meter"].values["power"])
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("kind", "point", "told", "watched"),
    [("pump-station", {**RW}, 2.0, "level"), ("pool", {"kind": "bool", **RW}, 1.0, "water"), ("boiler", {"kind": "bool", **RW}, 1.0, "water")],
)  # fmt: skip
def test_a_deferrable_of_a_known_machine_is_that_machine(kind, point, told, watched) -> None:
    machine = profile(kind, {"draw": {"unit": "kW"}, "go": point, "water_temp": {"unit": "°C"}, "level": {"unit": "%"}})
    run = Deferrable(
        id="run", power="machine.draw", switch="machine.go", draws="3 kW", runs="1 h", between="02:00-05:00"
    )
    plant = build(site({"machine": machine}, run), Course())
    plant.devices["machine"].write("go", told)
    step(plant, 10)
    assert plant.powers_kw["run"] > 0
    assert any(watched in state for state in plant.trace[-1].states if state.startswith("run."))


def test_a_device_may_have_the_name_of_a_resource_that_is_elsewhere() -> None:
    boiler = profile("boiler", {"supply_temp": {"unit": "°C"}})
    sub = profile("meter", METER)
    plant = build(
        site({"accu0": ACCU, "accu": boiler, "grid": sub, "base": sub}, accu(0).model_copy(update={"id": "accu"})),
        Course(),
    )
    step(plant, 2)
    assert set(plant.powers_kw) == {"base", "accu", "accu.device"}
    assert plant.devices["base"].values["power"] == pytest.approx(plant.powers_kw["base"], rel=0.05)


def test_the_grid_may_be_measured_by_an_inverter() -> None:
    hybrid = profile("pv-inverter", {"p_pv": {"unit": "W"}, "p_grid": {"unit": "W"}, "e_day": {"unit": "Wh"}})
    roof = Pv(id="roof", power="hybrid.p_pv", peak="8 kWp")
    plant = build(site({"hybrid": hybrid}, roof, meter="hybrid.p_grid"), Course())
    step(plant, 12 * 60)
    values = plant.devices["hybrid"].values
    assert values["p_grid"] == pytest.approx(plant.grid_kw, rel=0.05)
    assert values["p_pv"] == pytest.approx(plant.powers_kw["roof"], rel=0.05)


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        ({"accu0": {"capacity": 5}}, r"plant\.accu0\.capacity: unknown; did you mean 'capacity_kwh'\?"),
        ({"accu0": {"capacity_kwh": "much"}}, r"plant\.accu0\.capacity_kwh: 'much'"),
        ({"accu0": {"capacity_kwh": -5}}, r"plant\.accu0\.capacity_kwh: -5\.0: must not be negative"),
        ({"accu0": {"capacity_kwh": 0}}, r"plant\.accu0\.capacity_kwh: 0\.0: must be more than 0"),
        ({"accu0": {"drain_kw": float("nan")}}, r"plant\.accu0\.drain_kw: nan: must be finite"),
        ({"accu0": {"floor": 0.2}}, r"plant\.accu0: floor, slow_below and slow_above must rise"),
        ({"accu0": {"curve": [[0, 0.9], [0, 0.9]]}}, r"plant\.accu0: curve must have efficiencies"),
        ({"accu0": {"initial_soc": 50}}, r"plant\.accu0: initial_soc and own_reserve must lie between 0 and 1"),
        ({"tank": {"layers": 0}}, r"plant\.tank"),
        ({"tank": {"heater_layer": 9}}, r"plant\.tank.*heater_layer: 9 is not one of 4 layers"),
        ({"pole0": {"phases": 5}}, r"plant\.pole0\.phases: 5: must be 1, 2 or 3"),
        ({"acu0": {"capacity_kwh": 5}}, r"plant\.acu0: no such part; did you mean 'accu0'\?"),
        ({"meter": {"capacity_kwh": 5}}, r"plant\.meter\.capacity_kwh: unknown; there are: per_phase, rollover_kwh, sees"),
        ({"meter": {"sees": ["accu0"]}}, r"plant\.meter\.sees: \['accu0'\]: the grid's meter sees all there is"),
        ({"sub": {"sees": ["acu0"]}}, r"plant\.sub\.sees: 'acu0': no such meter or part .*; there are accu0, ahu, base"),
        ({"sub": {"sees": ["sub"]}}, r"plant\.sub\.sees: 'sub': no such meter or part"),
        ({"sub": {"sees": ["base", "base"]}}, r"plant\.sub\.sees: 'base' hangs on 'sub' already"),
        ({"sub": {"seas": ["accu0"]}}, r"plant\.sub\.seas: unknown; did you mean 'sees'\?"),
        ({"sub": {"rollover_kwh": 0}}, r"plant\.sub\.rollover_kwh: 0\.0: must be more than 0"),
        ({"accu0": {"wear": {"cycles": 0}}}, r"plant\.accu0\.wear\.cycles: 0\.0: must be more than 0"),
        ({"accu0": {"wear": {"cycle": 9}}}, r"plant\.accu0\.wear\.cycle: 9"),
        ({"accu0": {"wear": {"charge_by_temp": [[-10, 0.2], [-20, 1]]}}}, r"plant\.accu0\.wear.*charge_by_temp: temperatures must rise"),
        ({"accu0": {"wear": {"initial_health": 1.2}}}, r"plant\.accu0\.wear.*initial_health: 1\.2 must be from 0 to 1"),
        ({"pole0": {"fleet": {"cars": 0}}}, r"plant\.pole0\.fleet.*cars 0 and connectors 8 must be 1 or more"),
        ({"pole0": {"fleet": {"stays_h": -1}}}, r"plant\.pole0\.fleet\.stays_h: -1\.0: must not be negative"),
        ({"pole0": {"fleet": {"chargers": ["pole9"]}}}, r"plant\.pole0\.fleet\.chargers: 'pole9': no such other charger; there are pole1"),
        ({"pole0": {"fleet": {"chargers": ["pole1"]}}, "pole1": {"fleet": {}}}, r"plant\.pole0\.fleet\.chargers: 'pole1': another fleet"),
        ({"pole0": {"fleet": {"chargers": ["pole1"]}}, "pole1": {"phases": 3}}, r"plant\.pole0\.fleet\.chargers: .*phases and volts"),
        ({"pole0": {"fleet": {}, "visits": []}}, r"plant\.pole0\.visits: a fleet comes to 'pole0'"),
        ({"roof": {"shades": [{"since": "soon", "until": "09:00", "share": 0.5}]}}, r"plant\.roof\.shades\.0.*'soon' must be a time"),
        ({"roof": {"shades": [{"since": "10:00", "until": "09:00", "share": 0.5}]}}, r"plant\.roof\.shades\.0.*must come before"),
        ({"roof": {"shades": [{"since": "08:00", "until": "09:00", "share": 5}]}}, r"plant\.roof\.shades\.0.*share: 5\.0 must be from 0 to 1"),
        ({"roof": {"soiling": 3}}, r"plant\.roof.*soiling: 3\.0 must be from 0 to 1"),
        ({"flat0": {"model": "3r3c"}}, r"plant\.flat0\.model: '3r3c'"),
        ({"flat0": {"walls": {"flat9": 0.1}}}, r"plant\.flat0\.walls: 'flat9': no other zone; there are flat1"),
        ({"flat0": {"walls": {"flat1": -0.1}}}, r"plant\.flat0\.walls\.flat1: -0\.1: must not be negative"),
        ({"flat0": {"walls": {"flat1": 0.1}}, "flat1": {"walls": {"flat0": 0.1}}}, r"plant\.flat1\.walls: 'flat0': 'flat0' has this wall"),
        ({"ahu": {"levels": [0.5, 1]}}, r"plant\.ahu: levels: .* must rise from 0"),
        ({"ahu": {"coil": {"cop": 0}}}, r"plant\.ahu\.coil\.cop: 0\.0: must be more than 0"),
        ({"ahu": {"coil": {"serves": ["attic"]}}}, r"plant\.ahu\.coil\.serves: 'attic': no such zone; there are flat0, flat1"),
        ({"ahu": {"coil": {"recovery": 2}}}, r"plant\.ahu\.coil.*recovery: 2\.0 must be from 0 to 1"),
        ({"flat0": {"occupied": "always"}}, r"plant\.flat0: 'always' is not like"),
        ({"pole0": {"visits": [{"arrives": "soon", "leaves": "07:00", "needs_kwh": 3}]}}, r"plant\.pole0\.visits: arrives: 'soon'"),
        ({"pole0": {"visits": [{"arrives": "06:00", "needs": 3}]}}, r"plant\.pole0\.visits\.0"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_override_names_part_key_and_value(plant, message) -> None:
    devices = {"accu0": ACCU, "pole0": POLE, "sub": profile("meter", METER), "hp0": GEYSER, "flat0": SENSOR}
    devices["tank"] = profile("hot-water-tank", {"power": {"unit": "kW"}})
    devices |= {"pole1": POLE, "flat1": SENSOR, "roof": profile("pv-inverter", {"power": {"unit": "kW"}})}
    devices["ahu"] = profile("air-handling-unit", {"power": {"unit": "kW"}})
    found = site(devices, accu(0), pole(0), pole(1), heat_pump(0), *zones("hp0", 0, 1))
    with pytest.raises(ConfigError, match=message):
        build(found, Course(plant=plant))


def test_two_parts_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="base: the simulation has a part of this name already"):
        build(site({"accu0": ACCU}, accu(0).model_copy(update={"id": "base"})), Course())


def test_zones_of_what_is_no_heat_pump_stand_in_the_cold_and_it_is_said() -> None:
    plant = build(site({"flat0": SENSOR}, *zones("stove", 0)), Course())
    step(plant, 6 * 60)
    rooms = plant.of_kind(Room)
    assert rooms[0].state.air_c < rooms[0].params.initial_air_c - 0.5
    assert "nothing simulates 'stove', so nothing heats it" in [event.text for event in plant.log.events]


def test_a_light_zone_does_not_shake_itself_to_pieces() -> None:
    (light,) = zones("hp0", 0)
    light = light.model_copy(update={"capacity": 1.0, "area": 300.0})
    plant = build(site({"hp0": GEYSER, "flat0": SENSOR}, heat_pump(0), light), Course())
    for _ in range(24 * 60):
        balanced(plant)
    assert all(5 < row.states["flat0.air_c"] < 30 for row in plant.trace)


def test_neighbours_warm_each_other_through_their_wall() -> None:
    devices = {"hp0": GEYSER} | {f"flat{n}": SENSOR for n in range(3)}
    air = []
    for wall in (0.0, 0.1):
        course = Course(plant={"flat0": {"wall_kw_k": wall}, "flat1": {"wall_kw_k": 0.0}})
        plant = build(site(devices, heat_pump(0), *zones("hp0", 0, 1, 2)), course)
        plant.devices["flat0"].write("should", 26.0)
        for n in (1, 2):
            plant.devices[f"flat{n}"].write("should", 10.0)
        step(plant, 20 * 60)
        air.append([room.state.air_c for room in plant.of_kind(Room)])
    (_, alone, far), (_, warmed, still_far) = air
    assert warmed > alone + 1
    assert still_far == far


class TestInfluences:
    """What stimuli do, on top of the course."""

    def plants(self) -> list[Plant]:
        devices = {
            "pole0": POLE,
            "hp0": GEYSER,
            "flat0": SENSOR,
            "sun": profile("pv-inverter", {"power": {"unit": "W"}}),
        }
        roof = Pv(id="roof", power="sun.power", peak="8 kWp")
        course = Course(plant={"pole0": {"visits": []}}, begin=Course().begin + timedelta(hours=11))
        return [build(site(devices, pole(0), roof, heat_pump(0), *zones("hp0", 0)), course) for _ in range(2)]

    def test_load_sun_temperature_and_people(self) -> None:
        plain, moved = self.plants()
        moved.influences.load_kw, moved.influences.sun, moved.influences.temp_k = 7.0, 0.5, -6.0
        moved.influences.people = 3.0
        for plant in (plain, moved):
            step(plant, 2)
        assert moved.powers_kw["base"] - plain.powers_kw["base"] == pytest.approx(7.0)
        assert moved.powers_kw["roof"] == pytest.approx(plain.powers_kw["roof"] / 2, rel=0.05)
        assert moved.trace[-1].states["outdoor_c"] == pytest.approx(plain.trace[-1].states["outdoor_c"] - 6)
        gained = [plant.of_kind(Room)[0].flows.gains_kw for plant in (plain, moved)]
        assert gained[1] > gained[0]
        assert moved.devices["hp0"].values["outside"] == pytest.approx(
            plain.devices["hp0"].values["outside"] - 6, abs=0.5
        )

    def test_a_car_that_is_sent_arrives_charges_and_leaves(self) -> None:
        _, plant = self.plants()
        assert plant.devices["pole0"].values["plugged"] == 0.0
        plant.influences.cars["pole0"] = 2.0
        step(plant, 5)
        assert plant.influences.cars == {}
        assert plant.devices["pole0"].values["plugged"] == 1.0
        step(plant, 120)
        charger = plant.of_kind(Charger)[0]
        assert charger.cars.charged_kwh == pytest.approx(2.0)
        step(plant, 4 * 60)
        assert plant.devices["pole0"].values["plugged"] == 0.0
        assert charger.cars.unserved_kwh == pytest.approx(0.0, abs=1e-6)
        plant.influences.cars["pole0"] = 90.0  # and another one, which leaves with less than it needs
        step(plant, 5 * 60)
        assert charger.cars.unserved_kwh > 50

    def test_a_car_waits_while_the_charger_is_taken(self) -> None:
        _, plant = self.plants()
        plant.influences.cars["pole0"] = 5.0
        step(plant, 5)
        plant.influences.cars["pole0"] = 6.0
        step(plant, 60)
        assert plant.influences.cars == {"pole0": 6.0}
        step(plant, 4 * 60)
        assert plant.influences.cars == {}


def test_rows_are_as_long_as_wanted_and_hold_means() -> None:
    found = site({"accu0": ACCU}, accu(0))
    fine, coarse = build(found, Course(), row_s=1.0), build(found, Course(), row_s=300.0)
    for second in range(1, 601):
        for plant in (fine, coarse):
            plant.step(Course().begin + timedelta(seconds=second))
    assert (len(fine.trace), len(coarse.trace)) == (600, 2)
    assert {row.seconds for row in coarse.trace} == {300.0}
    first = coarse.trace[0]
    assert first.time == Course().begin
    for part, power in first.powers_kw.items():
        assert power == pytest.approx(sum(row.powers_kw[part] for row in fine.trace[:300]) / 300)
    assert first.states == fine.trace[299].states


def test_two_hundred_devices_can_live_in_real_time_on_one_core() -> None:
    devices = {f"accu{n}": ACCU for n in range(70)} | {f"pole{n}": POLE for n in range(70)}
    devices |= {f"hp{n}": GEYSER for n in range(30)} | {f"flat{n}": SENSOR for n in range(30)}
    resources = [*(accu(n) for n in range(70)), *(pole(n) for n in range(70))]
    resources += [item for n in range(30) for item in (heat_pump(n), *zones(f"hp{n}", n))]
    plant = build(site(devices, *resources, limit_kw=900.0), Course())
    best = 1.0
    for _ in range(3):
        begin = time.process_time()
        for _ in range(20):
            plant.step(plant.time + timedelta(seconds=1))
        best = min(best, (time.process_time() - begin) / 20)
    assert best < 0.1


def test_a_day_that_starts_now_repeats_by_the_clock() -> None:
    found, now = site({"accu0": ACCU}, accu(0)), Course().begin + timedelta(days=800, hours=9, minutes=30)
    live, staged = build(found, Course(), start=now), build(found, replace(Course()))
    live.step(now + MINUTE)
    step(staged, 9 * 60 + 31)
    assert live.powers_kw["base"] == staged.powers_kw["base"]
