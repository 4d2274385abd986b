"""Obeying the emergency stop at once, whatever cycle, store and planner are at."""

from __future__ import annotations

from energyctl.control.dispatch import Dispatcher
from energyctl.control.estop import EmergencyStop
from energyctl.core.clock import Clock, Turn

LOOK_EVERY_S = 0.2
LET_GO_WITHIN_S = 10.0
"""So long the first try may take; what is not handed back by then is tried again by every cycle."""


async def obey(estop: EmergencyStop, dispatcher: Dispatcher, clock: Clock, period_s: float) -> None:
    """For ever: as soon as the emergency stop stands, hand back what is held, also what is being left alone."""
    every_s = period_s if clock.virtual else LOOK_EVERY_S
    obeyed = False
    with clock.busy():
        while True:
            await clock.sleep_until(clock.monotonic() + every_s, Turn.JOBS)
            stands = estop.standing is not None
            if stands and not obeyed:
                await dispatcher.let_go(LET_GO_WITHIN_S)
            obeyed = stands
