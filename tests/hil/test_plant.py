"""The simulated town hall as a whole: its balances, what its devices do by themselves, and that a run can be repeated."""

import time
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from energyctl.config import load_profiles
from energyctl.core.driver import Device
from energyctl.core.errors import ConfigError
from hil.plant import Plant
from hil.plant.battery import BatteryParams
from hil.plant.building import stored_kwh
from hil.scenario import Scenario, load

SITES = Path(__file__).parents[2] / "sites" / "larissa"
PROFILES = {
    "meter": "eastron/sdm630@1",
    "inverter": "sunspec/pv-inverter@1",
    "storage": "sunspec/battery@1",
    "heatpump": "generic/heat-pump-2zone@1",
    "airhandler": "generic/ahu@1",
    "charger": "generic/ev-charger@1",
}
MINUTE = timedelta(minutes=1)


def site_with(*devices: str) -> SimpleNamespace:
    profiles = load_profiles()
    found = {name: Device(name, profiles[PROFILES[name]]) for name in devices or PROFILES}
    return SimpleNamespace(timezone="Europe/Athens", path=SITES / "town-hall.yaml", devices=found)


def plant_of(name: str = "town-hall-winter", *devices: str, start: datetime | None = None) -> Plant:
    return Plant(load(name), site_with(*devices), start)


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
    params = load(name).plant
    for minute in range(24 * 60):
        if minute == 200:
            command(plant, "storage", setpoint_timeout=0, setpoint_mode=1, power_setpoint=17.5, setpoint_enable=1)
        if minute == 400:
            command(plant, "storage", power_setpoint=-23.0)
            command(plant, "airhandler", flush=1)
        if minute == 700:
            command(plant, "inverter", power_limit=0.2, power_limit_enable=1)
            command(plant, "heatpump", zone1_setpoint=23.0, zone2_setpoint=22.0)
        heat = [stored_kwh(zone, state) for zone, state in zip(params.zones, plant.zones, strict=True)]
        energy = plant.battery_kwh
        plant.step(plant.time + MINUTE)
        powers = plant.powers
        parts = (powers.base_kw, powers.pv_kw, powers.battery_kw, powers.ev_kw, powers.hp_kw, powers.ahu_kw)
        assert abs(powers.grid_kw - sum(parts)) < 1e-6
        stored = (plant.battery_kwh - energy) * 60
        assert abs(powers.battery_kw - stored - plant.battery_loss_kw) < 1e-6
        assert plant.battery_loss_kw >= 0
        for zone, state, flow, before in zip(params.zones, plant.zones, plant.flows, heat, strict=True):
            assert abs((stored_kwh(zone, state) - before) * 60 - flow.total_kw) < 1e-6
        assert abs(sum(flow.between_kw for flow in plant.flows)) < 1e-6
        assert abs(sum(plant.heat.heat_kw)) <= (powers.hp_kw - params.heat_pump.standby_kw) * plant.heat.cop + 1e-6
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
    assert sum(row.base_kw for row in plant.trace) / 60 == pytest.approx(sum(float(row[1]) for row in day))


def test_two_runs_are_the_same_to_the_last_bit_and_another_seed_is_not() -> None:
    first, second = plant_of(), plant_of()
    other = Plant(load("town-hall-winter").model_copy(update={"seed": 99}), site_with())
    for plant in (first, second, other):
        at(plant, "12:00")
    assert [astuple(row) for row in first.trace] == [astuple(row) for row in second.trace]
    assert {k: d.values for k, d in first.devices.items()} == {k: d.values for k, d in second.devices.items()}
    assert other.devices["meter"].values["power"] != first.devices["meter"].values["power"]
    assert other.trace[500].base_kw != first.trace[500].base_kw


def test_the_seed_makes_the_sensors_noise_too() -> None:
    calm = load("town-hall-winter").model_copy(update={"load_flicker": 0.0, "cloud_flicker": 0.0})
    plants = [Plant(calm.model_copy(update={"seed": seed}), site_with()) for seed in (1, 1, 2)]
    for plant in plants:
        plant.step(plant.time + MINUTE)
    assert len({plant.powers.grid_kw for plant in plants}) == 1
    first, same, other = (plant.devices["meter"].values["power"] for plant in plants)
    assert first == same != other


def test_weather_and_load_do_not_depend_on_how_time_is_cut() -> None:
    fine, coarse = plant_of(), plant_of()
    for second in range(1, 301):
        fine.step(coarse.time + timedelta(seconds=second))
    coarse.step(coarse.time + timedelta(seconds=300))
    assert len(fine.trace) == len(coarse.trace) == 5
    assert [row.base_kw for row in fine.trace] == pytest.approx([row.base_kw for row in coarse.trace])
    assert fine.zones[0].air_c == pytest.approx(coarse.zones[0].air_c, abs=1e-3)
    fine.step(fine.time)
    fine.step(fine.time - MINUTE)
    assert fine.time == coarse.time


