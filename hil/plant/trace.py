"""The truth of a simulated run: steps joined into rows of a length of their own, so that a live bench fills no memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from hil.world import Row


class Recorder:
    """Adds up steps; a row is ready when they cover `row_s` seconds."""

    def __init__(self, row_s: float) -> None:
        self.rows: list[Row] = []
        self._row_s = row_s
        self._start: datetime | None = None
        self._seconds = 0.0
        self._sums: dict[str, float] = {}

    def add(
        self, time: datetime, seconds: float, powers_kw: Mapping[str, float], states: Callable[[], dict[str, float]]
    ) -> None:
        """Record a step that began at `time`; `states` is asked when it completes a row."""
        sums = self._sums
        if self._start is None:
            self._start = time
        self._seconds += seconds
        for part, power in powers_kw.items():
            sums[part] = sums.get(part, 0.0) + power * seconds
        if self._seconds >= self._row_s:
            means = {part: total / self._seconds for part, total in sums.items()}
            self.rows.append(Row(time=self._start, seconds=self._seconds, powers_kw=means, states=states()))
            self._start, self._seconds, self._sums = None, 0.0, {}
