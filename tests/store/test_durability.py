"""Acknowledged means on disk: SIGKILL in the middle of writing, a full disk, a reader beside it, bytes written."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import select
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyctl.core.errors import StoreError
from energyctl.core.points import Sample
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.store import Batch, Store

START = datetime(2026, 1, 14, 6, 0, tzinfo=UTC)
POINTS = 40
KILLS = 20


def _batch(n: int) -> Batch:
    """Batch `n`: a value per point, and every point in turn taken over and, three batches later, released."""
    now = START + timedelta(seconds=n)
    journal = [JournalEntry(n, now, JournalKind.OWN, f"d.p{n % POINTS}", float(n))]
    if n % 3 == 0:
        journal.append(JournalEntry(n, now, JournalKind.RELEASED, f"d.p{(n - 3) % POINTS}"))
    return Batch(tuple(Sample(f"d.p{k}", now, n + k / 100) for k in range(POINTS)), tuple(journal))


def _write_for_ever(path: Path, first: int, pipe: int) -> None:
    with Store.open(path) as store:
        for n in range(first, 10**6):
            sequence = store.commit(_batch(n))
            os.write(pipe, f"{n} {sequence}\n".encode())


def _owned_after(batches: int) -> dict[str, float]:
    owned: dict[str, float] = {}
    for n in range(batches):
        for entry in _batch(n).journal:
            if entry.kind is JournalKind.OWN:
                owned.setdefault(entry.point, entry.value)
            else:
                owned.pop(entry.point, None)
    return owned


def test_kill_in_the_middle_of_writing(tmp_path):
    """The log of what was acknowledged is kept here, outside the writer; at most one batch more may be on disk."""
    path = tmp_path / "store.sqlite"
    Store.open(path).close()
    done, chance = 0, random.Random(7)
    for _ in range(KILLS):
        read_end, write_end = os.pipe()
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(path, done, write_end))
        writer.start()
        os.close(write_end)
        select.select([read_end], [], [], 30)  # the first acknowledgement; then at any moment of what follows
        time.sleep(0.15 * chance.random())
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        with os.fdopen(read_end) as log:
            acknowledged = [tuple(map(int, line.split())) for line in log]
        assert acknowledged, "the writer did not get as far as one commit"
        assert acknowledged == [(n, n + 1) for n in range(done, done + len(acknowledged))]
        done += len(acknowledged)

        with Store.open(path, read_only=True) as reader:
            stats = reader.stats()
            assert done <= stats.sequence <= done + 1
            done = stats.sequence
            assert stats.samples == done * POINTS
            assert [e.cycle for e in reader.journal(limit=10**6) if e.kind is JournalKind.OWN] == list(range(done))
            assert {o.point: o.found for o in reader.owned()} == _owned_after(done)
            assert reader.latest()["d.p7"].value == done - 1 + 0.07
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = db.execute("SELECT ts, count(*), sum(value) FROM sample GROUP BY ts ORDER BY ts").fetchall()
    assert rows == [
        (int((START.timestamp() + n) * 10**6), POINTS, pytest.approx(POINTS * n + 7.8)) for n in range(done)
    ]


def test_a_reader_sees_whole_batches_while_they_are_written(tmp_path):
    path = tmp_path / "store.sqlite"
    Store.open(path).close()
    read_end, write_end = os.pipe()
    writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(path, 0, write_end))
    writer.start()
    os.close(write_end)
    try:
        with os.fdopen(read_end) as log, Store.open(path, read_only=True) as reader:
            for _ in range(30):
                acknowledged = int(log.readline().split()[1])
                latest, sequence = reader.latest(), reader.stats().sequence
                assert sequence >= acknowledged, "observed less than was acknowledged"
                assert len({s.time for s in latest.values()}) == 1, "half a batch was seen"
    finally:
        writer.kill()
        writer.join()


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_refuses_and_later_goes_on(tmp_path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        done = 0
        with _file_size_limit(300_000), pytest.raises(StoreError, match=r"store\.sqlite: disk I/O error"):
            for done in range(1000):
                store.commit(_batch(done))
        assert 0 < done < 999
        with _file_size_limit(8192):
            for _ in range(3):
                with pytest.raises(StoreError):
                    store.commit(_batch(done))
        assert store.stats().sequence == done
        assert store.commit(_batch(done)) == done + 1
        assert store.stats().samples == (done + 1) * POINTS
        assert {o.point: o.found for o in store.owned()} == _owned_after(done + 1)
        assert store.opened_note == ""
    with Store.open(path) as again:
        assert again.stats().sequence == done + 1


def test_sqlite_full_is_a_store_error_that_passes(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        pages = store._ready().execute("PRAGMA page_count").fetchone()[0]
        store._ready().execute(f"PRAGMA max_page_count = {pages + 5}")
        with pytest.raises(StoreError, match="database or disk is full"):
            for n in range(1000):
                store.commit(_batch(n))
        store._ready().execute("PRAGMA max_page_count = 100000")
        sequence = store.stats().sequence
        assert store.commit(_batch(sequence)) == sequence + 1


def _written_bytes() -> int:
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(io["wchar"])


@pytest.mark.parametrize("period_s", [1, 60])
def test_bytes_written_per_commit_of_500_samples(tmp_path, period_s):
    """Flash wears: 80 KiB per commit at most, WAL and checkpoints included."""
    commits = 200
    with Store.open(tmp_path / "store.sqlite") as store:
        store.commit(Batch(tuple(Sample(f"d{k // 10}.p{k % 10}", START, 0.0) for k in range(500))))
        before = _written_bytes()
        for n in range(1, commits + 1):
            now = START + timedelta(seconds=n * period_s)
            store.commit(Batch(tuple(Sample(f"d{k // 10}.p{k % 10}", now, 20.0 + n / 7 + k) for k in range(500))))
        assert (_written_bytes() - before) / commits / 1024 < 80
