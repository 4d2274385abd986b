"""Solving a Problem with HiGHS through SciPy: the relaxation first, whole numbers only where it needs them.

1. The relaxation (an LP): its optimum is a bound no plan can beat. If nothing in it is broken (a fraction of a start, power
   between 0 and its floor, two directions at once) it is the answer.
2. Rounding: each broken thing is decided as the relaxation leans, and the LP solved again with that. If the result is
   within `gap` of the bound it is the answer, and proved good enough.
3. Branch and bound, with integers for starts and floors, and for directions only in the steps that were broken.
An answer within `accept_gap` is taken as feasible, then the rounding whatever its gap; with neither there is no plan.
Nothing here looks at a clock unless `time_limit_s` is set, so the same problem has the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp
from scipy.sparse import csc_array, hstack, vstack

from energyctl.core.errors import PlanError
from energyctl.core.plan import PlanStatus
from energyctl.core.planner import SolverSettings

from .blocks import ConverterBlock, ShiftableBlock, StorageBlock
from .problem import Pair, Problem
from .program import INTEGER, SEMI, Arrays, Floats, Ints

TERMINATION = {
    0: "optimal",
    1: "stopped at a limit",
    2: "contradictory",
    3: "unbounded",
    4: "numerical trouble",
}
"""SciPy's status codes in words."""

_TOL_KW = 1e-6
_ROUNDS = 4
_CHEAP_ITERATIONS = 700
"""An LP that took no more is solved once more for the sake of its prices."""


@dataclass(frozen=True)
class Outcome:
    """An answer: columns `x`, how good it is, how the solver ended, prices (rows,) of the rows or None."""

    x: Floats
    objective: float
    status: PlanStatus
    termination: str
    gap: float
    integers: int
    duals: Floats | None


@dataclass(frozen=True)
class _Lp:
    x: Floats
    objective: float
    duals: Floats
    iterations: int


def solve(problem: Problem, settings: SolverSettings) -> Outcome:
    """The cheapest plan, or one near it. Raises PlanError when there is none."""
    relaxed, code = _relaxation(problem.arrays, settings)
    if relaxed is None:
        raise PlanError(_no_plan(problem, code))
    broken = _Broken.of(problem, relaxed.x)
    if not broken:
        return _proved(relaxed, "optimal", 0.0, 0)
    rounded = _round(problem, relaxed, settings)
    gap = _gap(rounded.objective, relaxed.objective) if rounded else np.inf
    if rounded and gap <= settings.gap:
        return _proved(rounded, "relaxation rounded, within the gap", gap, 0)
    best = _branch(problem, broken, relaxed, settings)
    if best is not None and best.gap <= settings.accept_gap and (not rounded or best.objective <= rounded.objective):
        return best
    if rounded is not None:
        outcome = _proved(rounded, "relaxation rounded", gap, 0)
        return replace(outcome, status=PlanStatus.FEASIBLE)
    if best is not None:
        return best
    raise PlanError(_no_plan(problem, 1))


def _proved(lp: _Lp, termination: str, gap: float, integers: int) -> Outcome:
    return Outcome(lp.x, lp.objective, PlanStatus.OPTIMAL, termination, gap, integers, lp.duals)


def _gap(objective: float, bound: float) -> float:
    """Relative to the cost, or to 1 EUR where that is more."""
    return max(0.0, objective - bound) / max(1.0, abs(objective))


def _relaxation(arrays: Arrays, settings: SolverSettings) -> tuple[_Lp | None, int]:
    options = {} if settings.time_limit_s is None else {"time_limit": settings.time_limit_s}
    result: OptimizeResult = linprog(
        arrays.cost,
        A_eq=arrays.matrix,
        b_eq=arrays.rhs,
        bounds=np.column_stack((arrays.lower, arrays.upper)),
        method="highs",
        options=options,
    )
    if result.status != 0:
        return None, int(result.status)
    return _Lp(result.x, float(result.fun), result.eqlin.marginals, int(result.nit)), 0


