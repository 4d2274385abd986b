"""Measured hourly series as the simulated building lives through them, minute by minute.

Load and irradiance are means over an hour: between them runs the continuous line, straight in each half hour, whose mean
over every hour is the measured one and which is nowhere negative. What happens within an hour was not measured; a seeded
flicker stands in for it (lifts, kettles, clouds) and keeps every hour's mean. Temperature and humidity are readings at the
hour and are joined by straight lines.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

from energyctl.core.errors import ConfigError

HOUR = 60
DAY = 24 * HOUR
COLUMNS = ("load_kw", "temp_c", "rel_humidity_pct", "ghi_w_m2")
_MEMORY = 0.85
"""How much of the flicker of one minute is left in the next."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Outdoors: temperature [degC], relative humidity [%], global irradiance on the flat [W/m2]."""

    temp_c: float
    humidity_pct: float
    ghi_w_m2: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One value per minute from `start`; beyond the ends, the day that begins at minute `day` repeats."""

    start: datetime
    day: int
    load_kw: tuple[float, ...]
    temp_c: tuple[float, ...]
    humidity_pct: tuple[float, ...]
    ghi_w_m2: tuple[float, ...]

    def minute(self, time: datetime) -> int:
        """Where in the series an instant lies."""
        minute = int((time - self.start).total_seconds() // 60)
        return minute if 0 <= minute < len(self.load_kw) else self.day + (minute - self.day) % DAY

    def weather(self, minute: int) -> Weather:
        """The weather in a minute."""
        return Weather(self.temp_c[minute], self.humidity_pct[minute], self.ghi_w_m2[minute])


def read(path: Path, day: datetime, seed: int, load_flicker: float, cloud_flicker: float) -> Measured:
    """Read hourly `time_utc` and COLUMNS, in which the 24 hours from `day` must lie.

    Flickers are standard deviations relative to the value. Raises ConfigError naming file and line.
    """
    start, columns = _hours(path)
    first = int((day - start).total_seconds() // 60)
    if not 0 <= first <= len(columns["load_kw"]) * HOUR - DAY:
        raise ConfigError(f"{path}: does not hold the 24 hours from {day:%Y-%m-%dT%H:%MZ}")
    load = flickered(spread(columns["load_kw"]), columns["load_kw"], load_flicker, seed)
    sun = flickered(spread(columns["ghi_w_m2"]), columns["ghi_w_m2"], cloud_flicker, seed + 1)
    return Measured(start, first, load, joined(columns["temp_c"]), joined(columns["rel_humidity_pct"]), sun)


def spread(hours: Sequence[float]) -> tuple[float, ...]:
    """Hourly means >= 0 as minutes of a continuous line with the same means, nowhere negative.

    At the full hour it takes the mean of both hours but at most twice the smaller; the half hour follows from the mean.
    """
    first, last = hours[0], hours[-1]
    edges = [first, *(min((a + b) / 2, 2 * min(a, b)) for a, b in pairwise(hours)), last]
    minutes: list[float] = []
    for mean, left, right in zip(hours, edges, edges[1:], strict=False):
        middle = 2 * mean - (left + right) / 2
        half = HOUR // 2
        minutes += [left + (middle - left) * (m + 0.5) / half for m in range(half)]
        minutes += [middle + (right - middle) * (m + 0.5) / half for m in range(half)]
    return tuple(minutes)


def joined(hours: Sequence[float]) -> tuple[float, ...]:
    """Readings at the hour as minutes on straight lines; the last reading holds."""
    pairs = zip(hours, [*hours[1:], hours[-1]], strict=True)
    return tuple(a + (b - a) * m / HOUR for a, b in pairs for m in range(HOUR))


def means(minutes: Sequence[float]) -> list[float]:
    """The mean of every full hour of a series by the minute."""
    return [sum(minutes[first : first + HOUR]) / HOUR for first in range(0, len(minutes), HOUR)]


def flickered(minutes: Sequence[float], hours: Sequence[float], flicker: float, seed: int) -> tuple[float, ...]:
    """First-order noise of standard deviation `flicker` on every minute, then each hour scaled back to its mean in `hours`."""
    random, fresh = Random(seed), (1 - _MEMORY**2) ** 0.5 * flicker
    noise, noisy = 0.0, []
    for value in minutes:
        noise = _MEMORY * noise + random.gauss(0.0, fresh)
        noisy.append(max(0.0, value * (1 + noise)))
    for hour, mean in enumerate(hours):
        now = sum(noisy[hour * HOUR : (hour + 1) * HOUR]) / HOUR
        scale = mean / now if now > 0 else 0.0
        for minute in range(hour * HOUR, (hour + 1) * HOUR):
            noisy[minute] *= scale
    return tuple(noisy)


def _hours(path: Path) -> tuple[datetime, dict[str, list[float]]]:
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
    times: list[datetime] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [(number, line) for number, line in enumerate(file, 1) if line.strip() and not line.startswith("#")]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    rows = csv.DictReader(line for _, line in lines)
    for (number, _), row in zip(lines[1:], rows, strict=True):
        times.append(_time(path, number, row, times))
        for name in COLUMNS:
            columns[name].append(_number(path, number, row, name))
    if len(times) < 24:
        raise ConfigError(f"{path}: holds {len(times)} hours; a day needs 24")
    return times[0], columns


def _time(path: Path, line: int, row: dict[str, str], before: Sequence[datetime]) -> datetime:
    try:
        time = datetime.fromisoformat(row["time_utc"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}:{line}: time_utc must be like 2019-01-31T08:00Z") from None
    if before and time - before[-1] != timedelta(hours=1):
        raise ConfigError(f"{path}:{line}: {time:%Y-%m-%dT%H:%MZ} does not follow the line before by one hour")
    return time


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}:{line}: {name} must be a number") from None
    if not -100 <= value <= 2000 or (value < 0 and name != "temp_c"):
        raise ConfigError(f"{path}:{line}: {name} {value:g} is not plausible")
    return value
