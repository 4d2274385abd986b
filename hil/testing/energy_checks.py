"""Standard check of the books: the trace's own, and what the daemon's stored samples say against it.

A sample shows the power of the step that it ends; so the samples in a row's time, its end included, are held against the
row's mean. Rows without a good sample are left out on both sides, and so are rows in which no daemon ran or somebody tampered
with the readings.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from energyctl.core.points import Quality, Sample
from hil.world import Row

from .claims import energy_kwh
from .evidence import Evidence, Span, gaps, span_of
from .finding import Finding
from .write_checks import Wrong, finding

SHARE = 0.03
"""The samples' energy may differ by so much of all that flowed."""
NOISE_KW = 0.1
"""And by so much power on top: what a good meter's noise and rounding come to."""
_CREATED_KWH = 0.01
_MEASURING = ("readings", "point", "device", "link")


@dataclass(frozen=True, slots=True)
class Book:
    """Energy of the rows that can be compared [kWh], by the bench and by the daemon's samples, and what flowed in all."""

    truth_kwh: float
    sampled_kwh: float
    gross_kwh: float
    edges_kwh: float
    """What being a little early or late with the first and the last row comes to."""
    hours: float

    @property
    def allowed_kwh(self) -> float:
        """The largest difference that is nothing to speak of."""
        return SHARE * self.gross_kwh + NOISE_KW * self.hours + self.edges_kwh

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return abs(self.truth_kwh - self.sampled_kwh) <= self.allowed_kwh


def energy(evidence: Evidence) -> Finding:
    """The trace has no holes and creates no energy, and every stored power that can be compared integrates to its truth."""
    wrong, told, tampered = [*_holes(evidence), *_created(evidence)], list[str](), list[str]()
    if evidence.jumps:
        return finding(
            "energy", wrong, "the daemon's clock was made to jump: stored times cannot be compared", evidence
        )
    for point, truth in _metered(evidence).items():
        book, left_out = _book(point, truth, evidence)
        tampered += [f"{point} during {name}" for name in left_out]
        if book.hours == 0:
            continue
        text = f"{point} {book.sampled_kwh:.2f} kWh stored, {book.truth_kwh:.2f} kWh true in {book.hours:.2f} h"
        told.append(text)
        if not book.agrees:
            wrong.append(Wrong(evidence.start, f"{text}; at most {book.allowed_kwh:.2f} kWh apart"))
    without = [f"left out: {', '.join(tampered)}"] if tampered else []
    return finding("energy", wrong, "; ".join([*(told or ["no stored power to compare"]), *without]), evidence)


def _holes(evidence: Evidence) -> Iterable[Wrong]:
    for before, after in pairwise(evidence.rows):
        if abs((after.time - span_of(before).end).total_seconds()) > 1e-3:
            yield Wrong(
                after.time,
                f"the trace goes on at {evidence.clock(after.time)} after {evidence.clock(span_of(before).end)}",
            )
    for row in evidence.rows:
        if not all(math.isfinite(number) for number in (*row.powers_kw.values(), *row.states.values())):
            yield Wrong(row.time, "the trace holds what is no number")


def _created(evidence: Evidence) -> Iterable[Wrong]:
    """A store with electric power of its own gains no more energy than flows in, and loses no less than flows out."""
    for before, after in pairwise(evidence.rows):
        for part, power in after.powers_kw.items():
            state = f"{part}.energy_kwh"
            if state in before.states and state in after.states:
                gained, taken = after.states[state] - before.states[state], power * after.seconds / 3600
                if gained > taken + _CREATED_KWH:
                    yield Wrong(after.time, f"{part} gained {gained:.3f} kWh from {taken:.3f} kWh")


def _metered(evidence: Evidence) -> Mapping[str, Sequence[tuple[Row, float]]]:
    """The truth behind every stored power, by point: of the connection, and of each resource that alone has its meter."""
    powers = [resource.power for resource in evidence.site.resources]
    found = {evidence.site.meter: [(row, row.grid_kw) for row in evidence.rows]}
    for resource in evidence.site.resources:
        if resource.power is not None and powers.count(resource.power) == 1 and resource.power not in found:
            rows = [(row, row.powers_kw[resource.id]) for row in evidence.rows if resource.id in row.powers_kw]
            found[resource.power] = rows
    return found


def _book(point: str, truth: Sequence[tuple[Row, float]], evidence: Evidence) -> tuple[Book, list[str]]:
    """The point's book, and the names of what kept rows out of it."""
    troubles = [t for t in evidence.troubled(point, 2 * evidence.step_s + evidence.slack_s) if t.target in _MEASURING]
    kept_out = [*(trouble.span for trouble in troubles), *gaps(evidence.alive(), evidence.whole)]
    good = [s for s in evidence.samples.get(point, ()) if s.quality is Quality.GOOD and s.value is not None]
    times = [sample.time for sample in good]
    pairs = []
    for row, power in truth:
        span = span_of(row)
        inside = good[bisect_right(times, span.start) : bisect_right(times, span.end)]
        if inside and not any(_touches(span, other) for other in kept_out):
            pairs.append((row, power, _mean(inside)))
    book = Book(
        energy_kwh((power, row.seconds) for row, power, _ in pairs),
        energy_kwh((sampled, row.seconds) for row, _, sampled in pairs),
        energy_kwh((abs(power), row.seconds) for row, power, _ in pairs),
        2 * evidence.slack_s * max((abs(power) for _, power, _ in pairs), default=0.0) / 3600,
        sum(row.seconds for row, _, _ in pairs) / 3600,
    )
    return book, sorted({trouble.name for trouble in troubles})


def _touches(span: Span, other: Span) -> bool:
    return span.start < other.end and other.start < span.end


def _mean(samples: Sequence[Sample]) -> float:
    return sum(sample.value or 0.0 for sample in samples) / len(samples)
