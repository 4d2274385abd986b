"""The BACnet/IP driver: present-values in batches, writes in our slot of the priority array, subscriptions by COV.

A device that does not answer is a LinkTimeout; one that says no makes a bad Sample or a Refused. Undoing a step means
putting back what our own slot held before, Null included, so that nobody else's claim is touched. A step that is not
answered may have been carried out: it is undone with those before it, and what cannot be undone then makes a Partial.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Partial, Refused, WriteResult, Written
from energyctl.core.errors import DeviceRefused, LinkError
from energyctl.core.points import Command, Sample

from . import apdu
from .apdu import Failed, Ref
from .cov import Watches
from .options import LinkOptions
from .peer import Peer
from .points import Target, first, number
from .station import Station, error_name
from .tags import encode

UNKNOWN_PROPERTY = 32
"""Error code (clause 18)."""

Item = TypeVar("Item")


class BacnetDriver:
    """All devices of one BACnet/IP connection, spoken to from one UDP port."""

    def __init__(self, link: str, options: LinkOptions, devices: Sequence[Device], clock: Clock) -> None:
        self._link, self._options, self._clock = link, options, clock
        self._watches = Watches(options.cov_lifetime, clock)
        self._peers = {device.id: Peer(device, options, self._watches.renew_soon) for device in devices}
        self._peer_of = {point: peer for peer in self._peers.values() for point in peer.targets}
        self._station: Station | None = None

    async def __aenter__(self) -> Self:
        self._use(Station(self._bind(), self._options.timeout, self._watches.notified))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._station is None:
            return
        station = self._station
        try:
            await self._watches.close()
        finally:
            self._use(None)
            station.close()

    @property
    def our_priority(self) -> int:
        """The slot we write."""
        return self._options.priority

    @property
    def received(self) -> Mapping[str, int]:
        """COV notifications taken in so far per subscribed device."""
        return self._watches.received

    async def read(self, points: Sequence[str]) -> list[Sample]:
        """See `core.driver.Driver`."""
        if not points:
            return []
        peer = self._peer_of[points[0]]
        size = peer.options.max_properties // (2 if peer.options.status_flags else 1)
        together = [peer.targets[point] for point in points if point not in peer.refused]
        alone = [[peer.targets[point]] for point in points if point in peer.refused]
        samples: dict[str, Sample] = {}
        for batch in [*_batches(together, size), *alone]:
            for sample in await self._read(peer, batch):
                samples[sample.point] = sample
        return [samples[point] for point in points]

    async def write(self, command: Command) -> WriteResult:
        """See `core.driver.Driver`."""
        peer = self._peers[command.device]
        steps: list[tuple[Target, bytes]] = []
        for step in command.steps:
            target = peer.targets[step.point]
            try:
                steps.append((target, target.encode(step.value)))
            except ValueError as exc:
                return Refused(step.point, str(exc))
        before = await self._before(peer, [target for target, _ in steps]) if len(steps) > 1 else {}
        targets = [target for target, _ in steps]
        for done, (target, value) in enumerate(steps):
            try:
                await peer.put(target, value, self.our_priority)
            except DeviceRefused as exc:
                stuck = await self._undo(peer, targets[:done], before)
                return Partial(target.point, exc.reason, stuck) if stuck else Refused(target.point, exc.reason)
            except LinkError as exc:
                if len(steps) == 1 or not (stuck := await self._undo(peer, targets[: done + 1], before)):
                    raise
                return Partial(target.point, str(exc), stuck)
        return Written()

    async def relinquish(self, point: str) -> WriteResult:
        """Write Null in our slot; Refused where the object has no priority array."""
        peer = self._peer_of[point]
        target = peer.targets[point]
        ref = target.slot(self.our_priority)
        try:
            slot = (await peer.properties([ref]))[ref]
            if isinstance(slot, Failed):
                return Refused(point, f"no slot to give up: {error_name(slot)}")
            await peer.put(target, encode(None, target.kind), self.our_priority)
        except DeviceRefused as exc:
            return Refused(point, exc.reason)
        return Written()

    async def priorities(self, point: str) -> Mapping[int, float]:
        """The used slots of a point's priority array, canonical; none for an object without one.

        Raises LinkError, LinkTimeout, DeviceRefused.
        """
        peer = self._peer_of[point]
        target = peer.targets[point]
        slots = (await peer.properties([target.slots]))[target.slots]
        if isinstance(slots, Failed):
            if slots.error_code == UNKNOWN_PROPERTY:
                return {}
            raise DeviceRefused(peer.id, point, error_name(slots))
        found = {slot: number(value) for slot, value in enumerate(slots, start=1)}
        return {slot: target.spec.canonical(value) for slot, value in found.items() if value is not None}

    async def identify(self, device: str) -> str:
        """Vendor, model and firmware. Raises LinkError when the instance at the address is not the one it should be."""
        peer = self._peers[device]
        names = (apdu.VENDOR_NAME, apdu.MODEL_NAME, apdu.FIRMWARE_REVISION)
        refs = [Ref(apdu.DEVICE << 22 | peer.instance, name) for name in names]
        try:
            found = await peer.properties(refs)
        except DeviceRefused as exc:
            raise LinkError(device, f"device {peer.instance} is not at {peer.where}: {exc.reason}") from exc
        failed = [error_name(value) for value in found.values() if isinstance(value, Failed)]
        if len(failed) == len(found):
            raise LinkError(device, f"device {peer.instance} is not at {peer.where}: {failed[0]}")
        return " ".join(str(word) for ref in refs if (word := first(found[ref])) is not None)

    async def subscribe(self, points: Sequence[str], sink: Callable[[Sample], None]) -> None:
        """See `core.driver.Subscribes`. A device that is away now is subscribed when it comes.

        Raises DeviceRefused for the first point that the device will not tell of, having subscribed to all others;
        LinkError when its host has no address.
        """
        refused: DeviceRefused | None = None
        for point in points:
            peer = self._peer_of[point]
            watch = await self._watches.open(peer)
            try:
                await watch.add(peer.targets[point], sink)
            except DeviceRefused as exc:
                refused = refused or DeviceRefused(peer.id, point, exc.reason)
        if refused is not None:
            raise refused

    async def _read(self, peer: Peer, targets: Sequence[Target]) -> list[Sample]:
        """One request; halves of it when the device turns all of it down for the sake of one point."""
        with_flags = peer.options.status_flags
        refs = [ref for target in targets for ref in ((target.value, target.flags) if with_flags else (target.value,))]
        try:
            found = await peer.properties(refs)
        except DeviceRefused as exc:
            if len(targets) == 1:
                peer.refused.add(targets[0].point)
                return [Sample.bad(targets[0].point, self._clock.now(), exc.reason)]
            half = len(targets) // 2
            return await self._read(peer, targets[:half]) + await self._read(peer, targets[half:])
        peer.refused.difference_update(target.point for target in targets)
        now = self._clock.now()
        samples = []
        for target in targets:
            value = found[target.value]
            if isinstance(value, Failed):
                samples.append(Sample.bad(target.point, now, error_name(value)))
            else:
                samples.append(target.sample(now, first(value), first(found.get(target.flags))))
        return samples

    async def _before(self, peer: Peer, targets: Sequence[Target]) -> dict[str, bytes | None]:
        """What undoing must put back: our slot's content, or the present-value where there are no slots."""
        before: dict[str, bytes | None] = {}
        for batch in _batches(targets, peer.options.max_properties // 2):
            refs = [ref for target in batch for ref in (target.slot(self.our_priority), target.value)]
            try:
                found = await peer.properties(refs)
            except DeviceRefused:
                continue
            for target in batch:
                slot, value = found[target.slot(self.our_priority)], found[target.value]
                before[target.point] = target.as_found(value if isinstance(slot, Failed) else slot)
        return before

    async def _undo(self, peer: Peer, done: Sequence[Target], before: Mapping[str, bytes | None]) -> tuple[str, ...]:
        """Put back what was found, last first; the points where that failed. A device that does not answer is not asked on."""
        stuck: list[str] = []
        for at in reversed(range(len(done))):
            value = before.get(done[at].point)
            try:
                if value is None:
                    stuck.append(done[at].point)
                else:
                    await peer.put(done[at], value, self.our_priority)
            except DeviceRefused:
                stuck.append(done[at].point)
            except LinkError:
                return (*stuck, *(target.point for target in reversed(done[: at + 1])))
        return tuple(stuck)

    def _use(self, station: Station | None) -> None:
        self._station = station
        for peer in self._peers.values():
            peer.station = station

    def _bind(self) -> socket.socket:
        """Our UDP port, ours alone: bound here, since bacpypes3 binds late and lets others share. Raises LinkError."""
        local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        local.setblocking(False)
        try:
            local.bind((self._options.local_address, self._options.local_port))
        except OSError as exc:
            local.close()
            where = f"{self._options.local_address}:{self._options.local_port}"
            raise LinkError(self._link, f"cannot use our own UDP port {where}: {exc.strerror}") from exc
        return local


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
