"""Where the sun stands and what it gives under a clear sky, for days that nobody measured.

Declination and equation of time are Spencer's series (1971), good to a quarter of a degree; clear-sky irradiance is
Haurwitz's model (1945), 1098 cos z exp(-0.057 / cos z) W/m2 on the flat; clouds take 0.75 c^3.4 of it (Kasten, Czeplak 1980).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, exp, pi, radians, sin

_BEAM = 0.6
"""Share of the irradiance that comes straight from the sun, for what a tilt gains."""
_GAIN = (0.5, 1.6)


@dataclass(frozen=True, slots=True)
class Sky:
    """The sky of a day over a place: sine and cosine products of its latitude, and its clock's lag behind the sun's."""

    up: float
    across: float
    noon: datetime
    """The instant of the sun's highest position."""

    def height(self, time: datetime) -> float:
        """Cosine of the zenith angle at an instant within half a day of noon; negative at night."""
        hour_angle = (time - self.noon).total_seconds() / 86_400 * 2 * pi
        return self.up + self.across * cos(hour_angle)

    def clear_w_m2(self, time: datetime, clouds: float = 0.0) -> float:
        """Global irradiance on the flat [W/m2] under `clouds` (0 clear to 1 overcast)."""
        height = self.height(time)
        return 1098.0 * height * exp(-0.057 / height) * (1 - 0.75 * clouds**3.4) if height > 0.01 else 0.0


def sky(day: datetime, latitude: float, longitude: float) -> Sky:
    """The sky of the 24 hours from an instant (aware UTC); latitude north, longitude east [deg]."""
    middle = day + timedelta(hours=12)
    angle = 2 * pi * (middle.timetuple().tm_yday - 1) / 365
    declination = _declination(angle)
    noon = middle.replace(hour=12, minute=0, second=0, microsecond=0)
    noon -= timedelta(minutes=4 * longitude + _equation_of_time_min(angle))
    noon += timedelta(days=round((middle - noon) / timedelta(days=1)))
    phi = radians(latitude)
    return Sky(sin(phi) * sin(declination), cos(phi) * cos(declination), noon)


def tilt_gain(day: datetime, latitude: float, tilt_deg: float, azimuth_deg: float) -> float:
    """How much more a tilted roof gets than the flat, on a day, as seen at noon; azimuth 180 is south."""
    declination = _declination(2 * pi * (day.timetuple().tm_yday - 1) / 365)
    zenith = radians(latitude) - declination  # positive: the sun stands in the south
    flat = cos(zenith)
    tilt, away = radians(tilt_deg), radians(azimuth_deg - 180.0)
    facing = cos(zenith) * cos(tilt) + sin(zenith) * sin(tilt) * cos(away)
    if flat <= 0.05:
        return _GAIN[1]
    return min(_GAIN[1], max(_GAIN[0], 1 + _BEAM * (max(0.0, facing) / flat - 1)))


def _declination(angle: float) -> float:
    return (
        0.006918
        - 0.399912 * cos(angle)
        + 0.070257 * sin(angle)
        - 0.006758 * cos(2 * angle)
        + 0.000907 * sin(2 * angle)
        - 0.002697 * cos(3 * angle)
        + 0.00148 * sin(3 * angle)
    )


def _equation_of_time_min(angle: float) -> float:
    series = (
        0.000075 + 0.001868 * cos(angle) - 0.032077 * sin(angle) - 0.014615 * cos(2 * angle) - 0.040849 * sin(2 * angle)
    )
    return 229.18 * series
