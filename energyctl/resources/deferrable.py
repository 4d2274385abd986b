"""Something that must run once a day within some hours, and does not mind when: airing, pumping, a dishwasher.

It runs without interruption once begun. Whether today's run is still to come is read from the last plan ("Memory" in
`common`): a run whose end lies behind us is done, a run due now or under way goes on to its end (unless the switch is
found off), and while the plan has it ahead it may still move. With no last plan (a first start) a window that is still
open gets a run. Without a plan it runs at the start of its hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from energyctl.core.flexibility import Fixed, Flexibility, Shiftable
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.timeline import Horizon
from energyctl.core.units import PowerKw, Seconds

from .common import IDLE_KW, Kind, planned
from .hours import WindowText, parse_window, windows


class Deferrable(Kind):
    """A switch that must be on for `runs`, once within the daily hours `between`."""

    by_calendar: ClassVar[bool] = True
    kind: Literal["deferrable"] = "deferrable"
    power: str
    switch: str
    draws: PowerKw
    runs: Seconds
    between: WindowText

    @model_validator(mode="after")
    def _fits(self) -> Self:
        first, last = (at.hour * 60 + at.minute for at in parse_window(self.between))
        room = (last - first) % (24 * 60)
        if self.runs <= 0 or self.draws <= 0:
            raise ValueError("runs and draws must be positive")
        if self.runs > room * 60:
            raise ValueError(f"runs for {self.runs / 60:g} min, but its hours {self.between} have only {room}")
        return self

    def bindings(self) -> Sequence[Binding]:
        return (Binding("power", self.power, "kW"), Binding("switch", self.switch, "", writes=True))

    def needs(self) -> Sequence[Need]:
        return ()

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        horizon = outlook.horizon
        begun, ends = (outlook.values.get(f"{self.id}:{key}") for key in ("run_start_s", "run_end_s"))
        refused = begun is not None and begun < 0 and outlook.values.get(self.switch) == 0.0
        if begun is not None and ends is not None and begun <= 0 < ends and not refused:
            left = min(horizon.steps, ceil(ends / horizon.step_s))
            return (Fixed(self.id, (self.draws,) * left + (0.0,) * (horizon.steps - left)),)
        length = max(1, ceil(self.runs / horizon.step_s))
        for start, end in windows(horizon.start, self.between, outlook.site.timezone):
            if start <= horizon.start and self._done(horizon, end, begun, ends):
                continue
            may_start = tuple(start <= time and time + timedelta(seconds=self.runs) <= end for time in horizon.times())
            may_start = may_start[: max(0, horizon.steps - length + 1)]
            if any(may_start):
                may_start += (False,) * (horizon.steps - len(may_start))
                return (Shiftable(self.id, (self.draws,) * length, may_start),)
        return ()

    @staticmethod
    def _done(horizon: Horizon, end: datetime, begun: float | None, ends: float | None) -> bool:
        """Whether the open window, up to `end`, has had its run: the last plan's run is past, or in a later window."""
        if begun is None or ends is None:
            return False
        return ends <= 0 or horizon.start + timedelta(seconds=begun) >= end

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        power = planned(plan.power_kw, self.id, step)
        if power is None:
            return (Target(self.switch, 0.0, "plan: not due"),)
        if power < IDLE_KW:
            return (Target(self.switch, 0.0, f"plan: not now, its hours are {self.between}"),)
        price = plan.import_price[step]
        return (Target(self.switch, 1.0, f"plan: this is the time to run, power costs {price:.2f} EUR/kWh"),)

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        start, _ = next(windows(now, self.between, site.timezone))
        if start <= now < start + timedelta(seconds=self.runs):
            return (Target(self.switch, 1.0, f"rule: run at the start of its hours {self.between}"),)
        return (Target(self.switch, 0.0, f"rule: its hours are {self.between}"),)
