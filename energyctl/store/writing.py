"""What a commit writes, inside the transaction of its caller.

Samples go in by time, and none is written over; the newest per point, the owned points and the sums of quarters that are
over follow in the same transaction, so that a reader never sees one without the other. A quarter is over when samples of
another one arrive; late samples make theirs be summed again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from energyctl.core.plan import Plan
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind, Past

from .plans import plan_to_json
from .times import to_us

QUARTER_S = 900
QUARTER_US = QUARTER_S * 1_000_000
QUALITIES = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)
KEEP_PLANS = 50
_CODES = {quality: code for code, quality in enumerate(QUALITIES)}

_INSERT = "INSERT INTO sample (ts, point_id, value, quality, reason) VALUES (?, ?, ?, ?, ?)"

SampleRow = tuple[int, int, float | None, int, str | None]


def add_points(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Give new points their numbers."""
    added: dict[str, int] = {}
    for name in names:
        cursor = connection.execute("INSERT INTO point (name) VALUES (?)", (name,))
        assert cursor.lastrowid is not None
        added[name] = cursor.lastrowid
    return added


def sample_rows(samples: Sequence[Sample], ids: Mapping[str, int]) -> list[SampleRow]:
    """Samples as rows of the table `sample`."""
    return [(to_us(s.time), ids[s.point], s.value, _CODES[s.quality], s.reason or None) for s in samples]


def add_samples(connection: sqlite3.Connection, rows: Sequence[SampleRow]) -> None:
    """Keep samples, and the last of each point as its latest.

    What is in history stays: where a point has another sample of the same time (the clock was set back), the new one goes
    in some microseconds later. The very same sample again is the one that is there.
    """
    before = connection.total_changes
    connection.executemany(f"{_INSERT} ON CONFLICT (ts, point_id) DO NOTHING", rows)
    if connection.total_changes - before < len(rows):
        rows = _beside(connection, rows)
    connection.executemany(
        "INSERT INTO latest (ts, point_id, value, quality, reason) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (point_id) DO UPDATE SET ts = excluded.ts, value = excluded.value, quality = excluded.quality,"
        " reason = excluded.reason",
        rows,
    )


def _beside(connection: sqlite3.Connection, rows: Sequence[SampleRow]) -> list[SampleRow]:
    """The rows as they stand in the table after those that found their time taken were put into it."""
    placed = []
    for ts, point_id, *rest in rows:
        while True:
            row: SampleRow = (ts, point_id, *rest)  # type: ignore[assignment]
            there = connection.execute(
                "SELECT ts, point_id, value, quality, reason FROM sample WHERE ts = ? AND point_id = ?", (ts, point_id)
            ).fetchone()
            if there is None:
                connection.execute(_INSERT, row)
            if there is None or there == row:
                break
            ts += 1
        placed.append(row)
    return placed


def sum_quarters(connection: sqlite3.Connection, rows: Sequence[SampleRow], open_slot: int) -> int:
    """Sum the quarters that these samples end or add to afterwards; returns the quarter that is open now."""
    if not rows:
        return open_slot
    touched = {row[0] // QUARTER_US for row in rows}
    now_open = max(touched)
    for slot in sorted((touched | {open_slot}) - {now_open, -1}):
        connection.execute(
            "INSERT OR REPLACE INTO quarter (slot, point_id, total, n)"
            " SELECT ?, point_id, sum(value), count(value) FROM sample"
            " WHERE ts >= ? AND ts < ? AND quality = 0 AND value IS NOT NULL GROUP BY point_id",
            (slot, slot * QUARTER_US, (slot + 1) * QUARTER_US),
        )
    return now_open


def add_journal(connection: sqlite3.Connection, entries: Sequence[JournalEntry]) -> None:
    """Keep journal entries in their order, and what they change about who owns what.

    A second OWN changes nothing: what was found before the first is what has to be restored.
    """
    connection.executemany(
        "INSERT INTO journal (cycle, ts, kind, point, value, rank, source, reason, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(e.cycle, to_us(e.time), e.kind, e.point, e.value, e.rank, e.source, e.reason, e.detail) for e in entries],
    )
    for entry in entries:
        if entry.kind is JournalKind.OWN:
            connection.execute(
                "INSERT OR IGNORE INTO owned (point, found, since) VALUES (?, ?, ?)",
                (entry.point, entry.value, to_us(entry.time)),
            )
        elif entry.kind is JournalKind.RELEASED:
            connection.execute("DELETE FROM owned WHERE point = ?", (entry.point,))


def add_pasts(connection: sqlite3.Connection, pasts: Sequence[Past]) -> None:
    """Keep what points have been through, instead of what was kept of them before."""
    connection.executemany(
        'INSERT OR REPLACE INTO past (point, ts, uptime_s, boot, changed_s, "on", switched_s, tokens, day, writes)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (p.point, to_us(p.saved_at), p.uptime_s, p.boot, p.changed_s, p.on, p.switched_s, p.tokens, p.day, p.writes)
            for p in pasts
        ],
    )


def add_plan(connection: sqlite3.Connection, plan: Plan) -> None:
    """Keep a plan and forget the oldest beyond `KEEP_PLANS`."""
    cursor = connection.execute(
        "INSERT INTO plan (issued_at, body) VALUES (?, ?)", (to_us(plan.issued_at), plan_to_json(plan))
    )
    assert cursor.lastrowid is not None
    connection.execute("DELETE FROM plan WHERE id <= ?", (cursor.lastrowid - KEEP_PLANS,))


def delete_samples(connection: sqlite3.Connection, before_us: int, most: int) -> int:
    """Delete about `most` of the oldest samples before a time; returns how many went."""
    edge = connection.execute(
        "SELECT ts FROM sample WHERE ts < ? ORDER BY ts LIMIT 1 OFFSET ?", (before_us, most)
    ).fetchone()
    until = before_us if edge is None else min(before_us, edge[0] + 1)
    return connection.execute("DELETE FROM sample WHERE ts < ?", (until,)).rowcount


def delete_journal(connection: sqlite3.Connection, before_us: int, most: int) -> int:
    """Delete the oldest journal entries before a time, at most `most`; what is owned stands in its own table."""
    return connection.execute(
        "DELETE FROM journal WHERE id < (SELECT min(id) + ? FROM journal) AND ts < ?", (most, before_us)
    ).rowcount
