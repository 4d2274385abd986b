"""Where the sun is and what a clear sky gives on a tilted plane; simple formulas, good to a few per cent.

Position: Spencer (1971) declination and equation of time. Clear sky: Haurwitz (1945) global horizontal, Meinel (1976) beam;
what is not beam is diffuse (at least a tenth of the global). On the plane: isotropic sky, ground albedo 0.2.
"""

from __future__ import annotations

import numpy as np

from .program import Floats

_DAY_S = 86400.0
_ALBEDO = 0.2


def position(epoch_s: Floats, latitude_deg: float, longitude_deg: float) -> tuple[Floats, Floats]:
    """(elevation, azimuth) [rad] of the sun at UTC epoch seconds; azimuth clockwise from north."""
    days = epoch_s / _DAY_S
    year_angle = 2 * np.pi * np.mod(days, 365.2425) / 365.2425
    declination = (
        0.006918
        - 0.399912 * np.cos(year_angle)
        + 0.070257 * np.sin(year_angle)
        - 0.006758 * np.cos(2 * year_angle)
        + 0.000907 * np.sin(2 * year_angle)
        - 0.002697 * np.cos(3 * year_angle)
        + 0.00148 * np.sin(3 * year_angle)
    )
    late_min = 229.18 * (
        0.000075
        + 0.001868 * np.cos(year_angle)
        - 0.032077 * np.sin(year_angle)
        - 0.014615 * np.cos(2 * year_angle)
        - 0.040849 * np.sin(2 * year_angle)
    )
    solar_day = np.mod(days, 1.0) + longitude_deg / 360 + late_min / 1440
    hour_angle, latitude = 2 * np.pi * (solar_day - 0.5), np.radians(latitude_deg)
    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.sin(declination) * np.cos(latitude) - np.cos(declination) * np.cos(hour_angle) * np.sin(latitude)
    return np.arcsin(np.clip(up, -1, 1)), np.mod(np.arctan2(east, north), 2 * np.pi)


def clear_sky_on_plane(
    epoch_s: Floats, latitude_deg: float, longitude_deg: float, tilt_deg: float, azimuth_deg: float
) -> Floats:
    """Irradiance [kW/m2] of a clear sky on a plane (tilt from flat, azimuth clockwise from north)."""
    elevation, azimuth = position(epoch_s, latitude_deg, longitude_deg)
    height = np.sin(elevation)
    day = height > 0.01
    up = np.where(day, height, 1.0)
    glob = 1.098 * up * np.exp(-0.057 / up)
    beam = np.minimum(1.353 * 0.7 ** ((1 / up) ** 0.678), 0.9 * glob / up)
    diffuse = glob - beam * up
    tilt, facing = np.radians(tilt_deg), np.radians(azimuth_deg)
    incidence = up * np.cos(tilt) + np.cos(elevation) * np.sin(tilt) * np.cos(azimuth - facing)
    plane = beam * np.maximum(incidence, 0.0)
    plane += diffuse * (1 + np.cos(tilt)) / 2 + _ALBEDO * glob * (1 - np.cos(tilt)) / 2
    return np.where(day, plane, 0.0)
