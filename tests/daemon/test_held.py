"""What the status says of a held point: whose it is now, why, and what others want instead."""

from __future__ import annotations

import pytest

from energyctl.control.arbitrate import arbitrate
from energyctl.control.leases import Effect, Holding
from energyctl.core.points import Access, Point, Rank, Setpoint
from energyctl.daemon.handlers import _held

POINT = Point(id="hp.set", unit="°C", access=Access.READ_WRITE, minimum=10, maximum=35, tolerance=0.01)


def wish(value, rank, source):
    return Setpoint("hp.set", value, rank, source, f"{source} says so", 1e9)


PLAN, FROST = wish(20.0, Rank.OPTIMIZER, "plan:office"), wish(25.0, Rank.GUARD, "guard:frost hp.set")


@pytest.mark.parametrize(
    ("held", "wishes", "source", "others"),
    [
        (FROST, [PLAN, FROST], "guard:frost hp.set", [20.0]),
        (wish(25.0, Rank.OPTIMIZER, "plan:office"), [FROST], "guard:frost hp.set", []),
        (PLAN, [PLAN, FROST], "plan:office", [25.0]),
        (PLAN, [], "plan:office", []),
    ],
    ids=[
        "a rule beats the plan",
        "who wants the same now counts",
        "what is written is what it was written for",
        "nobody",
    ],
)
def test_whose_it_is(held, wishes, source, others):
    holding = Holding(held, expires_at=60.0, written_at=0.0, changed_at=0.0, effect=Effect.EFFECTIVE)
    told = _held(holding, POINT, arbitrate(wishes, 0.0).get("hp.set"), 10.0)
    assert told["source"] == source and told["value"] == held.value and told["lease_s"] == 50.0
    assert told["reason"] == f"{source} says so"
    assert [one["value"] for one in told["instead_of"]] == others
