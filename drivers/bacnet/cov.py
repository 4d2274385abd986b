"""COV subscriptions: kept alive for as long as the driver runs, and counted.

Every subscription is renewed at half its lifetime, and at once when a device answers again after a silence; a renewal
makes the device tell its present value, so nothing is missed for longer than that. What was lost in between is the
polling's to notice. One notification tells of several properties; it counts once.

On virtual time, where a renewal would come at another instant in every run, subscriptions live for ever instead.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from bacpypes3.pdu import Address

from energyctl.core.clock import Clock
from energyctl.core.errors import DeviceRefused, LinkError
from energyctl.core.points import Sample

from . import apdu
from .peer import Peer
from .points import Target

PROCESS = 1
"""Our subscriber process id; with our address it names a subscription, so the same one renews it."""
RETRY_S = 5.0
FOR_EVER = 0.0
"""The lifetime that never ends (clause 13.14.1)."""

Sink = Callable[[Sample], None]


class Watch:
    """The subscriptions to one device."""

    def __init__(self, peer: Peer, lifetime_s: float, clock: Clock) -> None:
        self.peer, self.received = peer, 0
        self._lifetime_s, self._clock = FOR_EVER if clock.virtual else lifetime_s, clock
        self._sinks: dict[int, list[tuple[Target, Sink]]] = defaultdict(list)
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def add(self, target: Target, sink: Sink) -> None:
        """Subscribe to an object, now or as soon as the device is there. Raises DeviceRefused."""
        self._sinks[target.object].append((target, sink))
        try:
            await self._subscribe(target.object, self._lifetime_s)
        except DeviceRefused:
            del self._sinks[target.object]
            raise
        except LinkError:
            self._stale.set()
        if self._task is None:
            self._task = asyncio.create_task(self._renew(), name=f"cov {self.peer.id}")

    def renew_soon(self) -> None:
        """The device was away and may have forgotten us."""
        self._stale.set()

    def take(self, note: apdu.Notification) -> None:
        """Hand on what a notification tells."""
        for target, sink in self._sinks.get(note.object, ()):
            if apdu.PRESENT_VALUE in note.values:
                value, flags = note.values[apdu.PRESENT_VALUE], note.values.get(apdu.STATUS_FLAGS)
                sink(target.sample(self._clock.now(), value, flags))
        self.received += 1

    async def close(self) -> None:
        """Stop renewing, and cancel what the device still holds for us; a silent device is left to its lifetimes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with suppress(LinkError, DeviceRefused):
            for target in self._sinks:
                await self._subscribe(target, None)

    async def _renew(self) -> None:
        pause = half = self._lifetime_s / 2 or None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stale.wait()
            self._stale.clear()
            pause = half if await self._renew_all() else min(RETRY_S, half or RETRY_S)

    async def _renew_all(self) -> bool:
        for target in list(self._sinks):
            try:
                await self._subscribe(target, self._lifetime_s)
            except LinkError:
                return False
            except DeviceRefused:
                continue
        return True

    async def _subscribe(self, target: int, lifetime_s: float | None) -> None:
        lifetime = None if lifetime_s is None else math.ceil(lifetime_s)
        await self.peer.ask(apdu.SUBSCRIBE_COV, apdu.subscribe_request(PROCESS, target, lifetime))


class Watches:
    """The watches of a driver by device id, and which of them a notification belongs to."""

    def __init__(self, lifetime_s: float, clock: Clock) -> None:
        self._lifetime_s, self._clock = lifetime_s, clock
        self._by_device: dict[str, Watch] = {}
        self._by_address: dict[Address, Watch] = {}

    async def open(self, peer: Peer) -> Watch:
        """The watch of a device, made when there is none. Raises LinkError when its host has no address."""
        watch = self._by_device.setdefault(peer.id, Watch(peer, self._lifetime_s, self._clock))
        self._by_address[await peer.locate()] = watch
        return watch

    @property
    def received(self) -> dict[str, int]:
        """Notifications taken in per device id."""
        return {device: watch.received for device, watch in self._by_device.items()}

    def renew_soon(self, device: str) -> None:
        """A device answers again."""
        if device in self._by_device:
            self._by_device[device].renew_soon()

    def notified(self, source: Address, content: bytes) -> None:
        """A notification came in; what is not ours or makes no sense is dropped."""
        watch = self._by_address.get(source)
        if watch is None:
            return
        try:
            note = apdu.notification(content)
        except ValueError:
            return
        if note.process == PROCESS:
            watch.take(note)

    async def close(self) -> None:
        """End all subscriptions."""
        await asyncio.gather(*(watch.close() for watch in self._by_device.values()))
        self._by_device.clear()
        self._by_address.clear()
