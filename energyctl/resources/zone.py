"""Rooms kept within a comfort band by the plant that feeds them: to the planner a storage of warmth.

Plan: while it heats (or cools), the setpoint is the air temperature planned for the end of the step; while it does not, the
setpoint rests at the edge of the comfort band, so that the local thermostat keeps comfort and does not work against the
plan. Without a plan: the occupied setpoint from two hours before people come until they leave, setback otherwise.
The mass of the building cannot be measured: it is where the last plan expected it, moved by what the air is off by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import ValidationInfo, model_validator

from energyctl.core.comfort import Comfort
from energyctl.core.errors import PlanError
from energyctl.core.flexibility import Flexibility, Storage
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.units import AreaM2, CapacityKwhK, ConductanceKwK, DeltaK, PowerKw

from .common import IDLE_KW, Kind, Sense, planned, sense_of
from .thermal import Built, Weight, discretise, thermal

_PEOPLE_KW_M2 = 0.008
"""Heat from people and their machines while rooms are in use."""
_WINDOW_SHARE = 0.04
"""Sun let in per m2 of floor, as m2 of open window facing south."""
_DELIVER_KW_M2 = 0.08
"""The most heat or cold that radiators or fan coils pass on."""
_BEFORE_OPENING = timedelta(hours=2)
_PRICED_M2 = 100.0
"""The floor that a comfort's price (per kelvin and hour) is meant for; a larger zone counts for more."""
_MASS_FOLLOWS = 0.15
"""Share of the air's deviation from the last plan that the mass is taken to share: small, since the air may be off because
the plant gave more or less than planned, and an error of the mass shows in the air again and again."""
_INTO_AIR = 2 / 3
"""Share of the plant's heat that warms the air; the rest radiates and warms the mass."""


