"""What guides the site now: the plan, the last plan, the rules, or nothing at all.

Each step down has a name, is logged and alarmed by the daemon, and is left again as soon as the one above is there:
- plan: made within the last two planning periods;
- last plan: older, but not older than `LAST_PLAN_MAX_S`, and it still covers now;
- rule: every resource by its own simple rule;
- release: not even the meter nor any resource's measurement can be relied on; every device is handed back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from energyctl.core.plan import Plan

LAST_PLAN_MAX_S = 2 * 3600


class Level(StrEnum):
    """The steps of the ladder, best first."""

    PLAN = "plan"
    LAST_PLAN = "last plan"
    RULE = "rule"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Guidance:
    """Where on the ladder we stand and why; `plan` and `step` are set on the first two."""

    level: Level
    reason: str = ""
    plan: Plan | None = None
    step: int | None = None


def guide(
    plan: Plan | None,
    now: datetime,
    every_s: float,
    anything_measured: bool,
    rules_only: bool,
    clock_doubt: str | None = None,
) -> Guidance:
    """Pick the step. `every_s` is the planning period; `anything_measured`: some resource or the meter is good.

    A plan is a calendar: with `clock_doubt`, why the wall clock is not to be trusted, none guides.
    """
    if not anything_measured:
        return Guidance(Level.RELEASE, "no measurement of the site can be relied on")
    if rules_only:
        return Guidance(Level.RULE, "")
    if clock_doubt is not None:
        return Guidance(Level.RULE, clock_doubt)
    if plan is None:
        return Guidance(Level.RULE, "there is no plan yet")
    age = (now - plan.issued_at).total_seconds()
    step = plan.step_at(now)
    if step is None and age < 0:
        return Guidance(Level.RULE, "the last plan begins later: the clock was set back")
    if step is None or age > LAST_PLAN_MAX_S:
        return Guidance(Level.RULE, f"the last plan is {age / 60:.0f} min old")
    if age <= 2 * every_s:
        return Guidance(Level.PLAN, "", plan, step)
    return Guidance(Level.LAST_PLAN, f"no new plan for {age / 60:.0f} min", plan, step)
