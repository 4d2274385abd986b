"""From a solution back to a Plan: power, states, what gave way, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from energyctl.core.flexibility import AC
from energyctl.core.plan import CostSplit, Plan, Provenance, Relaxation
from energyctl.core.planner import PlanRequest
from energyctl.core.timeline import Forecast

from .blocks import ConverterBlock, CurtailableBlock, ShiftableBlock, StorageBlock
from .problem import OVER_LIMIT_PRICE, Problem, net
from .program import Floats, Ints
from .solve import Outcome

NAMED_FROM = 0.01
"""Excess below this [unit of the state, or kW] is not worth a word."""
_APART = 2
"""Excesses this many steps apart are still one."""

Row = tuple[float, ...]


def read_plan(
    problem: Problem,
    outcome: Outcome,
    request: PlanRequest,
    forecasts: Mapping[str, Forecast],
    provenance: Provenance,
    left_out: tuple[Relaxation, ...],
) -> Plan:
    """The plan that a solution means."""
    x = outcome.x
    power: dict[str, Row] = {flex.id: flex.power_kw for flex in problem.fixed}
    thermal: dict[str, Row] = {}
    states: dict[str, tuple[Row, ...]] = {}
    for block in problem.blocks:
        match block:
            case CurtailableBlock():
                power[block.flex.id] = _row(-x[block.power])
            case ConverterBlock():
                power[block.flex.id] = _row(x[block.power])
            case ShiftableBlock():
                power[block.flex.id] = _row(_run(x, block, request.horizon.steps))
            case StorageBlock():
                table = power if block.flex.port == AC else thermal
                table[block.flex.id] = _row(net(x, block))
                states[block.flex.id] = (block.flex.initial, *map(tuple, _clean(_states(x, block)).tolist()))
    flow, rates = _flow(problem, x), request.rates
    relaxed = (*left_out, *_relaxations(problem, x, request))
    return Plan(
        issued_at=request.issued_at,
        horizon=request.horizon,
        status=outcome.status,
        power_kw=power,
        thermal_kw=thermal,
        states=states,
        grid_kw=_row(flow),
        import_price=rates.import_price,
        export_price=rates.export_price,
        cost=_cost(problem, x, flow, request),
        provenance=provenance,
        relaxed=relaxed,
        marginal_price=() if outcome.duals is None else _row(outcome.duals[problem.ac_rows] / -problem.hours),
        forecasts=forecasts,
    )


def _row(values: Floats) -> Row:
    return tuple(_clean(values).tolist())


def _clean(values: Floats) -> Floats:
    """What is only the solver's tolerance becomes 0."""
    return np.where(np.abs(values) < 1e-7, 0.0, values)


def _flow(problem: Problem, x: Floats) -> Floats:
    """Power at the connection (steps,), import positive."""
    grid = problem.grid
    return np.asarray(x[grid.imported] + x[grid.over_import] - x[grid.exported] - x[grid.over_export])


def _run(x: Floats, block: ShiftableBlock, steps: int) -> Floats:
    power = np.zeros(steps)
    for start in block.steps[x[block.starts] > 0.5]:
        profile = np.asarray(block.flex.profile_kw)[: steps - start]
        power[start : start + len(profile)] += profile
    return power


def _at(x: Floats, columns: Ints) -> Floats:
    """The values of columns, 0 where there is none (-1)."""
    return np.where(columns >= 0, x[columns], 0.0)


def _states(x: Floats, block: StorageBlock) -> Floats:
    return x[block.band] + _at(x, block.over) - _at(x, block.under)


def _relaxations(problem: Problem, x: Floats, request: PlanRequest) -> Iterator[Relaxation]:
    limits, price = request.limits, OVER_LIMIT_PRICE * problem.hours
    flow = _flow(problem, x)
    yield from _runs(f"import limit {limits.import_kw:g} kW", flow - limits.import_kw, "kW", price)
    yield from _runs(f"export limit {limits.export_kw:g} kW", -flow - limits.export_kw, "kW", price)
    for block in problem.blocks:
        if isinstance(block, StorageBlock):
            low, high = ("too cold", "too warm") if block.flex.unit == "°C" else ("too low", "too high")
            for state, price in enumerate(_prices(block)):
                for columns, word in ((block.under, low), (block.over, high)):
                    what = f"{block.flex.label or block.flex.id}: {word}"
                    yield from _runs(what, _at(x, columns[:, state]), block.flex.unit, price)
        elif isinstance(block, ShiftableBlock) and not np.any(x[block.starts] > 0.5):
            yield Relaxation(f"{block.flex.id}: not run", 0, request.horizon.steps - 1, 1.0, "", block.flex.skip_price)


def _prices(block: StorageBlock) -> list[float]:
    """What excess costs per state; a hard bound's excess cannot be helped and has no price."""
    return [0.0 if np.isinf(price) else price for price in block.flex.slack_price]


def _runs(what: str, excess: Floats, unit: str, price: float) -> Iterator[Relaxation]:
    """One Relaxation per stretch of steps with excess worth naming."""
    steps = np.flatnonzero(excess > NAMED_FROM)
    for stretch in np.split(steps, np.flatnonzero(np.diff(steps) > _APART) + 1):
        if len(stretch):
            part = np.maximum(0.0, excess[stretch[0] : stretch[-1] + 1])
            cost = float(part.sum() * price)
            yield Relaxation(what, int(stretch[0]), int(stretch[-1]), float(part.max()), unit, cost)


def _cost(problem: Problem, x: Floats, flow: Floats, request: PlanRequest) -> CostSplit:
    rates, hours = request.rates, problem.hours
    bought, sold = np.maximum(flow, 0.0) * hours, np.maximum(-flow, 0.0) * hours
    co2_kg = float(bought @ np.asarray(rates.carbon))
    higher = max(0.0, float(flow.max()) - rates.peak_so_far_kw)
    wear = slack = terminal = 0.0
    slack += OVER_LIMIT_PRICE * hours * float((x[problem.grid.over_import] + x[problem.grid.over_export]).sum())
    for block in problem.blocks:
        if isinstance(block, StorageBlock):
            wear += block.flex.charge_price * hours * float(x[block.charge].sum())
            if block.discharge is not None:
                wear += block.flex.discharge_price * hours * float(x[block.discharge].sum())
            excess = (_at(x, block.over) + _at(x, block.under)).sum(axis=0)
            slack += float(excess @ np.asarray(_prices(block)))
            if block.flex.terminal_value:
                terminal -= float(_states(x, block)[-1] @ np.asarray(block.flex.terminal_value))
        elif isinstance(block, ShiftableBlock) and not np.any(x[block.starts] > 0.5):
            slack += block.flex.skip_price
    return CostSplit(
        energy_import=float(bought @ np.asarray(rates.import_price)),
        energy_export=-float(sold @ np.asarray(rates.export_price)),
        demand=rates.demand_price * higher,
        wear=wear,
        co2_eur=request.goals.co2_price * co2_kg,
        slack=slack,
        terminal=terminal,
        co2_kg=co2_kg,
    )
