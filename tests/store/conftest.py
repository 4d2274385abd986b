"""A store in a temporary folder, and short ways to write samples and journal entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.store import Store

START = datetime(2026, 1, 14, 6, 0, tzinfo=UTC)

MakeSample = Callable[..., Sample]
MakeEntry = Callable[..., JournalEntry]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site" / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """The time some seconds after 2026-01-14 06:00 UTC."""
    return lambda seconds: START + timedelta(seconds=seconds)


@pytest.fixture
def sample() -> MakeSample:
    def make(
        point: str, seconds: float, value: float | None, quality: Quality = Quality.GOOD, reason: str = ""
    ) -> Sample:
        return Sample(point, START + timedelta(seconds=seconds), value, quality, reason)

    return make


@pytest.fixture
def entry() -> MakeEntry:
    def make(kind: JournalKind, point: str, value: float | None = None, seconds: float = 0.0) -> JournalEntry:
        return JournalEntry(
            7, START + timedelta(seconds=seconds), kind, point, value, "optimizer", "plan", "why", "how"
        )

    return make
