"""The tracking rule as a table: meter, target, limits and what can move -> who moves where. Worked out by hand."""

import pytest

from energyctl.control.tracking import track
from energyctl.core.planner import GridLimits
from energyctl.core.resources import Adjustable

LIMITS = GridLimits(import_kw=60.0, export_kw=30.0)


def movable(name, measured, planned, least, most, order, tracks):
    return Adjustable(name, f"{name}.set", measured, planned, least, most, order, tracks)


def battery(measured, planned, least=-30.0, most=30.0):
    return movable("battery", measured, planned, least, most, 0, True)


def car(measured, planned):
    return movable("car", measured, planned, 0.0, 22.0, 1, False)


def roof(measured, planned):
    return movable("roof", measured, planned, -40.0, 0.0, 2, False)


CASES = [
    # (what, meter, target, movable, expected powers, expected grid)
    ("on plan: nothing moves", 25.0, 25.0, [battery(5, 5)], {"battery": 5}, 25.0),
    ("5 kW more load: battery gives 5", 30.0, 25.0, [battery(5, 5)], {"battery": 0}, 25.0),
    ("no battery room: the grid gives", 30.0, 25.0, [battery(5, 5, least=5)], {"battery": 5}, 30.0),
    ("rules: surplus of 8 is stored", -8.0, 0.0, [battery(0, 0)], {"battery": 8}, 0.0),
    ("rules: load of 12 is covered", 12.0, 0.0, [battery(0, 0)], {"battery": -12}, 0.0),
    # 70 kW at the meter, battery idle; 5 % below 60 is 57: 13 kW must go, the battery can do all of it
    ("import limit: battery first", 70.0, None, [battery(0, 0), car(22, 22)], {"battery": -13, "car": 22}, 57.0),
    # the battery can give 5 only, so the car gives up the other 8
    ("then the car", 70.0, None, [battery(0, 0, least=-5), car(22, 22)], {"battery": -5, "car": 14}, 57.0),
    # 45 kW export; 5 % below 30 is 28.5: 16.5 kW must be taken up; battery 10, PV cut by 6.5 from 40 to 33.5
    ("export limit", -45.0, None, [battery(0, 0, most=10), roof(-40, -40)], {"battery": 10, "roof": -33.5}, -28.5),
    ("a target beyond the limit is not aimed at", 50.0, 80.0, [battery(0, 0)], {"battery": 7}, 57.0),
]


@pytest.mark.parametrize(("what", "meter", "target", "items", "powers", "grid"), CASES, ids=[c[0] for c in CASES])
def test_rule(what, meter, target, items, powers, grid):
    tracked = track(meter, target, LIMITS, items)
    assert {c.resource: c.power_kw for c in tracked.corrections} == pytest.approx(powers)
    assert tracked.expected_grid_kw == pytest.approx(grid)
    assert tracked.excess_kw == 0.0


def test_what_is_about_to_come_on_counts_for_the_import_limit_alone():
    # 50 kW at the meter and 12 kW of heat pump to come: 62, so 5 kW must go to stay at 57
    tracked = track(50.0, None, LIMITS, [battery(0, 0)], coming_kw=12.0)
    assert [c.power_kw for c in tracked.corrections] == [-5.0] and tracked.expected_grid_kw == pytest.approx(45.0)
    assert [c.power_kw for c in track(20.0, 20.0, LIMITS, [battery(0, 0)], coming_kw=12.0).corrections] == [0.0]


def test_what_nothing_can_help_is_reported():
    tracked = track(100.0, None, LIMITS, [battery(0, 0, least=-10)])
    assert tracked.excess_kw == pytest.approx(30.0)


def test_without_a_meter_nobody_takes_more():
    tracked = track(None, 25.0, LIMITS, [battery(10, 10), car(11, 22), roof(-20, -20)])
    assert {c.resource: c.power_kw for c in tracked.corrections} == {"battery": 0.0, "car": 0.0, "roof": -20}
    assert [c.reason for c in tracked.corrections] == ["grid meter lost", "grid meter lost", ""]


def test_a_correction_says_why_it_differs_from_the_plan():
    reasons = [c.reason for c in track(70.0, None, LIMITS, [battery(0, 0), car(22, 22)]).corrections]
    assert reasons == ["import limit 60 kW", ""]