@dataclass(frozen=True)
class _Broken:
    """Columns of a solution that hold a forbidden value, and the steps of each pair with both directions at once."""

    columns: Ints
    pairs: tuple[Ints, ...]

    def __bool__(self) -> bool:
        return bool(len(self.columns)) or any(len(steps) for steps in self.pairs)

    @classmethod
    def of(cls, problem: Problem, x: Floats) -> _Broken:
        arrays = problem.arrays
        fraction = (arrays.kind == INTEGER) & (np.abs(x - np.round(x)) > _TOL_KW)
        below = (arrays.kind == SEMI) & (x > _TOL_KW) & (x < arrays.floor - _TOL_KW)
        both = tuple(_both(pair, x) for pair in problem.pairs)
        return cls(np.flatnonzero(fraction | below), both)


def _both(pair: Pair, x: Floats) -> Ints:
    return np.flatnonzero(np.minimum(x[pair.one], x[pair.other]) > _TOL_KW)


def _round(problem: Problem, relaxed: _Lp, settings: SolverSettings) -> _Lp | None:
    """The LP with every whole-number decision taken as `relaxed` leans; None if that cannot be kept."""
    lower, upper = problem.arrays.lower.copy(), problem.arrays.upper.copy()
    solution: _Lp | None = relaxed
    for attempt in range(_ROUNDS):
        assert solution is not None
        if attempt == 0:
            _decide_starts(problem, solution.x, lower, upper)
            _decide_floors(problem, solution.x, lower, upper)
        _decide_directions(problem, solution.x, upper)
        solution, _ = _relaxation(replace(problem.arrays, lower=lower, upper=upper), settings)
        if solution is None or not _Broken.of(problem, solution.x):
            return solution
    return None


def _decide_starts(problem: Problem, x: Floats, lower: Floats, upper: Floats) -> None:
    """The start with the largest share, the earliest of equals; a run mostly skipped is skipped."""
    for block in problem.blocks:
        if not isinstance(block, ShiftableBlock) or not len(block.starts):
            continue
        shares = x[block.starts]
        upper[block.starts] = 0.0
        if shares.sum() > 0.5 or np.isinf(block.flex.skip_price):
            chosen = block.starts[np.argmax(np.round(shares, 6))]
            lower[chosen] = upper[chosen] = 1.0


def _decide_floors(problem: Problem, x: Floats, lower: Floats, upper: Floats) -> None:
    """On or off so that the energy up to each step stays within half a floor of the relaxation's."""
    for columns in _floored(problem):
        owed = 0.0
        for column in columns:
            floor, power = problem.arrays.floor[column], x[column]
            owed += power
            if power > _TOL_KW and (power >= floor - _TOL_KW or owed >= floor / 2):
                lower[column] = floor
                owed -= max(power, floor)
            else:
                upper[column] = 0.0


def _floored(problem: Problem) -> Iterator[Ints]:
    for block in problem.blocks:
        if isinstance(block, StorageBlock | ConverterBlock):
            columns = block.charge if isinstance(block, StorageBlock) else block.power
            yield columns[problem.arrays.kind[columns] == SEMI]


def _decide_directions(problem: Problem, x: Floats, upper: Floats) -> None:
    """Where both directions are used, only the stronger one is left."""
    for pair in problem.pairs:
        for step in _both(pair, x):
            one, other = pair.one[step], pair.other[step]
            upper[other if x[one] >= x[other] else one] = 0.0


def _branch(problem: Problem, broken: _Broken, relaxed: _Lp, settings: SolverSettings) -> Outcome | None:
    """Branch and bound; a direction that breaks only now gets its binary and another round."""
    guarded = [set(steps.tolist()) for steps in broken.pairs]
    for _ in range(_ROUNDS):
        arrays = _with_directions(problem, guarded)
        result = _milp(arrays, settings)
        if result.x is None:
            return None
        x = result.x[: len(problem.arrays.cost)]
        new = [set(_both(pair, x).tolist()) - known for pair, known in zip(problem.pairs, guarded, strict=True)]
        if not any(new):
            return _from_milp(problem, x, result, int((arrays.kind != 0).sum()), relaxed, settings)
        guarded = [known | more for known, more in zip(guarded, new, strict=True)]
    return None


def _milp(arrays: Arrays, settings: SolverSettings) -> OptimizeResult:
    options: dict[str, float] = {"mip_rel_gap": settings.gap, "node_limit": settings.node_limit}
    if settings.time_limit_s is not None:
        options["time_limit"] = settings.time_limit_s
    semi = arrays.kind == SEMI
    # to HiGHS the lower bound of a semi-continuous column is its floor
    lower = np.where(semi & (arrays.floor > 0), arrays.floor, arrays.lower)
    return milp(
        arrays.cost,
        integrality=arrays.kind,
        bounds=Bounds(lower, arrays.upper),
        constraints=LinearConstraint(arrays.matrix, arrays.rhs, arrays.rhs),
        options=options,
    )


