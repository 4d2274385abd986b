"""Frost protection: a place below `below` gets a setpoint of at least `to`, until it is well above, at `until`.

At least: a setpoint that was higher when it began stays. Without a good measurement nothing begins, and what has begun goes
on: a sensor that fails in the cold is no reason to stop heating.
"""

from __future__ import annotations

from energyctl.config.rules import Frost
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Target

from .deciding import Decision, Now, State


class FrostState(State):
    """The setpoint held against frost [°C]; None when there is no frost."""

    held: float | None = None


def decide(image: ProcessImage, state: FrostState, now: Now, settings: Frost) -> Decision[FrostState]:
    """Apply the rule of this module."""
    temp, held = image.value(settings.temp), state.held
    if temp is not None and held is None and temp < settings.below:
        set_now = image.value(settings.setpoint)
        held = settings.to if set_now is None else max(settings.to, set_now)
    elif temp is not None and temp >= settings.until:
        held = None
    if held is None:
        return Decision(FrostState())
    shown = "not measured any more" if temp is None else f"{temp:.1f} °C"
    text = f"{settings.temp} is {shown}; {settings.setpoint} is at least {held:g} °C until it is {settings.until:g} °C"
    reason = f"frost protection: {settings.temp} is {shown}"
    return Decision(FrostState(held=held), (Target(settings.setpoint, held, reason),), text)
