"""The store: one file, one writer, one transaction per commit.

Rule: what `commit` has returned for is on disk (`synchronous = FULL`) and can be observed: its sequence number stands in
the table `commit`, written in the same transaction. A commit that fails leaves nothing behind and raises StoreError; the
caller goes on controlling. After an I/O error the connection is not trusted again: the next commit opens the file anew,
and when the file itself proves damaged it is moved aside and a fresh one started (`opened_note` says so).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from energyctl.core.errors import StoreError
from energyctl.core.plan import Plan
from energyctl.core.points import Sample
from energyctl.core.records import JournalEntry, Owned, Past
from energyctl.core.timeline import Series

from . import files, reading, writing
from .plans import plan_from_json
from .records import Batch, Stats
from .salvage import carried_over, salvage_owned
from .times import from_us, to_us

P = ParamSpec("P")
R = TypeVar("R")

_DELETE_AT_ONCE = 5000


class Store:
    """A site's historian and journal. Thread-safe; made by `open`, and a context manager that closes.

    Every method raises StoreError when the file cannot be read or written.
    """

    def __init__(self, path: Path, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self.opened_note = ""
        """What happened at opening that somebody should know; empty when nothing did."""
        self._mutex = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._points: dict[str, int] | None = None
        self._damage = ""
        self._writer = contextlib.ExitStack()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Store:
        """Open or create a store. Raises StoreError: another writer has it, a newer version wrote it, the disk says no."""
        store = cls(path, read_only)
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
                store._writer.enter_context(files.only_writer(path))
            with store._errors():
                store._ready()
        except OSError as exc:
            store.close()
            raise StoreError(f"{path}: cannot be opened: {exc.strerror or exc}") from exc
        except BaseException:
            store.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Checkpoint and close; closing again does nothing."""
        with self._mutex:
            self._drop_connection()
            self._writer.close()

    def commit(self, batch: Batch) -> int:
        """Make a batch durable in one transaction; returns its sequence number, one more than the last."""
        with self._mutex:
            try:
                return self._commit(batch)
            except StoreError:
                if not self._damage:
                    raise
                return self._commit(batch)  # into the fresh file that takes the damaged one's place

    def latest(self) -> dict[str, Sample]:
        """The sample of every point that was committed last, by point id."""
        return self._ask(reading.latest)

    def history(self, point: str, start: datetime, end: datetime) -> list[Sample]:
        """The samples of a point with start <= time < end, oldest first; empty for an unknown point."""
        return self._ask(reading.history, point, start, end)

    def means(self, point: str, start: datetime, step_s: int, steps: int) -> Series:
        """Means of the good samples per interval, None where there are none."""
        return self._ask(reading.means, point, start, step_s, steps)

    def journal(
        self, *, limit: int = 100, point: str | None = None, since: datetime | None = None
    ) -> list[JournalEntry]:
        """The newest entries, oldest first."""
        return self._ask(reading.journal, limit, point, since)

    def owned(self) -> list[Owned]:
        """The points with an OWN and no later RELEASED in the journal, those taken over first first."""
        return self._ask(reading.owned)

    def pasts(self) -> list[Past]:
        """What points have been through, as committed last."""
        return self._ask(reading.pasts)

    def last_plan(self) -> Plan | None:
        """The plan saved last; None when there is none, or when an older version's plan cannot be read any more."""
        row = self._ask(lambda c: c.execute("SELECT body FROM plan ORDER BY id DESC LIMIT 1").fetchone())
        try:
            return None if row is None else plan_from_json(row[0])
        except ValueError:
            return None

    def acknowledged(self) -> tuple[int, datetime | None]:
        """Sequence number and time of the last commit; 0 and None before the first."""
        seq, ts = self._ask(reading.acknowledged)
        return seq, from_us(ts) if seq else None

    def newest(self) -> datetime | None:
        """The time of the newest sample, None when there are none."""
        ts = self._ask(lambda c: c.execute("SELECT max(ts) FROM sample").fetchone())[0]
        return None if ts is None else from_us(ts)

    def stats(self) -> Stats:
        """Rows, size and the last commit. Counts every row, so not for each cycle."""
        samples, journal, points = self._ask(reading.counts)
        parts = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        size = sum(part.stat().st_size for part in parts if part.exists())
        return Stats(self.path, samples, journal, points, size, *self.acknowledged())

    def compact(self, before: datetime, *, most: int | None = None) -> int:
        """Delete samples and journal entries older than a time, about `most` of each; quarter-hour sums and what is owned
        stay. Returns how many went.

        In small transactions, so that another thread's commit never waits long; whoever has one thread for everything
        calls again with a small `most` until 0 comes back. A quarter of an hour that is not over is kept whole.
        """
        deleted = 0
        while most is None or deleted < most:
            with self._mutex, self._transaction() as connection:
                open_slot = connection.execute('SELECT slot FROM "commit"').fetchone()[0]
                until = min(to_us(before), open_slot * writing.QUARTER_US)
                at_once = min(_DELETE_AT_ONCE, most or _DELETE_AT_ONCE)
                gone = writing.delete_samples(connection, until, at_once)
                gone += writing.delete_journal(connection, to_us(before), at_once)
            if gone == 0:
                break
            deleted += gone
        return deleted

    def _ask(self, question: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._mutex, self._errors():
            return question(self._ready(), *args, **kwargs)

    def _commit(self, batch: Batch) -> int:
        with self._transaction() as connection:
            known = reading.points(connection) if self._points is None else self._points
            new = writing.add_points(connection, dict.fromkeys(s.point for s in batch.samples if s.point not in known))
            self._points = known | new if new else known
            rows = writing.sample_rows(batch.samples, self._points)
            writing.add_samples(connection, rows)
            writing.add_journal(connection, batch.journal)
            writing.add_pasts(connection, batch.pasts)
            if batch.plan is not None:
                writing.add_plan(connection, batch.plan)
            seq, slot = connection.execute('SELECT seq, slot FROM "commit"').fetchone()
            slot = writing.sum_quarters(connection, rows, slot)
            now = to_us(datetime.now(UTC))
            connection.execute('UPDATE "commit" SET seq = ?, ts = ?, slot = ?', (seq + 1, now, slot))
        return int(seq) + 1

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            raise StoreError(f"{self.path}: opened for reading only")
        with self._errors():
            connection = self._ready()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._points = None  # the points it added are gone again
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if files.is_distrusted(exc):
                self._drop_connection()
            if files.is_damage(exc):
                self._damage = str(exc)
            raise StoreError(f"{self.path}: {exc}") from exc

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None and self.read_only:
            self._connection = files.open_read_only(self.path)
        elif self._connection is None:
            self._open_for_writing()
        assert self._connection is not None
        return self._connection

    def _open_for_writing(self) -> None:
        try:
            if self._damage:
                raise files.DamagedError(self._damage)
            self._connection = files.open_sound(self.path)
        except files.DamagedError as exc:
            aside = files.move_aside(self.path)
            owned, whole = salvage_owned(aside)
            self._connection = files.open_sound(self.path)
            self._damage = ""
            self._commit(Batch(journal=tuple(carried_over(owned, aside.name))))
            self.opened_note = _note(str(exc), aside, owned, whole)

    def _drop_connection(self) -> None:
        self._points = None
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _note(damage: str, aside: Path, owned: list[Owned], whole: bool) -> str:
    carried = ", ".join(point.point for point in owned) or "none"
    doubt = "" if whole else "; there may be more: check by hand that every device is under its own control"
    return f"the store was damaged ({damage}) and moved to {aside}; a fresh one was started. Owned points: {carried}{doubt}"
