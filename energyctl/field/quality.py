"""How far a sample may be trusted, the same for every protocol.

The driver has already made bad what it could not read or decode. On top of that, in this order:
- not a finite number -> bad;
- outside the point's own limits by more than a tenth of their span -> uncertain "out of range" (a device that shows more
  than it can do is believed by nobody, but kept to look at);
- beyond what the site's connection or the resource can be -> uncertain "implausible": a wrong unit, sign or register;
- the very same reading for longer than the point's `frozen_after_s` -> bad "frozen": a healthy one flickers;
- older than three polls -> bad "stale". Age is counted on the clock that never jumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from energyctl.config import Site
from energyctl.core.points import Point, Quality, Sample

STALE_PERIODS = 3
BEYOND_CONNECTION = 3.0
"""The grid meter is believed up to this many times the larger of the connection's limits: a fuse would not hold more."""

Span = tuple[float, float]


def plausible_spans(site: Site) -> dict[str, Span]:
    """What is believed of the site's measured points, by point, in canonical units; other points are not judged."""
    most = BEYOND_CONNECTION * max(site.limits.import_kw, site.limits.export_kw)
    spans = {site.meter: (-most, most)}
    for resource in site.resources:
        for binding in resource.bindings():
            if not binding.writes and binding.minimum is not None and binding.maximum is not None:
                spans[binding.point] = (binding.minimum, binding.maximum)
    return spans


def judge(sample: Sample, point: Point, span: Span | None = None) -> Sample:
    """A fresh sample with its quality after looking at the value; `span` is what is plausible."""
    if sample.quality is Quality.BAD or sample.value is None:
        return replace(sample, value=None, quality=Quality.BAD, reason=sample.reason or "no value")
    if not math.isfinite(sample.value):
        return Sample.bad(sample.point, sample.time, f"not a number ({sample.value})")
    if point.minimum is not None and point.maximum is not None:
        margin = 0.1 * (point.maximum - point.minimum)
        if not point.minimum - margin <= sample.value <= point.maximum + margin:
            return _uncertain(sample, f"out of range {point.minimum:g}..{point.maximum:g} {point.unit}")
    if span is not None and not span[0] <= sample.value <= span[1]:
        return _uncertain(sample, f"implausible: beyond {span[0]:g}..{span[1]:g} {point.unit}")
    return sample


def _uncertain(sample: Sample, reason: str) -> Sample:
    return replace(sample, quality=Quality.UNCERTAIN, reason=reason.rstrip())


def aged(sample: Sample, age_s: float, poll_s: float) -> Sample:
    """The sample when it is `age_s` seconds old: bad once that is more than three polls of `poll_s` seconds."""
    if sample.quality is Quality.BAD or age_s <= STALE_PERIODS * poll_s:
        return sample
    return Sample.bad(sample.point, sample.time, f"stale for {age_s:.0f} s")


@dataclass
class Stillness:
    """Since when each point has shown the very same value, on a clock that never jumps [s]."""

    since: dict[str, tuple[float, float]] = field(default_factory=dict)

    def judge(self, sample: Sample, point: Point, now_s: float) -> Sample:
        """The sample, bad when the point has been still for longer than is natural for it."""
        if point.frozen_after_s is None or sample.value is None:
            self.since.pop(point.id, None)
            return sample
        value, since = self.since.get(point.id, (math.nan, now_s))
        if value != sample.value:
            self.since[point.id] = (sample.value, now_s)
            return sample
        if now_s - since < point.frozen_after_s:
            return sample
        return Sample.bad(sample.point, sample.time, f"frozen at {value:g} {point.unit} for {now_s - since:.0f} s")
