"""A battery: energy in, energy out, with losses, wear and a reserve that stays in.

Plan: its power setpoint is the plan's power. Without a plan it sets nothing: left alone the battery keeps the grid at
zero by itself, and where the daemon tracks a grid target (0 without a plan) it does so through `adjustable`, whose
`planned_kw` is then 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import sqrt
from statistics import median
from typing import Literal, Self

from pydantic import model_validator

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Flexibility, Storage
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Adjustable, Binding, Need, Outlook, SiteView, Target
from energyctl.core.units import EnergyKwh, PowerKw, PricePerKwh, Ratio

from .common import IDLE_KW, MARGIN, Kind, planned

_LOSS_PER_H = 2e-4
"""Self-discharge, about 0.5 % a day."""
_FULL, _SLOW = 0.995, 0.1
"""Batteries take less and less over the last tenth. What is tracked must be taken, or a limit that counts on it breaks."""


class Battery(Kind):
    """A battery with a power setpoint. Charging is positive, discharging negative."""

    kind: Literal["battery"] = "battery"
    power: str
    soc: str
    setpoint: str
    capacity: EnergyKwh
    max_charge: PowerKw
    max_discharge: PowerKw
    efficiency: Ratio = 0.92
    """There and back."""
    reserve: Ratio = 0.1
    """The charge that stays in, as a share of the capacity."""
    wear: PricePerKwh = 0.02
    """Per kWh charged and per kWh discharged."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 0.3 <= self.efficiency <= 1:
            raise ValueError("efficiency must lie between 30 % and 100 %")
        if not 0 <= self.reserve < 1:
            raise ValueError("reserve must be at least 0 % and less than 100 %")
        if min(self.capacity, self.max_charge, self.max_discharge) <= 0:
            raise ValueError("capacity, max_charge and max_discharge must be positive")
        return self

    def bindings(self) -> Sequence[Binding]:
        return (
            Binding("power", self.power, "kW", False, -MARGIN * self.max_discharge, MARGIN * self.max_charge),
            Binding("soc", self.soc, "1", False, -0.02, 1.05),
            Binding("setpoint", self.setpoint, "kW", True, -self.max_discharge, self.max_charge),
        )

    def needs(self) -> Sequence[Need]:
        return ()

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        soc = outlook.values.get(self.soc)
        if soc is None:
            raise PlanError(f"{self.id}: {self.soc} has no good value")
        steps, hours, eta = outlook.horizon.steps, outlook.horizon.hours, sqrt(self.efficiency)
        day = outlook.import_price[: max(1, round(24 / hours))]
        return (
            Storage(
                id=self.id,
                port=AC,
                unit="kWh",
                transition=((1 - _LOSS_PER_H * hours,),),
                charge_gain=(eta * hours,),
                discharge_gain=(-hours / eta,),
                drift=((0.0,),) * steps,
                initial=(soc * self.capacity,),
                lower=((self.reserve * self.capacity,),) * steps,
                upper=((self.capacity,),) * steps,
                slack_price=(HARD,),
                max_charge_kw=(self.max_charge,) * steps,
                max_discharge_kw=(self.max_discharge,) * steps,
                charge_price=self.wear,
                discharge_price=self.wear,
                terminal_value=(max(0.0, eta * median(day) - self.wear),),
                label=f"charge of {self.id}",
            ),
        )

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        power = planned(plan.power_kw, self.id, step)
        if power is None:
            return ()
        price = plan.import_price[step]
        if abs(power) < IDLE_KW:
            return (Target(self.setpoint, 0.0, "plan: rest"),)
        verb = "charge" if power > 0 else "discharge"
        return (Target(self.setpoint, power, f"plan: {verb} {abs(power):.1f} kW, power costs {price:.2f} EUR/kWh now"),)

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def adjustable(self, target: Target | None, image: ProcessImage) -> Adjustable | None:
        measured, soc = image.value(self.power), image.value(self.soc)
        if measured is None or soc is None:
            return None
        return Adjustable(
            resource=self.id,
            point=self.setpoint,
            measured_kw=measured,
            planned_kw=target.value if target else 0.0,
            least_kw=-self.max_discharge if soc > self.reserve else 0.0,
            most_kw=self.max_charge * min(1.0, max(0.0, (_FULL - soc) / _SLOW)),
            order=0,
            may_track=True,
        )

    def target_for(self, power_kw: float, image: ProcessImage, reason: str) -> Target:
        return Target(self.setpoint, min(self.max_charge, max(-self.max_discharge, power_kw)), reason)
