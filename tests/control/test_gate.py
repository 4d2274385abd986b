"""The gate as a table: every rule refuses what it must, by name, and admits what it may."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyctl.control.gate import RULES, GateState, LastWrite, PointLimits, Refusal, check, in_force
from energyctl.core.points import Access, Point, Rank, Setpoint

POINTS = {
    p.id: p
    for p in [
        Point(id="bat.set", unit="kW", access=Access.READ_WRITE, minimum=-30, maximum=30),
        Point(id="bat.soc", unit="1"),
        Point(id="ahu.flush", access=Access.READ_WRITE, kind="bool"),
        Point(id="hp.mode", access=Access.READ_WRITE, kind="enum", choices={"heat": 1, "cool": 2}),
        Point(id="hp.set", unit="°C", access=Access.READ_WRITE),
    ]
}
LIMITS = {
    "hp.set": PointLimits(15.0, 28.0, max_step=3.0),
    "bat.set": PointLimits(maximum=25.0),
    "ahu.flush": PointLimits(min_change_interval_s=600),
}
LAST = {"hp.set": LastWrite(20.0, 0.0), "ahu.flush": LastWrite(1.0, 900.0)}
STATE = GateState("control", POINTS, LIMITS, LAST)
NOW = 1000.0


def wish(point, value, expires_at=NOW + 60):
    return Setpoint(point, value, Rank.OPTIMIZER, "plan", "because", expires_at)


REFUSED = [
    ("mode", wish("bat.set", 1.0), GateState("monitor", POINTS, LIMITS)),
    ("known-point", wish("bat.nothing", 1.0), STATE),
    ("writable", wish("bat.soc", 0.5), STATE),
    ("finite", wish("bat.set", math.nan), STATE),
    ("finite", wish("bat.set", math.inf), STATE),
    ("type", wish("ahu.flush", 0.5), STATE),
    ("type", wish("hp.mode", 3), STATE),
    ("limits", wish("bat.set", 25.1), STATE),  # the site's limit, tighter than the device's 30
    ("limits", wish("bat.set", -30.1), STATE),  # the device's own
    ("limits", wish("hp.set", 14.9), STATE),
    ("lease", wish("bat.set", 1.0, expires_at=NOW), STATE),
    ("device", wish("bat.set", 1.0), GateState("control", POINTS, LIMITS, blocked={"bat": "bat does not answer"})),
    ("hold", wish("bat.set", 1.0), GateState("control", POINTS, LIMITS, held={"bat.set": "did not take our value"})),
    ("part", wish("bat.set", 1.0), GateState("control", POINTS, LIMITS, parts={"bat.set": "bat.whole"})),
    ("interlock", wish("bat.set", 1.0), GateState("control", POINTS, LIMITS, tripped={"bat.set": "bat.soc < 5 %"})),
    ("interval", wish("ahu.flush", 0.0), STATE),  # 100 s after its last change, 600 are needed
    ("rate", wish("hp.set", 23.5), STATE),  # 3.5 K from the 20.0 written last
]


@pytest.mark.parametrize(("rule", "setpoint", "state"), REFUSED)
def test_refused_by(rule, setpoint, state):
    refusal = check(setpoint, state, NOW)
    assert refusal is not None and refusal.rule == rule


def test_every_rule_has_a_case():
    assert {rule for rule, _, _ in REFUSED} == set(RULES)


@pytest.mark.parametrize(
    "setpoint",
    [wish("bat.set", 25.0), wish("bat.set", -30.0), wish("ahu.flush", 1.0), wish("hp.mode", 2), wish("hp.set", 22.9)],
)
def test_admitted(setpoint):
    assert check(setpoint, STATE, NOW) is None


def test_a_refusal_names_rule_values_and_limits():
    text = str(check(wish("bat.set", 40.0), STATE, NOW))
    assert text == "refused by rule 'limits': 40 kW is outside -30..25 kW of bat.set"


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_nothing_outside_the_limits_gets_through(value):
    admitted = check(wish("bat.set", value), STATE, NOW) is None
    assert admitted == (math.isfinite(value) and -30 - 1e-9 <= value <= 25 + 1e-9)


@pytest.mark.parametrize(
    ("rule", "held", "stays"),
    [
        (None, 5.0, 7.0),
        ("interval", 5.0, 5.0),
        ("rate", 5.0, 5.0),
        ("device", 5.0, 5.0),
        ("hold", 5.0, 5.0),
        ("interval", None, None),
        ("limits", 5.0, None),
        ("finite", 5.0, None),
        ("lease", 5.0, None),
    ],
)
def test_a_change_that_comes_too_early_is_no_reason_to_hand_back(rule, held, stays):
    def setpoint(value):
        return Setpoint("bat.set", value, Rank.OPTIMIZER, "plan", "", 100.0)

    refusal = None if rule is None else Refusal(setpoint(7.0), rule, "")
    found = in_force(setpoint(7.0), refusal, None if held is None else setpoint(held))
    assert (found and found.value) == stays


def test_a_change_that_is_too_large_goes_in_steps():
    held, wanted = wish("hp.set", 20.0), wish("hp.set", 26.5)
    stepped = in_force(wanted, check(wanted, STATE, NOW), held, max_step=3.0)
    assert stepped is not None and (stepped.value, stepped.reason) == (23.0, "because (a step towards 26.5)")
    down = wish("hp.set", 15.5)
    assert in_force(down, check(down, STATE, NOW), held, max_step=3.0).value == 17.0
