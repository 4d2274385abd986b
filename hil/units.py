"""What a device shows and takes, in its own unit and sign, against the canonical values the physics works in.

Written apart from the driver's conversion on purpose: a bench that shared it would agree with every mistake in it.
"""

from __future__ import annotations

from energyctl.core.profile import PointSpec

_SCALE: dict[str, tuple[float, float]] = {
    "%": (100.0, 0.0),
    "W": (1000.0, 0.0),
    "MW": (0.001, 0.0),
    "Wh": (1000.0, 0.0),
    "MWh": (0.001, 0.0),
    "var": (1000.0, 0.0),
    "VA": (1000.0, 0.0),
    "°F": (1.8, 32.0),
    "ms": (1000.0, 0.0),
    "min": (1 / 60, 0.0),
    "h": (1 / 3600, 0.0),
    "d": (1 / 86400, 0.0),
}
"""device value = canonical * factor + offset; a unit not listed is canonical already."""


def shown(spec: PointSpec, value: float) -> float:
    """A canonical value as the device shows it: its own unit, and its own sign where it counts the other way round."""
    factor, offset = _SCALE.get(spec.unit, (1.0, 0.0))
    own = value * factor + offset
    return -own if spec.invert else own


def taken(spec: PointSpec, value: float) -> float:
    """A value in the device's unit and sign as canonical, consumption positive."""
    factor, offset = _SCALE.get(spec.unit, (1.0, 0.0))
    return ((-value if spec.invert else value) - offset) / factor


def bounds(spec: PointSpec) -> tuple[float, float]:
    """The canonical limits of a point; infinite where the profile gives none."""
    factor, offset = _SCALE.get(spec.unit, (1.0, 0.0))
    low = float("-inf") if spec.minimum is None else (spec.minimum - offset) / factor
    high = float("inf") if spec.maximum is None else (spec.maximum - offset) / factor
    return low, high
