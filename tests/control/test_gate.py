"""The gate as a table: every rule refuses what it must, by name, and admits what it may."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyctl.control.gate import (
    RULES,
    GateState,
    LastWrite,
    PointLimits,
    Refusal,
    check,
    decide,
    in_force,
    is_on,
    outlast,
)
from energyctl.control.seams import Ban
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
STATE = GateState(POINTS, LIMITS, LAST)
NOW = 1000.0


def wish(point, value, expires_at=NOW + 60):
    return Setpoint(point, value, Rank.OPTIMIZER, "plan", "because", expires_at)


DWELLS = {"ahu.flush": PointLimits(min_on_s=600.0, min_off_s=300.0)}
RAMPED = GateState(POINTS, {"bat.set": PointLimits(ramp_per_s=10 / 60)}, {"bat.set": LastWrite(0.0, 970.0)})


def dwelling_for(seconds, on):
    return GateState(POINTS, DWELLS, {"ahu.flush": LastWrite(float(on), 0.0, on, NOW - seconds)})


REFUSED = [
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
    ("device", wish("bat.set", 1.0), GateState(POINTS, LIMITS, blocked={"bat": "bat does not answer"})),
    ("hold", wish("bat.set", 1.0), GateState(POINTS, LIMITS, held={"bat.set": "did not take our value"})),
    ("part", wish("bat.set", 1.0), GateState(POINTS, LIMITS, parts={"bat.set": "bat.whole"})),
    ("interlock", wish("bat.set", 1.0), GateState(POINTS, LIMITS, tripped={"bat.set": "bat.soc < 5 %"})),
    ("interval", wish("ahu.flush", 0.0), STATE),  # 100 s after its last change, 600 are needed
    ("rate", wish("hp.set", 23.5), STATE),  # 3.5 K from the 20.0 written last
    ("rate", wish("bat.set", 9.0), RAMPED),  # 9 kW in 30 s at 10 kW/min
    ("wear", wish("bat.set", 1.0), GateState(POINTS, LIMITS, worn={"bat.set": "written 3 times today"})),
    ("dwell", wish("ahu.flush", 0.0), dwelling_for(599.0, on=True)),
    ("dwell", wish("ahu.flush", 1.0), dwelling_for(299.0, on=False)),
    ("dwell", wish("ahu.flush", 1.0), GateState(POINTS, DWELLS)),  # nobody knows
]


@pytest.mark.parametrize(("rule", "setpoint", "state"), REFUSED)
def test_refused_by(rule, setpoint, state):
    refusal = check(setpoint, state, NOW)
    assert refusal is not None and refusal.rule == rule
    assert refusal.setpoint is setpoint


def test_every_rule_has_a_case():
    assert {rule for rule, _, _ in REFUSED} == set(RULES)


@pytest.mark.parametrize(
    "setpoint",
    [
        wish("bat.set", 25.0),
        wish("bat.set", 25.0 + 1e-9),  # so much is a rounding error
        wish("bat.set", -30.0),
        wish("bat.set", -30.0 - 1e-9),
        wish("ahu.flush", 1.0),
        wish("hp.mode", 2),
        wish("hp.set", 22.9),
    ],
)
def test_admitted(setpoint):
    assert check(setpoint, STATE, NOW) is None


def test_a_refusal_names_rule_values_and_limits():
    text = str(check(wish("bat.set", 40.0), STATE, NOW))
    assert text == "refused by rule 'limits': 40 kW is outside -30..25 kW of bat.set"


UNITLESS = GateState({"fan.speed": Point(id="fan.speed", access=Access.READ_WRITE, minimum=0, maximum=1)}, {})


@pytest.mark.parametrize(
    ("setpoint", "state", "detail"),
    [
        (wish("fan.speed", 2.0), UNITLESS, "2 is outside 0..1 of fan.speed"),
        (wish("ahu.flush", 0.5), STATE, "ahu.flush is a bool (0, 1), not 0.5"),
        (wish("hp.mode", 3), STATE, "hp.mode is a enum (heat, cool), not 3"),
        (wish("hp.set", 23.5), STATE, "a step of 3.5 exceeds 3 on hp.set"),
        (wish("ahu.flush", 0.0), STATE, "ahu.flush changed 100 s ago and may change every 600 s"),
        (wish("ahu.flush", 0.0), dwelling_for(0.4, on=True), "ahu.flush has been on for 0 s and stays so for 600 s"),
        (wish("ahu.flush", 1.0), dwelling_for(9.0, on=False), "ahu.flush has been off for 9 s and stays so for 300 s"),
    ],
)
def test_a_refusal_tells_what_it_saw(setpoint, state, detail):
    assert check(setpoint, state, NOW).detail == detail


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


@pytest.mark.parametrize(
    ("setpoint", "state"),
    [
        (wish("ahu.flush", 0.0), dwelling_for(600.0, on=True)),
        (wish("ahu.flush", 1.0), dwelling_for(300.0, on=False)),
        (wish("ahu.flush", 1.0), dwelling_for(0.0, on=True)),  # it is on already
        (wish("bat.set", 5.0), RAMPED),
        (
            wish("bat.set", 3.0 + 1e-9),
            GateState(POINTS, {"bat.set": PointLimits(max_step=3.0)}, {"bat.set": LastWrite(0.0, 0.0)}),
        ),
    ],
)
def test_what_has_stayed_long_enough_may_change_and_what_does_not_change_need_not_wait(setpoint, state):
    assert check(setpoint, state, NOW) is None


def test_a_ban_comes_before_what_is_only_too_early():
    """Else what is held of it would be kept, where a ban wants it handed back."""
    state = replace(dwelling_for(10.0, on=True), bans=(Ban("estop", {"*": "pressed"}),))
    refused = wish("ahu.flush", 0.0)
    assert check(refused, state, NOW) == Refusal(refused, "estop", "pressed")


def test_a_clock_that_goes_back_makes_no_dwell_shorter():
    state = GateState(POINTS, DWELLS, {"ahu.flush": LastWrite(1.0, NOW + 500, True, NOW + 500)})
    assert check(wish("ahu.flush", 0.0), state, NOW) is not None


def test_what_nobody_wants_any_more_stays_for_its_least_time_unless_it_is_forbidden():
    held = wish("ahu.flush", 1.0, expires_at=NOW - 1)
    assert outlast(held, dwelling_for(10.0, on=True), NOW, NOW + 60) == replace(held, expires_at=NOW + 60)
    assert outlast(held, dwelling_for(600.0, on=True), NOW, NOW + 60) is None
    banned = replace(dwelling_for(10.0, on=True), bans=(Ban("estop", {"*": "pressed"}),))
    assert outlast(held, banned, NOW, NOW + 60) is None


@pytest.mark.parametrize(
    ("kind", "choices", "value", "on"),
    [
        ("bool", {}, 0, False),
        ("bool", {}, 1, True),
        ("enum", {"off": 1, "heat": 2}, 1, False),
        ("enum", {"off": 1, "heat": 2}, 2, True),
        ("enum", {}, 0, False),
        ("enum", {}, 1, True),
        ("number", {"eco": 5, "boost": 9}, 1.0, True),  # names for some values of a number are no switch
        ("number", {}, 0.0, False),
        ("number", {}, -5.0, False),
        ("number", {}, 0.1, True),
    ],
)
def test_what_on_means(kind, choices, value, on):
    assert is_on(Point(id="a.b", kind=kind, choices=choices), value) == on


def test_a_first_step_towards_a_wish_starts_at_what_is_there():
    state = GateState(POINTS, {"hp.set": PointLimits(15.0, 28.0, max_step=3.0)}, {"hp.set": LastWrite(18.0, 0.0)})
    found, refusal = decide(wish("hp.set", 26.0), state, None, NOW)
    assert (found.value, refusal.rule) == (21.0, "rate")
    outside = replace(state, last={"hp.set": LastWrite(40.0, 0.0)})
    assert decide(wish("hp.set", 26.0), outside, None, NOW)[0] is None, "no step is taken outside the limits"


def test_what_is_held_outlives_a_wish_that_comes_too_early_and_no_other():
    held = wish("ahu.flush", 1.0)
    assert decide(wish("ahu.flush", 0.0), STATE, held, NOW)[0] is held
    found, refusal = decide(wish("ahu.flush", 0.5), STATE, held, NOW)
    assert (found, refusal.rule) == (None, "type")


@pytest.mark.parametrize(
    ("last", "refused"),
    [
        (None, True),
        (LastWrite(1.0, 0.0), False),  # it is in effect: wanting it again writes nothing
        (LastWrite(1.0, 0.0, settled=False), True),
        (LastWrite(2.0, 0.0), True),
    ],
)
def test_a_memory_is_spared_of_all_but_what_writes_nothing(last, refused):
    worn = {"bat.set": "written 3 times today"}
    state = GateState(POINTS, LIMITS, {} if last is None else {"bat.set": last}, worn=worn)
    refusal = check(wish("bat.set", 1.0), state, NOW)
    assert (refusal and (refusal.rule, refusal.detail)) == (("wear", "written 3 times today") if refused else None)
