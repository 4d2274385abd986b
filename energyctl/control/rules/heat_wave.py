"""Heat-wave mode: when it has been hotter than `above` for `days` days in a row, today counted, rooms are cooled by night.

In the hours of the night, either or both:
- `setpoint` goes down to `down_to`, unless the plant is switched to heating: cold is made while it is cool outside;
- `vent` is on while it is `WORTH_K` cooler outside than inside, until the rooms are down (night purge).
And people are told to close the shading. A day that stays below ends it. It goes by measured temperatures, not by the
forecast; and while the clock is not trusted it does not count days and does nothing.
"""

from __future__ import annotations

from datetime import date

from energyctl.config.rules import HeatWave
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Target

from .deciding import Decision, Now, State

HEATING = 1.0
"""The value of a mode point that means heating."""
WORTH_K = 3.0
NO_MORE_K = 1.0
"""Airing begins when it is so much cooler outside than inside by `WORTH_K`, and ends at this."""
ABOVE_GOAL_K = 0.5
"""Airing begins only above the goal by this."""


class HeatWaveState(State):
    """The day that is counted now and its highest temperature [°C], hot days before it, and whether rooms are aired."""

    day: date | None = None
    warmest: float | None = None
    hot_days: int = 0
    airing: bool = False


def decide(image: ProcessImage, state: HeatWaveState, now: Now, settings: HeatWave) -> Decision[HeatWaveState]:
    """Apply the rule of this module."""
    if not now.trusted:
        return Decision(state.model_copy(update={"airing": False}))
    state = _counted(state, image.value(settings.outdoor), now.local.date(), settings.above)
    days = state.hot_days + _is_hot(state, settings.above)
    if days < settings.days:
        return Decision(state.model_copy(update={"airing": False}))
    text = f"above {settings.above:g} °C for {days} days in a row; close the shading by day"
    night = settings.hours.covers(now.local)
    state = state.model_copy(update={"airing": night and _airs(image, state.airing, settings)})
    wishes = [*_ahead(image, settings, days)] if night else []
    if settings.vent is not None and state.airing:
        wishes.append(Target(settings.vent, 1.0, f"heat wave, day {days}: cooler outside than inside"))
    return Decision(state, tuple(wishes), text)


def _is_hot(state: HeatWaveState, above: float) -> bool:
    return state.warmest is not None and state.warmest > above


def _counted(state: HeatWaveState, outdoor: float | None, today: date, above: float) -> HeatWaveState:
    """The state with this reading in it. A day that is seen again because the clock was set back counts on."""
    hot_days, warmest, day = state.hot_days, state.warmest, state.day
    if day is None or today > day:
        next_day = day is not None and (today - day).days == 1
        hot_days = hot_days + 1 if next_day and _is_hot(state, above) else 0
        warmest, day = None, today
    if outdoor is not None:
        warmest = outdoor if warmest is None else max(warmest, outdoor)
    return HeatWaveState(day=day, warmest=warmest, hot_days=hot_days, airing=state.airing)


def _ahead(image: ProcessImage, settings: HeatWave, days: int) -> tuple[Target, ...]:
    heats = settings.mode is not None and image.value(settings.mode) in (None, HEATING)
    if settings.setpoint is None or heats:
        return ()
    return (Target(settings.setpoint, settings.down_to, f"heat wave, day {days}: rooms are cooled by night"),)


def _airs(image: ProcessImage, airing: bool, settings: HeatWave) -> bool:
    inside, outside = image.value(settings.temp), image.value(settings.outdoor)
    if settings.vent is None or inside is None or outside is None:
        return False
    if airing:
        return inside > settings.down_to and outside < inside - NO_MORE_K
    return inside > settings.down_to + ABOVE_GOAL_K and outside < inside - WORTH_K
