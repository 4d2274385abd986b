"""What a plan is expected to save, told without simulating anything.

Method: every resource in question takes the energy that the plan gives it, spread evenly over the plan's horizon instead of
when the plan says; what only gives (PV) stays as planned. The difference in cost of energy at the connection, by the plan's
own prices and forecasts and less the wear that the plan causes, is the saving. It is what moving power to better hours is
worth; demand charges, comfort and the plan's errors are not in it. Energy is the same on both sides, so nothing comes from
emptying a store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from energyctl.core.plan import Plan

METHOD = "the plan against the same energy taken evenly over its horizon, at the plan's prices, less wear"


@dataclass(frozen=True, slots=True)
class Saving:
    """Over the hours of a plan [EUR]: energy by plan, with `wear_eur` on top, and energy taken evenly."""

    hours: float
    planned_eur: float
    even_eur: float
    wear_eur: float

    @property
    def eur(self) -> float:
        """What the plan is worth; negative when it costs."""
        return self.even_eur - self.planned_eur - self.wear_eur


def saving(plan: Plan, resources: Collection[str]) -> Saving:
    """What the plan saves by what these resources do. The plan's wear counts when any of them moves."""
    moved = [power for name, power in plan.power_kw.items() if name in resources and any(kw > 0 for kw in power)]
    even = list(plan.grid_kw)
    for power in moved:
        mean = sum(power) / len(power)
        even = [kw - own + mean for kw, own in zip(even, power, strict=True)]
    return Saving(
        plan.horizon.hours * plan.horizon.steps,
        _cost(plan, plan.grid_kw),
        _cost(plan, even),
        plan.cost.wear if moved else 0.0,
    )


def _cost(plan: Plan, grid_kw: Sequence[float]) -> float:
    prices = zip(grid_kw, plan.import_price, plan.export_price, strict=True)
    return sum(max(0.0, kw) * bought - max(0.0, -kw) * sold for kw, bought, sold in prices) * plan.horizon.hours
