"""A BACnet/IP device for a simulated device: a UDP port of its own, an object per point.

Served are ReadProperty, ReadPropertyMultiple, WriteProperty, SubscribeCOV and Who-Is; an answer is one frame long at most, as
with many small controllers, and what is longer is aborted. Any change of a present value is notified to subscribers
(increment 0), a confirmed notification up to three times. A device that restarts, or whose objects have moved, has forgotten
its subscribers.

The device that answers here can be exchanged for another: `node`. `push` shows what the physics set and returns when every
notification that follows from it has left the socket.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.device import SimDevice

from . import bacnet_codec as codec
from . import bacnet_wire as wire
from .bacnet_objects import (
    DEVICE,
    MAX_APDU,
    NO_SUCH_INDEX,
    NOT_AN_ARRAY,
    SEGMENTATION_NONE,
    TROUBLE,
    UNKNOWN_OBJECT,
    VENDOR,
    WRITE_DENIED,
    Failure,
    Node,
    Point,
    Shown,
)
from .bacnet_wire import Apdu, Peer

SUBSCRIBE_COV, READ, READ_MULTIPLE, WRITE = 5, 12, 14, 15
_I_AM, _UNCONFIRMED_COV, _WHO_IS = 0, 2, 8
_CONFIRMED_COV = 1
_SIMPLE_ACK, _COMPLEX_ACK, _ERROR, _REJECT, _ABORT = 0x20, 0x30, 0x50, 0x60, 0x71
_UNCONFIRMED, _CONFIRMED = 0x10, 0x00
_INVALID_TAG, _UNRECOGNIZED_SERVICE = 4, 9
_SEGMENTATION_NOT_SUPPORTED = 4
_MAX_ANSWER = 5
"""Code for 1476 octets."""
_ALL, _OPTIONAL, _REQUIRED = 8, 80, 105
LOWEST = 16
"""The slot of a write that names none (clause 19.2.1)."""
TRIES, TRY_S = 3, 1.0


@dataclass(slots=True)
class _Subscription:
    point: Point
    peer: Peer
    process: int
    confirmed: bool
    ends_at: float
    """Loop time [s]; infinite when it has no end."""
    told: bytes = b""


class BacnetServer:
    """Serves one device. `async with` binds and closes; `address` is where it listens; `sent` counts notifications."""

    def __init__(self, device: SimDevice, instance: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self.id = device.id
        """Whose address this is, whoever is behind it."""
        self.address = (host, port)
        self.sent = 0
        self.node = Node(device, instance)
        self._subscriptions: dict[tuple[Peer, int, int, int], _Subscription] = {}
        self._life: object = None
        self._transport: asyncio.DatagramTransport | None = None
        self._invoke = 0
        self._unacknowledged: dict[tuple[Peer, int], asyncio.Event] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> BacnetServer:
        bound = _bind(*self.address)
        self.address = bound.getsockname()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Port(self), sock=bound)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._leaving:
            task.cancel()
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    @property
    def device(self) -> SimDevice:
        """Who is behind this address now."""
        return self.node.device

    def command(self, point: str, value: float | None, slot: int, via: str) -> None:
        """Put a canonical value into a slot of a point, None to give the slot up. Raises WriteRejected."""
        next(each for each in self.node.points if each.name == point).command(value, slot, via)

    async def push(self) -> Mapping[str, int]:
        """Show what the physics set; every notification of it has left when this returns. Counts sent per device id."""
        self.device.take_changes()
        self._notify()
        if self._leaving:
            await asyncio.wait(set(self._leaving))
        return {self.id: self.sent}

    def received(self, data: bytes, address: tuple[str, int]) -> None:
        """A datagram."""
        apdu = wire.unpacked(data, address)
        if apdu is None or not self._awake:
            return
        if apdu.kind == "unconfirmed" and apdu.service == _WHO_IS:
            self._who_is(apdu)
        elif apdu.kind == "confirmed":
            self._send(self._answer(apdu), apdu.peer)
            self._notify()
        elif apdu.kind == "acknowledged" and (waiting := self._unacknowledged.get((apdu.peer, apdu.invoke))):
            waiting.set()

    @property
    def _awake(self) -> bool:
        return self.device.online and not self.device.ail.silent

    def _send(self, apdu: bytes, peer: Peer) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(wire.packed(apdu, peer), peer.address)

    def _who_is(self, apdu: Apdu) -> None:
        try:
            limits = [int.from_bytes(tag.data, "big") for tag in codec.tags(apdu.body)]
        except codec.Malformed:
            return
        low, high = limits if len(limits) == 2 else (0, self.node.instance)
        if low <= self.node.instance <= high:
            says = codec.object_id(DEVICE, self.node.instance) + codec.unsigned(MAX_APDU)
            says += codec.enumerated(SEGMENTATION_NONE) + codec.unsigned(VENDOR)
            self._send(bytes([_UNCONFIRMED, _I_AM]) + says, apdu.peer)

    def _answer(self, apdu: Apdu) -> bytes:
        """The answer to a confirmed request, an error included."""
        if apdu.segmented:
            return bytes([_ABORT, apdu.invoke, _SEGMENTATION_NOT_SUPPORTED])
        try:
            said = self._serve(apdu)
        except Failure as failure:
            return bytes([_ERROR, apdu.invoke, apdu.service]) + codec.error(failure.error_class, failure.code)
        except codec.Malformed:
            return bytes([_REJECT, apdu.invoke, _INVALID_TAG])
        if said is None:
            return bytes([_REJECT, apdu.invoke, _UNRECOGNIZED_SERVICE])
        if not said:
            return bytes([_SIMPLE_ACK, apdu.invoke, apdu.service])
        answer = bytes([_COMPLEX_ACK, apdu.invoke, apdu.service]) + said
        if len(answer) > min(apdu.longest, MAX_APDU):
            return bytes([_ABORT, apdu.invoke, _SEGMENTATION_NOT_SUPPORTED])
        return answer

    def _serve(self, apdu: Apdu) -> bytes | None:
        """What an answer says, nothing for a plain acknowledgement; None for a service that there is none of."""
        if self.device.ail.exception is not None:
            raise TROUBLE
        if apdu.service == READ:
            return self._read(apdu.body)
        if apdu.service == READ_MULTIPLE:
            return b"".join(self._read_object(*asked) for asked in wire.read_multiple_request(apdu.body))
        if apdu.service == WRITE:
            return self._write(apdu.body)
        if apdu.service == SUBSCRIBE_COV:
            return self._subscribe(apdu)
        return None

    def _read(self, body: bytes) -> bytes:
        what = wire.read_request(body)
        value = _element(self.node.read(what.kind, what.instance, what.number), what.index)
        return (
            codec.context(0, self._named(what.kind, what.instance), 4)
            + codec.context(1, what.number)
            + (b"" if what.index is None else codec.context(2, what.index))
            + codec.enclosed(3, value)
        )

    def _read_object(self, kind: int, instance: int, asked: Iterable[tuple[int, int | None]]) -> bytes:
        results = bytearray()
        for number, index in self._every(kind, instance, asked):
            results += codec.context(2, number) + (b"" if index is None else codec.context(3, index))
            try:
                results += codec.enclosed(4, _element(self.node.read(kind, instance, number), index))
            except Failure as failure:
                results += codec.enclosed(5, codec.error(failure.error_class, failure.code))
        return codec.context(0, self._named(kind, instance), 4) + codec.enclosed(1, bytes(results))

    def _every(
        self, kind: int, instance: int, asked: Iterable[tuple[int, int | None]]
    ) -> Iterable[tuple[int, int | None]]:
        """What is asked for, with "all" spelled out; an object that is not there is left to fail."""
        for number, index in asked:
            if number in (_ALL, _REQUIRED) and self.node.has(kind, instance):
                yield from ((each, None) for each in self.node.properties(kind, instance))
            elif number != _OPTIONAL:
                yield number, index

    def _named(self, kind: int, instance: int) -> int:
        """An object's id in an answer: the device's own number where it was asked for without."""
        return kind << 22 | (self.node.instance if self.node.is_own(kind, instance) else instance)

    def _write(self, body: bytes) -> bytes:
        request = wire.write_request(body)
        if self.node.is_own(request.what.kind, request.what.instance):
            raise WRITE_DENIED
        if len(request.values) != 1:
            raise codec.Malformed
        slot = LOWEST if request.priority is None else request.priority
        self.node.point(request.what.kind, request.what.instance).write(request.what.number, request.values[0], slot)
        return b""

    def _subscribe(self, apdu: Apdu) -> bytes:
        request = wire.subscribe_request(apdu.body)
        if self.node.is_own(request.kind, request.instance):
            raise UNKNOWN_OBJECT
        key = (apdu.peer, request.process, request.kind, request.instance)
        if request.confirmed is None and request.lifetime_s is None:
            self._subscriptions.pop(key, None)
            return b""
        point = self.node.point(request.kind, request.instance)
        ends_at = asyncio.get_running_loop().time() + request.lifetime_s if request.lifetime_s else math.inf
        self._forget()
        self._subscriptions[key] = _Subscription(point, apdu.peer, request.process, bool(request.confirmed), ends_at)
        return b""

    def _notify(self) -> None:
        """Tell subscribers what they were not told yet."""
        self._forget()
        if not self._subscriptions or not self._awake:
            return
        now = asyncio.get_running_loop().time()
        for key, subscription in list(self._subscriptions.items()):
            if subscription.ends_at <= now:
                del self._subscriptions[key]
                continue
            notice = subscription.point.notice()
            if notice != subscription.told:
                subscription.told = notice
                self._tell(subscription, notice, now)

    def _tell(self, subscription: _Subscription, notice: bytes, now: float) -> None:
        point, left = subscription.point, subscription.ends_at - now
        says = (
            codec.context(0, subscription.process)
            + codec.context(1, DEVICE << 22 | self.node.instance, 4)
            + codec.context(2, point.kind << 22 | point.instance, 4)
            + codec.context(3, 0 if left == math.inf else int(left))
            + codec.enclosed(4, notice)
        )
        self.sent += 1
        if not subscription.confirmed:
            self._send(bytes([_UNCONFIRMED, _UNCONFIRMED_COV]) + says, subscription.peer)
            return
        self._invoke = (self._invoke + 1) % 256
        head = bytes([_CONFIRMED, _MAX_ANSWER, self._invoke, _CONFIRMED_COV])
        task = asyncio.create_task(self._confirmed(head + says, subscription.peer, self._invoke))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _confirmed(self, apdu: bytes, peer: Peer, invoke: int) -> None:
        """Send until it is acknowledged, or for long enough."""
        done = self._unacknowledged[peer, invoke] = asyncio.Event()
        try:
            for _ in range(TRIES):
                self._send(apdu, peer)
                try:
                    async with asyncio.timeout(TRY_S):
                        await done.wait()
                    return
                except TimeoutError:
                    continue
        finally:
            del self._unacknowledged[peer, invoke]

    def _forget(self) -> None:
        """Drop the subscriptions when this is not the device any more that took them."""
        device = self.device
        life = (self.node, device.boots, device.ail.moved_by)
        if life != self._life:
            self._life = life
            self._subscriptions.clear()


class _Port(asyncio.DatagramProtocol):
    """The socket's side of a server."""

    def __init__(self, server: BacnetServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._server.received(data, addr)


def _element(shown: Shown, index: int | None) -> bytes:
    """A property's value, or the element asked for; element 0 is how many there are. Raises Failure."""
    if index is None:
        return shown if isinstance(shown, bytes) else b"".join(shown)
    if isinstance(shown, bytes):
        raise NOT_AN_ARRAY
    if index > len(shown):
        raise NO_SUCH_INDEX
    return codec.unsigned(len(shown)) if index == 0 else shown[index - 1]


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
