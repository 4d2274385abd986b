"""A plan in sentences: what each resource does when and why then, what had to give, and what it all costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from energyctl.core.plan import Plan, Relaxation

_IDLE_KW = 0.05


def explain(plan: Plan, timezone: str) -> list[str]:
    """Sentences about a plan, times in site-local time."""
    zone = ZoneInfo(timezone)
    lines = [_headline(plan, zone)]
    for name in plan.power_kw:
        lines += _runs(plan, name, zone)
    for name in plan.thermal_kw:
        lines.append(_zone(plan, name))
    lines += [f"could not be met: {_relaxed(plan, relaxation, zone)}" for relaxation in plan.relaxed]
    return [*lines, *_costs(plan)]


def _headline(plan: Plan, zone: ZoneInfo) -> str:
    horizon = plan.horizon
    start, end = (time.astimezone(zone).strftime("%a %H:%M") for time in (horizon.start, horizon.end))
    how = plan.provenance.termination or plan.provenance.planner
    return f"plan from {start} to {end}, {plan.status.value} ({how}); the grid between {_span(plan.grid_kw)}"


def _span(row: tuple[float, ...]) -> str:
    return f"{min(row):.1f} and {max(row):.1f} kW"


def _clock(time: datetime, zone: ZoneInfo) -> str:
    return time.astimezone(zone).strftime("%H:%M")


def _runs(plan: Plan, name: str, zone: ZoneInfo) -> Iterator[str]:
    """For storages and what is switched: one sentence per run; for the rest one about all."""
    row = plan.power_kw[name]
    if name not in plan.states and any(abs(power) > _IDLE_KW for power in row) and _steady_change(row):
        yield f"{name}: between {_span(row)}, {sum(row) * plan.horizon.hours:.1f} kWh in all"
        return
    for sign, run in groupby(range(len(row)), key=lambda step: (row[step] > _IDLE_KW) - (row[step] < -_IDLE_KW)):
        steps = list(run)
        if sign:
            yield f"{name}: {_run(plan, name, steps, zone)}"


def _steady_change(row: tuple[float, ...]) -> bool:
    """More than a few different powers: not something that is switched."""
    return len({round(power, 2) for power in row}) > 3


def _run(plan: Plan, name: str, steps: list[int], zone: ZoneInfo) -> str:
    row, first, last = plan.power_kw[name], steps[0], steps[-1]
    power = sum(row[step] for step in steps) / len(steps)
    verb = ("charging" if power > 0 else "discharging") if name in plan.states else "running"
    hours = f"{_clock(plan.horizon.time(first), zone)}-{_clock(plan.horizon.time(last + 1), zone)}"
    price = sum(plan.import_price[step] for step in steps) / len(steps)
    return f"{verb} {abs(power):.1f} kW {hours}: price {price:.2f}{_contrast(plan, last, power, zone)}"


def _contrast(plan: Plan, last: int, power: float, zone: ZoneInfo) -> str:
    """The price to compare with: the dearest hour still to come when taking, the cheapest when giving."""
    later = range(last + 1, plan.horizon.steps)
    if not later:
        return ""
    pick = max(later, key=lambda step: plan.import_price[step] * (1 if power > 0 else -1))
    return f", later {plan.import_price[pick]:.2f} at {_clock(plan.horizon.time(pick), zone)}"


def _zone(plan: Plan, name: str) -> str:
    air = [state[0] for state in plan.states[name]]
    energy = sum(plan.thermal_kw[name]) * plan.horizon.hours
    return f"{name}: between {min(air):.1f} and {max(air):.1f} °C with {energy:.0f} kWh of heat or cold"


def _relaxed(plan: Plan, relaxation: Relaxation, zone: ZoneInfo) -> str:
    if not relaxation.unit:
        return relaxation.what
    first, last = plan.horizon.time(relaxation.first_step), plan.horizon.time(relaxation.last_step + 1)
    unit = "K" if relaxation.unit == "°C" else relaxation.unit
    by = f"by up to {relaxation.worst:.2f} {unit}"
    return f"{relaxation.what} {by}, {_clock(first, zone)}-{_clock(last, zone)}"


def _costs(plan: Plan) -> Iterator[str]:
    cost = plan.cost
    parts = {
        "import": cost.energy_import,
        "export": cost.energy_export,
        "demand": cost.demand,
        "wear": cost.wear,
        "CO2": cost.co2_eur,
        "what could not be met": cost.slack,
        "left in store": cost.terminal,
    }
    named = ", ".join(f"{name} {value:.2f}" for name, value in parts.items() if abs(value) >= 0.005)
    yield f"cost {cost.total:.2f} EUR: {named or 'nothing'}; {cost.co2_kg:.1f} kg CO2"
