"""Running 15-minute means of the points that forecasts are made from.

The daemon fills it from the historian at start and from every cycle after that, so that a re-plan does not have to read
weeks of samples. A point's mean over an interval exists when at least a third of the expected samples were good.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from energyctl.core.points import ProcessImage
from energyctl.core.timeline import Series, floor_time

STEP_S = 900
DAYS = 35


class History:
    """Means of some points on a 15-min grid, for the last `DAYS` days."""

    def __init__(self, points: Iterable[str]) -> None:
        self._means: dict[str, dict[datetime, float]] = {point: {} for point in points}
        self._open: dict[str, tuple[datetime, float, int, int]] = {}

    @property
    def points(self) -> list[str]:
        """The points that are kept."""
        return sorted(self._means)

    def load(self, point: str, series: Series) -> None:
        """Take over stored means on the same grid."""
        for step, value in enumerate(series.values):
            if value is not None:
                self._means[point][series.start + timedelta(seconds=STEP_S * step)] = value

    def add(self, image: ProcessImage) -> None:
        """Count a cycle's image into the interval it lies in; closes the one before."""
        start = floor_time(image.time, STEP_S)
        for point in self._means:
            opened, total, good, seen = self._open.get(point, (start, 0.0, 0, 0))
            if opened != start:
                self._close(point)
                opened, total, good, seen = start, 0.0, 0, 0
            value = image.value(point)
            if value is not None:
                total, good = total + value, good + 1
            self._open[point] = (opened, total, good, seen + 1)

    def _close(self, point: str) -> None:
        start, total, good, seen = self._open.pop(point)
        means = self._means[point]
        if good and good * 3 >= seen:
            means[start] = total / good
        for odd in [time for time in means if not start - timedelta(days=DAYS) <= time <= start]:
            del means[odd]  # too old, or later than now: the clock was set back

    def series(self, point: str) -> Series | None:
        """The closed intervals of a point, None where nothing is known; None when there are none at all."""
        means = self._means.get(point)
        if not means:
            return None
        start, last = min(means), max(means)
        steps = int((last - start).total_seconds() // STEP_S) + 1
        values = tuple(means.get(start + timedelta(seconds=STEP_S * step)) for step in range(steps))
        return Series(start, STEP_S, values)