def _with_directions(problem: Problem, guarded: list[set[int]]) -> Arrays:
    """Adds, per guarded step of a pair, a binary b and two slacks: one - M b + s = 0, other + N b + t = N."""
    arrays = problem.arrays
    places = [
        (pair.one[step], pair.other[step])
        for pair, steps in zip(problem.pairs, guarded, strict=True)
        for step in sorted(steps)
    ]
    if not places:
        return arrays
    one, other = np.array(places).T
    count, columns = len(one), len(arrays.cost)
    each, most_one, most_other = np.arange(count), arrays.upper[one], arrays.upper[other]
    unit = np.ones(count)
    rows = (each, each + count)
    extra = csc_array(
        (
            np.concatenate((unit, -most_one, unit, unit, most_other, unit)),
            (
                np.concatenate((rows[0], rows[0], rows[0], rows[1], rows[1], rows[1])),
                np.concatenate(
                    (one, columns + each, columns + count + each, other, columns + each, columns + 2 * count + each)
                ),
            ),
        ),
        shape=(2 * count, columns + 3 * count),
    )
    wide = hstack((arrays.matrix, csc_array((len(arrays.rhs), 3 * count))), format="csc")
    zero = np.zeros(3 * count)
    return Arrays(
        cost=np.concatenate((arrays.cost, zero)),
        lower=np.concatenate((arrays.lower, zero)),
        upper=np.concatenate((arrays.upper, unit, most_one, most_other)),
        floor=np.concatenate((arrays.floor, zero)),
        kind=np.concatenate((arrays.kind, np.full(count, INTEGER), np.zeros(2 * count, int))),
        matrix=vstack((wide, extra), format="csc"),
        rhs=np.concatenate((arrays.rhs, np.zeros(count), most_other)),
    )


def _from_milp(
    problem: Problem, x: Floats, result: OptimizeResult, integers: int, relaxed: _Lp, settings: SolverSettings
) -> Outcome:
    """The incumbent; where an LP is cheap, solved once more with its decisions fixed, which cleans it and prices it."""
    objective = float(problem.arrays.cost @ x)
    bound = max(relaxed.objective, float(result.mip_dual_bound))
    gap = _gap(objective, bound)
    status = PlanStatus.OPTIMAL if result.status == 0 or gap <= settings.gap else PlanStatus.FEASIBLE
    outcome = Outcome(x, objective, status, TERMINATION.get(int(result.status), "unknown"), gap, integers, None)
    if relaxed.iterations > _CHEAP_ITERATIONS:
        return outcome
    lower, upper = problem.arrays.lower.copy(), problem.arrays.upper.copy()
    whole = problem.arrays.kind == INTEGER
    lower[whole] = upper[whole] = np.round(x[whole])
    semi, on = problem.arrays.kind == SEMI, x > problem.arrays.floor / 2
    lower[semi & on] = problem.arrays.floor[semi & on]
    upper[semi & ~on] = 0.0
    for pair in problem.pairs:
        forward = x[pair.one] >= x[pair.other]
        upper[np.where(forward, pair.other, pair.one)] = 0.0
    again, _ = _relaxation(replace(problem.arrays, lower=lower, upper=upper), settings)
    if again is None or again.objective > objective + 1e-6 * max(1.0, abs(objective)):
        return outcome
    return replace(outcome, x=again.x, objective=again.objective, gap=_gap(again.objective, bound), duals=again.duals)


def _no_plan(problem: Problem, code: int) -> str:
    """Why there is none. Limits, comfort and energy can all give way, so what is left is physics or an earlier decision."""
    if code == 1:
        return "no plan: the solver stopped at its limit before it had one"
    musts = [block.flex.id for block in problem.blocks if isinstance(block, ShiftableBlock)]
    stores = [
        block.flex.id
        for block in problem.blocks
        if isinstance(block, StorageBlock) and np.isinf(block.flex.slack_price).any()
    ]
    names = ", ".join((*musts, *stores)) or "the connection"
    return f"no plan: {TERMINATION.get(code, 'unknown')}; what may not give way: {names}"
