"""What a facility manager writes (one model per section of the site file) and what the rest of the program gets: `Site`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from energyctl.core.driver import Device, Link
from energyctl.core.interlock import Interlock
from energyctl.core.planner import Goals, GridLimits
from energyctl.core.points import Point, Rank
from energyctl.core.resources import Binding, Resource, SiteView
from energyctl.core.severity import Severity
from energyctl.core.tariff import Tariff
from energyctl.core.units import PowerKw, PricePerKg, PricePerKw, Seconds

from .problems import did_you_mean

Mode = Literal["off", "monitor", "shadow", "control"]
MODES: tuple[Mode, ...] = ("off", "monitor", "shadow", "control")
"""From the least to the most that energyctl may do."""
STEPS_S = (300, 900, 1800, 3600)
PLAN_EVERY_S = (*(60 * minutes for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)), 7200)
"""Periods that fall on the clock the same way in every hour, up to the age at which a plan no longer guides."""
ID_RULE = "an id is lower-case letters, digits, '-' and '_', beginning with a letter"


def check_id(text: Any) -> str:
    """An id as it may be written. Raises ValueError saying what is allowed."""
    plain = isinstance(text, str) and text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    if not plain or not text[0].isalpha() or text != text.lower() or len(text) > 60:
        raise ValueError(ID_RULE)
    return str(text)


Id = Annotated[str, BeforeValidator(check_id), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"})]
PointId = Annotated[str, Field(examples=["meter.power"], description="a point, as device.point")]


class Section(BaseModel):
    """A section of the site file: no key but those named here, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SiteSection(Section):
    """Who and where the site is, and how far energyctl may go."""

    id: Annotated[Id, Field(examples=["town-hall"])]
    name: str = ""
    timezone: Annotated[str, Field(examples=["Europe/Athens"])]
    currency: Literal["EUR"] = "EUR"
    latitude: Annotated[float, Field(ge=-90, le=90, examples=[39.64])]
    longitude: Annotated[float, Field(ge=-180, le=180, examples=[22.42])]
    mode: Annotated[
        Mode,
        Field(description="off, monitor (read and store), shadow (also say what would be written) or control (write)"),
    ] = "monitor"
    period: Annotated[Seconds, Field(description="one control cycle, 0.1 s to 60 s")] = 1.0

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"unknown timezone{did_you_mean(name, available_timezones())}")
        return name

    @field_validator("period")
    @classmethod
    def _live(cls, period: float) -> float:
        if not 0.1 <= period <= 60.0:
            raise ValueError("a control period is 0.1 s to 60 s")
        return period


class GridSection(Section):
    """The connection to the grid: where its power is measured and what may flow."""

    meter: PointId
    import_limit: PowerKw
    export_limit: Annotated[PowerKw, Field(description="0 kW for a connection that must not feed in")]

    @field_validator("import_limit")
    @classmethod
    def _positive(cls, limit: float) -> float:
        if not limit > 0:
            raise ValueError("must be more than 0 kW")
        return limit

    @field_validator("export_limit")
    @classmethod
    def _not_negative(cls, limit: float) -> float:
        if not limit >= 0:
            raise ValueError("must be 0 kW or more; write exported power as a positive number")
        return limit


class PointLimit(Section):
    """Limits of one point: `min`, `max` and `step` with the point's unit."""

    min: str | int | float | None = None
    max: str | int | float | None = None
    step: Annotated[
        str | int | float | None, Field(description="largest change at once; a larger one goes in steps")
    ] = None
    every: Annotated[Seconds | None, Field(description="least time between two different values")] = None
    ramp: Annotated[
        str | None, Field(description="fastest change; a faster one goes in steps", examples=["10 kW/min"])
    ] = None
    min_on: Annotated[
        Seconds | None, Field(description="least time that a switch stays on; a number is on above 0")
    ] = None
    min_off: Annotated[Seconds | None, Field(description="least time that a switch stays off")] = None

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return all(value is None for value in self.model_dump().values())


class InterlockSection(Section):
    """A condition under which a point may not be ours."""

    point: PointId
    when: Annotated[str, Field(examples=["storage.soc < 5 %"], description="a point, a comparison, a value")]


class SafetySection(Section):
    """The safety rules of the site."""

    require_commissioning: Annotated[
        bool, Field(description="whether only devices that 'energyctl commission' has passed may be written to")
    ] = True
    bacnet_priority: Annotated[int, Field(examples=[10], description="9 to 16; 1 to 8 belong to the building")] = 10
    lease: Annotated[Seconds, Field(description="how long a setpoint lives without a completed cycle")] = 60.0
    accept_no_watchdog: Annotated[
        list[str], Field(description="devices that may be controlled although they have no watchdog of their own")
    ] = []
    limits: Annotated[dict[str, PointLimit], Field(description="by point, tighter than the device's own")] = {}
    interlocks: Annotated[
        list[InterlockSection], Field(description="while one holds, its point is refused to everybody and handed back")
    ] = []

    clock_step: Annotated[Seconds, Field(description="a wall clock that jumps by more is not trusted")] = 60.0
    clock_settle: Annotated[Seconds, Field(description="nor until it has gone on without a jump for so long")] = 300.0

    @field_validator("clock_step", "clock_settle")
    @classmethod
    def _more_than_none(cls, seconds: float) -> float:
        if not 1.0 <= seconds <= 86_400.0:
            raise ValueError("must be 1 s to 1 d")
        return seconds

    @field_validator("bacnet_priority")
    @classmethod
    def _ours(cls, priority: int) -> int:
        if not 9 <= priority <= 16:
            raise ValueError("priorities 1 to 8 belong to the building; choose 9 to 16")
        return priority

    @field_validator("lease")
    @classmethod
    def _short(cls, lease: float) -> float:
        if not 10.0 <= lease <= 900.0:
            raise ValueError("a lease is 10 s to 15 min: devices obey a dead controller for that long")
        return lease


