"""Where the numbers of a tariff come from: a constant, bands of the week, or a published file, scaled or not.

Rule: everything is on UTC intervals; site-local time is used only to tell which band an instant lies in and what "the same
time" of another day is. A step without a published value takes that of the same local time on the most recent known day of
its class (weekday or weekend), else the mean of all that is known, and is marked as guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from energyctl.core.comfort import WeekSchedule
from energyctl.core.errors import ConfigError
from energyctl.core.timeline import Horizon, Series, mean, on_horizon

from .series_csv import Column, read_series

LIKE_DAYS = 28
BAND_S = 300
"""Bands are resolved to 5 minutes; a step's price is the mean over its 5-minute parts."""

Guessable = tuple[float, bool]
"""A value, and whether it is a guess."""

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Gives a value per step of any horizon."""

    def values(self, horizon: Horizon) -> list[Guessable]: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that never changes."""

    value: float

    def values(self, horizon: Horizon) -> list[Guessable]:
        return [(self.value, False)] * horizon.steps


@dataclass(frozen=True, slots=True)
class Scaled:
    """`factor * source + adder`."""

    source: Source
    factor: float
    adder: float

    def values(self, horizon: Horizon) -> list[Guessable]:
        return [(value * self.factor + self.adder, guessed) for value, guessed in self.source.values(horizon)]


@dataclass(frozen=True, slots=True)
class Band:
    """A price in some hours of the week, in some months (1 to 12)."""

    hours: WeekSchedule
    months: frozenset[int]
    price: float

    def covers(self, local: datetime) -> bool:
        """Whether a site-local time lies in the band."""
        return local.month in self.months and self.hours.covers(local)


@dataclass(frozen=True, slots=True)
class Bands:
    """The price of the first band that covers an instant, else `otherwise`."""

    bands: tuple[Band, ...]
    otherwise: float
    timezone: str

    def values(self, horizon: Horizon) -> list[Guessable]:
        zone = ZoneInfo(self.timezone)
        parts = max(1, horizon.step_s // BAND_S)
        length = timedelta(seconds=horizon.step_s / parts)
        return [
            (mean([self._at((start + length * part).astimezone(zone)) for part in range(parts)]), False)
            for start in horizon.times()
        ]

    def _at(self, local: datetime) -> float:
        return next((band.price for band in self.bands if band.covers(local)), self.otherwise)


@dataclass(slots=True)
class Published:
    """A series in a file, read again when the file changes; a new file with mistakes is logged and the old one kept."""

    path: Path
    column: Column
    timezone: str
    series: Series
    seen: tuple[int, int]

    @classmethod
    def read(cls, path: Path, column: Column, timezone: str) -> Published:
        """Raises ConfigError with every mistake of the file."""
        seen = _stamp(path)
        return cls(path, column, timezone, read_series(path, column), seen)

    def values(self, horizon: Horizon) -> list[Guessable]:
        self._refresh()
        known = on_horizon(self.series, horizon)
        guess = like_day(self.series, ZoneInfo(self.timezone))
        times = horizon.times()
        return [(guess(time), True) if v is None else (v, False) for v, time in zip(known, times, strict=True)]

    def _refresh(self) -> None:
        seen = _stamp(self.path)
        if seen == self.seen:
            return
        self.seen = seen
        try:
            self.series = read_series(self.path, self.column)
        except ConfigError as exc:
            _log.warning("keeping the values of %s read before: %s", self.path, exc)


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does; (0, 0) when it is gone."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return (0, 0)
    return status.st_mtime_ns, status.st_size


def like_day(series: Series, zone: ZoneInfo) -> Callable[[datetime], float]:
    """A guess for an instant outside `series`: same local time, most recent known day of its class, else the mean."""
    newest = (series.end - timedelta(seconds=series.step_s)).astimezone(zone)

    def guess(time: datetime) -> float:
        local = time.astimezone(zone)
        back = max(1, (local.date() - newest.date()).days)
        for days in range(back, back + LIKE_DAYS):
            like = local - timedelta(days=days)
            value = series.at(like.astimezone(UTC)) if _same_class(like, local) else None
            if value is not None:
                return value
        return _known_mean(series.values)

    return guess


def _same_class(one: datetime, other: datetime) -> bool:
    return (one.weekday() >= 5) == (other.weekday() >= 5)


def _known_mean(values: Sequence[float | None]) -> float:
    return mean([value for value in values if value is not None])
