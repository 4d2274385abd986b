"""How far a sample may be trusted, the same for every protocol.

The driver has already made bad what it could not read or decode. On top of that, pure functions of (sample, point, now):
not a finite number -> bad; outside the point's own limits by more than a tenth of their span -> uncertain "out of range"
(a device that shows more than it can do is believed by nobody, but kept to look at); older than three polls -> bad "stale".
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from energyctl.core.points import Point, Quality, Sample

STALE_PERIODS = 3


def judge(sample: Sample, point: Point) -> Sample:
    """A fresh sample with its quality after looking at the value."""
    if sample.quality is Quality.BAD or sample.value is None:
        return replace(sample, value=None, quality=Quality.BAD, reason=sample.reason or "no value")
    if not math.isfinite(sample.value):
        return Sample.bad(sample.point, sample.time, f"not a number ({sample.value})")
    if point.minimum is not None and point.maximum is not None:
        margin = 0.1 * (point.maximum - point.minimum)
        if not point.minimum - margin <= sample.value <= point.maximum + margin:
            text = f"out of range {point.minimum:g}..{point.maximum:g} {point.unit}".rstrip()
            return replace(sample, quality=Quality.UNCERTAIN, reason=text)
    return sample


def aged(sample: Sample, now: datetime, poll_s: float) -> Sample:
    """The sample as of `now`: bad once it is older than three polls of `poll_s` seconds."""
    age = (now - sample.time).total_seconds()
    if sample.quality is Quality.BAD or age <= STALE_PERIODS * poll_s:
        return sample
    return Sample.bad(sample.point, sample.time, f"stale for {age:.0f} s")
