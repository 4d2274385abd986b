"""Between plans: move battery, EV and PV every cycle so that the connection keeps its limits, then the plan's target.

The rule, on measured powers (consumption positive):
1. What cannot be moved is the meter minus what the movable resources take now.
2. Every movable resource starts from its planned power.
3. Those that may track absorb the difference to the grid target, in their order, within their room.
4. If the import limit would still be broken, take from everybody in order; if the export limit would, give to everybody in
   order (a PV inverter "takes" by generating less). A reserve below the limit covers what happens within a cycle, and
   what is about to come on by plan but is not on yet (a heat pump at the turn of a step) counts as if it were.
5. What remains is reported as `excess_kw`: nothing here can help it.

Without a meter nothing is known of the connection: the circuit counts as overloaded, so nobody may take more than the
least it can live with, and nobody generates less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energyctl.core.planner import RESERVE, GridLimits
from energyctl.core.resources import Adjustable


@dataclass(frozen=True, slots=True)
class Correction:
    """New power for one movable resource, and why it differs from the plan ("" when it does not)."""

    resource: str
    power_kw: float
    reason: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """The corrections, the grid power they should lead to, and what exceeds a limit in spite of them [kW]."""

    corrections: tuple[Correction, ...]
    expected_grid_kw: float | None
    excess_kw: float = 0.0


def track(
    meter_kw: float | None,
    target_kw: float | None,
    limits: GridLimits,
    movable: Sequence[Adjustable],
    coming_kw: float = 0.0,
) -> Tracked:
    """Apply the rule of this module. `meter_kw` None: the meter is not to be relied on; `target_kw` None: limits only.

    `coming_kw` >= 0 is load of what cannot be moved that the plan has on now and the meter does not see yet.
    """
    if meter_kw is None:
        return Tracked(tuple(_blind(item) for item in movable), None)
    others = meter_kw - sum(item.measured_kw for item in movable)
    power = {item.resource: _inside(item.planned_kw, item) for item in movable}
    reasons = dict.fromkeys(power, "")
    in_order = sorted(movable, key=lambda item: (item.order, item.resource))

    def move(need: float, items: Sequence[Adjustable], reason: str) -> None:
        for item in items:
            moved = _inside(power[item.resource] + need, item) - power[item.resource]
            if abs(moved) > 1e-9:
                power[item.resource] += moved
                reasons[item.resource] = reason
                need -= moved

    if target_kw is not None:
        aim = min(max(target_kw, -limits.export_kw * (1 - RESERVE)), limits.import_kw * (1 - RESERVE))
        trackers = [item for item in in_order if item.may_track]
        move(aim - others - sum(power.values()), trackers, f"holding {aim:.1f} kW at the meter")
    over = others + coming_kw + sum(power.values()) - limits.import_kw * (1 - RESERVE)
    if over > 0:
        move(-over, in_order, f"import limit {limits.import_kw:g} kW")
    under = -limits.export_kw * (1 - RESERVE) - others - sum(power.values())
    if under > 0:
        move(under, in_order, f"export limit {limits.export_kw:g} kW")
    grid = others + sum(power.values())
    excess = max(0.0, grid - limits.import_kw, -limits.export_kw - grid)
    corrections = tuple(Correction(item.resource, power[item.resource], reasons[item.resource]) for item in movable)
    return Tracked(corrections, grid, excess)


def _inside(power_kw: float, item: Adjustable) -> float:
    return min(max(power_kw, item.least_kw), item.most_kw)


def _blind(item: Adjustable) -> Correction:
    """Without a meter: consume no more than is planned nor than nothing; generation stays as planned."""
    power = item.planned_kw if item.planned_kw <= 0 else _inside(0.0, item)
    return Correction(item.resource, power, "" if power == item.planned_kw else "grid meter lost")
