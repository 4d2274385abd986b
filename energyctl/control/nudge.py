"""By how much a point is moved to see whether it works: a little, within its limits, and so that it can be seen. Pure.

- power that can be moved at once (a battery's setpoint): by a twentieth of its room, up where there is room, else down;
- a limit (a car's current, a PV system's output): down from what flows now, for raising it shows nothing;
- a switch: to its other position;
- any other number (a temperature): by a twentieth of its range, which shows in no meter within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from energyctl.core.points import Point, ProcessImage
from energyctl.core.resources import Binding, Resource, Tracks

from .gate import PointLimits

SHARE = 0.05
LEAST_KW = 0.5
"""A smaller change of power is lost among the others."""
SWITCHED_KW = 0.2
"""What switching has to change at least."""


@dataclass(frozen=True, slots=True)
class Nudge:
    """A value for a point, and the change of its resource's power that is to be seen [kW]; None: none is."""

    point: str
    value: float
    change_kw: float | None
    exact: bool
    """Whether power changes by just so much; else at least by so much."""
    text: str
    """Why nothing is to be seen; "" when something is."""


def nudge(resource: Resource, binding: Binding, point: Point, limits: PointLimits, image: ProcessImage) -> Nudge | str:
    """How to move a point a little now; in words why it cannot be moved."""
    if isinstance(resource, Tracks) and point.unit != "°C":
        moved = _power(resource, binding, image)
        if moved is not None:
            return moved
    current = image.value(point.id)
    if current is None:
        return "what is there now is not known"
    if point.kind == "bool":
        on = current == 0
        return Nudge(point.id, 1.0 if on else 0.0, SWITCHED_KW if on else -SWITCHED_KW, False, "")
    if point.kind == "enum":
        return "a choice is not changed for a trial"
    return _number(point, limits, current, isinstance(resource, Tracks))


def _power(resource: Tracks, binding: Binding, image: ProcessImage) -> Nudge | None:
    room = resource.adjustable(None, image)
    if room is None:
        return None
    step = max(LEAST_KW, SHARE * (room.most_kw - room.least_kw))
    if binding.field == "limit":
        if abs(room.measured_kw) < 2 * step:
            return None
        change = -step if room.measured_kw > 0 else step
    else:
        change = step if room.measured_kw + step <= room.most_kw else -step
        if room.measured_kw + change < room.least_kw:
            return None
    target = resource.target_for(room.measured_kw + change, image, "commissioning")
    return Nudge(target.point, target.value, change, binding.field != "limit", "")


def _number(point: Point, limits: PointLimits, current: float, tracks: bool) -> Nudge | str:
    lows = [low for low in (point.minimum, limits.minimum) if low is not None]
    highs = [high for high in (point.maximum, limits.maximum) if high is not None]
    if not lows or not highs:
        return "it has no limits to move it within"
    low, high = max(lows), min(highs)
    step = min(SHARE * (high - low), limits.max_step or high - low)
    value = current + step if current + step <= high else current - step
    text = "too little flows now to see a limit work" if tracks else "it moves no power within seconds"
    return Nudge(point.id, min(high, max(low, value)), None, False, text)
