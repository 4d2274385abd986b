"""The daemon's loops: each is started again when it fails; one that keeps failing stops the daemon, with an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

from energyctl.core.clock import Clock, LockstepClock
from energyctl.core.errors import EnergyctlError

log = logging.getLogger(__name__)

FAILURES_ALLOWED = 3
FORGIVEN_AFTER_S = 3600.0
"""A loop that has run for so long starts with a clean record."""
CANCEL_AGAIN_S = 0.5
CANCEL_TRIES = 10


class Loops:
    """Loops by name; `stop` is called when one cannot be kept running."""

    def __init__(self, clock: Clock, stop: Callable[[], None]) -> None:
        self._clock, self._stop = clock, stop
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = False

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop until it is ended."""
        self._tasks[name] = asyncio.create_task(self._supervise(name, loop), name=name)

    def drive(self, clock: LockstepClock) -> None:
        """Move the virtual time of a simulated site."""
        self._tasks["lockstep"] = asyncio.create_task(self._drive(clock), name="lockstep")

    async def end(self, names: Collection[str] | None = None) -> None:
        """End these loops, or all."""
        ended = [name for name in self._tasks if names is None or name in names]
        await end([self._tasks.pop(name) for name in ended])

    async def _supervise(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while failures < FAILURES_ALLOWED:
            begun = self._clock.monotonic()
            try:
                await loop()
                return
            except Exception:
                failures = 1 if self._clock.monotonic() - begun > FORGIVEN_AFTER_S else failures + 1
                log.exception("%s failed (%d of %d)", name, failures, FAILURES_ALLOWED)
        self._fail()

    async def _drive(self, clock: LockstepClock) -> None:
        try:
            await clock.drive()
        except Exception as error:
            log.error("%s", error, exc_info=not isinstance(error, EnergyctlError))
            self._fail()

    def _fail(self) -> None:
        self.failed = True
        self._stop()


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended, for a bounded time: hand-back must come, whatever a loop does.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which libraries use, can swallow a cancellation that comes
    as its work completes.
    """
    for _ in range(CANCEL_TRIES):
        pending = [task for task in tasks if not task.done()]
        if not pending:
            return
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    left = [task.get_name() for task in tasks if not task.done()]
    if left:
        log.error("these would not end: %s", ", ".join(left))
