"""Horizons, series and forecasts on a regular grid of UTC instants; alignment and resampling, pure.

A value belongs to the interval that starts at its time. A missing value is None, and stays None through resampling
unless enough of its interval is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def floor_time(time: datetime, step_s: int) -> datetime:
    """The start of the `step_s` interval that `time` lies in, counted from the UTC epoch."""
    seconds = int(time.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step_s, UTC)


@dataclass(frozen=True, slots=True)
class Horizon:
    """`steps` intervals of `step_s` seconds from `start` (aware UTC)."""

    start: datetime
    step_s: int
    steps: int

    @property
    def hours(self) -> float:
        """Length of one step [h]."""
        return self.step_s / 3600

    @property
    def end(self) -> datetime:
        """The instant after the last step."""
        return self.start + timedelta(seconds=self.step_s * self.steps)

    def time(self, step: int) -> datetime:
        """Start of a step."""
        return self.start + timedelta(seconds=self.step_s * step)

    def times(self) -> list[datetime]:
        """Start of every step, `(steps,)`."""
        return [self.time(step) for step in range(self.steps)]

    def index(self, time: datetime) -> int | None:
        """The step that `time` lies in, or None outside the horizon."""
        step = int((time - self.start).total_seconds() // self.step_s)
        return step if 0 <= step < self.steps else None


@dataclass(frozen=True, slots=True)
class Series:
    """Values on a grid, None where missing; what was measured, imported or published."""

    start: datetime
    step_s: int
    values: tuple[float | None, ...]

    def at(self, time: datetime) -> float | None:
        """The value of the interval that `time` lies in, None when missing or outside."""
        step = int((time - self.start).total_seconds() // self.step_s)
        return self.values[step] if 0 <= step < len(self.values) else None

    @property
    def end(self) -> datetime:
        """The instant after the last interval."""
        return self.start + timedelta(seconds=self.step_s * len(self.values))

    def before(self, time: datetime) -> Series:
        """The part whose intervals have ended by `time`."""
        keep = max(0, int((time - self.start).total_seconds() // self.step_s))
        return Series(self.start, self.step_s, self.values[:keep])


def resample(
    samples: Iterable[tuple[datetime, float | None]], start: datetime, step_s: int, steps: int, min_known: int = 1
) -> Series:
    """Means of irregular samples per interval of a grid; fewer than `min_known` known samples make None."""
    sums, counts = [0.0] * steps, [0] * steps
    for time, value in samples:
        step = int((time - start).total_seconds() // step_s)
        if value is not None and 0 <= step < steps:
            sums[step] += value
            counts[step] += 1
    means = (total / count if count >= min_known else None for total, count in zip(sums, counts, strict=True))
    return Series(start, step_s, tuple(means))


def on_horizon(series: Series, horizon: Horizon) -> list[float | None]:
    """A series' values at the steps of a horizon: the mean of its intervals in a step, or the interval a step lies in."""
    if series.step_s >= horizon.step_s:
        return [series.at(time) for time in horizon.times()]
    per_step = horizon.step_s // series.step_s
    values: list[float | None] = []
    for time in horizon.times():
        inside = [series.at(time + timedelta(seconds=series.step_s * part)) for part in range(per_step)]
        known = [value for value in inside if value is not None]
        values.append(sum(known) / len(known) if known else None)
    return values


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a point is expected to be over a horizon: `values` `(steps,)` in the point's canonical unit."""

    point: str
    horizon: Horizon
    values: tuple[float, ...]
    unit: str
    issued_at: datetime
    method: str
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != self.horizon.steps:
            raise ValueError(f"forecast of {self.point}: {len(self.values)} values for {self.horizon.steps} steps")


def flat(point: str, horizon: Horizon, value: float, unit: str, issued_at: datetime, method: str) -> Forecast:
    """A forecast that says the same for every step."""
    return Forecast(point, horizon, (value,) * horizon.steps, unit, issued_at, method)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0.0 of nothing."""
    return sum(values) / len(values) if values else 0.0
