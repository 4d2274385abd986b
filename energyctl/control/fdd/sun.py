"""How high the sun stands."""

from __future__ import annotations

from datetime import UTC, datetime
from math import asin, cos, degrees, pi, radians, sin


def elevation_deg(time: datetime, latitude: float, longitude: float) -> float:
    """The sun's height above the horizon [°] at an aware time; good to half a degree, without refraction.

    Declination and equation of time are Spencer's Fourier series of 1971.
    """
    utc = time.astimezone(UTC)
    hours = utc.hour + utc.minute / 60 + utc.second / 3600
    angle = 2 * pi * (utc.timetuple().tm_yday - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * cos(angle)
        + 0.070257 * sin(angle)
        - 0.006758 * cos(2 * angle)
        + 0.000907 * sin(2 * angle)
        - 0.002697 * cos(3 * angle)
        + 0.00148 * sin(3 * angle)
    )
    equation_min = 229.18 * (
        0.000075 + 0.001868 * cos(angle) - 0.032077 * sin(angle) - 0.014615 * cos(2 * angle) - 0.040849 * sin(2 * angle)
    )
    hour_angle = radians(15 * (hours - 12) + longitude + equation_min / 4)
    place = radians(latitude)
    return degrees(asin(sin(place) * sin(declination) + cos(place) * cos(declination) * cos(hour_angle)))
