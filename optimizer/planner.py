"""The planner that the entry point `scipy` names: forecasts, flexibility, one program, a check, a plan.

A resource that cannot state its flexibility (its sensor is dead) is left out of the plan and named in it; the rest of the
site is planned all the same. A plan that does not stand up to the independent check is never returned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, Converter, Flexibility, Storage
from energyctl.core.plan import Plan, Provenance, Relaxation
from energyctl.core.planner import PlanRequest
from energyctl.core.resources import Outlook
from energyctl.core.timeline import Forecast

from .check import faults
from .forecast import forecasts
from .problem import assemble
from .reading import read_plan
from .solve import solve

_RUNNING_KW = 0.05


class ScipyPlanner:
    """Plans with HiGHS through SciPy."""

    def plan(self, request: PlanRequest) -> Plan:
        """The cheapest plan for a request. Raises PlanError saying why there is none."""
        begun = time.process_time()
        expected = forecasts(request)
        forecast = time.process_time()
        flexibilities, left_out = _flexibilities(request, expected)
        ready = time.process_time()
        problem = assemble(flexibilities, request)
        built = time.process_time()
        outcome = solve(problem, request.settings)
        solved = time.process_time()
        rows, columns = problem.arrays.matrix.shape
        provenance = Provenance(
            planner="scipy",
            solver="HiGHS",
            termination=outcome.termination,
            gap=outcome.gap,
            rows=rows,
            columns=columns,
            integers=outcome.integers,
            forecast_ms=1000 * (forecast - begun),
            build_ms=1000 * (built - ready),
            solve_ms=1000 * (solved - built),
        )
        plan = read_plan(problem, outcome, request, expected, provenance, left_out)
        wrong = faults(plan, flexibilities, request)
        if wrong:
            raise PlanError(f"the plan did not stand up to its check: {'; '.join(wrong[:3])}")
        return plan


planner = ScipyPlanner()


def _flexibilities(
    request: PlanRequest, expected: Mapping[str, Forecast]
) -> tuple[list[Flexibility], tuple[Relaxation, ...]]:
    """What every resource can do, and which had to be left out."""
    values = {**_memory(request), **request.values}
    outlook = Outlook(request.horizon, values, expected, request.rates.import_price, request.site)
    able: list[Flexibility] = []
    left_out: list[str] = []
    for resource in request.resources:
        try:
            able += resource.flexibility(outlook)
        except PlanError as error:
            left_out.append(str(error))
    ports = {AC, *(flex.id for flex in able if isinstance(flex, Converter))}
    homeless = [flex for flex in able if isinstance(flex, Storage) and flex.port not in ports]
    left_out += [f"{flex.id}: {flex.port}, which feeds it, is not in the plan" for flex in homeless]
    last = request.horizon.steps - 1
    notes = tuple(Relaxation(f"left out of the plan: {text}", 0, last, 0.0, "", 0.0) for text in left_out)
    return [flex for flex in able if flex not in homeless], notes


def _memory(request: PlanRequest) -> dict[str, float]:
    """What the last plan expected by now, under keys that no point can have ("office:state1", "airing:run_end_s")."""
    plan = request.previous
    return {} if plan is None else {**dict(_states_by_now(plan, request)), **dict(_first_runs(plan, request))}


def _states_by_now(plan: Plan, request: PlanRequest) -> Iterator[tuple[str, float]]:
    elapsed = (request.horizon.start - plan.horizon.start).total_seconds() / plan.horizon.step_s
    step, part = int(elapsed), elapsed % 1.0
    if elapsed >= 0 and step < plan.horizon.steps:
        for name, states in plan.states.items():
            for place, (before, after) in enumerate(zip(states[step], states[step + 1], strict=True)):
                yield f"{name}:state{place}", before + part * (after - before)


def _first_runs(plan: Plan, request: PlanRequest) -> Iterator[tuple[str, float]]:
    offset = (plan.horizon.start - request.horizon.start).total_seconds()
    for name, row in plan.power_kw.items():
        run = _first_run(row)
        if run is not None:
            yield f"{name}:run_start_s", offset + run[0] * plan.horizon.step_s
            yield f"{name}:run_end_s", offset + run[1] * plan.horizon.step_s


def _first_run(row: Sequence[float]) -> tuple[int, int] | None:
    """First step of a row's first run of non-zero power, and the step after its last."""
    start = next((step for step, power in enumerate(row) if abs(power) > _RUNNING_KW), None)
    if start is None:
        return None
    end = next((step for step in range(start, len(row)) if abs(row[step]) <= _RUNNING_KW), len(row))
    return start, end
