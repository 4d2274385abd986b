"""Trim and respond on a supply temperature setpoint (ASHRAE Guideline 36-2021, 5.1.14.4).

While the plant is off the setpoint is SP0. From Td after it starts, every T: with no more than I requests the setpoint
changes by SPtrim; with R > I it changes by SPres * (R - I), but by no more than SPres-max. It stays within SPmin and SPmax.

A zone asks by how far it is off its setpoint, in the direction that the response helps: from 0.5 K once, from 2 K twice,
from 3 K three times, as zones do for the supply air temperature (5.6.8.1); there a loop near its end counts in place of
0.5 K, which we do not see. Each request counts `importance` times. A zone without a good value asks for nothing.
"""

from __future__ import annotations

from energyctl.config.rules import Asker, TrimRespond
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Target

from .deciding import Decision, Now, State

_ASKS = ((3.0, 3), (2.0, 2), (0.5, 1))
"""How far off a zone must be at least [K], and how many requests that makes."""


class TrimRespondState(State):
    """The setpoint [°C], since when the plant runs [s], and how long ago the setpoint was last stepped [s]."""

    setpoint: float | None = None
    running_s: float | None = None
    since_s: float = 0.0


def decide(image: ProcessImage, state: TrimRespondState, now: Now, settings: TrimRespond) -> Decision[TrimRespondState]:
    """Apply the rule of this module."""
    if settings.running is not None and not (image.value(settings.running) or 0.0) > 0:
        return _wish(TrimRespondState(setpoint=settings.start), settings, "the plant is off")
    setpoint = settings.start if state.setpoint is None else state.setpoint
    running_s = 0.0 if state.running_s is None else state.running_s + now.passed_s
    since_s = state.since_s + now.passed_s
    if running_s < settings.delay:
        started = TrimRespondState(setpoint=setpoint, running_s=running_s, since_s=settings.every)
        return _wish(started, settings, "the plant has just started")
    asked = sum(requests(image, one, settings.respond > 0) for one in settings.requests)
    if since_s < settings.every:
        return _wish(
            TrimRespondState(setpoint=setpoint, running_s=running_s, since_s=since_s), settings, f"{asked} requests"
        )
    setpoint = min(max(setpoint + change(asked, settings), settings.min), settings.max)
    return _wish(TrimRespondState(setpoint=setpoint, running_s=running_s), settings, f"{asked} requests")


def change(asked: int, settings: TrimRespond) -> float:
    """What one step does to the setpoint with so many requests [K]."""
    over = asked - settings.ignore
    if over <= 0:
        return float(settings.trim)
    response = float(settings.respond) * over
    return response if abs(response) <= abs(settings.most) else float(settings.most)


def requests(image: ProcessImage, zone: Asker, warmer: bool) -> int:
    """How many requests a zone makes for a warmer (or a colder) supply."""
    temp, setpoint = image.value(zone.temp), image.value(zone.setpoint)
    if temp is None or setpoint is None:
        return 0
    off_k = setpoint - temp if warmer else temp - setpoint
    return zone.importance * next((count for least, count in _ASKS if off_k >= least), 0)


def _wish(state: TrimRespondState, settings: TrimRespond, why: str) -> Decision[TrimRespondState]:
    assert state.setpoint is not None
    return Decision(state, (Target(settings.setpoint, state.setpoint, f"trim and respond: {why}"),))
