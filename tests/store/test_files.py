"""Files that are broken, foreign, newer, locked, or readable only."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from energyctl.core.errors import StoreError
from energyctl.core.records import JournalKind, Owned
from energyctl.store import Batch, Store
from energyctl.store import files as store_files


def _aside(path: Path) -> list[Path]:
    return [p for p in path.parent.iterdir() if ".corrupt-" in p.name and not p.name.endswith(("-wal", "-shm"))]


def _own_two(path: Path, entry, sample) -> None:
    with Store.open(path) as store:
        store.commit(
            Batch(
                tuple(sample(f"d.p{n}", t, 1.0) for t in range(100) for n in range(10)),
                (
                    entry(JournalKind.OWN, "bat.power_setpoint", -2.5, seconds=1),
                    entry(JournalKind.OWN, "hp.zone1_setpoint", None, seconds=2),
                    entry(JournalKind.OWN, "pv.power_limit", 1.0, seconds=3),
                    entry(JournalKind.RELEASED, "pv.power_limit", seconds=4),
                ),
            )
        )


def _page_of(path: Path, table: str) -> tuple[int, int]:
    """First page of a table and the page size."""
    with closing(sqlite3.connect(path)) as db:
        return (
            db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0],
            db.execute("PRAGMA page_size").fetchone()[0],
        )


def _scribble(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


@pytest.mark.parametrize("damaged", ["sample", "latest", "commit", "point"])
def test_a_damaged_table_costs_no_owned_point(path, entry, sample, at, damaged):
    _own_two(path, entry, sample)
    page, size = _page_of(path, damaged)
    _scribble(path, (page - 1) * size, size)
    with Store.open(path) as store:
        assert store.owned() == [Owned("bat.power_setpoint", -2.5, at(1)), Owned("hp.zone1_setpoint", None, at(2))]
        [aside] = _aside(path)
        assert str(aside) in store.opened_note
        assert "bat.power_setpoint, hp.zone1_setpoint" in store.opened_note
        assert "by hand" not in store.opened_note
        assert [e.detail for e in store.journal()] == [f"carried over from {aside.name}"] * 2
        assert store.commit(Batch((sample("m.p", 0, 1.0),))) == 2
    with Store.open(path) as store:
        assert store.opened_note == ""
        assert len(store.owned()) == 2


def test_a_damaged_owned_table_is_made_up_for_by_the_journal(path, entry, sample):
    _own_two(path, entry, sample)
    page, size = _page_of(path, "owned")
    _scribble(path, (page - 1) * size, size)
    with Store.open(path) as store:
        assert [o.point for o in store.owned()] == ["bat.power_setpoint", "hp.zone1_setpoint"]
        assert "by hand" not in store.opened_note


@pytest.mark.parametrize("content", [b"\xa5" * 4096, b"not a database", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_starts_fresh_and_says_what_may_be_lost(path, sample, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with Store.open(path) as store:
        assert store.commit(Batch((sample("m.p", 0, 1.0),))) == 2
        [aside] = _aside(path)
        assert aside.read_bytes() == content
        assert "by hand" in store.opened_note


def test_a_corrupt_header_over_good_data(path, entry, sample):
    _own_two(path, entry, sample)
    _scribble(path, 0, 100)
    with Store.open(path) as store:
        assert store.owned() == []
        assert "by hand" in store.opened_note


def test_truncated(path, entry, sample):
    _own_two(path, entry, sample)
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with Store.open(path) as store:
        assert len(_aside(path)) == 1
        assert store.opened_note


def test_another_programs_database_is_moved_aside_unchanged(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
        db.commit()
    with Store.open(path) as store:
        assert "another program" in store.opened_note
    with closing(sqlite3.connect(_aside(path)[0])) as db:
        assert db.execute("SELECT count(*) FROM theirs").fetchone() == (0,)


def test_a_newer_file_is_refused_and_left_alone(path, sample):
    with Store.open(path) as store:
        store.commit(Batch((sample("m.p", 0, 1.0),)))
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {store_files.VERSION + 1}")
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"newer energyctl \(tables version 3, this one knows 2\)"):
            Store.open(path, read_only=read_only)
    assert _aside(path) == []


@pytest.mark.parametrize("killed_at", ["CREATE TABLE past", "PRAGMA user_version", None])
def test_a_file_of_version_1_is_brought_up_to_date_as_a_whole_or_not_at_all(
    path, entry, sample, monkeypatch, killed_at
):
    with Store.open(path) as store:
        store.commit(Batch((sample("m.p", 0, 1.0),), (entry(JournalKind.OWN, "bat.set", 7.0),)))
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE past; PRAGMA user_version = 1")

    class Killed(BaseException):
        pass

    class Dying(sqlite3.Connection):
        def execute(self, statement, *more):
            result = super().execute(statement, *more)
            if killed_at is not None and statement.strip().startswith(killed_at) and statement.strip() != killed_at:
                raise Killed
            return result

    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **{"factory": Dying, **more}))
        with suppress(Killed):
            Store.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert (version, "past" in tables) == ((2, True) if killed_at is None else (1, False))
    with Store.open(path) as store:
        assert store.opened_note == "" and store.pasts() == [] and [item.point for item in store.owned()] == ["bat.set"]


def test_damage_found_while_running_is_survived(store, path, entry, sample, monkeypatch):
    """SQLite finds the page broken in the middle of a commit: the batch goes into a fresh file."""
    store.commit(Batch((sample("m.p", 0, 1.0),), (entry(JournalKind.OWN, "bat.power_setpoint", 0.0),)))
    store.close()
    page, size = _page_of(path, "sample")
    _scribble(path, (page - 1) * size, size)
    with monkeypatch.context() as patch:
        patch.setattr(store_files, "_check", lambda connection, path: None)  # as if it had broken after the start
        reopened = Store.open(path)
    with reopened:
        assert reopened.commit(Batch((sample("m.p", 60, 2.0),))) == 2
        assert [o.point for o in reopened.owned()] == ["bat.power_setpoint"]
        assert "bat.power_setpoint" in reopened.opened_note
        assert reopened.latest()["m.p"].value == 2.0


def test_one_writer_at_a_time(store, path):
    with pytest.raises(StoreError, match="another process is writing"):
        Store.open(path)
    code = f"from pathlib import Path; from energyctl.store import Store; Store.open(Path({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreError: " in done.stderr and "another process is writing" in done.stderr
    store.close()
    Store.open(path).close()


def test_nothing_there_to_read(path):
    with pytest.raises(StoreError, match="has not stored anything here yet"):
        Store.open(path, read_only=True)
    assert not path.parent.exists()


def test_a_reader_refuses_what_is_no_store_and_moves_nothing(path):
    path.parent.mkdir()
    path.write_bytes(b"\xa5" * 4096)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(path, read_only=True)
    assert path.exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened: File exists"):
        Store.open(tmp_path / "file" / "store.sqlite")


def test_pragmas(store):
    def pragma(name: str) -> object:
        return store._ready().execute(f"PRAGMA {name}").fetchone()[0]

    assert {name: pragma(name) for name in ("journal_mode", "synchronous", "page_size", "user_version")} == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "page_size": 4096,
        "user_version": 2,
    }
    assert store._ready().execute("PRAGMA mmap_size").fetchone() in (None, (0,))


def test_starting_again_needs_no_sqlmodel(path, sample):
    """A restart must not pay half a second and 25 MB for table definitions that the file already has."""
    with Store.open(path) as store:
        store.commit(Batch((sample("m.p", 0, 1.0),)))
    code = (
        f"import sys; from pathlib import Path; from energyctl.store import Store; Store.open(Path({str(path)!r}));"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
