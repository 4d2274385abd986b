"""A bad line for UDP: every client gets a socket of its own to the target, so that what the device sends by itself later
(BACnet COV) finds the client it belongs to. IPv4.

A client that neither sent nor was sent anything for `idle_s` is forgotten, and its socket closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from random import Random
from typing import Literal, Self

from .impair import Counts, Impairment, Lane, Track
from .pump import Pump

LONGEST = 65535
AT_ONCE = 64
"""Datagrams read from one socket before others, and those that are due, get their turn."""
IDLE_S = 3600.0


class UdpProxy:
    """A line to `target` (host, port). `async with` binds and closes; OSError when the port is taken.

    `seed` is the luck of the line: the n-th datagram each way of the m-th client always has the same.
    """

    transport: Literal["udp"] = "udp"

    def __init__(
        self,
        target: tuple[str, int],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        impair: Impairment | None = None,
        seed: int = 0,
        idle_s: float = IDLE_S,
    ) -> None:
        self.target = target
        self.impair = impair or Impairment()
        self.counts = Counts()
        self._to_device = Track("to_device", self.impair, self.counts.to_device)
        self._to_client = Track("to_client", self.impair, self.counts.to_client)
        self._wanted, self._seed, self._idle_s = (host, port), seed, idle_s
        self._clients: dict[tuple[str, int], _Client] = {}
        self._socket: socket.socket | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(self._wanted)
        except BaseException:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        self._forget_idle()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._socket is not None and self._sweep is not None
        self._sweep.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._forget_all()
        self._socket.close()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where clients reach it."""
        assert self._socket is not None
        host, port = self._socket.getsockname()
        return host, port

    async def reset(self) -> None:
        """Forget all clients; what is under way is dropped, and so is what the device sends them unasked."""
        self.counts.reset += len(self._clients)
        self._forget_all()

    def retarget(self, host: str, port: int) -> None:
        """Clients heard of from now on reach another server; call `reset` to move the others as well."""
        self.target = (host, port)

    def _readable(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            try:
                data, address = self._socket.recvfrom(LONGEST)
            except OSError:
                return
            client = self._clients.get(address) or self._meet(address)
            client.heard_at = loop.time()
            client.to_device.put(data)

    def _meet(self, address: tuple[str, int]) -> _Client:
        self.counts.connections += 1
        number = self.counts.connections

        def pump(track: Track, send: Callable[[bytes], bool]) -> Pump:
            return Pump(Lane(track, Random(f"{self._seed} {track.way} {number}")), track.tally, send)

        client = _Client(self.target)
        client.to_device = pump(self._to_device, client.send)
        client.to_client = pump(self._to_client, lambda data: self._reply(data, address))
        self._clients[address] = client
        return client

    def _reply(self, data: bytes, address: tuple[str, int]) -> bool:
        assert self._socket is not None
        try:
            self._socket.sendto(data, address)
        except OSError:
            return False
        return True

    def _forget_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for address, client in list(self._clients.items()):
            if client.heard_at < loop.time() - self._idle_s:
                self._clients.pop(address).close()
        self._sweep = loop.call_later(self._idle_s / 4, self._forget_idle)

    def _forget_all(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


class _Client:
    """One client's socket to the device."""

    to_device: Pump
    to_client: Pump

    def __init__(self, target: tuple[str, int]) -> None:
        self.heard_at = 0.0
        """When a datagram last came from either side [s, loop time]."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(target)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def send(self, data: bytes) -> bool:
        """Send to the device."""
        try:
            self._socket.send(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Drop what is under way."""
        self.to_device.drop()
        self.to_client.drop()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            try:
                data = self._socket.recv(LONGEST)
            except ConnectionRefusedError:
                continue
            except OSError:
                return
            self.heard_at = loop.time()
            self.to_client.put(data)
