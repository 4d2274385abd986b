"""Points and what is known or wanted of them: Sample, ProcessImage, Setpoint, Command.

Rule: missing data is a Sample with quality bad and a reason, never a zero, a NaN or a gap. A value reaches control or
the planner only through `ProcessImage.value`, which gives None for anything that must not be relied on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict

PointKind = Literal["number", "bool", "enum"]


class Access(StrEnum):
    """What may be done with a point."""

    READ = "r"
    READ_WRITE = "rw"


class Quality(StrEnum):
    """How far a value may be trusted: good feeds everything, uncertain is shown and stored, bad carries no value."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Point(BaseModel):
    """One value of one device. `id` is "device.point"; unit and limits are canonical (see `units`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    unit: str = ""
    access: Access = Access.READ
    kind: PointKind = "number"
    minimum: float | None = None
    maximum: float | None = None
    choices: Mapping[str, int] = {}
    frozen_after_s: float | None = None
    """A healthy reading never stays the very same for so long [s]."""
    tolerance: float = 1e-3
    """How far a read-back may be from the written value and still count as the same [unit]."""

    @property
    def device(self) -> str:
        """The device part of the id."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The point part of the id."""
        return self.id.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation of one point, in the point's canonical unit, at an aware UTC time."""

    point: str
    time: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = ""

    @classmethod
    def bad(cls, point: str, time: datetime, reason: str) -> Sample:
        """A sample that says "no value, and this is why"."""
        return cls(point, time, None, Quality.BAD, reason)


@dataclass(frozen=True, slots=True)
class ProcessImage(Mapping[str, Sample]):
    """The latest Sample of every point at one instant; does not change within a cycle."""

    time: datetime
    cycle: int
    samples: Mapping[str, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", MappingProxyType(dict(self.samples)))

    def __getitem__(self, point: str) -> Sample:
        return self.samples[point]

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def value(self, point: str | None) -> float | None:
        """The value to rely on, or None when the point is unknown, unbound, or its sample is not good."""
        sample = None if point is None else self.samples.get(point)
        return sample.value if sample is not None and sample.quality is Quality.GOOD else None


class Rank(IntEnum):
    """Who wins inside energyctl when several want the same point; higher wins. Not the wire's priority.

    GUARD is what must not be traded for money or for a neighbour's wish (frost, legionella), but what a person on site may
    know better; SAFETY is above persons.
    """

    OPTIMIZER = 10
    RULE = 20
    DISTRICT = 30
    GUARD = 35
    OPERATOR = 40
    SAFETY = 50


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A wish for one point, with who wants it and until when. Only the gate and dispatch turn it into a Command."""

    point: str
    value: float
    rank: Rank
    source: str
    reason: str
    expires_at: float
    """On `Clock.monotonic()` [s]; a setpoint past it counts for nothing."""


@dataclass(frozen=True, slots=True)
class Write:
    """One value for one point, in the point's canonical unit."""

    point: str
    value: float


@dataclass(frozen=True, slots=True)
class Command:
    """Ordered writes on one device that succeed together or are rolled back, e.g. timer, limit, enable."""

    device: str
    steps: tuple[Write, ...]
