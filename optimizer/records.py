"""Measured series as arrays: times, values that are known, and days laid out by local clock time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from energyctl.core.timeline import Series

from .program import Floats, Ints

DAY_S = 86400
WORKDAY, SATURDAY, SUNDAY = 0, 1, 2


@dataclass(frozen=True)
class Known:
    """The known values of a series: epoch seconds at the middle of each interval, and the values."""

    time_s: Floats
    value: Floats

    def __len__(self) -> int:
        return len(self.time_s)

    def since(self, epoch_s: float) -> Known:
        """The part from an instant on."""
        keep = self.time_s >= epoch_s
        return Known(self.time_s[keep], self.value[keep])

    def until(self, epoch_s: float) -> Known:
        """The part before an instant."""
        keep = self.time_s < epoch_s
        return Known(self.time_s[keep], self.value[keep])


NOTHING = Known(np.empty(0), np.empty(0))


def known(series: Series | None, before: datetime, after: datetime | None = None) -> Known:
    """What was known by `before` (aware UTC): intervals that had ended by then, from `after` on; missing ones left out."""
    if series is None:
        return NOTHING
    part = series.before(before).values
    first = 0 if after is None else max(0, int((after - series.start).total_seconds() // series.step_s))
    values = np.array([np.nan if value is None else value for value in part[first:]], float)
    good = np.isfinite(values)
    times = series.start.timestamp() + series.step_s * (first + np.arange(len(values)) + 0.5)
    return Known(times[good], values[good])


def local_seconds(epoch_s: Floats, timezone: str) -> Floats:
    """Clock time on site as seconds that count local midnights: what the epoch would be if the site were at UTC."""
    if not len(epoch_s):
        return epoch_s
    hours, index = np.unique(np.floor(epoch_s / 3600).astype(int), return_inverse=True)
    return epoch_s + _offsets(hours, ZoneInfo(timezone))[index]


def _offsets(hours: Ints, zone: ZoneInfo) -> Floats:
    """UTC offsets [s] at epoch hours (sorted); asked per hour only on days with a clock change."""
    first, last = int(hours[0]) // 24, int(hours[-1]) // 24 + 1
    daily = np.array([_offset(day * 24, zone) for day in range(first, last + 1)])
    day = hours // 24 - first
    offsets = daily[day]
    for place in np.flatnonzero(daily[day] != daily[day + 1]):
        offsets[place] = _offset(int(hours[place]), zone)
    return offsets


def _offset(hour: int, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset() or timedelta()
    return offset.total_seconds()


def day_class(local_s: Floats) -> Ints:
    """Workday, Saturday or Sunday of local seconds (the epoch's first day was a Thursday)."""
    weekday = (np.floor(local_s / DAY_S).astype(int) + 3) % 7
    return np.where(weekday < 5, WORKDAY, np.where(weekday == 5, SATURDAY, SUNDAY))


def slot_of(local_s: Floats, step_s: int) -> Ints:
    """The interval of the day that local seconds lie in."""
    return (np.mod(local_s, DAY_S) // step_s).astype(int)
