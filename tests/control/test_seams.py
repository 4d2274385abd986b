"""Bans at the gate: whose rule it is, and what it covers."""

import pytest

from energyctl.control.gate import GateState, check
from energyctl.control.seams import Ban
from energyctl.core.points import Access, Point, Rank, Setpoint

POINT = Point(id="bat.set", unit="kW", access=Access.READ_WRITE)


@pytest.mark.parametrize(
    ("key", "banned"), [("bat.set", True), ("bat", True), ("*", True), ("bat.other", False), ("hp", False)]
)
def test_a_ban_covers_a_point_a_device_or_everything_and_refuses_by_its_own_name(key, banned):
    wish = Setpoint("bat.set", 5.0, Rank.OPERATOR, "a person", "because", 10.0)
    state = GateState({"bat.set": POINT}, {}, bans=(Ban("estop", {key: "pressed at 10:00"}),))
    refusal = check(wish, state, 0.0)
    assert (refusal is not None) == banned
    if refusal is not None:
        assert str(refusal) == "refused by rule 'estop': pressed at 10:00"


@pytest.mark.parametrize(
    ("source", "banned"), [("plan:battery", True), ("rule:office", True), ("rule:car", False), ("operator:jo", False)]
)
def test_a_ban_of_sources_refuses_those_alone(source, banned):
    ban = Ban("clock", {"*": "it was set"}, ("plan:", "rule:office"))
    wish = Setpoint("bat.set", 5.0, Rank.OPTIMIZER, source, "because", 10.0)
    refusal = check(wish, GateState({"bat.set": POINT}, {}, bans=(ban,)), 0.0)
    assert (refusal.rule if refusal else None) == ("clock" if banned else None)


def test_a_points_device_is_what_comes_before_the_first_dot():
    assert Ban("mode", {"bat": "off"}).on("bat.inverter.set") == "off"
    assert Ban("mode", {"bat.inverter": "off"}).on("bat.inverter.set") is None
