"""Where on the ladder we stand, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance
from energyctl.core.timeline import Horizon
from energyctl.planning.ladder import Level, guide

NOW = datetime(2026, 1, 15, 12, 7, tzinfo=UTC)


def plan(age_min, steps=144):
    issued = NOW - timedelta(minutes=age_min)
    zeros = (0.0,) * steps
    return Plan(
        issued, Horizon(issued.replace(minute=0), 900, steps), PlanStatus.OPTIMAL, {}, {}, {}, zeros, zeros, zeros,
        CostSplit(), Provenance("test"),
    )  # fmt: skip


CASES = [
    ("fresh", plan(5), True, False, Level.PLAN, 0),
    ("one plan missed", plan(30), True, False, Level.PLAN, 4),
    ("two missed", plan(31), True, False, Level.LAST_PLAN, 4),
    ("just within two hours", plan(120), True, False, Level.LAST_PLAN, 8),
    ("too old", plan(121), True, False, Level.RULE, None),
    ("does not reach now", plan(31, steps=2), True, False, Level.RULE, None),
    ("of a clock that was an hour ahead", plan(-60), True, False, Level.RULE, None),
    ("none yet", None, True, False, Level.RULE, None),
    ("rules wanted", plan(5), True, True, Level.RULE, None),
    ("blind", plan(5), False, False, Level.RELEASE, None),
]


@pytest.mark.parametrize(("what", "last", "measured", "rules", "level", "step"), CASES, ids=[c[0] for c in CASES])
def test_ladder(what, last, measured, rules, level, step):
    guidance = guide(last, NOW, 900.0, measured, rules)
    assert (guidance.level, guidance.step) == (level, step)
    assert bool(guidance.reason) == (level is not Level.PLAN and not rules)


@pytest.mark.parametrize(("measured", "level"), [(True, Level.RULE), (False, Level.RELEASE)])
def test_row34_no_plan_guides_by_a_clock_that_is_not_trusted(measured, level):
    guidance = guide(plan(5), NOW, 900.0, measured, False, "the clock is not trusted: it was set")
    assert guidance.level is level and guidance.plan is None
    assert guidance.reason.startswith("the clock" if measured else "no measurement")
