"""How runs are judged, and that perfect foresight is a bound: whatever the plant is told to do, nobody gets below it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.core.errors import EnergyctlError
from energyctl.core.timeline import Horizon, Series
from hil import demo
from hil.foresight import Truth, best_efficiency, car_needs, zone_of
from hil.outcome import POWERS, Day, Outcome, of_plan, of_trace, read_trace
from hil.picture import draw, quarters, stack
from hil.plant import Plant, build
from hil.plant.building import ZoneInputs, ZoneState, gains, zone_step
from hil.plant.parts import HeatPump
from hil.process import write_out
from hil.scenario import load

SITE = load_site(demo.town_hall())
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=["town-hall-winter", "town-hall-summer"])
def day(request: pytest.FixtureRequest) -> Day:
    return Day.of(load(request.param), SITE)


@pytest.fixture(scope="module")
def best(day: Day) -> Outcome:
    return of_plan("foresight", demo.foreseen(day), day)


def run(day: Day, steer=lambda plant, minute: None) -> Plant:
    plant = build(SITE, day.scenario)
    for minute in range(24 * 60):
        steer(plant, minute)
        plant.step(plant.time + MINUTE)
    return plant


def cheap_hours(day: Day):
    """A crude strategy: battery and car by the price, zones always warm (or cool) enough."""
    prices = day.rates.import_price
    low, high = sorted(prices)[30], sorted(prices)[70]

    def steer(plant: Plant, minute: int) -> None:
        price = prices[minute // 15]
        battery, pump = plant.devices["storage"], plant.devices["heatpump"]
        for name, value in (("setpoint_mode", 1.0), ("setpoint_enable", 1.0)):
            battery.write(name, value)
        battery.write("power_setpoint", 12.0 if price <= low else -12.0 if price >= high else 0.0)
        plant.devices["charger"].write("current_limit", 32.0 if price <= low else 6.0)
        for zone, comfort in enumerate(day.comforts.values(), 1):
            warm = comfort.heat + 0.4 if day.scenario.name == "winter" else comfort.cool - 0.4
            pump.write(f"zone{zone}_setpoint", warm, effective=warm)

    return steer


def test_the_bound_keeps_comfort_fills_the_cars_and_airs(day: Day, best: Outcome) -> None:
    assert sum(best.discomfort_kh) < 0.3
    assert best.over_limit_min == 0
    assert best.airing_min == 90
    assert best.car_unserved_kwh == 0


def test_nobody_gets_below_the_bound(day: Day, best: Outcome) -> None:
    for words, steer in (("alone", lambda plant, minute: None), ("cheap hours", cheap_hours(day))):
        plant = run(day, steer)
        found = of_trace(words, plant.trace, day)
        assert found.cost_eur > best.cost_eur + 1.0, words


def test_a_run_is_judged_by_its_truth(day: Day) -> None:
    rows = run(day, lambda plant, minute: plant.devices["charger"].write("current_limit", 0.0)).trace
    found = of_trace("no car", rows, day)
    assert found.car_unserved_kwh == pytest.approx(34.0)  # it left at 07:40 with nothing, and another came at 16:40
    prices = [day.rates.import_price[k // 15] for k in range(1440)]
    sold = [day.rates.export_price[k // 15] for k in range(1440)]
    grid = [row.grid_kw / 60 for row in rows]
    bill = sum(max(g, 0) * p - max(-g, 0) * s for g, p, s in zip(grid, prices, sold, strict=True))
    assert found.bill.total_eur == pytest.approx(bill)
    (battery,) = (store.params for store in day.stores)
    gone = (0.5 * 57.0 - rows[-1].states["battery.energy_kwh"]) / best_efficiency(battery)
    assert found.stock_eur == pytest.approx(day.stock_price_eur * (gone + 34.0 + 34.0))
    over = [row.grid_kw - 60 for row in rows]
    assert found.over_limit_min == sum(kw > 0.1 for kw in over)
    assert found.over_limit_kw == pytest.approx(max(0.0, *over))


def test_the_price_of_the_stores_is_that_of_the_next_night(day: Day) -> None:
    night = Horizon(day.scenario.end(SITE.timezone), 900, 30)
    assert night.time(30).astimezone(Truth.of(day.scenario, SITE).zone).strftime("%H:%M") == "07:30"
    assert day.stock_price_eur == pytest.approx(sum(SITE.tariff.rates(night).import_price) / 30)


def test_the_bounds_zone_moves_like_the_plants(day: Day) -> None:
    # a step in the night, when nothing but losses, base load and the neighbour acts: exact; the air handler is off
    truth, step = Truth.of(day.scenario, SITE), 8
    (pump,) = truth.plant.of_kind(HeatPump)
    params, wall = pump.wing.rooms[0].params, 0.25
    beside = [(18.5, wall)] * truth.horizon.steps
    zone = zone_of(truth, pump, pump.wing, 0, day.comforts["office"], beside)
    state = ZoneState(19.0, 18.0)
    weather = truth.weather(step)
    sun, people = gains(params, weather.ghi_w_m2, truth.load_kw(step), False)
    sign = 1.0 if pump.mode == "heat" else -1.0
    for _ in range(15):
        zone_step(params, state, 18.5, wall, ZoneInputs(weather.temp_c, sun, people, sign * 20, 0), 1 / 60)
    for n, after in enumerate((state.air_c, state.mass_c)):
        found = (
            zone.transition[n][0] * 19.0 + zone.transition[n][1] * 18.0 + zone.charge_gain[n] * 20 + zone.drift[step][n]
        )
        assert found == pytest.approx(after, abs=1e-9)


def test_every_stay_of_a_car_is_in_the_bound(day: Day) -> None:
    assert car_needs(Truth.of(day.scenario, SITE)) == {"car:1": 34.0, "car:2": 34.0}


def test_a_trace_survives_its_file_and_a_short_one_is_refused(tmp_path: Path) -> None:
    day = Day.of(load("town-hall-winter"), SITE)
    plant = build(SITE, day.scenario)
    for _ in range(5):
        plant.step(plant.time + MINUTE)
    write_out(tmp_path, plant)
    rows = read_trace(tmp_path / "trace.json")
    assert rows == plant.trace
    with pytest.raises(EnergyctlError, match="broke off after 5 of 1440 minutes"):
        of_trace("plan", rows, day)


def test_stacked_areas_add_up_to_the_power_at_the_connection(day: Day) -> None:
    found = of_trace("alone", run(day).trace, day)
    layers = stack({name: quarters(found.series[name]) for name in POWERS})
    grid = quarters(found.series["grid_kw"]).values
    for step in range(96):
        assert sum(height[step] for _, _, height in layers) == pytest.approx(grid[step])
    for name, bottom, height in layers:
        assert all(low * high >= 0 for low, high in zip(bottom, height, strict=True)), name


def test_a_picture_is_a_png_of_a_thousand_pixels(day: Day, best: Outcome, tmp_path: Path) -> None:
    draw(day, best, [replace(best, strategy="other")], tmp_path / "day.png")
    data = (tmp_path / "day.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20]) == 1000


def test_quarters() -> None:
    series = Series(
        SITE.tariff.rates(Horizon(load("town-hall-winter").start("UTC"), 900, 1)).horizon.start,
        300,
        (3.0, 6.0, 9.0, 1.0),
    )
    assert quarters(series).values == (6.0, 1.0)
