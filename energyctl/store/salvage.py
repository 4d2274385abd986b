"""Owned points out of a broken file: the `owned` table says it best; where it cannot be read to its end, the journal is
folded row by row for what the table no longer tells. One point too many is released for nothing; one too few is lost.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from energyctl.core.records import JournalEntry, JournalKind, Owned

from .times import from_us


def salvage_owned(path: Path) -> tuple[list[Owned], bool]:
    """The owned points that can be read from a broken file, and whether that is surely all of them."""
    listed: dict[str, Owned] = {}
    folded: dict[str, Owned] = {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            whole = _list(listed, connection) or _fold(folded, connection)
    except sqlite3.Error:
        whole = False
    return list((folded | listed).values()), whole


def carried_over(owned: list[Owned], origin: str) -> Iterator[JournalEntry]:
    """Salvaged points as journal entries for the file that takes the broken one's place."""
    for point in owned:
        yield JournalEntry(
            0,
            point.since,
            JournalKind.OWN,
            point.point,
            point.found,
            source="store",
            detail=f"carried over from {origin}",
        )


def _list(owned: dict[str, Owned], connection: sqlite3.Connection) -> bool:
    try:
        for point, found, since in connection.execute("SELECT point, found, since FROM owned NOT INDEXED"):
            owned[point] = Owned(point, found, from_us(since))
    except sqlite3.Error:
        return False
    return True


def _fold(owned: dict[str, Owned], connection: sqlite3.Connection) -> bool:
    try:
        rows = connection.execute("SELECT kind, point, value, ts FROM journal NOT INDEXED ORDER BY id")
        for kind, point, value, ts in rows:
            if kind == JournalKind.OWN:
                owned.setdefault(point, Owned(point, value, from_us(ts)))
            elif kind == JournalKind.RELEASED:
                owned.pop(point, None)
    except sqlite3.Error:
        return False
    return True
