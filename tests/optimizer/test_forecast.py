"""Forecasts use what was known and nothing else, say how they came about, and never take missing for zero."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energyctl.core.planner import PlanRequest
from energyctl.core.resources import Need
from energyctl.core.timeline import Forecast, Series
from optimizer.forecast import forecasts
from optimizer.records import local_seconds
from optimizer.sun import clear_sky_on_plane, position

ATHENS = ZoneInfo("Europe/Athens")
NOW = datetime(2019, 3, 13, 9, tzinfo=UTC)  # a Wednesday, 11:00 in Larissa
LOAD = Need("site.base_load", "load", "kW")
ROOF = Need("pv.p", "pv", "kW", facts={"peak_kw": 40.0, "tilt_deg": 15.0, "azimuth_deg": 180.0})
OUTDOOR = Need("hp.out", "temperature", "°C")


def series(start: datetime, days: int, value: Callable[[datetime], float | None], step_s: int = 900) -> Series:
    steps = days * 86400 // step_s
    return Series(start, step_s, tuple(value(start + timedelta(seconds=step_s * k)) for k in range(steps)))


def office(time: datetime) -> float:
    """20 kW on workdays from 8 to 17 local, 5 kW otherwise."""
    local = time.astimezone(ATHENS)
    return 20.0 if local.weekday() < 5 and 8 <= local.hour < 17 else 5.0


def smooth(time: datetime) -> float:
    """A workday's hump that a Fourier series can draw, with noise that like days average worse than a regression."""
    local = time.astimezone(ATHENS)
    hump = 8 * (1 - math.cos(2 * math.pi * local.hour / 24)) if local.weekday() < 5 else 2.0
    return 10 + hump + random.Random(time.timestamp()).gauss(0, 3)


@pytest.fixture
def make(request_of: Any, told: Any) -> Callable[..., dict[str, Forecast]]:
    def run(*needs: Need, now: datetime = NOW, steps: int = 96, **request: Any) -> dict[str, Forecast]:
        asked: PlanRequest = request_of(
            prices=(0.1,) * steps, step_s=900, start=now, resources=(told(needed=needs),), **request
        )
        return forecasts(asked)

    return run


def test_an_office_is_forecast_by_its_like_days(make: Any) -> None:
    history = {"site.base_load": series(NOW - timedelta(days=28), 28, office)}
    forecast = make(LOAD, history=history, steps=144)["site.base_load"]
    expected = [office(time) for time in forecast.horizon.times()]
    assert forecast.method == "like days"
    assert forecast.values == pytest.approx(expected, abs=0.01)


def test_a_regression_takes_over_where_it_did_better(make: Any) -> None:
    history = {"site.base_load": series(NOW - timedelta(days=28), 28, smooth)}
    assert make(LOAD, history=history)["site.base_load"].method == "ridge"


@pytest.mark.parametrize("need", [LOAD, ROOF, OUTDOOR])
def test_the_future_does_not_matter(make: Any, need: Need) -> None:
    """The same past with another, shuffled, future behind it: the same forecast."""
    values = random.Random(1)
    past = series(NOW - timedelta(days=20), 20, lambda time: -values.uniform(0, 9) if need is ROOF else office(time))
    future = list(series(NOW, 3, lambda time: -values.uniform(0, 40)).values)
    seen = []
    for _ in range(2):
        values.shuffle(future)
        prior = Series(past.start, 900, (*past.values, *future))
        asked = replace(need, prior=prior if need is LOAD else None)
        seen.append(make(asked, history={need.point: replace(past, values=(*past.values, *future))})[need.point].values)
    assert seen[0] == seen[1]


def test_the_past_does(make: Any) -> None:
    """The guard above would also hold for a forecast that looks at nothing."""
    base = series(NOW - timedelta(days=20), 20, office)
    more = replace(base, values=(*base.values[:-4], 30.0, 30.0, 30.0, 30.0))
    one, other = (make(LOAD, history={"site.base_load": known})["site.base_load"].values for known in (base, more))
    assert other[0] > one[0] + 3


def test_missing_is_not_zero(make: Any) -> None:
    """Every seventh reading lost, another one each day: the forecast is that of the others."""
    lost = lambda time: time.timestamp() // 900 % 7 == 0  # noqa: E731
    known = series(NOW - timedelta(days=28), 28, lambda time: None if lost(time) else office(time))
    forecast = make(LOAD, history={"site.base_load": known})["site.base_load"]
    assert forecast.values == pytest.approx([office(time) for time in forecast.horizon.times()], abs=0.01)


