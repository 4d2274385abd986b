"""Device profiles: a device type as data. Drivers and simulated devices read the same profile and share no code.

A profile says which points a device has, where they are (the `address` block belongs to the protocol's driver), how they
are scaled, what may be written and how, who the device says it is, and what it does when we fall silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .points import Access, Command, Point, PointKind, Write
from .units import UNITS, canonical_unit, from_canonical, to_canonical

StepValue = Literal["value", "lease"] | float


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepSpec(_Model):
    """One write of a command: `set` names a point of the same profile, `to` is the setpoint's value, its lease or a constant.

    A lease is in seconds; a constant is in the named point's device unit.
    """

    set: str
    to: StepValue


class PointSpec(_Model):
    """A point of a device type. `minimum` and `maximum` are in `unit`, after `invert`."""

    unit: str = ""
    access: Access = Access.READ
    kind: PointKind = "number"
    choices: dict[str, int] = {}
    minimum: float | None = None
    maximum: float | None = None
    tolerance: float | None = None
    invert: bool = False
    """The device counts generation or discharge as positive; inside, consumption is positive."""
    poll: Literal["fast", "slow"] = "fast"
    """fast: every control period; slow: every 15 periods, at least a minute apart. Written points are read back anyway."""
    command: tuple[StepSpec, ...] = ()
    """The ordered steps that a setpoint for this point becomes; empty means one plain write."""
    release: Literal["relinquish", "restore"] = "restore"
    """How control is handed back: by the protocol's own means, or by restoring what was found before the first write."""
    frozen_after_s: float | None = None
    """A healthy reading of it never stays the very same for so long; one that does is not believed."""
    memory: Literal["ram", "flash"] = "ram"
    """What keeps a written value: RAM is lost when the device restarts, flash wears with every write."""
    min_change_interval_s: float = 0.0
    """At least this long between two different values, for registers or machines that wear."""
    min_on_s: float = 0.0
    min_off_s: float = 0.0
    """How long it stays on, or off, before we change that, for machines that starts wear. On is not the lowest choice of a
    switch, or above 0 for a number.
    """
    address: dict[str, Any] = Field(default_factory=dict)
    """Where the point is; validated by the protocol's driver."""
    note: str = ""

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, unit: str) -> str:
        if unit not in UNITS:
            raise ValueError(f"unknown unit '{unit}'; known: {', '.join(u for u in UNITS if u)}")
        return unit

    def canonical(self, value: float) -> float:
        """A value in the device's unit and sign → the canonical unit, consumption positive."""
        return to_canonical(-value if self.invert else value, self.unit)

    def device_value(self, value: float) -> float:
        """The inverse of `canonical`."""
        plain = from_canonical(value, self.unit)
        return -plain if self.invert else plain

    def _limit(self, value: float | None) -> float | None:
        return None if value is None else to_canonical(value, self.unit)

    def point(self, device: str, name: str) -> Point:
        """This spec as a Point of one device."""
        values: dict[str, Any] = {} if self.tolerance is None else {"tolerance": self.tolerance}
        return Point(
            id=f"{device}.{name}",
            unit=canonical_unit(self.unit),
            access=self.access,
            kind=self.kind,
            choices=self.choices,
            minimum=self._limit(self.minimum),
            maximum=self._limit(self.maximum),
            frozen_after_s=self.frozen_after_s,
            **values,
        )


class IdentityProbe(_Model):
    """What the device must say of itself before it may be written to."""

    contains: str
    address: dict[str, Any] = Field(default_factory=dict)
    """Where to read it, for protocols without an identity service of their own."""

    def fits(self, said: str) -> bool:
        """Whether a device that says this of itself is the one that is meant; capitals do not matter."""
        return self.contains.casefold() in said.casefold()


class Watchdog(_Model):
    """What the device itself does when we fall silent.

    reversion: a timer in the device, `point`, written with the command, ends it; none: the device keeps obeying the last
    value, so the site file must accept that in so many words.
    """

    kind: Literal["none", "reversion"] = "none"
    point: str | None = None


class Profile(_Model):
    """A device type. `profile` is "maker/model@version"; the version changes when points do."""

    profile: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9.-]+@\d+$")
    vendor: str
    model: str
    kind: str
    protocol: str
    description: str = ""
    verified: bool = False
    sources: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    identity: IdentityProbe | None = None
    watchdog: Watchdog = Watchdog()
    options: dict[str, Any] = Field(default_factory=dict)
    """Defaults and limits that belong to the protocol's driver, e.g. the most registers one read may ask for."""
    points: dict[str, PointSpec]

    @model_validator(mode="after")
    def _references(self) -> Self:
        steps = [(step.set, name) for name, spec in self.points.items() for step in spec.command]
        for shared in {part for part, _ in steps}:
            owners = sorted({name for part, name in steps if part == shared} | ({shared} & {name for _, name in steps}))
            if len(owners) > 1:
                raise ValueError(f"points.{shared}: is a step of more than one command: {', '.join(owners)}")
        for name, spec in self.points.items():
            for step in spec.command:
                target = self.points.get(step.set)
                if target is None:
                    raise ValueError(f"points.{name}.command: no point '{step.set}' in this profile")
                if target.access is not Access.READ_WRITE:
                    raise ValueError(f"points.{name}.command: point '{step.set}' is read-only")
            if spec.command and spec.access is not Access.READ_WRITE:
                raise ValueError(f"points.{name}: has a command but access '{spec.access}'")
        if self.watchdog.kind == "reversion" and self.watchdog.point not in self.points:
            raise ValueError("watchdog.point: a reversion timer needs a point of this profile")
        return self

    @cached_property
    def _points(self) -> dict[str, dict[str, Point]]:
        return {}

    def points_of(self, device: str) -> Mapping[str, Point]:
        """The points of one device of this type, keyed by full id."""
        if device not in self._points:
            points = (spec.point(device, name) for name, spec in self.points.items())
            self._points[device] = {point.id: point for point in points}
        return self._points[device]

    def command(self, device: str, name: str, value: float, lease_s: float) -> Command:
        """The Command that a setpoint of `value` (canonical) for point `name` becomes, leased for `lease_s` seconds."""
        spec = self.points[name]
        steps = spec.command or (StepSpec(set=name, to="value"),)
        writes = []
        for step in steps:
            target = self.points[step.set]
            match step.to:
                case "value":
                    number = value
                case "lease":
                    number = lease_s
                case constant:
                    number = target.canonical(constant)
            writes.append(Write(f"{device}.{step.set}", number))
        return Command(device, tuple(writes))

    def refresh(self, device: str, name: str, value: float, lease_s: float) -> Command:
        """The Command that keeps a setpoint alive: without the steps that would write flash once more; may have none."""
        command = self.command(device, name, value, lease_s)
        kept = [step for step in command.steps if self.points[step.point.partition(".")[2]].memory != "flash"]
        return Command(device, tuple(kept))

    def settled(self, name: str, value: float) -> Mapping[str, float]:
        """What the points of a command for `name` show once it is in effect, by name, canonical; timers count down and are
        left out.
        """
        steps = self.points[name].command or (StepSpec(set=name, to="value"),)
        return {
            step.set: value if step.to == "value" else self.points[step.set].canonical(step.to)
            for step in steps
            if step.to != "lease"
        }

    def touched(self, name: str) -> Sequence[str]:
        """The names of the points a command for `name` writes, in order."""
        return [step.set for step in self.points[name].command] or [name]
