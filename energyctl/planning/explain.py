"""A plan in words: what each resource does when and why then, what it all costs, and what had to give. Pure.

A span is a run of steps in which a resource moves power in one direction; less than `IDLE_KW` is rest. Why then: the price
in the span against the mean, and against the dearest hour still to come (for what takes) or the cheapest (for what gives).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from energyctl.core.plan import Plan, Relaxation

IDLE_KW = 0.05
SPANS_TOLD = 6

Clock = Callable[[datetime], str]
"""How times of day are written."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of steps of one resource: energy [kWh] and peak [kW] consuming positive, mean import price [EUR/kWh]."""

    resource: str
    start: datetime
    end: datetime
    energy_kwh: float
    peak_kw: float
    price: float


def spans(plan: Plan) -> list[Span]:
    """Every span of every resource, by resource and time."""
    return [
        _span(plan, name, power, first, last)
        for name, power in plan.power_kw.items()
        for first, last in _runs([0 if abs(kw) < IDLE_KW else 1 if kw > 0 else -1 for kw in power])
    ]


def explain(plan: Plan, clock: Clock) -> list[str]:
    """The plan in lines for a person; `clock` writes a time in the site's timezone."""
    actions = (*_actions(plan, clock), *_zones(plan))
    return [*_head(plan, clock), *_cost(plan), *actions, *_gave(plan, clock), *_forecasts(plan)]


def _runs(signs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last step of every run of one non-zero sign."""
    first = 0
    for step in range(1, len(signs) + 1):
        if step == len(signs) or signs[step] != signs[first]:
            if signs[first]:
                yield first, step - 1
            first = step


def _span(plan: Plan, name: str, power: Sequence[float], first: int, last: int) -> Span:
    part, prices = power[first : last + 1], plan.import_price[first : last + 1]
    return Span(
        name,
        plan.horizon.time(first),
        plan.horizon.time(last + 1),
        sum(part) * plan.horizon.hours,
        max(part, key=abs),
        sum(prices) / len(prices),
    )


def _head(plan: Plan, clock: Clock) -> Iterator[str]:
    made = plan.provenance
    hours = plan.horizon.hours * plan.horizon.steps
    took = made.forecast_ms + made.build_ms + made.solve_ms
    yield (
        f"Made {clock(plan.issued_at)} for {hours:g} h in steps of {plan.horizon.step_s // 60} min by {made.planner}: "
        f"{plan.status.value}, gap {made.gap * 100:.1f} %, {took:.0f} ms."
    )


def _cost(plan: Plan) -> Iterator[str]:
    cost = plan.cost
    parts: Mapping[str, float] = {
        "energy bought": cost.energy_import,
        "energy sold": cost.energy_export,
        "demand charge": cost.demand,
        "battery wear": cost.wear,
        "weight of CO2": cost.co2_eur,
        "wishes not met": cost.slack,
        "charge left at the end": cost.terminal,
    }
    told = ", ".join(f"{name} {eur:.2f}" for name, eur in parts.items() if abs(eur) >= 0.005)
    yield f"Expected [EUR]: {told or 'nothing'}; {cost.co2_kg:.1f} kg of CO2."


def _actions(plan: Plan, clock: Clock) -> Iterator[str]:
    average = sum(plan.import_price) / len(plan.import_price) if plan.import_price else 0.0
    by_resource: dict[str, list[Span]] = {name: [] for name in plan.power_kw}
    for span in spans(plan):
        by_resource[span.resource].append(span)
    for name, found in by_resource.items():
        if not found:
            yield f"{name}: rests."
            continue
        yield f"{name}:"
        largest = sorted(found, key=lambda span: -abs(span.energy_kwh))[:SPANS_TOLD]
        for span in sorted(largest, key=lambda span: span.start):
            yield "  " + _told(span, average, clock) + _later(plan, span, clock)
        if len(found) > SPANS_TOLD:
            yield f"  and {len(found) - SPANS_TOLD} shorter"


def _told(span: Span, average: float, clock: Clock) -> str:
    verb = "takes" if span.energy_kwh > 0 else "gives"
    level = "cheap" if span.price < 0.95 * average else "dear" if span.price > 1.05 * average else "average"
    return (
        f"{clock(span.start)} to {clock(span.end)} {verb} {abs(span.energy_kwh):.1f} kWh, up to {abs(span.peak_kw):.1f} kW, "
        f"while power is {level} ({span.price:.3f} EUR/kWh; mean {average:.3f})"
    )


def _later(plan: Plan, span: Span, clock: Clock) -> str:
    """The price to compare with among the steps after a span."""
    ahead = [step for step in range(plan.horizon.steps) if plan.horizon.time(step) >= span.end]
    if not ahead:
        return ""
    sign = 1 if span.energy_kwh > 0 else -1
    pick = max(ahead, key=lambda step: sign * plan.import_price[step])
    return f"; later {plan.import_price[pick]:.3f} at {clock(plan.horizon.time(pick))}"


def _zones(plan: Plan) -> Iterator[str]:
    for name, power in plan.thermal_kw.items():
        air = [state[0] for state in plan.states[name]]
        energy = sum(power) * plan.horizon.hours
        yield f"{name}: {min(air):.1f} to {max(air):.1f} °C with {energy:.0f} kWh of heat or cold."


def _gave(plan: Plan, clock: Clock) -> Iterator[str]:
    yield from (_relaxed(plan, one, clock) for one in plan.relaxed)


def _relaxed(plan: Plan, one: Relaxation, clock: Clock) -> str:
    start, end = plan.horizon.time(one.first_step), plan.horizon.time(one.last_step + 1)
    measure = f", at worst by {one.worst:.2f} {one.unit} (valued at {one.cost_eur:.2f} EUR)" if one.worst else ""
    return f"Not met: {one.what}, {clock(start)} to {clock(end)}{measure}."


def _forecasts(plan: Plan) -> Iterator[str]:
    for point, forecast in plan.forecasts.items():
        low, high = min(forecast.values, default=0.0), max(forecast.values, default=0.0)
        yield f"Forecast {point}: {low:.1f} to {high:.1f} {forecast.unit}, by {forecast.method}."
