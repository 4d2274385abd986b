"""Questions to the store; every answer is made of the nouns of core."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from energyctl.core.points import Sample
from energyctl.core.records import JournalEntry, JournalKind, Owned, Past
from energyctl.core.timeline import Series

from .times import from_us, to_us
from .writing import QUALITIES, QUARTER_S, QUARTER_US

LOOK_BACK = 64
"""Journal lines of a point that are looked through for what we may have left there."""


def points(connection: sqlite3.Connection) -> dict[str, int]:
    """Every point's number by its id."""
    return dict(connection.execute("SELECT name, id FROM point"))


def acknowledged(connection: sqlite3.Connection) -> tuple[int, int]:
    """The last commit's sequence number and time [us]."""
    row: tuple[int, int] = connection.execute('SELECT seq, ts FROM "commit"').fetchone()
    return row


def counts(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """How many samples, journal entries and points there are."""
    row: tuple[int, int, int] = connection.execute(
        "SELECT (SELECT count(*) FROM sample), (SELECT count(*) FROM journal), (SELECT count(*) FROM point)"
    ).fetchone()
    return row


def latest(connection: sqlite3.Connection) -> dict[str, Sample]:
    """The sample of every point that was committed last, by point id in alphabetical order."""
    rows = connection.execute(
        "SELECT name, ts, value, quality, reason FROM latest JOIN point ON point.id = point_id ORDER BY name"
    )
    return {name: _sample(name, *rest) for name, *rest in rows}


def history(connection: sqlite3.Connection, point: str, start: datetime, end: datetime) -> list[Sample]:
    """The samples of a point with start <= time < end, oldest first."""
    rows = connection.execute(
        "SELECT ts, value, quality, reason FROM sample"
        " WHERE point_id = (SELECT id FROM point WHERE name = ?) AND ts >= ? AND ts < ? ORDER BY ts",
        (point, to_us(start), to_us(end)),
    )
    return [_sample(point, *row) for row in rows]


def means(connection: sqlite3.Connection, point: str, start: datetime, step_s: int, steps: int) -> Series:
    """Means of the good samples per interval, None where there are none.

    On a grid of whole quarters of an hour the sums kept for those answer, and the samples only for the one still open.
    """
    grid = _Grid(to_us(start), step_s * 1_000_000, [0.0] * steps, [0] * steps)
    end_us = grid.start_us + grid.step_us * steps
    raw_from = grid.start_us
    if step_s % QUARTER_S == 0 and grid.start_us % QUARTER_US == 0:
        open_slot = connection.execute('SELECT slot FROM "commit"').fetchone()[0]
        rows = connection.execute(
            "SELECT slot * ?, total, n FROM quarter"
            " WHERE slot >= ? AND slot < ? AND slot != ? AND point_id = (SELECT id FROM point WHERE name = ?)",
            (QUARTER_US, grid.start_us // QUARTER_US, end_us // QUARTER_US, open_slot, point),
        )
        grid.add(rows)
        raw_from, end_us = max(raw_from, open_slot * QUARTER_US), min(end_us, (open_slot + 1) * QUARTER_US)
    grid.add(
        connection.execute(
            "SELECT ts, value, 1 FROM sample WHERE ts >= ? AND ts < ? AND quality = 0 AND value IS NOT NULL"
            " AND point_id = (SELECT id FROM point WHERE name = ?)",
            (raw_from, end_us, point),
        )
    )
    return Series(start.astimezone(UTC), step_s, grid.means())


class _Grid:
    """Sums and counts per interval."""

    def __init__(self, start_us: int, step_us: int, totals: list[float], counts: list[int]) -> None:
        self.start_us, self.step_us, self._totals, self._counts = start_us, step_us, totals, counts

    def add(self, rows: sqlite3.Cursor) -> None:
        for ts, total, n in rows:
            step = (ts - self.start_us) // self.step_us
            self._totals[step] += total
            self._counts[step] += n

    def means(self) -> tuple[float | None, ...]:
        return tuple(total / n if n else None for total, n in zip(self._totals, self._counts, strict=True))


def journal(
    connection: sqlite3.Connection, limit: int, point: str | None, since: datetime | None
) -> list[JournalEntry]:
    """The newest `limit` entries (of a point, since a time), oldest first."""
    conditions = {"point = ?": point, "ts >= ?": None if since is None else to_us(since)}
    wanted = {condition: value for condition, value in conditions.items() if value is not None}
    rows = connection.execute(
        "SELECT cycle, ts, kind, point, value, rank, source, reason, detail FROM journal"
        f" WHERE {' AND '.join(wanted) or 'true'} ORDER BY id DESC LIMIT ?",
        (*wanted.values(), limit),
    )
    return [JournalEntry(row[0], from_us(row[1]), JournalKind(row[2]), *row[3:]) for row in rows][::-1]


def owned(connection: sqlite3.Connection) -> list[Owned]:
    """The points that are ours, those taken over first first."""
    rows = connection.execute("SELECT point, found, since FROM owned ORDER BY since, point").fetchall()
    return [Owned(point, found, from_us(since), _left(connection, point)) for point, found, since in rows]


def _left(connection: sqlite3.Connection, point: str) -> tuple[float, ...]:
    """What we may have left at a point: what took effect last with its intent, and what was tried since, newest first."""
    rows = connection.execute(
        "SELECT kind, value FROM journal WHERE point = ? AND kind IN (?, ?, ?, ?) ORDER BY id DESC LIMIT ?",
        (point, JournalKind.INTENT, JournalKind.WRITTEN, JournalKind.FAILED, JournalKind.RELEASED, LOOK_BACK),
    )
    values: list[float] = []
    took_effect = False
    for kind, value in rows:
        if kind == JournalKind.RELEASED:
            break
        if value is not None:
            values.append(value)
        if took_effect and kind == JournalKind.INTENT:
            break
        took_effect = took_effect or kind == JournalKind.WRITTEN
    return tuple(dict.fromkeys(values))


def pasts(connection: sqlite3.Connection) -> list[Past]:
    """What points have been through."""
    rows = connection.execute(
        'SELECT point, ts, uptime_s, boot, changed_s, "on", switched_s, tokens, day, writes FROM past ORDER BY point'
    )
    return [
        Past(point, from_us(ts), uptime_s, boot, changed_s, None if on is None else bool(on), *rest)
        for point, ts, uptime_s, boot, changed_s, on, *rest in rows
    ]


def _sample(point: str, ts: int, value: float | None, quality: int, reason: str | None) -> Sample:
    return Sample(point, from_us(ts), value, QUALITIES[quality], reason or "")
