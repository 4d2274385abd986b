"""Time, injected: everything that waits or asks for the time does so through a Clock.

Live, a Clock is the operating system's. In lockstep it is a queue of wake-ups ordered by (due, rank, order of asking):
time moves only when nobody is busy, first the world is advanced to the next due time, then everybody due at that time
and rank is woken together. So a day takes as long as its work takes, and two runs do the same things in the same order.

A loop that works and sleeps lives inside `busy()`; `sleep_until` gives that up while it sleeps. Whoever does work that
the clock must wait for (a write on the wire, a plan being made) holds `busy()` too. Live, `busy()` costs nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Protocol


class Turn(IntEnum):
    """Who goes first among those due at the same instant: input, then the cycle, then what follows from it."""

    INPUT = 0
    CYCLE = 1
    JOBS = 2


class Clock(Protocol):
    """`now` for records and calendars, `monotonic` for leases, polls and dwell times; never mix them up."""

    @property
    def virtual(self) -> bool:
        """True when time is simulated; then solver and I/O limits must not depend on it."""
        ...

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    async def sleep_until(self, due: float, turn: Turn = Turn.INPUT) -> None:
        """Sleep until `monotonic()` reaches `due`; call it inside `busy()`."""
        ...

    def busy(self) -> AbstractContextManager[None]:
        """While held, time does not move on."""
        ...


class LiveClock:
    """The operating system's clocks."""

    virtual = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep_until(self, due: float, turn: Turn = Turn.INPUT) -> None:
        await asyncio.sleep(max(0.0, due - time.monotonic()))

    def busy(self) -> AbstractContextManager[None]:
        return nullcontext()


class LockstepClock:
    """Virtual time. `advance(to)` moves the simulated world to an instant and returns when all of it has arrived."""

    virtual = True

    def __init__(self, start: datetime, advance: Callable[[datetime], Awaitable[None]]) -> None:
        self._start = start
        self._elapsed = 0.0
        self._advance = advance
        self._busy = 0
        self._idle = asyncio.Event()
        self._waiting: list[tuple[float, Turn, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep_until(self, due: float, turn: Turn = Turn.INPUT) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (max(due, self._elapsed), turn, next(self._order), wake))
        self._done()
        try:
            await wake
        except asyncio.CancelledError:
            if wake.cancelled():
                self._begin()
            raise

    @contextmanager
    def busy(self) -> Iterator[None]:
        self._begin()
        try:
            yield
        finally:
            self._done()

    async def drive(self) -> None:
        """Move time on, for ever; runs beside the loops that sleep. Ends only by cancellation or an error of `advance`."""
        while True:
            while self._busy or not self._someone_waits():
                self._idle.clear()
                await self._idle.wait()
            due, turn, _, _ = self._waiting[0]
            if due > self._elapsed:
                await self._advance(self._start + timedelta(seconds=due))
                self._elapsed = due
            while self._waiting and self._waiting[0][:2] == (due, turn):
                wake = heapq.heappop(self._waiting)[3]
                if not wake.done():
                    self._begin()
                    wake.set_result(None)

    def _someone_waits(self) -> bool:
        """Whether anybody sleeps; for those who were cancelled meanwhile time does not move."""
        while self._waiting and self._waiting[0][3].done():
            heapq.heappop(self._waiting)
        return bool(self._waiting)

    def _begin(self) -> None:
        self._busy += 1
        self._idle.clear()

    def _done(self) -> None:
        self._busy -= 1
        if self._busy == 0:
            self._idle.set()
