"""The simulated town hall as a whole: its balances, what its devices do by themselves, and that a run can be repeated."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from energyctl.config import load_site
from hil.outside import Outside
from hil.plant import Plant, build
from hil.plant.building import stored_kwh
from hil.plant.parts import AirHandler, Charger, HeatPump, Roof, Room, Store
from hil.scenario import Scenario, load
from tests.hil.plant_site import TOWN_HALL

SITE = load_site(TOWN_HALL)
SITES = TOWN_HALL.parent
MINUTE = timedelta(minutes=1)


def plant_of(name: str = "town-hall-winter", start: datetime | None = None, **changes: object) -> Plant:
    return build(SITE, load(name).model_copy(update=changes), start)


def at(plant: Plant, clock: str) -> None:
    """Move to a site-local time of the scenario's first day, minute by minute."""
    hour, minute = map(int, clock.split(":"))
    goal = plant.trace[0].time if plant.trace else plant.time
    goal += timedelta(hours=hour, minutes=minute)
    while plant.time < goal:
        plant.step(plant.time + MINUTE)


def command(plant: Plant, device: str, **values: float) -> None:
    for name, value in values.items():
        plant.devices[device].write(name, value)


@pytest.mark.parametrize("name", ["town-hall-winter", "town-hall-summer"])
def test_every_step_of_a_day_balances(name: str) -> None:
    plant = plant_of(name)
    rooms, (store,), (pump,) = plant.of_kind(Room), plant.of_kind(Store), plant.of_kind(HeatPump)
    for minute in range(24 * 60):
        if minute == 200:
            command(plant, "storage", setpoint_timeout=0, setpoint_mode=1, power_setpoint=17.5, setpoint_enable=1)
        if minute == 400:
            command(plant, "storage", power_setpoint=-23.0)
            command(plant, "airhandler", flush=1)
        if minute == 700:
            command(plant, "inverter", power_limit=0.2, power_limit_enable=1)
            command(plant, "heatpump", zone1_setpoint=23.0, zone2_setpoint=22.0)
        heat = [stored_kwh(room.params, room.state) for room in rooms]
        energy = store.energy_kwh
        plant.step(plant.time + MINUTE)
        powers = plant.powers_kw
        assert set(powers) == {"base", "roof", "battery", "car", "heating", "fresh-air"}
        assert abs(plant.grid_kw - sum(powers.values())) < 1e-6
        assert abs(plant.trace[-1].grid_kw - plant.grid_kw) < 1e-6
        assert abs(powers["battery"] - (store.energy_kwh - energy) * 60 - store.loss_kw) < 1e-6
        assert store.loss_kw >= 0
        for room, before in zip(rooms, heat, strict=True):
            assert abs((stored_kwh(room.params, room.state) - before) * 60 - room.flows.total_kw) < 1e-6
        assert abs(sum(room.flows.between_kw for room in rooms)) < 1e-6
        assert abs(sum(pump.heat.heat_kw)) <= (powers["heating"] - pump.params.standby_kw) * pump.heat.cop + 1e-6
    assert len(plant.trace) == 1440


def test_the_meters_counters_are_the_sum_of_the_day() -> None:
    plant = plant_of()
    meter = plant.devices["meter"].values
    before = meter["energy_import"] - meter["energy_export"]
    at(plant, "24:00")
    net = sum(row.grid_kw for row in plant.trace) / 60
    assert meter["energy_import"] - meter["energy_export"] - before == pytest.approx(net, abs=1e-6)


def test_the_days_base_load_is_the_measured_one() -> None:
    plant = plant_of("town-hall-summer")
    at(plant, "24:00")
    # 2019-07-23 in Athens is 21:00 UTC of the 22nd on; the column load_kw of measured/summer_actual.csv added up by hand
    rows = (SITES / "measured" / "summer_actual.csv").read_text().splitlines()[1:]
    day = [row.split(",") for row in rows if "2019-07-22T21:00Z" <= row < "2019-07-23T21:00Z"]
    assert len(day) == 24
    assert sum(row.powers_kw["base"] for row in plant.trace) / 60 == pytest.approx(sum(float(row[1]) for row in day))


def test_two_runs_are_the_same_to_the_last_bit_and_another_seed_is_not() -> None:
    first, second, other = plant_of(), plant_of(), plant_of(seed=99)
    for plant in (first, second, other):
        at(plant, "12:00")
    assert first.trace == second.trace
    assert {k: d.values for k, d in first.devices.items()} == {k: d.values for k, d in second.devices.items()}
    assert other.devices["meter"].values["power"] != first.devices["meter"].values["power"]
    assert other.trace[500].powers_kw["base"] != first.trace[500].powers_kw["base"]


