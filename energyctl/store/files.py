"""The database file: how it is opened, what is checked then, and what is done with one that is broken.

A file that is not a database, is damaged or belongs to another program is moved aside (`NAME.corrupt-TIME`, never
deleted) and a new one takes its place; the points that the old journal says we own are carried over as far as they can be
read (see `salvage`), because somebody has to hand them back. A file of a newer version is left alone and refused.

What is checked: always the small tables that control depends on; the samples too as long as the file is small enough for
that not to delay the start (64 MB takes about 0.2 s).
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from energyctl.core.errors import StoreError

SCHEMA = Path(__file__).with_name("schema.sql")
"""The tables of `models`, as SQL."""
VERSION = 2
"""2: the table `past`."""
APPLICATION_ID = 0x456E4374  # "EnCt"
_CHECK_ALL_BELOW = 64_000_000
_CONTROL_TABLES = ("commit", "journal", "owned", "past", "point", "latest")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_locked: set[Path] = set()
"""Lock files this process holds; a record lock does not keep a process from locking twice."""


class DamagedError(Exception):
    """The file cannot be used: what is wrong with it, in a few words."""


def open_sound(path: Path) -> sqlite3.Connection:
    """Open a file for writing, creating or checking it. Raises DamagedError, StoreError (newer), sqlite3.Error (disk)."""
    connection = None
    try:
        connection = _connect(path)
        version = _version(connection, path)
        if version == 0:
            _create(connection)
        else:
            if version < VERSION:
                _migrate(connection)
            _check(connection, path)
    except BaseException as exc:
        if connection is not None:
            connection.close()
        if isinstance(exc, sqlite3.Error) and is_damage(exc):
            raise DamagedError(str(exc)) from exc
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        connection.execute("PRAGMA journal_size_limit = 16000000")
    except BaseException:
        connection.close()
        raise
    return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that can neither write nor checkpoint. Raises StoreError (absent, newer, not ours), sqlite3.Error."""
    if not path.exists():
        raise StoreError(f"{path}: no such file; the daemon has not stored anything here yet")
    connection = _connect_read_only(path)
    try:
        if _version(connection, path) == 0:
            raise StoreError(f"{path}: empty; the daemon has not stored anything here yet")
    except DamagedError as exc:
        connection.close()
        raise StoreError(f"{path}: {exc}") from exc
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_read_only(path: Path) -> sqlite3.Connection:
    readable_as = ["mode=ro"]
    if not path.with_name(f"{path.name}-wal").exists():
        # Who may not write the folder cannot share the WAL's index; without a WAL the file can be read as one that rests.
        readable_as.append("immutable=1")
    for last, mode in enumerate(readable_as, start=1):
        uri = f"{path.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.Error:
            connection.close()
            if last == len(readable_as):
                raise
        else:
            break
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise DamagedError("a database of another program")
    if version > VERSION:
        raise StoreError(
            f"{path}: written by a newer energyctl (tables version {version}, this one knows {VERSION}); "
            "run that version, or start with another --state folder"
        )
    return version


def _check(connection: sqlite3.Connection, path: Path) -> None:
    checks = ["PRAGMA quick_check"]
    if path.stat().st_size >= _CHECK_ALL_BELOW:
        checks = [f"PRAGMA quick_check('{table}')" for table in _CONTROL_TABLES]
    for check in checks:
        found = str(connection.execute(check).fetchone()[0])
        if found != "ok":
            raise DamagedError(found.splitlines()[-1])


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the right to write a store; lost with the process. Raises StoreError when somebody else has it."""
    lock = path.with_name(f"{path.name}.lock").absolute()
    busy = StoreError(f"{path}: another process is writing to it; is a daemon of this site running?")
    if lock in _locked:
        raise busy
    with lock.open("w") as file:
        try:
            # A record lock: unlike flock's it is not inherited by a forked child that outlives us.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as exc:
            raise busy from exc
        _locked.add(lock)
        try:
            yield
        finally:
            _locked.remove(lock)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken (and not the disk, or a lock)."""
    return primary_code(error) in _DAMAGED


def is_distrusted(error: sqlite3.Error) -> bool:
    """Whether to open the file anew after this error: damage, or an I/O error that may have left anything behind."""
    return is_damage(error) or primary_code(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its refinements; 0 when Python's module raised the error itself."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _create(connection: sqlite3.Connection) -> None:
    """Make an empty file ours."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in SCHEMA.read_text("utf-8").split(";"):
            connection.execute(statement)
        connection.execute('INSERT INTO "commit" (id, seq, ts, slot) VALUES (1, 0, 0, -1)')
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of version 1 up to date, as a whole or not at all."""
    (statement,) = [one for one in SCHEMA.read_text("utf-8").split(";") if one.strip().startswith("CREATE TABLE past ")]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def move_aside(path: Path) -> Path:
    """Rename a file with its WAL; returns the new path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for suffix in ("-wal", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return aside
