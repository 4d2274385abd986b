"""What goes into the store in one go, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from energyctl.core.plan import Plan
from energyctl.core.points import Sample
from energyctl.core.records import JournalEntry, Past


@dataclass(frozen=True, slots=True)
class Batch:
    """What one cycle has to keep: becomes durable as a whole or not at all."""

    samples: tuple[Sample, ...] = ()
    journal: tuple[JournalEntry, ...] = ()
    plan: Plan | None = None
    pasts: tuple[Past, ...] = ()
    """What points have been through, each instead of what was kept of it before."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The store in figures. `sequence` and `last_commit` are what was acknowledged last (0 and None: nothing yet)."""

    path: Path
    samples: int
    journal: int
    points: int
    size_bytes: int
    sequence: int
    last_commit: datetime | None
