"""A Modbus TCP server for simulated devices: one port, one device per unit id, like a gateway.

Each request is answered before the next is looked at, with its own transaction and unit id, so pipelined requests get
their answers in order; a silent unit's are swallowed and the others go on. Bytes may arrive in any pieces. A header that
is not Modbus closes the connection. A unit that is not there (or is unplugged) gets the gateway's exception 0x0B. Where a
port has one device only it is the device's own, and closes its connections when the device restarts.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from hil.device import SimDevice

from .requests import answer, refused, register_map

NO_TARGET = 0x0B


class ModbusServer:
    """Serves devices by unit id. `async with` binds and closes; `address` is where it listens."""

    def __init__(self, devices: Mapping[int, SimDevice], host: str = "127.0.0.1", port: int = 0) -> None:
        self.units = {unit: register_map(device, unit) for unit, device in devices.items()}
        self.connections: set[asyncio.Transport] = set()
        self._boots = self._all_boots()
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ModbusServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._drop_connections()
            await self._server.wait_closed()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def push(self) -> Mapping[str, int]:
        """Nothing is ever pushed, reads see the values of the moment; a device that restarted loses its connections."""
        self.restarted()
        return {}

    def restarted(self) -> bool:
        """Whether the only device behind the port has restarted since last asked; its connections are gone then."""
        boots = self._all_boots()
        if boots == self._boots:
            return False
        self._boots = boots
        if len(self.units) == 1:
            self._drop_connections()
        return len(self.units) == 1

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """The answer to one request, an exception answer included; None for silence."""
        target = self.units.get(unit)
        if target is None or not target.device.online:
            return refused(pdu, NO_TARGET)
        return answer(target, pdu)

    def _all_boots(self) -> int:
        return sum(target.device.boots for target in self.units.values())

    def _drop_connections(self) -> None:
        for transport in list(self.connections):
            transport.abort()


class _Connection(asyncio.Protocol):
    """One client: cuts the byte stream into requests and answers each."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._server.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        assert self._transport is not None
        if self._server.restarted():
            return
        while len(self._buffer) >= 7:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._buffer)
            if protocol != 0 or not 2 <= length <= 254:
                self._transport.close()
                self._buffer.clear()
                return
            if len(self._buffer) < 6 + length:
                return
            pdu = bytes(self._buffer[7 : 6 + length])
            del self._buffer[: 6 + length]
            answer = self._server.answer(unit, pdu)
            if answer is not None:
                self._transport.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
