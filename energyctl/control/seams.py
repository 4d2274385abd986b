"""Where others join the control cycle: what wants points, what keeps points from us, what watches.

The cycle asks each of them once, in the order they were given, with the same frozen image. They are synchronous and quick,
and an error of one costs nothing but itself: it is logged, counted as an alarm, and the others are heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from energyctl.core.points import ProcessImage, Setpoint


@dataclass(frozen=True, slots=True)
class Ban:
    """What may not be written now, and why, under the name of a rule of the gate.

    `reasons` by point id, by device id, or "*" for everything. What is held of it is handed back. With `sources` only wishes
    whose source begins with one of them are refused.
    """

    rule: str
    reasons: Mapping[str, str]
    sources: tuple[str, ...] = ("",)

    def on(self, point: str, source: str = "") -> str | None:
        """Why a point may not be written for a source; None when it may."""
        if not source.startswith(self.sources):
            return None
        device = point.partition(".")[0]
        return next((self.reasons[key] for key in (point, device, "*") if key in self.reasons), None)


class Wants(Protocol):
    """Somebody with wishes for points: a safety rule, a person, the district."""

    def wishes(self, image: ProcessImage, now_s: float, expires_at: float) -> Sequence[Setpoint]:
        """What it wants now; `now_s` and `expires_at`, the end of a lease that begins now, are monotonic."""
        ...


class Bans(Protocol):
    """Somebody who keeps points from us: a mode, an emergency stop, a clock that is not to be trusted."""

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """What may not be written now."""
        ...


class Watches(Protocol):
    """Somebody who looks at every image, to raise and clear alarms."""

    def look(self, image: ProcessImage, now_s: float) -> None:
        """Look at an image."""
        ...


class Calendar(Protocol):
    """Somebody who knows whether the wall clock can be relied on."""

    @property
    def doubt(self) -> str | None:
        """Why the wall clock is not to be trusted; None when it is."""
        ...


@dataclass
class Seams:
    """Everybody who has joined, in the order they are asked."""

    wants: list[Wants] = field(default_factory=list)
    bans: list[Bans] = field(default_factory=list)
    watches: list[Watches] = field(default_factory=list)
    calendar: Calendar | None = None

    @property
    def clock_doubt(self) -> str | None:
        """Why nothing may go by the calendar now; None when it may."""
        return None if self.calendar is None else self.calendar.doubt
