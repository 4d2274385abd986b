"""What happened on the bench, in the bench's own words: the record that assertions believe.

Faults and stimuli tell when they began and ended, the world tells who commands what, the runner tells what became of the
daemon. Nothing in here comes from the daemon itself. `events.json` is this log, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Plain = str | int | float | bool | None


class Happened(StrEnum):
    """The kinds of event."""

    BEGAN = "began"
    """A fault or stimulus; `subject` is its name."""
    ENDED = "ended"
    COMMANDED = "commanded"
    """Somebody on the wire is obeyed from now on at `subject`, a point (see `hil.plant.command`)."""
    LOCAL = "local"
    """The device is its own master again at `subject`; `data["why"]` is "released", "lapsed" (its own timer) or "reboot"."""
    DAEMON = "daemon"
    """`text` is "started", "killed", "hung", "resumed", "stopped" or "ended"."""
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, at virtual time `time` (aware UTC)."""

    time: datetime
    kind: Happened
    subject: str
    text: str = ""
    data: Mapping[str, Plain] = field(default_factory=dict)


class EventLog:
    """The events of a run, in order; `add` is all that writes it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, time: datetime, kind: Happened, subject: str, text: str = "", /, **data: Plain) -> None:
        """Write one down."""
        self.events.append(Event(time, kind, subject, text, data))
