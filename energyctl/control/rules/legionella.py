"""Hot water against legionella: at least once `every`, `reach` is measured for `hold` without a break.

The tank counts as proven whenever that has been measured, whoever heated it. When the time is nearly over the setpoint is
raised to `to` until it has: in `hours` of the last day, or at the latest `LATEST_S` before the end, whatever the hour. What
has passed is counted by the clock that never jumps, and over a restart by the calendar. A tank that nobody knows of is
due in the last day's way. What is not measured is not counted, and a colder reading begins the hold anew.
"""

from __future__ import annotations

from energyctl.config.rules import Legionella
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Target

from .deciding import Decision, Now, State

LAST_DAY_S = 86_400.0
LATEST_S = 6 * 3600.0
"""Time for a weak heater, and for the hold."""


class LegionellaState(State):
    """Seconds since the tank was last proven (None: not known), seconds it has been hot, and whether we heat it."""

    age_s: float | None = None
    hot_s: float = 0.0
    heating: bool = False


def decide(image: ProcessImage, state: LegionellaState, now: Now, settings: Legionella) -> Decision[LegionellaState]:
    """Apply the rule of this module."""
    temp = image.value(settings.temp)
    hot_s = state.hot_s if temp is None else state.hot_s + now.watched_s if temp >= settings.reach else 0.0
    if hot_s >= settings.hold:
        return Decision(LegionellaState(age_s=0.0, hot_s=settings.hold))
    unknown = settings.every - LAST_DAY_S
    age = now.passed_s + (unknown if state.age_s is None else state.age_s)
    heating = state.heating or _due(age, now, settings)
    late = (
        f"{settings.temp} has not been {settings.reach:g} °C for {settings.hold / 60:g} min for {age / 86_400:.1f} days"
    )
    alarm = late if age >= settings.every else None
    wishes = (Target(settings.setpoint, settings.to, _reason(temp, hot_s, settings)),) if heating else ()
    return Decision(LegionellaState(age_s=age, hot_s=hot_s, heating=heating), wishes, alarm)


def _due(age_s: float, now: Now, settings: Legionella) -> bool:
    if age_s >= settings.every - LATEST_S:
        return True
    in_hours = settings.hours is None or (now.trusted and settings.hours.covers(now.local))
    return in_hours and age_s >= settings.every - LAST_DAY_S


def _reason(temp: float | None, hot_s: float, settings: Legionella) -> str:
    shown = "not measured" if temp is None else f"{temp:.1f} °C"
    hot = f", hot for {hot_s / 60:.0f} of {settings.hold / 60:.0f} min" if hot_s else ""
    return f"against legionella: {settings.temp} is {shown}{hot}"
