"""Frost protection, as a table of what is measured and what is wanted."""

import pytest

from energyctl.config.rules import Frost
from energyctl.core.points import Rank

FROST = Frost(kind="frost", temp="d.air", setpoint="d.set", below="5 °C", until="8 °C", to="12 °C")


def test_it_begins_below_holds_until_well_above_and_ends(asked):
    rule = asked(FROST)
    course = [
        (6.0, {}),
        (5.0, {}),
        (4.9, {"set": 12.0}),
        (5.5, {"set": 12.0}),
        (7.9, {"set": 12.0}),
        (8.0, {}),
        (5.1, {}),
    ]
    assert [(air, rule.look(air=air, set=10.0)) for air, _ in course] == course


def test_the_alarm_stands_as_long_as_it_lasts(asked):
    rule = asked(FROST)
    rule.look(air=4.0, set=10.0)
    assert rule.alarm == "d.air is 4.0 °C; d.set is at least 12 °C until it is 8 °C"
    rule.look(air=9.0, set=10.0)
    assert rule.alarm is None


@pytest.mark.parametrize(("set_now", "held"), [(10.0, 12.0), (20.0, 20.0), (None, 12.0)])
def test_a_setpoint_is_never_lowered(asked, set_now, held):
    rule = asked(FROST)
    assert rule.look(air=4.0, set=set_now) == {"set": held}
    assert rule.look(air=4.0, set=35.0) == {"set": held}, "what it is set to later is somebody else's"


def test_a_sensor_that_is_lost_neither_begins_nor_ends_it(asked):
    rule = asked(FROST)
    assert rule.look(air=None, set=10.0) == {}
    rule.look(air=4.0, set=10.0)
    assert rule.look(air=None, set=10.0) == {"set": 12.0}
    assert "not measured any more" in (rule.alarm or "")


def test_a_clock_that_is_not_trusted_does_not_matter(asked):
    assert asked(FROST).look(air=4.0, set=10.0, trusted=False) == {"set": 12.0}


def test_its_rank():
    assert Rank.OPTIMIZER < Rank.RULE < Rank.DISTRICT < FROST.rank < Rank.OPERATOR < Rank.SAFETY
