"""PV: what a clear sky would give, scaled by how much of it recent days gave at that hour, and by today's sky.

The share by hour of day is shrunk towards the overall share, and that towards a usual sky (0.75). What today's last two
hours gave against that fades over five hours. A plane without a record of its own (a zone's windows) borrows the sky that
another plane of the site has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .program import Floats
from .records import DAY_S, Known
from .sun import clear_sky_on_plane

_SYSTEM = 0.85
"""Of the peak's share that a plane's irradiance would give: heat, cables, inverter."""
_USUAL_SKY = 0.75
_MEMORY_DAYS = 4.0
_TODAY_H, _FADES_H = 2.0, 5.0


@dataclass(frozen=True)
class Plane:
    """A tilted plane somewhere: peak [kW], angles and place [deg]."""

    peak_kw: float
    tilt_deg: float
    azimuth_deg: float
    latitude_deg: float
    longitude_deg: float

    def clear_kw(self, time_s: Floats) -> Floats:
        """Power under a clear sky (steps,), >= 0."""
        sun = clear_sky_on_plane(time_s, self.latitude_deg, self.longitude_deg, self.tilt_deg, self.azimuth_deg)
        return self.peak_kw * _SYSTEM * sun


@dataclass(frozen=True)
class Sky:
    """How much of a clear sky's power there was lately: by UTC hour of day (24,), and today against that."""

    by_hour: Floats
    today: float = 1.0
    seen: bool = True

    def share(self, time_s: Floats, now_s: float) -> Floats:
        """The share expected at epoch seconds `time_s`."""
        fading = np.exp(-np.maximum(0.0, time_s - now_s) / (_FADES_H * 3600))
        # from hour to hour in straight lines, so that no step of the clock shows in the forecast
        hours = np.interp(np.mod(time_s, DAY_S) / 3600, np.arange(24) + 0.5, self.by_hour, period=24)
        return hours * (1 + (self.today - 1) * fading)


USUAL = Sky(np.full(24, _USUAL_SKY), seen=False)


def sky_of(plane: Plane, record: Known, now_s: float) -> Sky:
    """The sky as a plane's recorded production (generation positive) shows it; USUAL where it shows nothing."""
    if not len(record):
        return USUAL
    clear = plane.clear_kw(record.time_s)
    if clear.sum() < plane.peak_kw:
        return USUAL
    weight, hour = (
        np.exp(-(now_s - record.time_s) / (_MEMORY_DAYS * DAY_S)),
        (record.time_s % DAY_S // 3600).astype(int),
    )
    given = np.bincount(hour, weight * record.value, 24)
    possible = np.bincount(hour, weight * clear, 24)
    pull = 2.0 * plane.peak_kw
    overall = (given.sum() + pull * _USUAL_SKY) / (possible.sum() + pull)
    sky = Sky(np.clip((given + pull * overall) / (possible + pull), 0.0, 1.2))
    recent = record.since(now_s - _TODAY_H * 3600)
    expected, pull = plane.clear_kw(recent.time_s) * sky.share(recent.time_s, now_s), 0.3 * plane.peak_kw
    today = (recent.value.sum() + pull) / (expected.sum() + pull)
    return Sky(sky.by_hour, float(np.clip(today, 0.1, 1.6)))


def production_kw(plane: Plane, sky: Sky, time_s: Floats, now_s: float) -> Floats:
    """Expected power (steps,), generation positive, never more than a very clear sky or the peak."""
    clear = plane.clear_kw(time_s)
    return np.minimum(np.minimum(clear * sky.share(time_s, now_s), 1.1 * clear), plane.peak_kw)
