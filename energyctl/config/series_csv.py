"""Reads a published time series (prices, carbon) from CSV: every interval there, in order, once, plausible.

The file has a column `time_utc` (interval starts, ISO 8601) and one value column whose name ends in its unit. Lines that
begin with # are remarks. All mistakes are reported with file and line; a gap names the interval that is missing.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from energyctl.core.errors import ConfigError
from energyctl.core.timeline import Series

from .problems import did_you_mean

MAX_BYTES = 50_000_000
MAX_PROBLEMS = 20
TIME = "time_utc"


@dataclass(frozen=True, slots=True)
class Column:
    """What a value column may be called, with the factor to the canonical unit, and what is plausible in that unit."""

    names: Mapping[str, float]
    least: float
    most: float
    unit: str
    steps_s: tuple[int, ...] = (900, 1800, 3600)


PRICE = Column({"price_eur_per_mwh": 0.001, "price_eur_per_kwh": 1.0}, -0.5, 4.0, "EUR/kWh")
"""The bounds are the harmonised day-ahead limits, -500 and 4000 EUR/MWh."""
CARBON = Column({"carbon_kg_per_kwh": 1.0, "carbon_g_per_kwh": 0.001}, 0.0, 2.0, "kg/kWh")


def read_series(path: Path, column: Column) -> Series:
    """The whole file as a Series. Raises ConfigError with every mistake, each line naming file and line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from exc
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    return _Reader(path, column).series(text)


def parse_time(text: str) -> datetime:
    """An ISO 8601 time as aware UTC; without an offset it is UTC already. Raises ValueError."""
    time = datetime.fromisoformat(text.strip())
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class _Reader:
    def __init__(self, path: Path, column: Column) -> None:
        self._path = path
        self._column = column
        self._problems: list[str] = []

    def _note(self, line: int, message: str) -> None:
        self._problems.append(f"{self._path}:{line}: {message}")
        if len(self._problems) == MAX_PROBLEMS:
            raise ConfigError([*self._problems, f"{self._path}: and perhaps more"])

    def series(self, text: str) -> Series:
        rows = self._rows(text)
        header = next(rows, None)
        if header is None:
            raise ConfigError(f"{self._path}: is empty; the first line must be {TIME},{next(iter(self._column.names))}")
        time_at, value_at, factor = self._columns(*header)
        found = [row for row in (self._row(line, cells, time_at, value_at, factor) for line, cells in rows) if row]
        step_s = self._step(found) if len(found) > 1 else None
        if step_s is None and not self._problems:
            raise ConfigError(f"{self._path}: needs at least two rows")
        if self._problems or step_s is None:
            raise ConfigError(self._problems)
        return Series(found[0][1], step_s, tuple(value for _, _, value in found))

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        for line, raw in enumerate(text.splitlines(), 1):
            if raw.strip() and not raw.startswith("#"):
                try:
                    yield line, next(csv.reader([raw]), [])
                except csv.Error as exc:
                    self._note(line, f"not readable as CSV: {exc}")

    def _columns(self, line: int, header: list[str]) -> tuple[int, int, float]:
        names = [name.strip() for name in header]
        known = list(self._column.names)
        value = next((name for name in names if name in self._column.names), None)
        if TIME not in names:
            self._note(line, f"no column '{TIME}' among {', '.join(names)[:80]}")
        if value is None:
            other = next((name for name in names if name != TIME), "")
            self._note(line, f"no column {' or '.join(known)}{did_you_mean(other, known, 'it may be called')}")
        if self._problems or value is None:
            raise ConfigError(self._problems)
        return names.index(TIME), names.index(value), self._column.names[value]

    def _row(
        self, line: int, cells: list[str], time_at: int, value_at: int, factor: float
    ) -> tuple[int, datetime, float] | None:
        if len(cells) <= max(time_at, value_at):
            self._note(line, f"has {len(cells)} cells, too few")
            return None
        try:
            time = parse_time(cells[time_at])
        except (ValueError, OverflowError):
            self._note(line, f"'{cells[time_at][:40]}': must be a time like 2026-01-31T13:15Z")
            return None
        return line, time, self._value(line, cells[value_at], factor)

    def _value(self, line: int, cell: str, factor: float) -> float:
        """What a cell says; where that is wrong, it is noted and NaN keeps the row's place."""
        value = math.nan
        with suppress(ValueError):
            value = float(cell) * factor
        if not math.isfinite(value):
            self._note(line, f"'{cell[:40]}': must be a number (a point, not a comma, before the decimals)")
        elif not self._column.least <= value <= self._column.most:
            low, high = self._column.least, self._column.most
            self._note(line, f"'{cell[:40]}': outside {low:g} to {high:g} {self._column.unit}; is the unit right?")
            value = math.nan
        return value

    def _step(self, rows: list[tuple[int, datetime, float]]) -> int | None:
        """The one distance between rows; notes rows that are out of order, twice, missing or between two intervals."""
        distances = [int((b[1] - a[1]).total_seconds()) for a, b in pairwise(rows)]
        step_s = min((d for d in distances if d > 0), default=0)
        if step_s not in self._column.steps_s:
            if not self._problems:
                self._note(rows[0][0], f"rows are {step_s} s apart; they must be 15, 30 or 60 min apart")
            return None
        for ((_, before, _), (line, time, _)), distance in zip(pairwise(rows), distances, strict=True):
            self._check(line, before, time, distance, step_s)
        return step_s

    def _check(self, line: int, before: datetime, time: datetime, distance: int, step_s: int) -> None:
        if distance == 0:
            self._note(line, f"{time:%Y-%m-%dT%H:%MZ} is here twice (in UTC there is no hour twice in autumn)")
        elif distance < 0:
            self._note(line, f"{time:%Y-%m-%dT%H:%MZ} comes after {before:%Y-%m-%dT%H:%MZ}; sort the rows by time")
        elif distance % step_s:
            self._note(line, f"{time:%Y-%m-%dT%H:%MZ} is not on the file's {step_s // 60} min grid")
        elif distance > step_s:
            first = before + timedelta(seconds=step_s)
            self._note(line, f"a gap: {first:%Y-%m-%dT%H:%MZ} to {time:%Y-%m-%dT%H:%MZ} is missing")
