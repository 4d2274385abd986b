"""A point's recent past, as rules look at it: a ring of marks with running integrals, so that a mean over any span of time is
exact and costs nothing to keep.

Between two looks the value goes in a straight line. Time in which it is not known, or in which nobody looked for longer than
`GAP_S`, is counted apart and adds nothing to an integral.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

GAP_S = 300.0
"""Looks further apart than this tell nothing of the time between [s]."""
KNOWN_SHARE = 0.8
"""Of a span of time that must be known for a statement about all of it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The state of a track at an instant. Integrals since it began, of the value and of its positive part [unit·s]."""

    at_s: float
    value: float | None
    area: float
    positive: float
    known_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """What is known of the time between two marks. `area`, `positive`, `negative` in unit·s; `negative` is at most 0."""

    seconds: float
    known_s: float
    area: float
    positive: float

    @property
    def negative(self) -> float:
        """The integral of the negative part."""
        return self.area - self.positive

    @property
    def mean(self) -> float | None:
        """The mean value, None when too little of the time is known."""
        if self.seconds <= 0 or self.known_s < KNOWN_SHARE * self.seconds:
            return None
        return self.area / self.known_s


class Track:
    """The last `keep_s` seconds of a point, with a mark at most every `step_s` seconds."""

    def __init__(self, keep_s: float, step_s: float) -> None:
        self._step_s = step_s
        self._marks: deque[Mark] = deque(maxlen=int(keep_s / step_s) + 2)
        self._now = Mark(0.0, None, 0.0, 0.0, 0.0)
        self._began_s: float | None = None
        self._still_since_s = 0.0

    def add(self, now_s: float, value: float | None) -> None:
        """What the point shows now; None when it shows nothing to rely on."""
        last, gap_s = self._now, now_s - self._now.at_s
        if self._began_s is None:
            self._began_s = now_s
        if value is None or last.value is None or abs(value - last.value) > 1e-9:
            self._still_since_s = now_s
        if value is None or last.value is None or not 0 < gap_s <= GAP_S:
            self._now = Mark(now_s, value, last.area, last.positive, last.known_s)
        else:
            area, positive = (last.value + value) / 2 * gap_s, _positive(last.value, value) * gap_s
            self._now = Mark(now_s, value, last.area + area, last.positive + positive, last.known_s + gap_s)
        if not self._marks or now_s - self._marks[-1].at_s >= self._step_s:
            self._marks.append(self._now)

    @property
    def value(self) -> float | None:
        """What it shows now."""
        return self._now.value

    @property
    def now(self) -> Mark:
        """The newest mark, which is not in the ring yet."""
        return self._now

    @property
    def still_s(self) -> float:
        """How long it has shown the very same [s]."""
        return self._now.at_s - self._still_since_s

    def span(self, back_s: float) -> Span | None:
        """The last `back_s` seconds; None while it has not been watched for so long."""
        start_s = self._now.at_s - back_s
        if self._began_s is None or self._began_s > start_s + self._step_s / 2 or not self._marks:
            return None
        index = bisect_right(self._marks, start_s + self._step_s / 2, key=lambda mark: mark.at_s)
        return self.since(self._marks[max(0, index - 1)])

    def mean(self, back_s: float) -> float | None:
        """The mean of the last `back_s` seconds; None when too little of it is known."""
        span = self.span(back_s)
        return None if span is None else span.mean

    def since(self, mark: Mark) -> Span:
        """From an earlier mark until now."""
        now = self._now
        return Span(
            now.at_s - mark.at_s, now.known_s - mark.known_s, now.area - mark.area, now.positive - mark.positive
        )

    def marks(self, back_s: float) -> Sequence[Mark]:
        """The marks of the last `back_s` seconds, oldest first, with the newest."""
        start_s = self._now.at_s - back_s
        first = bisect_right(self._marks, start_s - 1e-6, key=lambda mark: mark.at_s)
        found = list(islice(self._marks, first, None))
        return found if found and found[-1] is self._now else [*found, self._now]

    def values(self, back_s: float) -> Iterator[float]:
        """What it showed at the marks of the last `back_s` seconds, where it showed anything."""
        return (mark.value for mark in self.marks(back_s) if mark.value is not None)


def _positive(before: float, after: float) -> float:
    """The mean of the positive part of a straight line."""
    if before >= 0 and after >= 0:
        return (before + after) / 2
    if before <= 0 and after <= 0:
        return 0.0
    top = max(before, after)
    return top * top / (2 * abs(after - before))
