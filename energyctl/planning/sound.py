"""Whether a plan can be followed at all. A planner is a plug-in; what cannot be followed must not guide for one cycle.

A plan can be followed when all its rows cover its horizon with finite numbers and its times are instants. Whether it is any
good is the planner's business; what devices may be told is the gate's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from energyctl.core.errors import PlanError
from energyctl.core.plan import Plan


def sound(plan: object) -> Plan:
    """The plan as it is. Raises PlanError when it cannot be followed, saying why."""
    if type(plan) is not Plan:
        raise PlanError(f"the planner returned no plan but {plan!r:.60}")
    for wrong in _faults(plan):
        raise PlanError(f"the plan cannot be followed: {wrong}")
    return plan


def _faults(plan: Plan) -> Iterator[str]:
    steps = plan.horizon.steps
    if steps < 1 or plan.horizon.step_s < 1:
        yield f"its horizon is {steps} steps of {plan.horizon.step_s} s"
    for what, time in (("was issued at", plan.issued_at), ("begins at", plan.horizon.start)):
        if time.utcoffset() is None:
            yield f"it {what} {time}, without a time zone"
    for name, row in _rows(plan):
        if len(row) != steps:
            yield f"{name} has {len(row)} values for {steps} steps"
        for step, value in enumerate(row):
            if not isfinite(value):
                yield f"{name} is {value} in step {step}"
    for name, states in plan.states.items():
        if len(states) != steps + 1 or not all(isfinite(value) for state in states for value in state):
            yield f"{name}: expected {steps + 1} finite states"


def _rows(plan: Plan) -> Iterator[tuple[str, Sequence[float]]]:
    yield from (("grid_kw", plan.grid_kw), ("import_price", plan.import_price), ("export_price", plan.export_price))
    for table in ("power_kw", "thermal_kw"):
        yield from ((f"{table} of {name}", row) for name, row in getattr(plan, table).items())
