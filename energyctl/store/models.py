"""The tables, as SQLModel classes. They describe the file; rows travel as the nouns of core, so none leaves this package.

`sample` is clustered by time (its key is its storage), so that the rows of one cycle land on the same few pages: clustered
by point, a cycle of 500 values would rewrite 4 MB instead of 50 kB. What is asked for all the time is kept beside it, in
the same transaction: the newest sample per point (`latest`), sums per quarter of an hour (`quarter`), owned points.
Times are microseconds since 1970 UTC.

The statements they come to are kept in `schema.sql`, so that no start pays half a second and 25 MB for importing SQLModel;
after a change, `python -m energyctl.store.models > energyctl/store/schema.sql`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import Field, SQLModel

_CLUSTERED = {"sqlite_with_rowid": False}


class _Row(SQLModel):
    metadata = MetaData()


class PointRow(_Row, table=True):
    """A point's full id and the small number that stands for it."""

    __tablename__ = "point"
    id: int = Field(primary_key=True)
    name: str = Field(unique=True)


class SampleRow(_Row, table=True):
    """One observation; `quality` 0 good, 1 uncertain, 2 bad."""

    __tablename__ = "sample"
    __table_args__ = _CLUSTERED
    ts: int = Field(primary_key=True, sa_type=BigInteger)
    point_id: int = Field(primary_key=True)
    value: float | None = None
    quality: int
    reason: str | None = None


class LatestRow(_Row, table=True):
    """The sample of a point that was committed last."""

    __tablename__ = "latest"
    point_id: int = Field(primary_key=True)
    ts: int = Field(sa_type=BigInteger)
    value: float | None = None
    quality: int
    reason: str | None = None


class QuarterRow(_Row, table=True):
    """Sum and number of the good samples in a quarter of an hour that is over; `slot` is its start / 900 s."""

    __tablename__ = "quarter"
    __table_args__ = _CLUSTERED
    slot: int = Field(primary_key=True)
    point_id: int = Field(primary_key=True)
    total: float
    n: int


class JournalRow(_Row, table=True):
    """One line of the journal, in the order of `id`."""

    __tablename__ = "journal"
    __table_args__ = (Index("journal_by_point", "point", "id"),)
    id: int = Field(primary_key=True)
    cycle: int
    ts: int = Field(sa_type=BigInteger)
    kind: str
    point: str
    value: float | None = None
    rank: str
    source: str
    reason: str
    detail: str


class OwnedRow(_Row, table=True):
    """A point with an `own` in the journal and no later `released`: what was found there, since when."""

    __tablename__ = "owned"
    point: str = Field(primary_key=True)
    found: float | None = None
    since: int = Field(sa_type=BigInteger)


class PastRow(_Row, table=True):
    """What a point has been through (see `core.records.Past`)."""

    __tablename__ = "past"
    point: str = Field(primary_key=True)
    ts: int = Field(sa_type=BigInteger)
    uptime_s: float
    boot: str
    changed_s: float | None = None
    on: int | None = None
    switched_s: float | None = None
    tokens: float
    day: str
    writes: int


class PlanRow(_Row, table=True):
    """The newest plans, each as the JSON of `core.plan.Plan`."""

    __tablename__ = "plan"
    id: int = Field(primary_key=True)
    issued_at: int = Field(sa_type=BigInteger)
    body: str


class CommitRow(_Row, table=True):
    """One row: the commit acknowledged last, and the quarter of an hour that was still open then (-1: none)."""

    __tablename__ = "commit"
    id: int = Field(primary_key=True)
    seq: int
    ts: int = Field(sa_type=BigInteger)
    slot: int


def ddl() -> list[str]:
    """The SQLite statements that create every table and index."""
    tables = _Row.metadata.sorted_tables
    statements: list[CreateTable | CreateIndex] = [CreateTable(table) for table in tables]
    statements += [CreateIndex(index) for table in tables for index in table.indexes]
    return [str(statement.compile(dialect=sqlite.dialect())) for statement in statements]


def schema_text() -> str:
    """The statements as they are kept in `schema.sql`."""
    lines = [line.rstrip().expandtabs(4) for statement in ddl() for line in (f"{statement.strip()};\n").split("\n")]
    return "\n".join(lines)


if __name__ == "__main__":
    print(schema_text(), end="")
