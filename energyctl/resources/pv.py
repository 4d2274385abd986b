"""A photovoltaic roof: gives what the sun gives, and can be cut where it has a limit.

Its limit is a share of its peak power. Left alone it gives all it has, so it is left alone unless the plan cuts it: a limit
that an installer or the grid operator has set is never lifted. Tracking cuts it only to hold a limit of the connection, and
last of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from energyctl.core.flexibility import Curtailable, Flexibility
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Adjustable, Binding, Need, Outlook, SiteView, Target
from energyctl.core.units import AngleDeg, PowerKw

from .common import MARGIN, Kind, planned

_CUT_KW = 0.2
"""A plan that gives this much less than forecast means to cut [kW]."""


class Pv(Kind):
    """A PV system. Generation is negative power."""

    kind: Literal["pv"] = "pv"
    power: str
    limit: str | None = None
    """The point that limits its output, as a share of the peak; without one it cannot be cut."""
    peak: PowerKw
    tilt: AngleDeg = 30.0
    """0 is flat, 90 upright."""
    azimuth: AngleDeg = 180.0
    """Where it faces: 90 is east, 180 south."""

    def bindings(self) -> Sequence[Binding]:
        power = Binding("power", self.power, "kW", False, -MARGIN * self.peak, 0.1 * self.peak)
        return (power,) if self.limit is None else (power, Binding("limit", self.limit, "1", True, 0.0, 1.0))

    def needs(self) -> Sequence[Need]:
        facts = {"peak_kw": self.peak, "tilt_deg": self.tilt, "azimuth_deg": self.azimuth}
        return (Need(self.power, "pv", "kW", facts=facts),)

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        available = tuple(max(0.0, -power) for power in outlook.forecasts[self.power].values)
        return (Curtailable(self.id, available, can_curtail=self.limit is not None),)

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        power, forecast = planned(plan.power_kw, self.id, step), plan.forecasts.get(self.power)
        if self.limit is None or power is None or forecast is None:
            return ()
        if power - forecast.values[step] < _CUT_KW:
            return ()
        return (self.target_for(power, image, f"plan: cut to {-power:.1f} kW, surplus is not worth feeding in"),)

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def adjustable(self, target: Target | None, image: ProcessImage) -> Adjustable | None:
        """While a limit holds it down nobody knows what it could give, so its peak is assumed: the careful guess."""
        measured = image.value(self.power)
        if measured is None or self.limit is None:
            return None
        share = 1.0 if target is None else target.value
        free = -self.peak if self._held_down(measured, image) else min(0.0, measured)
        return Adjustable(
            resource=self.id,
            point=self.limit,
            measured_kw=measured,
            planned_kw=max(-share * self.peak, free),
            least_kw=free,
            most_kw=0.0,
            order=2,
            may_track=False,
        )

    def _held_down(self, measured: float, image: ProcessImage) -> bool:
        limit = image.value(self.limit)
        return limit is not None and limit < 0.999 and -measured >= 0.95 * limit * self.peak - 0.1

    def target_for(self, power_kw: float, image: ProcessImage, reason: str) -> Target:
        return Target(self.limit or "", min(1.0, max(0.0, -power_kw / self.peak)), reason)