def test_the_seed_makes_the_sensors_noise_too() -> None:
    calm = Outside(measured="measured/winter_actual.csv", load_flicker=0.0, cloud_flicker=0.0)
    plants = [plant_of(outside=calm, seed=seed) for seed in (1, 1, 2)]
    for plant in plants:
        plant.step(plant.time + MINUTE)
    assert len({plant.grid_kw for plant in plants}) == 1
    first, same, other = (plant.devices["meter"].values["power"] for plant in plants)
    assert first == same != other


def test_weather_and_load_do_not_depend_on_how_time_is_cut() -> None:
    fine, coarse = plant_of(), plant_of()
    for second in range(1, 301):
        fine.step(coarse.time + timedelta(seconds=second))
    coarse.step(coarse.time + timedelta(seconds=300))
    assert len(fine.trace) == len(coarse.trace) == 5
    assert [row.powers_kw["base"] for row in fine.trace] == pytest.approx(
        [row.powers_kw["base"] for row in coarse.trace]
    )
    assert fine.of_kind(Room)[0].state.air_c == pytest.approx(coarse.of_kind(Room)[0].state.air_c, abs=1e-3)
    fine.step(fine.time)
    fine.step(fine.time - MINUTE)
    assert fine.time == coarse.time


@pytest.mark.parametrize(
    ("device", "settings", "watched", "before", "during", "after"),
    [
        (
            "storage",
            {"setpoint_timeout": 180, "setpoint_mode": 1, "power_setpoint": 12.0, "setpoint_enable": 1},
            lambda p: round(p.powers_kw["battery"], 3),
            0.0,
            12.0,
            0.0,  # its own rule: nothing to store and its reserve is reached
        ),
        (
            "inverter",
            {"power_limit_timeout": 180, "power_limit": 0.0, "power_limit_enable": 1},
            lambda p: p.powers_kw["roof"] == -p.of_kind(Roof)[0].available_kw,
            True,
            False,
            True,
        ),
        (
            "charger",
            {"failsafe_timeout": 180, "current_limit": 8.0},
            lambda p: p.devices["charger"].values["current_limit"],
            32.0,
            8.0,
            32.0,
        ),
    ],
    ids=["battery", "inverter", "charger"],
)
def test_a_device_drops_what_it_was_told_when_its_timer_runs_out(
    device, settings, watched, before, during, after
) -> None:
    plant = plant_of()
    at(plant, "12:00")
    assert watched(plant) == before
    command(plant, device, **settings)
    for _ in range(3):
        plant.step(plant.time + MINUTE)
        assert watched(plant) == during
    plant.step(plant.time + MINUTE)
    reading = watched(plant)
    assert reading < 0.01 if device == "storage" else reading == after, reading


def test_a_timer_counts_from_the_last_write_and_none_never_ends() -> None:
    plant = plant_of()
    at(plant, "12:00")
    command(plant, "storage", setpoint_timeout=120, setpoint_mode=1, power_setpoint=9.0, setpoint_enable=1)
    for _ in range(6):
        plant.step(plant.time + MINUTE)
        command(plant, "storage", setpoint_timeout=120)  # a heartbeat
        assert plant.powers_kw["battery"] == pytest.approx(9.0)
    command(plant, "storage", setpoint_timeout=0)
    at(plant, "13:00")
    assert plant.powers_kw["battery"] == pytest.approx(9.0)


def test_a_battery_in_another_mode_does_not_take_a_power_setpoint() -> None:
    plant = plant_of()
    at(plant, "12:00")
    command(plant, "storage", setpoint_mode=0, power_setpoint=9.0, setpoint_enable=1)
    plant.step(plant.time + MINUTE)
    assert plant.powers_kw["battery"] < 0.01


def test_a_battery_left_alone_keeps_the_grid_at_zero_down_to_its_reserve() -> None:
    plant = plant_of()
    plant.step(plant.time + MINUTE)
    first = plant.trace[0]
    assert first.powers_kw["battery"] == pytest.approx(-29.0) or first.grid_kw == pytest.approx(0.0, abs=1e-9)
    at(plant, "06:00")
    assert plant.trace[-1].states["battery.soc"] == pytest.approx(0.10, abs=0.01)


