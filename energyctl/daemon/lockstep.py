"""The daemon's side of lockstep: asks the simulated site to move time on, and waits until all it pushed has arrived.

Line JSON over a Unix socket. The site greets with {"now", "end", "step_s"}; every {"advance": time} is answered, once the
plant has stepped there and everything was sent out, by {"now", "pushed": {device: notifications sent so far},
"clock_off_s"}, with "done": true at the end of the run. "clock_off_s" puts our wall clock wrong by so much, once the move
is over; the clock that never jumps goes on. Waiting for the pushed notifications makes subscriptions as deterministic as
polls; what arrives while the site moves belongs to the time it moves to, so `SiteClock` shows that time already.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from energyctl.core.clock import LockstepClock
from energyctl.core.driver import Driver, Subscribes
from energyctl.core.errors import EnergyctlError

FENCE_S = 30.0
"""Wall time allowed for notifications to arrive; longer means one was lost, which fails the run."""


class Lockstep:
    """A connection to a simulated site. `drivers` are those whose notifications to wait for; `on_done` ends the run."""

    def __init__(self, on_done: Callable[[], None]) -> None:
        self._on_done = on_done
        self._drivers: list[Subscribes] = []
        self.moving_to: datetime | None = None
        """The time that the site is being moved to; None while it stands still."""
        self.clock_off = timedelta()
        """How far our wall clock is to be off."""
        self.start: datetime
        self.step_s = 60.0

    async def connect(self, path: Path) -> None:
        """Connect and take the greeting. Raises EnergyctlError when nobody is there."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(str(path))
        except OSError as error:
            raise EnergyctlError(f"no simulated site at {path}: {error.strerror}") from error
        hello = await self._receive()
        self.start = datetime.fromisoformat(hello["now"])
        self.step_s = float(hello["step_s"])

    def fence(self, drivers: Iterable[Driver]) -> None:
        """From now on wait for what these drivers' devices push."""
        self._drivers = [driver for driver in drivers if isinstance(driver, Subscribes)]

    async def advance(self, to: datetime) -> None:
        """Move the simulated site to `to`."""
        self.moving_to = to
        self._writer.write(json.dumps({"advance": to.isoformat()}).encode() + b"\n")
        answer = await self._receive()
        await self._arrived(answer.get("pushed", {}))
        self.clock_off = timedelta(seconds=answer.get("clock_off_s", 0.0))
        self.moving_to = None
        if answer.get("done"):
            self._on_done()

    async def _arrived(self, pushed: dict[str, int]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FENCE_S
        while missing := self._missing(pushed):
            if loop.time() > deadline:
                raise EnergyctlError(f"lockstep: notifications lost: {missing}")
            await asyncio.sleep(0)

    def _missing(self, pushed: dict[str, int]) -> dict[str, int]:
        received: dict[str, int] = {}
        for driver in self._drivers:
            received.update(driver.received)
        return {
            device: count - received[device] for device, count in pushed.items() if count > received.get(device, count)
        }

    async def _receive(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line:
            raise EnergyctlError("the simulated site has gone away")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let go of the simulated site, which then ends."""
        self._writer.close()


class SiteClock(LockstepClock):
    """The virtual clock of a simulated site; what it says may be off, how it goes is not."""

    def __init__(self, site: Lockstep) -> None:
        super().__init__(site.start, site.advance)
        self._site = site

    def now(self) -> datetime:
        return (self._site.moving_to or super().now()) + self._site.clock_off
