"""What commands print: a table for people, JSON for programs, notes on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer


def print_json(document: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; a column whose heading begins with '>' is aligned to the right. None prints as '-'."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    # Into a file or a pipe a table is as wide as it is: cells cut to 80 columns would be lost to the reader.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 300, highlight=False)
    console.print(table)


def note(text: str) -> None:
    """Something to know about the output that is not part of it."""
    typer.echo(text, err=True)


def local_time(time: datetime, timezone: str | None = None) -> str:
    """A time as people read it, in the site's timezone or this machine's."""
    from zoneinfo import ZoneInfo

    return f"{time.astimezone(ZoneInfo(timezone) if timezone else None):%Y-%m-%d %H:%M:%S}"