def test_heat_pump_and_air_handler_obey_for_ever() -> None:
    plant = plant_of()
    at(plant, "01:00")
    command(plant, "airhandler", flush=1)
    plant.devices["heatpump"].write("zone1_setpoint", 19.0, effective=19.0)
    at(plant, "20:00")
    last = plant.trace[-1]
    assert last.states["fresh-air.on"] == 1.0
    assert last.powers_kw["fresh-air"] == pytest.approx(5.6)
    assert last.states["office.setpoint_c"] == 19.0
    assert last.states["hall.setpoint_c"] == 16.0
    plant.devices["heatpump"].relinquish("zone1_setpoint")
    plant.step(plant.time + MINUTE)
    assert plant.trace[-1].states["office.setpoint_c"] == 17.0  # its own setback again
    told = [(event.kind.value, event.subject, event.data.get("why")) for event in plant.log.events]
    assert told == [
        ("commanded", "heatpump.zone1_setpoint", None),
        ("commanded", "airhandler.flush", None),
        ("local", "heatpump.zone1_setpoint", "released"),
    ]


def test_the_heat_pump_keeps_its_own_schedule_warm() -> None:
    plant = plant_of()
    at(plant, "24:00")
    afternoon = [
        row for row in plant.trace if 13 * 60 <= (row.time - plant.trace[0].time).total_seconds() / 60 < 15 * 60
    ]
    assert all(abs(row.states["office.air_c"] - 20.5) < 0.3 for row in afternoon)
    assert all(abs(row.states["hall.air_c"] - 20.0) < 0.3 for row in afternoon)


def test_sensors_are_off_by_their_noise_but_not_by_more() -> None:
    plant = plant_of()
    errors = []
    for _ in range(600):
        plant.step(plant.time + MINUTE)
        errors.append(plant.devices["meter"].values["power"] - plant.grid_kw)
    assert 0.01 < max(map(abs, errors)) < 0.5
    assert abs(sum(errors) / len(errors)) < 0.02
    temp = plant.devices["heatpump"].values["zone1_temp"]
    assert temp == pytest.approx(round(temp, 1))
    assert temp == pytest.approx(plant.of_kind(Room)[0].state.air_c, abs=0.3)


def test_a_bench_can_start_at_any_time_and_its_day_repeats() -> None:
    start = datetime(2031, 3, 4, 9, 30, tzinfo=UTC)
    live, staged = plant_of(start=start), plant_of()
    live.step(start + MINUTE)
    # 09:30 UTC is 11:30 on the scenario's clock
    at(staged, "11:31")
    assert live.powers_kw["base"] == staged.powers_kw["base"]
    for day in (1, 2):
        again = plant_of(start=start + timedelta(days=day))
        again.step(again.time + MINUTE)
        assert again.powers_kw["base"] == live.powers_kw["base"]


def test_a_site_without_some_devices_has_a_building_without_them() -> None:
    devices = {name: SITE.devices[name] for name in ("meter", "inverter")}
    resources = tuple(found for found in SITE.resources if found.kind in ("base-load", "pv"))
    day = load("town-hall-winter")
    scenario = day.model_copy(update={"plant": {"roof": day.plant["roof"]}})
    plant = build(replace(SITE, devices=devices, resources=resources), scenario)
    at(plant, "18:00")
    assert set(plant.trace[-1].powers_kw) == {"base", "roof"}


def test_a_minute_takes_well_under_a_millisecond() -> None:
    plant = plant_of()
    best = 1.0
    for _ in range(5):
        begin = time.process_time()
        plant.step(plant.time + 100 * MINUTE)
        best = min(best, (time.process_time() - begin) / 100)
    assert best < 2e-3


def test_the_town_halls_plant_is_5_to_20_percent_off_what_its_site_file_says() -> None:
    plant, told = plant_of(), {found.id: found for found in SITE.resources}
    battery, heating, roof = told["battery"], told["heating"], told["roof"]
    pairs = [
        (plant.of_kind(Store)[0].params.capacity_kwh, battery.capacity),
        (plant.of_kind(HeatPump)[0].params.max_kw, heating.max_power),
        (plant.of_kind(Roof)[0].params.array_kwp, roof.peak),
        (plant.of_kind(AirHandler)[0].params.flush_kw, told["fresh-air"].draws),
        (plant.of_kind(Charger)[0].params.visits[0].needs_kwh, told["car"].wants),
    ]
    assert all(0.045 < abs(real / said - 1) < 0.2 for real, said in pairs)


def test_a_scenario_starts_at_local_midnight() -> None:
    winter, summer = load("town-hall-winter"), load("town-hall-summer")
    assert winter.start("Europe/Athens") == datetime(2019, 1, 21, 22, tzinfo=UTC)
    assert summer.end("Europe/Athens") == datetime(2019, 7, 23, 21, tzinfo=UTC)
    assert isinstance(winter, Scenario)