@pytest.mark.parametrize(
    ("device", "settings", "watched", "before", "during", "after"),
    [
        (
            "storage",
            {"setpoint_timeout": 180, "setpoint_mode": 1, "power_setpoint": 12.0, "setpoint_enable": 1},
            lambda p: round(p.powers.battery_kw, 3),
            0.0,
            12.0,
            0.0,  # its own rule: nothing to store and its reserve is reached
        ),
        (
            "inverter",
            {"power_limit_timeout": 180, "power_limit": 0.0, "power_limit_enable": 1},
            lambda p: p.powers.pv_kw == -p.powers.pv_available_kw,
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
        assert plant.powers.battery_kw == pytest.approx(9.0)
    command(plant, "storage", setpoint_timeout=0)
    at(plant, "13:00")
    assert plant.powers.battery_kw == pytest.approx(9.0)


def test_a_battery_in_another_mode_does_not_take_a_power_setpoint() -> None:
    plant = plant_of()
    at(plant, "12:00")
    command(plant, "storage", setpoint_mode=0, power_setpoint=9.0, setpoint_enable=1)
    plant.step(plant.time + MINUTE)
    assert plant.powers.battery_kw < 0.01


def test_a_battery_left_alone_keeps_the_grid_at_zero_down_to_its_reserve() -> None:
    plant = plant_of()
    plant.step(plant.time + MINUTE)
    first = plant.trace[0]
    assert first.battery_kw == pytest.approx(-29.0) or first.grid_kw == pytest.approx(0.0, abs=1e-9)
    at(plant, "06:00")
    reserve = load("town-hall-winter").plant.battery.own_reserve
    assert plant.trace[-1].soc == pytest.approx(reserve, abs=0.01)


def test_heat_pump_and_air_handler_obey_for_ever() -> None:
    plant = plant_of()
    at(plant, "01:00")
    command(plant, "airhandler", flush=1)
    plant.devices["heatpump"].write("zone1_setpoint", 19.0, effective=19.0)
    at(plant, "20:00")
    assert plant.trace[-1].flush
    assert plant.trace[-1].ahu_kw == pytest.approx(5.6)
    assert plant.trace[-1].zone1_setpoint_c == 19.0
    assert plant.trace[-1].zone2_setpoint_c == 16.0
    plant.devices["heatpump"].relinquish("zone1_setpoint")
    plant.step(plant.time + MINUTE)
    assert plant.trace[-1].zone1_setpoint_c == 17.0  # its own setback again


def test_the_heat_pump_keeps_its_own_schedule_warm() -> None:
    plant = plant_of()
    at(plant, "24:00")
    afternoon = [
        row for row in plant.trace if 13 * 60 <= (row.time - plant.trace[0].time).total_seconds() / 60 < 15 * 60
    ]
    assert all(abs(row.zone1_c - 20.5) < 0.3 and abs(row.zone2_c - 20.0) < 0.3 for row in afternoon)


def test_sensors_are_off_by_their_noise_but_not_by_more() -> None:
    plant = plant_of()
    errors = []
    for _ in range(600):
        plant.step(plant.time + MINUTE)
        errors.append(plant.devices["meter"].values["power"] - plant.powers.grid_kw)
    assert 0.01 < max(map(abs, errors)) < 0.5
    assert abs(sum(errors) / len(errors)) < 0.02
    temp = plant.devices["heatpump"].values["zone1_temp"]
    assert temp == pytest.approx(round(temp, 1))
    assert temp == pytest.approx(plant.zones[0].air_c, abs=0.3)


def test_a_bench_can_start_at_any_time_and_its_day_repeats() -> None:
    start = datetime(2031, 3, 4, 9, 30, tzinfo=UTC)
    live, staged = plant_of(start=start), plant_of()
    live.step(start + MINUTE)
    # 09:30 UTC is 11:30 on the scenario's clock
    at(staged, "11:31")
    assert live.powers.base_kw == staged.powers.base_kw
    for day in (1, 2):
        again = plant_of(start=start + timedelta(days=day))
        again.step(again.time + MINUTE)
        assert again.powers.base_kw == live.powers.base_kw


def test_a_site_without_some_devices_has_a_building_without_them() -> None:
    plant = plant_of("town-hall-winter", "meter", "inverter")
    at(plant, "18:00")
    assert {(row.battery_kw, row.ev_kw, row.hp_kw, row.ahu_kw) for row in plant.trace} == {(0.0, 0.0, 0.0, 0.0)}
    assert plant.trace[-1].zone1_c < 17.6


def test_two_devices_of_one_kind_are_refused() -> None:
    site = site_with()
    site.devices["second"] = Device("second", site.devices["meter"].profile)
    with pytest.raises(ConfigError, match=r"devices.second: the simulated building has one meter, meter already"):
        Plant(load("town-hall-winter"), site)


def test_a_minute_takes_well_under_a_millisecond() -> None:
    plant = plant_of()
    best = 1.0
    for _ in range(5):
        begin = time.process_time()
        plant.step(plant.time + 100 * MINUTE)
        best = min(best, (time.process_time() - begin) / 100)
    assert best < 2e-3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nday: 2019-01-22\n", "measured: Field required"),
        ("name: x\nday: yesterday\nmeasured: a.csv\n", r"bad.yaml:2: day: "),
        ("name: x\nday: 2019-01-22\nmeasured: a.csv\nplant:\n  battery: {capacity: 5}\n", r"bad.yaml:5: plant.battery.capacity"),
        ("name: x\nday: 2019-01-22\nmeasured: a.csv\nplant: {initial_air_c: [20]}\n", "has two zones"),
        ("name: x\nname: y\n", "bad.yaml:2"),
    ],
)  # fmt: skip
def test_a_bad_scenario_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(file)


def test_an_unknown_scenario_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match="no scenario 'winter'; there are town-hall-summer, town-hall-winter"):
        load("winter")


def test_a_scenario_starts_at_local_midnight_and_its_plant_is_not_the_sites() -> None:
    winter, summer = load("town-hall-winter"), load("town-hall-summer")
    assert winter.start("Europe/Athens") == datetime(2019, 1, 21, 22, tzinfo=UTC)
    assert summer.end("Europe/Athens") == datetime(2019, 7, 23, 21, tzinfo=UTC)
    assert isinstance(winter, Scenario)
    site = {"capacity": 60.0, "power": 30.0}  # what town-hall.yaml says
    battery = BatteryParams()
    assert 0.03 < 1 - battery.capacity_kwh / site["capacity"] < 0.2
    assert 0.03 < 1 - battery.charge_kw / site["power"] < 0.2
