"""Many cars at one fuse: who comes follows its distributions, currents are shared within the fuse, energy adds up."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.ev import EvParams
from hil.plant.fleet import (
    CarState,
    FleetParams,
    FleetState,
    Stay,
    fleet_come_and_go,
    fleet_step,
    plugged,
    share_out,
    stays_at,
    stays_of,
)

MINUTE = 1 / 60
MONDAY = date(2024, 1, 15)
FLEET = FleetParams()
USUAL = EvParams(visits=(), car_max_kw=11.0)
CAR = EvParams(visits=(), car_max_kw=11.0, handshake_s=0.0, taper=0.2)


def at(hour: float, day: date = MONDAY) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(hours=hour)  # noqa: DTZ001


def there(*needs: float, params: FleetParams = FLEET) -> FleetState:
    return FleetState({Stay(at(8 + i / 60), i, at(17), kwh): CarState() for i, kwh in enumerate(needs)})


def test_the_cars_that_come_follow_their_distributions() -> None:
    params = replace(FLEET, cars=40)
    days = [MONDAY + timedelta(days=7 * week + day) for week in range(20) for day in range(5)]
    stays = [stay for day in days for stay in stays_of(params, 3, day)]
    assert len(stays) / (40 * len(days)) == pytest.approx(0.8, abs=0.02)
    hours = [(stay.arrives - at(0, stay.arrives.date())) / timedelta(hours=1) for stay in stays]
    assert (mean(hours), stdev(hours)) == pytest.approx((8.2, 0.7), abs=0.05)
    lasts = [(stay.leaves - stay.arrives) / timedelta(hours=1) for stay in stays]
    assert (mean(lasts), stdev(lasts)) == pytest.approx((8.5, 1.2), abs=0.08)
    needs = [stay.needs_kwh for stay in stays]
    assert (mean(needs), stdev(needs)) == pytest.approx((12.0, 8.0), abs=0.6)
    assert min(needs) > 0
    assert stays_of(params, 3, date(2024, 1, 20)) == ()  # a Saturday


def test_the_same_seed_gives_the_same_cars_in_any_process() -> None:
    ask = (
        "from datetime import date; from hil.plant.fleet import *; print(stays_of(FleetParams(), 7, date(2024, 1, 15)))"
    )
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert other.strip() == repr(stays_of(FLEET, 7, MONDAY))
    assert stays_of(FLEET, 7, MONDAY) != stays_of(FLEET, 8, MONDAY)


def test_cars_stay_over_night_and_never_twice_at_once() -> None:
    night = replace(FLEET, arrives_h=18.0, stays_h=16.0, stays_sd_h=6.0, comes=1.0, days=(0, 1, 2, 3, 4, 5, 6))
    for hour in range(0, 96, 3):
        cars = [stay.car for stay in stays_at(night, 1, at(hour))]
        assert len(cars) == len(set(cars))
    assert len(stays_at(night, 1, at(27))) > 6


@pytest.mark.parametrize(
    ("total", "wants", "given"),
    [
        (100.0, [16.0, 16.0], (16.0, 16.0)),
        (20.0, [16.0, 16.0], (10.0, 10.0)),
        (20.0, [7.0, 16.0, 0.0], (7.0, 13.0, 0.0)),
        (13.0, [16.0, 16.0, 16.0], (6.5, 6.5, 0.0)),  # the third does not get its 6 A
        (5.0, [16.0], (0.0,)),
        (18.0, [6.0, 6.0, 32.0], (6.0, 6.0, 6.0)),
    ],
)
def test_sharing(total: float, wants: list[float], given: tuple[float, ...]) -> None:
    assert share_out(total, wants) == pytest.approx(given)


@given(st.floats(0, 200), st.lists(st.one_of(st.just(0.0), st.floats(6, 32)), max_size=12))
def test_a_share_is_within_the_fuse_and_the_wish_and_nothing_or_six_amps(total: float, wants: list[float]) -> None:
    shares = share_out(total, wants)
    assert sum(shares) <= total + 1e-9
    assert all(
        share <= want + 1e-9 and (share == 0 or share >= 6 - 1e-9) for share, want in zip(shares, wants, strict=True)
    )
    left = total - sum(shares)
    waiting = any(share == 0 < want for share, want in zip(shares, wants, strict=True))
    short = any(0 < share < want - 1e-9 for share, want in zip(shares, wants, strict=True))
    assert not short or left <= 1e-6
    assert not waiting or total < 6 * sum(want > 0 for want in wants)


def test_cars_charge_side_by_side_within_the_limit() -> None:
    params = FLEET
    state, flow = fleet_step(params, CAR, there(20.0, 20.0, 20.0), 24.0, MINUTE)
    assert flow.allowed_a == {0: pytest.approx(8.0), 1: pytest.approx(8.0), 2: pytest.approx(8.0)}
    assert flow.total_kw == pytest.approx(3 * 8 * 0.23 * 3)
    assert sum(car.charged_kwh for car in state.there.values()) == pytest.approx(flow.total_kw * MINUTE)


def test_the_fuse_and_a_cars_own_limit_hold_too() -> None:
    params = replace(FLEET, fuse_a=20.0)
    _, flow = fleet_step(params, CAR, there(20.0, 20.0), 999.0, MINUTE, {1: 7.0})
    assert [flow.allowed_a[car] for car in (0, 1)] == pytest.approx([13.0, 7.0])


def test_those_without_a_connector_wait() -> None:
    params = replace(FLEET, connectors=2)
    state = there(20.0, 0.1, 20.0)
    assert [stay.car for stay in plugged(params, state)] == [0, 1]
    state, flow = fleet_step(params, CAR, state, 64.0, MINUTE)
    assert set(flow.power_kw) == {0, 1}
    left = FleetState({stay: car for stay, car in state.there.items() if stay.car != 1})
    assert [stay.car for stay in plugged(params, left)] == [0, 2]


def test_a_handshake_comes_before_charging() -> None:
    state, powers = there(20.0), []
    for _ in range(4):
        state, flow = fleet_step(FLEET, USUAL, state, 32.0, 0.5 * MINUTE)
        powers.append(flow.total_kw)
    assert powers == pytest.approx([0.0, 0.0, 11.0, 11.0])


@pytest.mark.parametrize("limit", [100.0, 30.0, 8.0])
def test_a_day_accounts_for_all_that_cars_needed(limit: float) -> None:
    params = replace(FLEET, connectors=12)
    state, kwh, needed = FleetState(), 0.0, sum(stay.needs_kwh for stay in stays_of(params, 5, MONDAY))
    seen = 0
    for minute in range(0, 24 * 60, 2):
        state = fleet_come_and_go(params, 5, state, at(minute / 60))
        seen = max(seen, len(state.there))
        state, flow = fleet_step(params, USUAL, state, limit, 2 * MINUTE)
        assert sum(flow.power_kw.values()) <= limit * 0.69 + 1e-9
        kwh += flow.total_kw * 2 * MINUTE
    state = fleet_come_and_go(params, 5, state, at(5 * 24))
    assert not [stay for stay in state.there if stay.arrives.date() == MONDAY]
    assert seen >= 5
    assert state.served_kwh == pytest.approx(kwh, rel=1e-9)
    assert state.served_kwh + state.unserved_kwh == pytest.approx(needed, rel=1e-9)
    assert (state.unserved_kwh > 1.0) == (limit == 8.0)


def test_half_the_step_charges_the_same() -> None:
    def charged(seconds: float) -> float:
        state = there(20.0, 5.0, 30.0)
        for _ in range(round(2 * 3600 / seconds)):
            state, _ = fleet_step(FLEET, USUAL, state, 40.0, seconds / 3600)
        return sum(car.charged_kwh for car in state.there.values())

    assert charged(60.0) == pytest.approx(charged(30.0), rel=5e-3)


def test_a_stay_that_the_next_one_ends_is_the_same_all_along() -> None:
    long = replace(FLEET, cars=6, comes=1.0, days=(0, 1, 2, 3, 4, 5, 6), stays_h=26.0, arrives_sd_h=3.0)
    seen = {stay for hour in range(24, 120) for stay in stays_at(long, 2, at(hour))}
    assert len(seen) == len({(stay.car, stay.arrives) for stay in seen})
    assert any(stay.leaves - stay.arrives < timedelta(hours=24) for stay in seen)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"needs_kwh": 0.0}, "must be above 0"),
        ({"connectors": 0}, "must be 1 or more"),
        ({"comes": 1.5}, "comes: 1.5"),
        ({"days": (1, 7)}, r"days: \(1, 7\) must be from 0 \(Monday\) to 6"),
    ],
)
def test_a_fleet_that_cannot_be(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FleetParams(**wrong)
