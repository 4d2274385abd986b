"""What the journal holds: every intent before the wire and every outcome after it, and who owns what.

Ownership is derived from the journal alone: `OWN` before the first write to a point (with the value found there), and
`RELEASED` when it was handed back and that was verified. Whoever reads the journal after a crash knows what to release.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JournalKind(StrEnum):
    """The life of a setpoint, in order; ALARM and NOTE stand beside it."""

    OWN = "own"
    """We are about to take this point over; `value` is what was found there, None when it could not be read."""
    INTENT = "intent"
    WRITTEN = "written"
    """Acknowledged, read back and found in effect; `value` is what was read back."""
    REFUSED = "refused"
    """The gate or the device said no; `detail` names the rule or the device's reason."""
    FAILED = "failed"
    """The outcome is unknown, or read-back differs; `detail` says which."""
    RELEASE = "release"
    """We are about to hand the point back."""
    RELEASED = "released"
    ALARM = "alarm"
    CLEARED = "cleared"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the journal, ordered by (cycle, order within the batch)."""

    cycle: int
    time: datetime
    kind: JournalKind
    point: str
    value: float | None = None
    rank: str = ""
    source: str = ""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """A point that is ours until released: the value found before our first write (None: could not be read), since when."""

    point: str
    found: float | None
    since: datetime
