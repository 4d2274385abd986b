"""A charging point: a car that wants some energy by some time of day and takes either nothing or at least `min_current`.

Plan: the planned power as a current limit. A car that came after the plan was made charges at its least current until the
next plan knows it. Without a plan it charges at once. With no car there is nothing to set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import model_validator

from energyctl.core.flexibility import AC, Flexibility, Storage
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Adjustable, Binding, Need, Outlook, SiteView, Target
from energyctl.core.units import CurrentA, EnergyKwh

from .common import IDLE_KW, MARGIN, Kind, planned
from .hours import ClockText, next_clock

_PHASE_KV = 0.23
_SHORT_PRICE = 2.0
"""What a kWh missing at the time the car leaves is worth [EUR/kWh]."""


class Ev(Kind):
    """A charging point with a current limit."""

    kind: Literal["ev"] = "ev"
    power: str
    limit: str
    connected: str
    charged: str
    """What this session has charged so far [kWh]."""
    phases: Literal[1, 2, 3] = 3
    min_current: CurrentA = 6.0
    max_current: CurrentA = 16.0
    wants: EnergyKwh
    """Energy per session."""
    ready_by: ClockText = "07:30"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 0 < self.min_current <= self.max_current:
            raise ValueError("min_current must be above 0 A and not above max_current")
        if self.wants <= 0:
            raise ValueError("wants must be positive")
        return self

    def _kw(self, amps: float) -> float:
        return amps * _PHASE_KV * self.phases

    def bindings(self) -> Sequence[Binding]:
        return (
            Binding("power", self.power, "kW", False, -1.0, MARGIN * self._kw(self.max_current)),
            Binding("limit", self.limit, "A", True, 0.0, self.max_current),
            Binding("connected", self.connected, ""),
            Binding("charged", self.charged, "kWh"),
        )

    def needs(self) -> Sequence[Need]:
        return ()

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        """Nothing without a car. Unknown session energy counts as none charged: the car itself stops when it is full."""
        if not outlook.values.get(self.connected):
            return ()
        horizon, charged = outlook.horizon, outlook.values.get(self.charged, 0.0)
        leaves = next_clock(horizon.start, self.ready_by, outlook.site.timezone)
        stay = max(1, int((leaves - horizon.start).total_seconds() // horizon.step_s))
        here, most = min(stay, horizon.steps), self._kw(self.max_current)
        by_then = self.wants - most * horizon.hours * (stay - here)
        lower = [float("-inf")] * horizon.steps
        lower[here - 1] = by_then
        return (
            Storage(
                id=self.id,
                port=AC,
                unit="kWh",
                transition=((1.0,),),
                charge_gain=(horizon.hours,),
                discharge_gain=(0.0,),
                drift=((0.0,),) * horizon.steps,
                initial=(charged,),
                lower=tuple((bound,) for bound in lower),
                upper=((max(self.wants, charged),),) * horizon.steps,
                slack_price=(_SHORT_PRICE,),
                max_charge_kw=(most,) * here + (0.0,) * (horizon.steps - here),
                max_discharge_kw=(0.0,) * horizon.steps,
                min_charge_kw=self._kw(self.min_current),
                label=f"charge of {self.id} by {self.ready_by}",
            ),
        )

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        if not image.value(self.connected):
            return ()
        power = planned(plan.power_kw, self.id, step)
        if power is None:
            return (Target(self.limit, self.min_current, "the plan does not know this car yet: charge slowly"),)
        if power < IDLE_KW:
            return (Target(self.limit, 0.0, f"plan: wait, ready by {self.ready_by} all the same"),)
        price = plan.import_price[step]
        return (self.target_for(power, image, f"plan: charge {power:.1f} kW, power costs {price:.2f} EUR/kWh now"),)

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        if not image.value(self.connected):
            return ()
        return (Target(self.limit, self.max_current, "rule: a car is charged at once"),)

    def adjustable(self, target: Target | None, image: ProcessImage) -> Adjustable | None:
        measured = image.value(self.power)
        if measured is None or not image.value(self.connected):
            return None
        wants_more = (image.value(self.charged) or 0.0) < self.wants
        goal = measured if target is None else self._kw(target.value)
        return Adjustable(
            resource=self.id,
            point=self.limit,
            measured_kw=measured,
            planned_kw=goal if wants_more else min(goal, measured),
            least_kw=0.0,
            most_kw=self._kw(self.max_current) if wants_more else max(0.0, measured),
            order=1,
            may_track=False,
        )

    def target_for(self, power_kw: float, image: ProcessImage, reason: str) -> Target:
        """The current limit for a power; less than the least current is none at all."""
        amps = power_kw / self._kw(1.0)
        if amps < self.min_current - 0.05:
            return Target(self.limit, 0.0, reason)
        return Target(self.limit, min(self.max_current, max(self.min_current, amps)), reason)