def test_the_prior_stands_in_by_season_and_weekday(make: Any) -> None:
    """Last year's hourly file: 10 kW around March, 99 kW in other seasons; weekends 2 kW."""

    def last_year(time: datetime) -> float:
        local = time.astimezone(ATHENS)
        return 2.0 if local.weekday() >= 5 else 10.0 if local.month in (2, 3) else 99.0

    prior = series(datetime(2018, 1, 1, tzinfo=UTC), 365, last_year, 3600)
    now = datetime(2019, 3, 8, 12, tzinfo=UTC)  # a Friday
    forecast = make(replace(LOAD, prior=prior), now=now, steps=144)["site.base_load"]
    assert forecast.method == "prior"
    times = [time.astimezone(ATHENS) for time in forecast.horizon.times()]
    assert {round(v, 3) for t, v in zip(times, forecast.values, strict=True) if t.weekday() == 4 and t.hour < 23} == {
        10.0
    }
    assert {round(v, 3) for t, v in zip(times, forecast.values, strict=True) if t.weekday() == 5 and t.hour >= 1} == {
        2.0
    }


def test_one_day_of_history_leans_on_the_prior(make: Any) -> None:
    """One workday of 20 kW on record and 8 kW in the prior: (1 * 20 + 3 * 8) / 4 = 11 kW, far from now."""
    prior = series(datetime(2018, 1, 1, tzinfo=UTC), 365, lambda time: 8.0, 3600)
    day = datetime(2019, 3, 12, 22, tzinfo=UTC)
    history = {"site.base_load": series(day - timedelta(days=1), 1, lambda time: 20.0)}
    forecast = make(replace(LOAD, prior=prior), now=day, history=history)["site.base_load"]
    assert forecast.values[-1] == pytest.approx(11.0, abs=0.1)
    assert forecast.values[0] == pytest.approx(20.0, abs=0.5)  # what it was off by just now is added


def test_with_nothing_else_the_measured_value_stays(make: Any) -> None:
    forecast = make(LOAD, values={"site.base_load": 6.5})["site.base_load"]
    assert (forecast.method, set(forecast.values)) == ("persistence", {6.5})


def test_a_clock_change_moves_the_office_with_the_clock(make: Any) -> None:
    """31 March 2019: clocks go forward at 01:00 UTC; on Monday the office opens at 05:00 UTC, not 06:00."""
    now = datetime(2019, 3, 31, 18, tzinfo=UTC)
    forecast = make(LOAD, now=now, history={"site.base_load": series(now - timedelta(days=28), 28, office)})[LOAD.point]
    by_time = dict(zip(forecast.horizon.times(), forecast.values, strict=True))
    assert by_time[datetime(2019, 4, 1, 5, tzinfo=UTC)] == pytest.approx(20, abs=0.5)
    assert by_time[datetime(2019, 4, 1, 4, 45, tzinfo=UTC)] == pytest.approx(5, abs=0.5)


@pytest.mark.parametrize("day", [datetime(2019, 3, 31, tzinfo=UTC), datetime(2019, 10, 27, tzinfo=UTC)])
def test_local_seconds_agree_with_the_calendar(day: datetime) -> None:
    times = [day + timedelta(minutes=30 * k) for k in range(-48, 96)]
    local = local_seconds(np.array([time.timestamp() for time in times]), "Europe/Athens")
    clock = [time.astimezone(ATHENS).replace(tzinfo=UTC).timestamp() for time in times]
    assert local.tolist() == clock


@pytest.mark.parametrize(
    ("time", "elevation", "azimuth"),
    [
        # noon by the sun in Larissa (22.42 E): 90 - 39.64 + declination, due south
        (datetime(2019, 6, 21, 10, 32, tzinfo=UTC), 73.8, 180),
        (datetime(2019, 12, 21, 10, 28, tzinfo=UTC), 26.9, 180),
        (datetime(2019, 3, 20, 4, 38, tzinfo=UTC), 0.0, 90),  # sunrise at the equinox, due east
    ],
)
def test_the_sun_stands_where_it_should(time: datetime, elevation: float, azimuth: float) -> None:
    up, around = position(np.array([time.timestamp()]), 39.64, 22.42)
    assert math.degrees(up[0]) == pytest.approx(elevation, abs=0.8)
    assert math.degrees(around[0]) == pytest.approx(azimuth, abs=2.0)


