"""A plan replayed on its own: does it keep what the resources said they can do, and does it add up?

Written from the archetypes' definitions alone, in plain Python, and sharing no code with the optimizer: a mistake there must
not be able to hide itself here. A soft bound may be left only where the plan names it; a hard one only as far as the state
would leave it with no power at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isclose, isfinite
from operator import mul

from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Flexibility, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import PlanRequest

_KW = 1e-4
_STATE = 1e-3
_UNNAMED = 0.011
"""Excess up to this need not be named."""
_ON_OFF_STEPS = 16

Row = Sequence[float]


def faults(plan: Plan, flexibilities: Sequence[Flexibility], request: PlanRequest) -> list[str]:
    """Everything wrong with a plan, one line each; an empty list is a good plan."""
    ill = list(_ill_formed(plan, flexibilities))
    if ill:
        return ill
    found = list(_balances(plan, flexibilities, request))
    for flex in flexibilities:
        match flex:
            case Fixed():
                found += _unequal(flex.id, plan.power_kw[flex.id], flex.power_kw)
            case Curtailable():
                found += _curtailable(flex, plan.power_kw[flex.id])
            case Converter():
                found += _range(flex.id, plan.power_kw[flex.id], flex.max_input_kw)
                found += _floor(flex.id, plan.power_kw[flex.id], flex.min_input_kw)
            case Storage():
                found += _storage(flex, plan)
            case Shiftable():
                found += _shiftable(flex, plan.power_kw[flex.id])
    return found + list(_cost(plan, flexibilities, request))


def _ill_formed(plan: Plan, flexibilities: Sequence[Flexibility]) -> Iterator[str]:
    """Rows that are missing, of the wrong length, or hold something that is no number."""
    steps = plan.horizon.steps
    rows: dict[str, Row | None] = {"grid": plan.grid_kw}
    for flex in flexibilities:
        table = plan.thermal_kw if isinstance(flex, Storage) and flex.port != AC else plan.power_kw
        rows[flex.id] = table.get(flex.id)
        if isinstance(flex, Storage):
            states = plan.states.get(flex.id, ())
            if len(states) != steps + 1 or not all(isfinite(value) for state in states for value in state):
                yield f"{flex.id}: expected {steps + 1} finite states"
    for name, row in rows.items():
        if row is None or len(row) != steps or not all(map(isfinite, row)):
            yield f"{name}: expected {steps} finite values"


def _balances(plan: Plan, flexibilities: Sequence[Flexibility], request: PlanRequest) -> Iterator[str]:
    for step, grid in enumerate(plan.grid_kw):
        drawn = sum(row[step] for row in plan.power_kw.values())
        if abs(drawn - grid) > _KW:
            yield f"step {step}: resources draw {drawn:.4f} kW, the grid gives {grid:.4f} kW"
        over = max(grid - request.limits.import_kw, -grid - request.limits.export_kw)
        if over > _UNNAMED and not _named(plan, "import limit" if grid > 0 else "export limit", step):
            yield f"step {step}: {grid:.3f} kW at the grid breaks a limit that the plan does not name"
    for converter in (flex for flex in flexibilities if isinstance(flex, Converter)):
        fed = [flex.id for flex in flexibilities if isinstance(flex, Storage) and flex.port == converter.id]
        for step, ratio in enumerate(converter.ratio):
            given, taken = ratio * plan.power_kw[converter.id][step], sum(plan.thermal_kw[i][step] for i in fed)
            if abs(given - taken) > _KW:
                yield f"{converter.id}, step {step}: delivers {given:.4f} kW, {taken:.4f} kW is taken"


def _named(plan: Plan, start: str, step: int) -> bool:
    return any(r.what.startswith(start) and r.first_step <= step <= r.last_step for r in plan.relaxed)


def _unequal(name: str, row: Row, expected: Row) -> Iterator[str]:
    for step, (value, right) in enumerate(zip(row, expected, strict=True)):
        if abs(value - right) > _KW:
            yield f"{name}, step {step}: {value:.4f} kW instead of {right:.4f}"


def _range(name: str, row: Row, most: Row, least: Row | None = None) -> Iterator[str]:
    for step, value in enumerate(row):
        low = 0.0 if least is None else least[step]
        if not low - _KW <= value <= most[step] + _KW:
            yield f"{name}, step {step}: {value:.4f} kW is outside {low:g} to {most[step]:g}"


def _floor(name: str, row: Row, floor: float) -> Iterator[str]:
    for step, value in enumerate(row[:_ON_OFF_STEPS]):
        if _KW < value < floor - _KW:
            yield f"{name}, step {step}: {value:.4f} kW is neither 0 nor at least {floor:g}"


def _curtailable(flex: Curtailable, row: Row) -> Iterator[str]:
    least = [-available for available in flex.available_kw]
    yield from _range(flex.id, row, [0.0] * len(row) if flex.can_curtail else least, least)


def _storage(flex: Storage, plan: Plan) -> Iterator[str]:
    row = (plan.power_kw if flex.port == AC else plan.thermal_kw)[flex.id]
    yield from _range(flex.id, row, flex.max_charge_kw, [-most for most in flex.max_discharge_kw])
    yield from _floor(flex.id, row, flex.min_charge_kw)
    states, hard = plan.states[flex.id], HARD in flex.slack_price
    if any(abs(one - other) > _STATE for one, other in zip(states[0], flex.initial, strict=True)):
        yield f"{flex.id}: starts at {states[0]}, measured is {flex.initial}"
    idle = flex.initial
    for step, power in enumerate(row):
        ahead = _next(flex, states[step], power, step)
        idle = _next(flex, idle, 0.0, step) if hard else idle
        for state, value in enumerate(states[step + 1]):
            if abs(value - ahead[state]) > _STATE:
                yield f"{flex.id}, step {step}: state {state} is {value:.4f}, its equation gives {ahead[state]:.4f}"
            over, under = value - flex.upper[step][state], flex.lower[step][state] - value
            excess = max(over, under)
            if flex.slack_price[state] == HARD:
                allowed = max(0.0, idle[state] - flex.upper[step][state], flex.lower[step][state] - idle[state])
                if excess > allowed + _STATE:
                    yield f"{flex.id}, step {step}: state {state} at {value:.4f} breaks a hard bound"
            if excess > _UNNAMED and not _named(plan, flex.label or flex.id, step):
                yield f"{flex.id}, step {step}: state {state} at {value:.4f} leaves its bounds and the plan is silent"


def _next(flex: Storage, state: Sequence[float], power: float, step: int) -> tuple[float, ...]:
    gains, rate = (flex.charge_gain, power) if power > 0 else (flex.discharge_gain, -power)
    return tuple(
        sum(map(mul, row, state)) + gain * rate + drift
        for row, gain, drift in zip(flex.transition, gains, flex.drift[step], strict=True)
    )


def _shiftable(flex: Shiftable, row: Row) -> Iterator[str]:
    begun = next((step for step, value in enumerate(row) if value > _KW), None)
    if begun is None:
        if flex.skip_price == HARD:
            yield f"{flex.id}: must run and does not"
        return
    leading = next((i for i, value in enumerate(flex.profile_kw) if value > _KW), 0)
    start = begun - leading
    if start < 0 or not flex.may_start[start]:
        yield f"{flex.id}: starts at step {start}, where it may not"
    expected = [flex.profile_kw[s - start] if 0 <= s - start < len(flex.profile_kw) else 0.0 for s in range(len(row))]
    yield from _unequal(flex.id, row, expected)


def _cost(plan: Plan, flexibilities: Sequence[Flexibility], request: PlanRequest) -> Iterator[str]:
    """What energy, CO2, peak and wear cost, added up anew."""
    rates, hours = request.rates, plan.horizon.hours
    bought = [max(0.0, power) * hours for power in plan.grid_kw]
    sold = [max(0.0, -power) * hours for power in plan.grid_kw]
    co2 = sum(kwh * carbon for kwh, carbon in zip(bought, rates.carbon, strict=True))
    wear = 0.0
    for flex in (f for f in flexibilities if isinstance(f, Storage)):
        for power in (plan.power_kw if flex.port == AC else plan.thermal_kw)[flex.id]:
            wear += (flex.charge_price * max(power, 0.0) + flex.discharge_price * max(-power, 0.0)) * hours
    peak = max(max(plan.grid_kw, default=-inf) - rates.peak_so_far_kw, 0.0)
    for name, stated, right in (
        ("import", plan.cost.energy_import, sum(k * p for k, p in zip(bought, rates.import_price, strict=True))),
        ("export", plan.cost.energy_export, -sum(k * p for k, p in zip(sold, rates.export_price, strict=True))),
        ("CO2", plan.cost.co2_eur, co2 * request.goals.co2_price),
        ("demand", plan.cost.demand, rates.demand_price * peak),
        ("wear", plan.cost.wear, wear),
    ):
        if not isclose(stated, right, rel_tol=1e-4, abs_tol=1e-3):
            yield f"cost of {name}: {stated:.4f} EUR stated, {right:.4f} EUR by its power"
