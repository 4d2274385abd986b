"""Sends what a lane lets out at the time it says; the thin loop around the decisions.

The event loop's timers come up to two milliseconds late, which is much of a short delay. So for the short ones it wakes early
and looks again and again until it is time, with everything else getting its turn in between.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from .impair import Lane, Tally

EARLY_S = 0.0022
"""What a timer is late by at most when the machine has time: epoll counts whole milliseconds, and is rounded up to twice."""
SHORT_S = 0.1
"""A wait as long as this may end that late: it is 2 % of it."""


class Pump:
    """Moves units one way. `send` says whether the unit could be handed on; `drained` is called once after `end`."""

    def __init__(
        self, lane: Lane, tally: Tally, send: Callable[[bytes], bool], drained: Callable[[], None] = lambda: None
    ) -> None:
        self._lane, self._tally, self._send, self._drained = lane, tally, send, drained
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.Handle | None = None
        self.ended = False
        """No more units come."""

    def put(self, unit: bytes) -> None:
        """A unit has come."""
        self._lane.put(unit, self._loop.time())
        self._run()

    def end(self) -> None:
        """The last unit has come."""
        if not self.ended:
            self.ended = True
            self._run()

    def drop(self) -> None:
        """Nothing more can be sent."""
        self.ended = True
        self._lane.drop()
        self._cancel()

    def _run(self) -> None:
        for unit in self._lane.take(self._loop.time()):
            if self._send(unit):
                self._tally.delivered += 1
            else:
                self._tally.dropped += 1
        self._cancel()
        if self._lane.next_at < math.inf:
            self._alarm = self._wake(self._lane.next_at)
        elif self.ended:
            self._drained()

    def _wake(self, when: float) -> asyncio.Handle:
        wait = when - self._loop.time()
        if wait <= EARLY_S:
            return self._loop.call_soon(self._run)
        return self._loop.call_at(when - EARLY_S if wait < SHORT_S else when, self._run)

    def _cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