def test_a_clear_summer_noon_gives_about_a_kilowatt() -> None:
    noon = np.array([datetime(2019, 6, 21, 10, 32, tzinfo=UTC).timestamp()])
    flat, night = (clear_sky_on_plane(noon + shift, 39.64, 22.42, 0.0, 180.0)[0] for shift in (0.0, 43200.0))
    # Haurwitz: 1.098 sin(73.8) exp(-0.057 / sin(73.8)) = 0.994 kW/m2
    assert (flat, night) == (pytest.approx(0.994, abs=0.005), 0.0)


def test_a_roof_without_a_record_is_clear_sky_only(make: Any) -> None:
    forecast = make(ROOF)["pv.p"]
    assert forecast.method == "clear-sky only"
    assert min(forecast.values) < -10
    assert max(forecast.values) == 0.0


def test_a_roof_is_scaled_by_what_it_gave(make: Any) -> None:
    """Two weeks at 40 % of a clear sky: tomorrow's noon at about 40 % too."""

    def given(time: datetime) -> float:
        middle = np.array([time.timestamp() + 450])
        return float(-0.4 * 40 * 0.85 * clear_sky_on_plane(middle, 39.64, 22.42, 15.0, 180.0)[0])

    forecast = make(ROOF, history={"pv.p": series(NOW - timedelta(days=14), 14, given)})["pv.p"]
    expected = [given(time) for time in forecast.horizon.times()]
    assert forecast.method == "clear sky scaled by recent days"
    assert sum(forecast.values) == pytest.approx(sum(expected), rel=0.08)


def test_windows_borrow_the_sky_of_the_roof(make: Any) -> None:
    """A dull fortnight on the roof makes the windows' sun weaker, though they have no record of their own."""
    windows = Need("office:sun", "pv", "kW", facts={"peak_kw": 28.0, "tilt_deg": 90.0, "azimuth_deg": 180.0})
    dull = {"pv.p": series(NOW - timedelta(days=14), 14, lambda time: -1.0 if 6 <= time.hour < 16 else 0.0)}
    usual, borrowed = (make(windows, ROOF, history=known)["office:sun"].values for known in ({}, dull))
    assert sum(borrowed) > 0.4 * sum(usual)  # negative: less sun
    assert sum(borrowed) < 0


def test_temperature_is_the_usual_day_plus_what_is_off_now(make: Any) -> None:
    """A week of 10 °C with 3 K of swing; now it is 5 K warmer: that is 1.84 K after ten hours (5/e)."""

    def usual(time: datetime) -> float:
        return 10 + 3 * math.cos(2 * math.pi * (time.hour + time.minute / 60 + 0.125 - 13) / 24)

    history = {"hp.out": series(NOW - timedelta(days=7), 7, usual)}
    forecast = make(OUTDOOR, history=history, values={"hp.out": usual(NOW) + 5})["hp.out"]
    ten_hours = forecast.horizon.index(NOW + timedelta(hours=10))
    assert ten_hours is not None
    assert forecast.values[0] == pytest.approx(usual(NOW) + 5, abs=0.3)
    assert forecast.values[ten_hours] == pytest.approx(usual(NOW + timedelta(hours=10)) + 1.84, abs=0.3)


@pytest.mark.parametrize(
    ("values", "method", "mean"),
    [({"hp.out": 4.0}, "persistence with a usual daily swing", 4.0), ({}, "no data: 15 °C assumed", 15.0)],
)
def test_temperature_without_a_record_says_so(make: Any, values: dict[str, float], method: str, mean: float) -> None:
    """10:30 by the sun is half-way from the coldest (6:00) to the warmest (15:00) hour, so now is as warm as the mean."""
    forecast = make(OUTDOOR, values=values)["hp.out"]
    assert forecast.method == method
    assert sum(forecast.values) / 96 == pytest.approx(mean, abs=0.1)
    coldest = forecast.horizon.time(int(np.argmin(forecast.values)))
    assert not values or coldest.astimezone(ATHENS).hour == 6  # 04:30 UTC is 6:00 by the sun


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_no_number_never_enters(make: Any, value: float | None) -> None:
    history = {
        point: series(NOW - timedelta(days=8), 8, lambda time: value) for point in ("pv.p", "hp.out", LOAD.point)
    }
    made = make(LOAD, ROOF, OUTDOOR, history=history, values={LOAD.point: 5.0})
    assert all(math.isfinite(number) for forecast in made.values() for number in forecast.values)
    assert made[LOAD.point].method == "persistence"