class RuleSection(Section):
    """A comfort or safety rule (see `rules`). A GUARD counts more than plan and district, a RULE more than the plan alone."""

    rank: ClassVar[Rank] = Rank.GUARD

    kind: str

    @property
    def point(self) -> str:
        """The point it is about; a site has one rule of a kind for it."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """How it is called: its kind and its point."""
        return f"{self.kind} {self.point}"

    def bindings(self) -> Sequence[Binding]:
        """The points it reads and writes."""
        raise NotImplementedError

    def values(self) -> Mapping[str, tuple[str, float]]:
        """By field: the point it would set to a value, and that value."""
        raise NotImplementedError


class GoalsSection(Section):
    """What a plan weighs besides the cost of energy."""

    co2_price: PricePerKg = 0.0
    change_price: Annotated[PricePerKw, Field(description="what changing a plan costs per kW; keeps plans steady")] = (
        0.002
    )

    @field_validator("co2_price", "change_price")
    @classmethod
    def _not_negative(cls, price: float) -> float:
        if not price >= 0:
            raise ValueError("must not be negative")
        return price


class PlannerSection(Section):
    """Who plans, how often and how far."""

    use: str = "scipy"
    every: Seconds = 900.0
    horizon: Seconds = 129_600.0
    step: Seconds = 900.0

    @field_validator("step")
    @classmethod
    def _even(cls, step: float) -> float:
        if step not in STEPS_S:
            raise ValueError("a step is 5 min, 15 min, 30 min or 1 h")
        return step

    @field_validator("every")
    @classmethod
    def _on_the_clock(cls, every: float) -> float:
        if every not in PLAN_EVERY_S:
            raise ValueError("plans are made every 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60 min, or every 2 h")
        return every

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.horizon % self.step or not 4 * self.step <= self.horizon <= 7 * 86_400:
            raise ValueError("the horizon must be a whole number of steps, at least 4, and at most 7 d")
        return self


class SecretSpec(Section):
    """Where a secret comes from; the secret itself is never written in the site file."""

    env: Annotated[str | None, Field(description="name of an environment variable")] = None
    file: Annotated[str | None, Field(description="a file that holds the secret and nothing else")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("write {env: NAME_OF_VARIABLE} or {file: PATH}")
        return self


class SecretReference(Section):
    """The name of an entry of the section secrets."""

    secret: str


class WebhookSection(Section):
    """Where alarms are sent, as JSON by HTTP POST."""

    url: Annotated[
        str | SecretReference,
        Field(description="http:// or https://; one that holds a token is written {secret: NAME}"),
    ]
    secret: Annotated[
        SecretReference | None, Field(description="signs every message, so that its receiver can tell it is ours")
    ] = None
    min_severity: Annotated[Literal["info", "warning", "critical"], Field(description="lesser alarms are not sent")] = (
        "warning"
    )


class AlarmsSection(Section):
    """Who is told of alarms."""

    webhook: WebhookSection | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alarms are sent. `url` and `secret` are never shown; without a secret nothing is signed."""

    url: str
    secret: str | None = None
    min_severity: Severity = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Safety:
    """The site's safety rules, by point and in canonical units.

    `point_limits` are (lowest, highest), None where there is no limit; `point_steps` the largest change at once;
    `point_intervals` the least time between two different values [s]; `point_ramps` the fastest change [unit/s];
    `point_dwells` the least times on and off [s].
    """

    bacnet_priority: int = 10
    lease_s: float = 60.0
    accept_no_watchdog: tuple[str, ...] = ()
    point_limits: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    point_steps: Mapping[str, float] = field(default_factory=dict)
    point_intervals: Mapping[str, float] = field(default_factory=dict)
    point_ramps: Mapping[str, float] = field(default_factory=dict)
    point_dwells: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    interlocks: tuple[Interlock, ...] = ()
    require_commissioning: bool = True
    clock_step_s: float = 60.0
    """A wall clock that jumps by more is not trusted."""
    clock_settle_s: float = 300.0
    """How long it must go on without a jump to be trusted again."""


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """Who plans, how often and how far [s]."""

    use: str = "scipy"
    every_s: float = 900.0
    horizon_s: float = 129_600.0
    step_s: int = 900


@dataclass(frozen=True, slots=True)
class Site:
    """A site file, checked and resolved: nothing in here needs a second look."""

    id: str
    name: str
    timezone: str
    currency: str
    view: SiteView
    mode: Mode
    modes: Mapping[str, Mode]
    """By device: what the site file says of it, but never more than the site's own mode."""
    period_s: float
    links: tuple[Link, ...]
    devices: Mapping[str, Device]
    link_of: Mapping[str, str]
    """Link id by device id."""
    meter: str
    """The point that measures the power at the grid connection, import positive."""
    limits: GridLimits
    resources: tuple[Resource, ...]
    tariff: Tariff
    safety: Safety
    goals: Goals
    planner: PlannerSettings
    points: Mapping[str, Point]
    """Every point of every device, by full id."""
    path: Path
    webhook: Webhook | None = None
    rules: tuple[RuleSection, ...] = ()

    def at_most(self, mode: Mode) -> Site:
        """The same site with nothing in a mode above `mode`."""
        modes = {device: lower(own, mode) for device, own in self.modes.items()}
        return replace(self, mode=lower(self.mode, mode), modes=modes)


def lower(one: Mode, other: Mode) -> Mode:
    """The mode that does less."""
    return min(one, other, key=MODES.index)
