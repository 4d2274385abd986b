"""What a scenario's `plant:` can ask for beyond the defaults: short worlds that show the effect, with all balances kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from energyctl.resources.deferrable import Deferrable
from energyctl.resources.pv import Pv
from hil.plant import Plant, build
from hil.plant.building import stored_kwh
from hil.plant.parts import AirUnit, Charger, Roof, Room, WornStore
from tests.hil.plant_site import METER, RW, Course, profile, site
from tests.hil.test_plant_sites import ACCU, GEYSER, MINUTE, POLE, SENSOR, accu, balanced, heat_pump, pole, step, zones

INVERTER = profile(
    "string-inverter", {"yield_power": {"unit": "kW", "invert": True}, "cap": {"unit": "%", "access": "rw"}}
)
AIR = profile(
    "air-handling-unit", {"draw": {"unit": "kW"}, "boost": {"kind": "bool", **RW}, "supply_temp": {"unit": "°C"}}
)
COUNTER = METER | {"power_l2": {"unit": "W"}, "energy_export": {"unit": "Wh"}}


def world(
    devices: Mapping[str, Any], *resources: Any, plant: Mapping[str, Any], hour: float = 0.0, seed: int = 1
) -> Plant:
    begin = Course().begin + timedelta(hours=hour)
    return build(site(devices, *resources, limit_kw=200.0), Course(plant=plant, begin=begin, seed=seed))


def column(plant: Plant, state: str) -> list[float]:
    return [row.states[state] for row in plant.trace]


class TestBattery:
    """`wear:`"""

    def plants(self, wear: Mapping[str, Any], outdoor_k: float = 0.0) -> list[Plant]:
        plain = {"initial_soc": 0.5}
        found = [world({"accu0": ACCU}, accu(0), plant={"accu0": said}) for said in (plain, plain | {"wear": wear})]
        for plant in found:
            plant.influences.temp_k = outdoor_k
            plant.devices["accu0"].write("p_target", 4.0)
        return found

    def test_the_cold_lets_it_take_less_until_it_has_warmed_up(self) -> None:
        wear = {"around_c": None, "initial_c": -5.0, "cells_kwh_k": 0.01, "cooling_kw_k": 0.0}
        plain, cold = self.plants(wear, outdoor_k=-20.0)
        for _ in range(150):
            balanced(plain)
            balanced(cold)
        assert plain.trace[0].powers_kw["accu0"] == pytest.approx(4.0)
        rated = cold.of_kind(WornStore)[0].params.charge_kw
        assert cold.trace[0].powers_kw["accu0"] == pytest.approx(0.1 * rated)  # half way from -10 to 0 degC
        temps = column(cold, "accu0.temp_c")
        assert temps[0] < -4.9 < 0 < temps[-1]
        assert cold.trace[-1].powers_kw["accu0"] > 1.8 * cold.trace[0].powers_kw["accu0"]
        shown = cold.devices["accu0"].values["cell_temperature"]
        assert shown == pytest.approx(temps[-1], abs=0.3)

    def test_its_losses_warm_cells_and_room(self) -> None:
        _, plant = self.plants({"around_c": 12.0})
        (store,) = plant.of_kind(WornStore)
        for _ in range(60):
            before = store.worn.cells_c
            plant.step(plant.time + MINUTE)
            passed_on = 0.5 * store.loss_kw - 0.12 * (store.worn.cells_c - before) * 60
            middle = (before + store.worn.cells_c) / 2
            assert passed_on == pytest.approx(0.03 * (middle - 12.0), abs=1e-3)

    def test_an_old_one_has_less_room_and_shows_its_share_of_what_is_left(self) -> None:
        plain, old = self.plants({"initial_health": 0.6, "cycles": 20.0})
        for _ in range(50):
            balanced(plain)
            balanced(old)
        (store,) = old.of_kind(WornStore)
        last = old.trace[-1].states
        assert last["accu0.health"] < 0.6
        room = store.params.capacity_kwh * last["accu0.health"]
        assert last["accu0.soc"] == pytest.approx(last["accu0.energy_kwh"] / room)
        assert old.devices["accu0"].values["level_of_charge"] == pytest.approx(last["accu0.soc"], abs=0.006)
        assert last["accu0.soc"] > plain.trace[-1].states["accu0.soc"] + 0.05  # full sooner

    def test_left_alone_it_keeps_its_reserve_of_what_is_left(self) -> None:
        plant = world({"accu0": ACCU}, accu(0), plant={"accu0": {"drain_kw": 0.0, "wear": {"initial_health": 0.5}}})
        step(plant, 12 * 60)
        assert min(column(plant, "accu0.soc")) == pytest.approx(
            plant.of_kind(WornStore)[0].params.own_reserve, abs=0.01
        )


class TestRoof:
    """`shades:` and `soiling:`"""

    def plant(self, **said: Any) -> Plant:
        roof = Pv(id="roof", power="sun.yield_power", limit="sun.cap", peak="8 kWp")
        return world({"sun": INVERTER}, roof, plant={"roof": {"array_kwp": 8.0, "tilt_gain": 2.0, **said}}, hour=10.0)

    def test_dirt_and_shades_take_their_share_of_the_sun(self) -> None:
        clean = self.plant()
        dark = self.plant(soiling=0.1, shades=[{"since": "11:00", "until": "12:00", "share": 0.5}])
        for plant in (clean, dark):
            step(plant, 180)
        shares = [
            d / c for d, c in zip(column(dark, "roof.available_kw"), column(clean, "roof.available_kw"), strict=True)
        ]
        assert shares[:60] == pytest.approx([0.9] * 60)
        assert shares[60:120] == pytest.approx([0.45] * 60)
        assert shares[120:] == pytest.approx([0.9] * 60)

    def test_what_is_clipped_and_curtailed_is_told_apart(self) -> None:
        big, small = self.plant(), self.plant(rated_kw=3.0)
        for plant in (big, small):
            step(plant, 60)
            plant.devices["sun"].write("cap", 0.2)
            step(plant, 60)
        for row, whole in zip(small.trace, big.trace, strict=True):
            states, made = row.states, -row.powers_kw["roof"]
            assert states["roof.clipped_kw"] + states["roof.available_kw"] == pytest.approx(
                whole.states["roof.available_kw"]
            )
            assert states["roof.curtailed_kw"] == pytest.approx(states["roof.available_kw"] - made)
        assert small.trace[59].states["roof.clipped_kw"] > 0.1
        assert small.trace[-1].states["roof.curtailed_kw"] == pytest.approx(3.0 * 0.8)
        assert isinstance(small.parts["roof"], Roof)


class TestZones:
    """`model:` and `walls:`"""

    DEVICES = {"hp0": GEYSER, "hp1": GEYSER} | {f"flat{n}": SENSOR for n in range(4)}

    def plant(self, **said: Any) -> Plant:
        resources = (heat_pump(0), heat_pump(1), *zones("hp0", 0, 1), *zones("hp1", 2, 3))
        return world(self.DEVICES, *resources, plant=said)

    def test_a_light_zone_has_one_temperature_and_stores_what_flows_in(self) -> None:
        plant = self.plant(flat0={"model": "1r1c", "air_kwh_k": 0.5, "mass_kwh_k": 1.5, "initial_mass_c": 3.0})
        light, heavy = plant.of_kind(Room)[0], plant.of_kind(Room)[2]
        for _ in range(6 * 60):
            balanced(plant)
            assert light.state.air_c == light.state.mass_c
        assert heavy.state.air_c != heavy.state.mass_c
        assert min(column(plant, "flat0.air_c")) > 15.0  # never at the 3 degC that its mass would begin with

    def test_a_light_zone_left_alone_falls_as_its_losses_let_it(self) -> None:
        lone = {"base_share": 0.0, "wall_kw_k": 0.0, "emitter_kw": 0.0, "people_kw": 0.0, "vent_kw_k": 0.0}
        zone = {"model": "1r1c", "air_kwh_k": 1.0, "mass_kwh_k": 1.0, "ua_kw_k": 0.5, "initial_air_c": 20.0}
        plant = self.plant(flat0=lone | zone)
        step(plant, 120)
        air = 20.0
        for outdoor in column(plant, "outdoor_c"):  # half a step and half a step, by another rule
            slow = 0.5 / 2.0 / 60
            air = (air * (1 - slow / 2) + slow * outdoor) / (1 + slow / 2)
        assert plant.trace[-1].states["flat0.air_c"] == pytest.approx(air, abs=1e-4)

    def test_walls_join_any_zones_whoever_feeds_them(self) -> None:
        air = []
        for walls in ({}, {"flat3": 0.2, "flat2": 0.1, "flat1": 0.0}):
            plant = self.plant(flat0={"walls": walls}, flat2={"wall_kw_k": 0.0})
            for n, aim in enumerate((26.0, 10.0, 10.0, 10.0)):
                plant.devices[f"flat{n}"].write("should", aim)
            rooms = plant.of_kind(Room)
            for _ in range(10 * 60):
                before = sum(stored_kwh(room.params, room.state) for room in rooms)
                plant.step(plant.time + MINUTE)
                after = sum(stored_kwh(room.params, room.state) for room in rooms)
                assert (after - before) * 60 == pytest.approx(sum(room.flows.total_kw for room in rooms), abs=1e-6)
                assert sum(room.flows.between_kw for room in rooms) == pytest.approx(0.0, abs=1e-9)
            air.append([room.state.air_c for room in rooms])
        (_, beside, two, three), (_, alone, two_warmed, three_warmed) = air
        assert beside > alone + 0.1  # the wall to the next zone was taken away
        assert three_warmed > three + 1
        assert three_warmed - three > two_warmed - two > 0.5


class TestFleet:
    """`fleet:`"""

    def poles(self, number: int, fleet: Mapping[str, Any], hour: float = 0.0, seed: int = 1, **pole0: Any) -> Plant:
        devices = {f"pole{n}": POLE for n in range(number)}
        said = {"pole0": {"fleet": {"days": list(range(7)), "needs_kwh": 8.0, **fleet}, **pole0}}
        return world(devices, *(pole(n) for n in range(number)), plant=said, hour=hour, seed=seed)

    def test_cars_share_a_charger_and_what_they_got_is_what_it_drew(self) -> None:
        plant = self.poles(1, {"cars": 8, "connectors": 4}, car_max_kw=3.7, own_limit_a=40.0)
        for minute in range(24 * 60):
            if minute == 9 * 60:
                plant.devices["pole0"].write("amps_max", 14.0)
            plant.step(plant.time + MINUTE)
        powers, there = [row.powers_kw["pole0"] for row in plant.trace], column(plant, "pole0.cars")
        assert max(there) == 4.0
        assert set(column(plant, "pole0.connected")) == {0.0, 1.0}
        assert max(powers[: 9 * 60]) > 4.0 > 14 * 0.23 + 1e-9 >= max(powers[9 * 60 + 1 :]) > 2.0
        at = plant.trace[-1].states
        needed = sum(powers) / 60 + at["pole0.unserved_kwh"] + at["pole0.missing_kwh"]
        again = self.poles(1, {"cars": 8, "connectors": 8, "fuse_a": 400.0}, car_max_kw=22.0, own_limit_a=400.0)
        step(again, 24 * 60)
        last = again.trace[-1].states
        drawn = sum(row.powers_kw["pole0"] for row in again.trace) / 60
        assert needed == pytest.approx(drawn + last["pole0.unserved_kwh"] + last["pole0.missing_kwh"])  # the same cars
        assert at["pole0.unserved_kwh"] > 1.0 > last["pole0.unserved_kwh"]

    def test_a_run_can_be_repeated_and_another_seed_has_other_cars(self) -> None:
        first, same, other = (self.poles(2, {"chargers": ["pole1"]}, seed=seed) for seed in (1, 1, 2))
        for plant in (first, same, other):
            step(plant, 14 * 60)
        assert first.trace == same.trace
        assert column(first, "pole0.cars") != column(other, "pole0.cars")

    def test_a_fleet_takes_the_first_of_several_chargers_that_is_free(self) -> None:
        plant = self.poles(3, {"cars": 5, "comes": 1.0, "chargers": ["pole1", "pole2"], "fuse_a": 20.0})
        plant.devices["pole1"].write("amps_max", 6.0)
        step(plant, 24 * 60)
        there = [column(plant, f"pole{n}.cars") for n in range(3)]
        assert [max(cars) for cars in there] == [1.0, 1.0, 1.0]
        first = [cars.index(1.0) for cars in there]
        assert first == sorted(first) and len(set(first)) == 3
        powers = [[row.powers_kw[f"pole{n}"] for row in plant.trace] for n in range(3)]
        assert max(powers[1]) == pytest.approx(6 * 0.23)
        assert max(powers[0]) > 1.5
        assert max(map(sum, zip(*powers, strict=True))) <= 20 * 0.23 + 1e-9
        last = plant.trace[-1].states
        kwh = sum(map(sum, powers)) / 60
        state = plant.parts["pole0 fleet"].state  # type: ignore[attr-defined]
        assert kwh == pytest.approx(state.served_kwh + sum(car.charged_kwh for car in state.there.values()))
        assert sum(last[f"pole{n}.unserved_kwh"] for n in range(3)) == pytest.approx(state.unserved_kwh)

    def test_those_who_have_come_are_there_at_the_beginning(self) -> None:
        plant = self.poles(2, {"cars": 9, "comes": 1.0, "chargers": ["pole1"]}, hour=12.0)
        assert [plant.devices[f"pole{n}"].values["plugged"] for n in range(2)] == [1.0, 1.0]

    def test_a_car_that_is_sent_comes_besides(self) -> None:
        plant = self.poles(2, {"cars": 1, "comes": 0.0, "chargers": ["pole1"]}, hour=11.0)
        for name in ("pole1", "pole0"):
            plant.influences.cars[name] = 2.0
        step(plant, 2)
        assert plant.influences.cars == {}
        assert [plant.devices[f"pole{n}"].values["plugged"] for n in range(2)] == [1.0, 1.0]
        plant.influences.cars["pole0"] = 3.0
        step(plant, 100)
        assert plant.influences.cars == {"pole0": 3.0}  # waits
        assert [charger.cars.charged_kwh for charger in plant.of_kind(Charger)] == pytest.approx([2.0, 2.0])
        step(plant, 160)
        assert plant.influences.cars == {}
        assert [charger.cars.missing_kwh for charger in plant.of_kind(Charger)][1] == 0.0


class TestMeters:
    """`sees:`, `per_phase:` and `rollover_kwh:`"""

    def plant(self, **said: Any) -> Plant:
        meters = {name: profile("meter", COUNTER) for name in ("house", "cellar", "spare", "line")}
        roof = Pv(id="roof", power="sun.yield_power", peak="20 kWp")
        devices = meters | {"accu0": ACCU, "pole0": POLE, "sun": INVERTER, "meter": profile("meter", COUNTER)}
        visits = [{"arrives": "00:00", "leaves": "23:59", "needs_kwh": 90.0}]
        plant = {"pole0": {"visits": visits}, "roof": {"array_kwp": 8.0}} | said
        return world(devices, accu(0), pole(0), roof, plant=plant, hour=9.5)

    def test_a_meter_sees_the_meters_below_it(self) -> None:
        big = {"array_kwp": 200.0, "rated_kw": 200.0}
        plant = self.plant(house={"sees": ["cellar", "pole0"]}, cellar={"sees": ["accu0", "base"]}, roof=big)
        counted = dict.fromkeys(("house", "cellar", "spare", "line", "grid meter"), (0.0, 0.0))
        for _ in range(4 * 60):
            plant.step(plant.time + MINUTE)
            kw, parts = plant.powers_kw, plant.parts
            assert parts["spare"].power_kw == parts["line"].power_kw == kw["base"]  # in line, below the cellar's
            assert parts["cellar"].power_kw == pytest.approx(kw["accu0"] + kw["base"])
            assert parts["house"].power_kw == pytest.approx(kw["accu0"] + kw["base"] + kw["pole0"])
            assert parts["grid meter"].power_kw == pytest.approx(plant.grid_kw)
            for name, before in counted.items():
                now = parts[name].imported_kwh, parts[name].exported_kwh
                assert now[0] >= before[0] and now[1] >= before[1]
                assert now[0] - before[0] - (now[1] - before[1]) == pytest.approx(parts[name].power_kw / 60, abs=1e-9)
                counted[name] = now
        assert plant.parts["grid meter"].exported_kwh > 0.1
        assert plant.devices["house"].values["power"] == pytest.approx(plant.parts["house"].power_kw, rel=0.1, abs=0.1)
        assert not {"house", "cellar", "spare"} & plant.powers_kw.keys()

    def test_phases_count_apart_where_a_meter_is_made_so(self) -> None:
        sees = {"sees": ["pole0", "roof"]}
        whole, apart = self.plant(house=sees), self.plant(house=sees | {"per_phase": True})
        for plant in (whole, apart):
            step(plant, 180)
        one, three = whole.parts["house"], apart.parts["house"]
        kw = apart.powers_kw
        assert three.phases_kw == pytest.approx((kw["pole0"] + kw["roof"] / 3, kw["roof"] / 3, kw["roof"] / 3))
        assert apart.devices["house"].values["power_l2"] == pytest.approx(kw["roof"] / 3, rel=0.1)
        assert three.imported_kwh > one.imported_kwh + 0.5
        net = one.imported_kwh - one.exported_kwh
        assert three.imported_kwh - three.exported_kwh == pytest.approx(net)

    def test_a_counter_starts_again_where_its_digits_end(self) -> None:
        plant = self.plant(meter={"rollover_kwh": 2.0}, spare={"rollover_kwh": 3.0})
        for name, part, digits in (("spare", "spare", 3.0), ("meter", "grid meter", 2.0)):
            shown = [plant.devices[name].values["energy_import"]]
            counted = [plant.parts[part].imported_kwh]
            for _ in range(90):
                plant.step(plant.time + MINUTE)
                shown.append(plant.devices[name].values["energy_import"])
                counted.append(plant.parts[part].imported_kwh)
            assert counted[-1] - counted[0] > digits
            assert all(0 <= kwh < digits for kwh in shown)
            assert any(b < a for a, b in pairwise(shown))
            for (a, b), (c, d) in zip(pairwise(shown), pairwise(counted), strict=True):
                assert (b - a - (d - c)) / digits == pytest.approx(round((b - a - (d - c)) / digits), abs=1e-9)


class TestAirHandler:
    """`levels:` and `coil:`"""

    def plant(self, said: Mapping[str, Any], hour: float = 0.0) -> Plant:
        devices = {"ahu": AIR, "hp0": GEYSER, "flat0": SENSOR, "flat1": SENSOR}
        air = Deferrable(
            id="air", power="ahu.draw", switch="ahu.boost", draws="2 kW", runs="1 h", between="02:00-05:00"
        )
        air_only = {"flat1": {"air_kwh_k": 0.04}}  # so light that it moves in several pieces a minute
        plant = air_only | {"air": {"hours": "00:00-24:00", "fan_m3_h": 200.0, "flush_m3_h": 600.0, **said}}
        return world(devices, air, heat_pump(0), *zones("hp0", 0, 1), plant=plant, hour=hour)

    def test_the_coils_heat_comes_into_the_rooms_it_serves(self) -> None:
        plain, warm = (
            self.plant(said) for said in ({}, {"coil": {"supply_c": 35.0, "heat_kw": 8.0, "serves": ["flat1"]}})
        )
        for plant in (plain, warm):
            for name in ("flat0", "flat1"):
                plant.devices[name].write("should", 10.0)  # nothing from the heat pump
        (unit,) = warm.of_kind(AirUnit)
        for _ in range(4 * 60):
            balanced(plain)
            extract = warm.parts["flat1"].state.air_c  # type: ignore[attr-defined]
            balanced(warm)
            flow, (other, served) = unit.flow, warm.of_kind(Room)
            assert other.flows.supply_kw == 0.0
            assert served.flows.supply_kw == pytest.approx(flow.zone_kw)
            per_k = flow.flow_m3_h * 1.2 * 1.006 / 3600
            brought = per_k * (extract - warm.trace[-1].states["outdoor_c"]) + served.flows.supply_kw
            assert brought == pytest.approx(flow.recovered_kw + flow.fan_heat_kw + flow.coil_kw)
            assert warm.powers_kw["air"] == pytest.approx(flow.fan_kw + flow.coil_kw / 3.0)
        assert warm.trace[-1].states["air.coil_kw"] > 0.3
        assert warm.trace[-1].states["flat1.air_c"] > plain.trace[-1].states["flat1.air_c"] + 1.0
        assert warm.devices["ahu"].values["supply_temp"] == pytest.approx(35.0, abs=0.5)

    def test_its_own_control_gives_the_air_that_people_need_and_an_airing_all_of_it(self) -> None:
        plant = self.plant({"levels": [0, 0.25, 0.5, 1], "people": 30.0, "leak_m3_h": 50.0, "volume_m3": 300.0})
        step(plant, 24 * 60)
        air = column(plant, "air.air_m3_h")
        assert {round(m3_h) for m3_h in air} == {200, 800}  # 30 people need some 930 m3/h, nobody the least
        assert set(column(plant, "air.coil_kw")) == {0.0}
        busy = [row for row in plant.trace if row.states["air.air_m3_h"] > 700]
        calm = [row for row in plant.trace if row.states["air.air_m3_h"] < 300]
        fan = plant.of_kind(AirUnit)[0].unit.nominal_fan_kw
        assert {round(row.powers_kw["air"] / fan, 3) for row in busy} == {1.0}
        assert {round(row.powers_kw["air"] / fan, 3) for row in calm} == {round(0.25**2.7, 3)}
        plant.devices["ahu"].write("boost", 1.0)
        step(plant, 1)
        assert plant.trace[-1].states["air.air_m3_h"] == pytest.approx(800.0)
        assert plant.trace[-1].states["air.on"] == 1.0

    def test_out_of_its_hours_it_is_off(self) -> None:
        plant = self.plant({"coil": {}, "hours": "Mo-Su 08:00-09:00"})
        step(plant, 60)
        assert set(column(plant, "air.air_m3_h")) == {0.0}
        assert plant.powers_kw["air"] == 0.0
        assert all(room.flows.supply_kw == 0.0 for room in plant.of_kind(Room))

    def test_one_without_rooms_lives_too(self) -> None:
        plant = world({"ahu": AIR}, plant={"ahu": {"coil": {}}}, hour=10.0)
        step(plant, 30)
        assert plant.powers_kw["ahu"] > 0


@pytest.mark.parametrize("catches_up", [False, True])
def test_a_pool_makes_up_for_the_hours_that_it_missed(catches_up: bool) -> None:
    pool = profile("pool", {"power": {"unit": "kW"}, "pump": {"kind": "bool", **RW}})
    said = {"pool": {"filter_hours": "Mo-Su 08:00-10:00", "filter_h": 5.0, "catches_up": catches_up}}
    plant = world({"pool": pool}, plant=said)
    step(plant, 24 * 60)
    on = column(plant, "pool.on")
    assert sum(on) / 60 == pytest.approx(5.0 if catches_up else 2.0, abs=0.05)
    assert on[21 * 60 + 5 :] == [float(catches_up)] * (3 * 60 - 5)
    assert not any(on[10 * 60 + 1 : 20 * 60 + 55])
    assert column(plant, "pool.filtered_h")[-1] == pytest.approx(sum(on) / 60)