class Zone(Kind):
    """Rooms with one temperature and one setpoint, fed by a heat pump.

    `outdoor` and `mode` are those of the resource that feeds it; where they are left out they are taken from it.
    """

    by_calendar: ClassVar[bool] = True
    kind: Literal["zone"] = "zone"
    fed_by: str
    temp: str
    setpoint: str
    comfort: str
    area: AreaM2
    outdoor: str | None = None
    mode: str | None = None
    built: Built = "1980-2010"
    weight: Weight = "medium"
    heat_loss: ConductanceKwK | None = None
    """Where it is known; otherwise by area and year built."""
    capacity: CapacityKwhK | None = None
    """Heat capacity of air and mass, where it is known; otherwise by area and weight."""
    max_heat: PowerKw | None = None
    """The most heat or cold that can be delivered; otherwise 80 W per m2."""
    margin: DeltaK = 0.2
    """How far inside the comfort band the plan stays."""

    @model_validator(mode="before")
    @classmethod
    def _points_of_the_plant(cls, data: Any, info: ValidationInfo) -> Any:
        """Take over `outdoor` and `mode` from the resource named by `fed_by`, as written in the site file."""
        resources = (info.context or {}).get("resources")
        plant = resources.get(data.get("fed_by")) if isinstance(resources, Mapping) and isinstance(data, dict) else None
        if not isinstance(plant, Mapping):
            return data
        return {field: plant[field] for field in ("outdoor", "mode") if field in plant} | data

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for field in ("area", "heat_loss", "capacity", "max_heat"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise ValueError(f"{field} must be positive")
        return self

    @property
    def power(self) -> None:
        return None

    def bindings(self) -> Sequence[Binding]:
        given = (Binding("temp", self.temp, "°C"), Binding("setpoint", self.setpoint, "°C", writes=True))
        outdoor = (Binding("outdoor", self.outdoor, "°C"),) if self.outdoor else ()
        mode = (Binding("mode", self.mode, ""),) if self.mode else ()
        return (*given, *outdoor, *mode)

    @property
    def _sun(self) -> str:
        return f"{self.id}:sun"

    def needs(self) -> Sequence[Need]:
        """The sun through its windows, as if they were PV, and the outdoor temperature."""
        window = {"peak_kw": _WINDOW_SHARE * self.area, "tilt_deg": 90.0, "azimuth_deg": 180.0}
        sun = Need(self._sun, "pv", "kW", facts=window)
        return (sun, Need(self.outdoor, "temperature", "°C")) if self.outdoor else (sun,)

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        air = outlook.values.get(self.temp)
        if air is None:
            raise PlanError(f"{self.id}: {self.temp} has no good value")
        horizon, outdoor, comfort = outlook.horizon, self._outdoor(outlook), outlook.site.comfort[self.comfort]
        sense = sense_of(outlook.values.get(self.mode) if self.mode else None, outdoor)
        zone = thermal(self.area, self.built, self.weight, self.heat_loss, self.capacity)
        a, b = discretise(zone, horizon.hours)
        in_use = [comfort.in_use(time, outlook.site.timezone) for time in (*horizon.times(), horizon.end)]
        drift = []
        for outside, half in zip(outdoor, self._half_gains_kw(outlook, in_use), strict=True):
            into_air = zone.loss * outside + half
            drift.append((b[0][0] * into_air + b[0][1] * half, b[1][0] * into_air + b[1][1] * half))
        sign = 1.0 if sense == "heat" else -1.0
        bands = [self._band(comfort, used) for used in in_use[1:]]
        most = self.max_heat if self.max_heat is not None else _DELIVER_KW_M2 * self.area
        return (
            Storage(
                id=self.id,
                port=self.fed_by,
                unit="°C",
                transition=a,
                charge_gain=tuple(sign * (_INTO_AIR * row[0] + (1 - _INTO_AIR) * row[1]) for row in b),
                discharge_gain=(0.0, 0.0),
                drift=tuple(drift),
                initial=(air, self._mass(outlook.values, air)),
                lower=tuple((low, float("-inf")) for low, _ in bands),
                upper=tuple((high, float("inf")) for _, high in bands),
                slack_price=(comfort.price * self.area / _PRICED_M2 * horizon.hours, 0.0),
                max_charge_kw=(most,) * horizon.steps,
                max_discharge_kw=(0.0,) * horizon.steps,
                label=f"comfort in {self.id}",
            ),
        )

    def _outdoor(self, outlook: Outlook) -> tuple[float, ...]:
        """The outdoor forecast: of its own point, else the site's only temperature forecast."""
        if self.outdoor is not None:
            return outlook.forecasts[self.outdoor].values
        temperatures = [forecast for forecast in outlook.forecasts.values() if forecast.unit == "°C"]
        if len(temperatures) != 1:
            raise PlanError(f"{self.id}: no outdoor temperature; name its point as 'outdoor'")
        return temperatures[0].values

    def _half_gains_kw(self, outlook: Outlook, in_use: Sequence[bool]) -> list[float]:
        """Half of what people and the sun give per step [kW]: one half warms the air, the other the mass."""
        people, sun = _PEOPLE_KW_M2 * self.area, outlook.forecasts.get(self._sun)
        shine = sun.values if sun else (0.0,) * outlook.horizon.steps
        return [((people if used else 0.0) - power) / 2 for used, power in zip(in_use, shine, strict=False)]

    def _mass(self, values: Mapping[str, float], air: float) -> float:
        expected_air, expected_mass = (values.get(f"{self.id}:state{state}") for state in (0, 1))
        if expected_air is None or expected_mass is None:
            return air
        return expected_mass + _MASS_FOLLOWS * (air - expected_air)

    def _band(self, comfort: Comfort, in_use: bool) -> tuple[float, float]:
        """The comfort band, a margin inside. A step must end in the band of the instant it ends at: warm when people come."""
        low, high = (comfort.heat, comfort.cool) if in_use else (comfort.setback_heat, comfort.setback_cool)
        return low + self.margin, high - self.margin

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        heat, states = planned(plan.thermal_kw, self.id, step), plan.states.get(self.id)
        if heat is None or states is None:
            return ()
        now, end = states[step][0], states[step + 1][0]
        sense = self._sense(image, plan)
        comfort = site.comfort[self.comfort]
        low, high = self._band(comfort, comfort.in_use(plan.horizon.time(step), site.timezone))
        edge = low if sense == "heat" else high
        if heat < IDLE_KW:
            return (Target(self.setpoint, edge, f"plan: no {sense}ing now"),)
        verb = "keep" if abs(end - now) < 0.2 else sense
        return (Target(self.setpoint, self._clamp(end, site, sense), f"plan: {verb} to {end:.1f} °C"),)

    def _sense(self, image: ProcessImage, plan: Plan) -> Sense:
        """What the plan took the plant to do; a mode that changed since then counts at once."""
        forecast = plan.forecasts.get(self.outdoor) if self.outdoor else None
        if forecast is None:
            forecast = next((f for f in plan.forecasts.values() if f.unit == "°C"), None)
        return sense_of(image.value(self.mode), forecast.values if forecast else ())

    def _clamp(self, temp_c: float, site: SiteView, sense: Sense) -> float:
        """A setpoint never beyond the occupied band on the far side, nor beyond setback on the near one."""
        comfort = site.comfort[self.comfort]
        low, high = (comfort.setback_heat, comfort.cool) if sense == "heat" else (comfort.heat, comfort.setback_cool)
        return float(min(high, max(low, temp_c)))

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        comfort = site.comfort[self.comfort]
        occupied = any(comfort.in_use(time, site.timezone) for time in (now, now + _BEFORE_OPENING))
        cooling = self._rule_cools(comfort, image)
        if occupied:
            return (Target(self.setpoint, comfort.cool if cooling else comfort.heat, "rule: rooms in use, or soon"),)
        setback = comfort.setback_cool if cooling else comfort.setback_heat
        return (Target(self.setpoint, setback, "rule: nobody there, setback"),)

    def _rule_cools(self, comfort: Comfort, image: ProcessImage) -> bool:
        """By the mode switch; without one, rooms warmer than the middle of the band are taken to be cooled."""
        mode, air = image.value(self.mode), image.value(self.temp)
        if mode is not None:
            return sense_of(mode, ()) == "cool"
        return air is not None and air > (comfort.heat + comfort.cool) / 2
