"""Who wins, as a table."""

import pytest

from energyctl.control.arbitrate import arbitrate
from energyctl.core.points import Rank, Setpoint


def wish(value, rank, source="a", expires_at=100.0, point="bat.set"):
    return Setpoint(point, value, rank, source, "", expires_at)


CASES = [
    ("rank decides", [wish(1, Rank.OPTIMIZER), wish(2, Rank.OPERATOR), wish(3, Rank.RULE)], 2),
    ("safety beats the operator", [wish(1, Rank.OPERATOR), wish(2, Rank.SAFETY)], 2),
    ("expired counts for nothing", [wish(1, Rank.OPTIMIZER), wish(2, Rank.OPERATOR, expires_at=10.0)], 1),
    ("within a rank the source's name decides", [wish(1, Rank.RULE, "b"), wish(2, Rank.RULE, "a")], 2),
]


@pytest.mark.parametrize(("what", "wishes", "value"), CASES, ids=[c[0] for c in CASES])
def test_winner(what, wishes, value):
    for order in (wishes, wishes[::-1]):
        assert arbitrate(order, 10.0)["bat.set"].winner.value == value


def test_losers_are_kept_and_points_are_apart():
    verdicts = arbitrate([wish(1, Rank.RULE), wish(2, Rank.OPERATOR), wish(3, Rank.RULE, point="ahu.on")], 0.0)
    assert [loser.value for loser in verdicts["bat.set"].losers] == [1]
    assert verdicts["ahu.on"].losers == ()


def test_nobody_wants_anything():
    assert arbitrate([wish(1, Rank.RULE, expires_at=5.0)], 5.0) == {}
