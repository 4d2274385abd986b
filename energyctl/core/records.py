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
    WOULD = "would"
    """In mode shadow: what would have been written (`value`), or handed back (None); nothing was."""
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
    ours: tuple[float, ...] = ()
    """What we may have left there: what was in effect last, and everything tried since; empty: not known."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a restart must not forget of a point: how long ago it changed, and how much it may still be written.

    Ages count from `saved_at`. `uptime_s` is the machine's monotonic time then and `boot` the name of that boot, "" where time
    is simulated, so that what has passed since can be told without trusting a clock that people set.
    """

    point: str
    saved_at: datetime
    uptime_s: float
    boot: str
    changed_s: float | None = None
    """How long ago we gave it another value [s]; None: never."""
    on: bool | None = None
    """Whether it was on; None: not known."""
    switched_s: float | None = None
    """How long it has been so [s]."""
    tokens: float = 0.0
    """Writes that its memory may still take at once."""
    day: str = ""
    """The day that `writes` is of, as "2026-01-15" in the site's time."""
    writes: int = 0
