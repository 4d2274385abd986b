"""A bad line for TCP: takes connections, makes one to the target for each, and hands units over as its settings say.

A reply that is late for the client still comes on the same connection while that is open. When one side has sent its end,
that is passed on after the last unit; when one side resets, so does the other. A target that takes no connections looks like
one that takes and resets them, because the proxy has already said yes; with `refuse` nobody says yes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from random import Random
from typing import Any, Literal, Self

from .framing import Framer, Framing
from .impair import Counts, Impairment, Lane, Track, Way
from .pump import Pump

RST = struct.pack("ii", 1, 0)
"""SO_LINGER on, no time: closing discards what is unsent and sends a reset."""


class TcpProxy:
    """A line to `target` (host, port). `async with` binds and closes; OSError when the port is taken.

    `seed` is the luck of the line: the n-th unit each way of the m-th connection always has the same.
    """

    transport: Literal["tcp"] = "tcp"

    def __init__(
        self,
        target: tuple[str, int],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        framing: Framing = "raw",
        impair: Impairment | None = None,
        seed: int = 0,
    ) -> None:
        self.target = target
        self.impair = impair or Impairment()
        self.counts = Counts()
        self.framing: Framing = framing
        self.tracks: dict[Way, Track] = {
            "to_device": Track("to_device", self.impair, self.counts.to_device),
            "to_client": Track("to_client", self.impair, self.counts.to_client),
        }
        self.open: set[_Connection] = set()
        self._wanted, self._seed = (host, port), seed
        self._reserved: socket.socket | None = None
        self._listening: socket.socket | None = None
        self._starting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._reserved = _bound(self._wanted)
        self.impair.watch(self._listen_or_not)
        self._listen_or_not()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reserved is not None
        self._reserved.close()
        self._reserved = None
        self._listen_or_not()
        await self._end_all()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where clients reach it."""
        assert self._reserved is not None
        host, port = self._reserved.getsockname()[:2]
        return host, port

    async def reset(self) -> None:
        """End all connections with an RST on both sides; what is under way is dropped."""
        self.counts.reset += len(self.open)
        await self._end_all()

    def retarget(self, host: str, port: int) -> None:
        """Connections made from now on go to another server."""
        self.target = (host, port)

    def lane(self, way: Way, number: int) -> Lane:
        """The lane one way of the connection with this number."""
        return Lane(self.tracks[way], Random(f"{self._seed} {way} {number}"))

    def _listen_or_not(self) -> None:
        wanted = self._reserved is not None and not self.impair.refuse
        if wanted and self._listening is None:
            self._listening = _bound(self.address)
            self._listening.listen(128)
            asyncio.get_running_loop().add_reader(self._listening, self._accept)
        elif not wanted and self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            client, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client.setblocking(False)
        self.counts.connections += 1
        task = asyncio.create_task(self._start(client, self.counts.connections))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, client: socket.socket, number: int) -> None:
        connection = _Connection(self, number, dead=self.impair.half_open)
        loop = asyncio.get_running_loop()
        try:
            if not connection.dead:
                await loop.create_connection(lambda: connection.device, *self.target)
            await loop.connect_accepted_socket(lambda: connection.client, client)
        except OSError:
            self.counts.refused += 1
            connection.reset()
            _close_with_rst(client)
        except asyncio.CancelledError:
            connection.reset()
            _close_with_rst(client)
            raise

    async def _end_all(self) -> None:
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        ending = list(self.open)
        for connection in ending:
            connection.reset()
        for connection in ending:
            await connection.gone.wait()


class _End(asyncio.Protocol):
    """One of the two sockets of a connection; `way` is where its bytes are going."""

    def __init__(self, connection: _Connection, way: Way, framing: Framing) -> None:
        self.way: Way = way
        self.framer = Framer(framing)
        self.transport: asyncio.Transport | None = None
        self._connection = connection

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._connection.made(self)

    def data_received(self, data: bytes) -> None:
        self._connection.came(self, self.framer.feed(data))

    def eof_received(self) -> bool:
        return self._connection.ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._connection.lost(self, exc)

    def pause_writing(self) -> None:
        self._connection.other(self).read_on(False)

    def resume_writing(self) -> None:
        self._connection.other(self).read_on(True)

    def read_on(self, on: bool) -> None:
        """Read from this socket, or let its sender wait."""
        if self.transport is not None and not self.transport.is_closing():
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send(self, unit: bytes) -> bool:
        """Hand a unit to this socket. False when it is gone."""
        if self.transport is None or self.transport.is_closing():
            return False
        self.transport.write(unit)
        return True

    def send_end(self) -> None:
        """Nothing more will be sent to this socket."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()

    def reset(self) -> None:
        """Close this socket with an RST."""
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            self.transport.abort()


class _Connection:
    """A client's connection and the one to the device that belongs to it."""

    def __init__(self, proxy: TcpProxy, number: int, *, dead: bool) -> None:
        self._proxy = proxy
        self.dead = dead
        """Nothing is forwarded any more, not even an end."""
        self.client = _End(self, "to_device", proxy.framing)
        self.device = _End(self, "to_client", proxy.framing)
        self.gone = asyncio.Event()
        self._pumps = {end.way: self._pump(end.way, number) for end in (self.client, self.device)}

    def other(self, end: _End) -> _End:
        """The opposite side."""
        return self.device if end is self.client else self.client

    def made(self, end: _End) -> None:
        """A side is connected."""
        self._proxy.open.add(self)

    def came(self, end: _End, units: list[bytes]) -> None:
        """Units from one side."""
        self.dead = self.dead or self._proxy.impair.half_open
        for unit in units:
            if self.dead:
                tally = self._proxy.tracks[end.way].tally
                tally.seen += 1
                tally.swallowed += 1
            else:
                self._pumps[end.way].put(unit)

    def ended(self, end: _End) -> bool:
        """One side sends no more. Whether its socket stays open."""
        rest = end.framer.rest()
        if rest:
            self.came(end, [rest])
        if not self.dead:
            self._pumps[end.way].end()
        return not self.dead

    def lost(self, end: _End, exc: Exception | None) -> None:
        """One side is gone."""
        self._pumps[self.other(end).way].drop()
        if exc is not None and not self.dead:
            self.other(end).reset()
        if self.client.transport is None and self.device.transport is None:
            self._pumps[end.way].drop()
            self._proxy.open.discard(self)
            self.gone.set()

    def reset(self) -> None:
        """End both sides with an RST."""
        self.client.reset()
        self.device.reset()

    def _pump(self, way: Way, number: int) -> Pump:
        sink = self.device if way == "to_device" else self.client
        track = self._proxy.tracks[way]
        return Pump(self._proxy.lane(way, number), track.tally, sink.send, lambda: self._drained(sink))

    def _drained(self, sink: _End) -> None:
        sink.send_end()
        if all(pump.ended for pump in self._pumps.values()):
            for end in (self.client, self.device):
                if end.transport is not None:
                    end.transport.close()


def _bound(address: tuple[str, int]) -> socket.socket:
    """A socket that holds the port; several may, as long as one at most listens."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_with_rst(sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        sock.close()
