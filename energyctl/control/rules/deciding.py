"""What the rules share: a rule is a pure function of what is measured, what it remembers, the time, and its settings.

    decide(image, state, now, settings) -> Decision

It gives its new state, what it wants of its points (nothing leaves them to others), and an alarm while there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from energyctl.core.resources import Target


class State(BaseModel):
    """What a rule remembers from look to look, and in the state directory over a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Now:
    """The time of a look.

    `passed_s` has passed since the last look, also while nobody looked: after a restart the time away is in it, once the
    clock is trusted. `watched_s` is the part of it for which the last look still spoke: nothing when looks were missed.
    """

    time: datetime
    timezone: str
    passed_s: float
    watched_s: float
    trusted: bool = True
    """Whether `time` is to be relied on."""

    @property
    def local(self) -> datetime:
        """Site-local time."""
        return self.time.astimezone(ZoneInfo(self.timezone))


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What a rule came to: the state to remember, the wishes, and the text of its alarm (None: no alarm)."""

    state: S
    wishes: tuple[Target, ...] = ()
    alarm: str | None = None
