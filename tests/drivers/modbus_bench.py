"""A Modbus TCP gateway written from the specification, byte by byte, that can be made to misbehave.

It shares no code with the driver or its library. Registers live in plain dicts; whatever is not in them does not exist.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

READ_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


@dataclass
class BenchUnit:
    """One unit id: four tables, what it refuses, and what was written to it: table, first address, values."""

    holding: dict[int, int] = field(default_factory=dict)
    input: dict[int, int] = field(default_factory=dict)
    coil: dict[int, int] = field(default_factory=dict)
    discrete: dict[int, int] = field(default_factory=dict)
    log: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Every request in order: function, first address, count."""
    unreadable: dict[tuple[str, int], int] = field(default_factory=dict)
    """Addresses that answer with this exception when a read covers them."""
    unwritable: dict[tuple[str, int], int] = field(default_factory=dict)
    """Addresses that take so many more writes and refuse the others with `write_code`."""
    write_code: int = 3
    mute: bool = False
    delay_s: float = 0.0
    mangle: Callable[[bytes], bytes] | None = None
    """Given a complete answer frame, what goes onto the wire instead."""
    most: int = 125

    def answer(self, pdu: bytes) -> bytes:
        """The response PDU to a request PDU."""
        function = pdu[0]
        start, second = struct.unpack(">HH", pdu[1:5])
        self.asked.append((function, start, second))
        if function in READ_TABLES:
            return self._read(function, start, second)
        if function == 5:
            return self._write(pdu, "coil", start, (int(second == 0xFF00),), pdu[1:5])
        if function == 6:
            return self._write(pdu, "holding", start, (second,), pdu[1:5])
        if function == 16:
            values = struct.unpack(f">{second}H", pdu[6 : 6 + 2 * second])
            return self._write(pdu, "holding", start, values, pdu[1:5])
        return bytes((function | 0x80, 1))

    def _read(self, function: int, start: int, count: int) -> bytes:
        name = READ_TABLES[function]
        table: dict[int, int] = getattr(self, name)
        wanted = range(start, start + count)
        for address in wanted:
            if (name, address) in self.unreadable:
                return bytes((function | 0x80, self.unreadable[name, address]))
        if count > self.most or any(address not in table for address in wanted):
            return bytes((function | 0x80, 2))
        if function in (1, 2):
            bits = sum(table[address] << at for at, address in enumerate(wanted))
            data = bits.to_bytes((count + 7) // 8, "little")
        else:
            data = struct.pack(f">{count}H", *(table[address] for address in wanted))
        return bytes((function, len(data))) + data

    def _write(self, pdu: bytes, name: str, start: int, values: tuple[int, ...], echo: bytes) -> bytes:
        table: dict[int, int] = getattr(self, name)
        if any(address not in table for address in range(start, start + len(values))):
            return bytes((pdu[0] | 0x80, 2))
        if (name, start) in self.unwritable:
            self.unwritable[name, start] -= 1
            if self.unwritable[name, start] < 0:
                return bytes((pdu[0] | 0x80, self.write_code))
        table.update(enumerate(values, start))
        self.log.append((name, start, values))
        return bytes((pdu[0],)) + echo


class ModbusBench:
    """A TCP port with units behind it; a unit that is not there gets the gateway's exception 11."""

    def __init__(self, **units: BenchUnit) -> None:
        self.units = {int(name.removeprefix("u")): unit for name, unit in units.items()}
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._late: set[asyncio.Task[None]] = set()

    @property
    def options(self) -> dict[str, Any]:
        """Of a connection to it."""
        return {"transport": "tcp", "host": "127.0.0.1", "port": self.port}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and reset every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Reset every connection; the port stays open."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while True:
                header = await reader.readexactly(7)
                _transaction, _protocol, length, number = struct.unpack(">HHHB", header)
                pdu = await reader.readexactly(length - 1)
                unit = self.units.get(number)
                if unit is None:
                    self._send(writer, header, bytes((pdu[0] | 0x80, 11)))
                elif not unit.mute:
                    self._settle(writer, header, unit, unit.answer(pdu))
        except (asyncio.IncompleteReadError, ConnectionError):
            self._writers.discard(writer)
            writer.close()

    def _settle(self, writer: asyncio.StreamWriter, header: bytes, unit: BenchUnit, pdu: bytes) -> None:
        if not unit.delay_s:
            self._send(writer, header, pdu, unit.mangle)
            return

        async def later() -> None:
            await asyncio.sleep(unit.delay_s)
            self._send(writer, header, pdu, unit.mangle)

        task = asyncio.create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    @staticmethod
    def _send(
        writer: asyncio.StreamWriter, header: bytes, pdu: bytes, mangle: Callable[[bytes], bytes] | None = None
    ) -> None:
        frame = header[:4] + struct.pack(">H", len(pdu) + 1) + header[6:7] + pdu
        if not writer.is_closing():
            writer.write(mangle(frame) if mangle else frame)
