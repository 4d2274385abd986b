"""A heat pump: turns electricity into heat or cold for the zones it feeds, the better the smaller the lift.

COP = quality grade x Carnot, between 1.3 and 6.5. Heating: supply temperature by the heating curve, 35 °C at 0 °C outside
and 1 K more per K colder, 28 to 55 °C (radiators); a tenth less between -3 and 5 °C, for defrosting. Cooling: from chilled
water at 7 °C to 10 K above outdoors. It sets nothing itself: the zones' setpoints make it run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from energyctl.core.flexibility import Converter, Flexibility
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.units import PowerKw, Ratio, TempC

from .common import MARGIN, Kind, Sense, sense_of

_ZERO_K = 273.15
_LEAST_LIFT_K = 8.0
_COP_RANGE = (1.3, 6.5)
_REJECT_K = 10.0
_FROST, _FROST_RANGE_C = 0.10, (-3.0, 5.0)
"""Defrosting costs about 12 % in damp air (above 80 % humidity), which winter air mostly is."""


class HeatPump(Kind):
    """A heat pump that feeds zones; its `mode` point (1 heat, 2 cool) says what it does now and is taken to stay."""

    kind: Literal["heat-pump"] = "heat-pump"
    power: str
    outdoor: str
    mode: str | None = None
    max_power: PowerKw
    quality_grade: Ratio = 0.42
    """Share of the Carnot COP that it reaches."""
    curve_at_zero: TempC = 35.0
    """Supply temperature when it is 0 °C outside; 1 K more per K colder."""
    supply_min: TempC = 28.0
    supply_max: TempC = 55.0
    chilled: TempC = 7.0

    def bindings(self) -> Sequence[Binding]:
        power = Binding("power", self.power, "kW", False, -1.0, MARGIN * self.max_power)
        points = (power, Binding("outdoor", self.outdoor, "°C"))
        return points if self.mode is None else (*points, Binding("mode", self.mode, ""))

    def needs(self) -> Sequence[Need]:
        return (Need(self.outdoor, "temperature", "°C"),)

    def cop(self, outdoor_c: float, sense: Sense) -> float:
        """Heat (or cold) per electricity at an outdoor temperature [°C]."""
        if sense == "cool":
            cold, lift = self.chilled, outdoor_c + _REJECT_K - self.chilled
            carnot = (cold + _ZERO_K) / max(lift, _LEAST_LIFT_K)
        else:
            supply = min(self.supply_max, max(self.supply_min, self.curve_at_zero - outdoor_c))
            carnot = (supply + _ZERO_K) / max(supply - outdoor_c, _LEAST_LIFT_K)
        frost = _FROST if sense == "heat" and _FROST_RANGE_C[0] < outdoor_c < _FROST_RANGE_C[1] else 0.0
        return float(min(_COP_RANGE[1], max(_COP_RANGE[0], self.quality_grade * carnot * (1 - frost))))

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        outdoor = outlook.forecasts[self.outdoor].values
        sense = sense_of(outlook.values.get(self.mode) if self.mode else None, outdoor)
        ratio = tuple(self.cop(temp, sense) for temp in outdoor)
        return (Converter(self.id, ratio, (self.max_power,) * outlook.horizon.steps),)

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()
