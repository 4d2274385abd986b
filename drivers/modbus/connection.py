"""One Modbus connection, shared by all unit ids behind it: a request goes out when the one before it is settled.

- the connection is opened by the first request that needs it; nothing reconnects in the background.
- a request ends in an answer, in a refusal by the device, in silence (LinkTimeout), in nonsense (GarbledError) or in a lost
  connection (LinkError). After silence, nonsense or cancellation no answer that comes late can meet a later question: a
  connection whose requests are numbered is dropped; on a serial line, which goes on, the unit is left alone for a while.
- a gateway that says its device does not answer (exceptions 10 and 11) is itself well: the connection stays.

What is special to TCP or to a serial line is in its `Wire`. These modules alone know pymodbus, and are imported when a
connection is made.
"""

from __future__ import annotations

import asyncio
import logging
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from energyctl.core.errors import GarbledError, LinkError, LinkTimeout

from .options import BIT_TABLES, Table

MOST_WRITTEN = 123
MOST_BUFFERED = 65_536
"""Bytes that may have come in and not been looked at; the library's own bound, one frame, throws answers away that come with
others (copies, late ones) in one piece."""
_ACCEPTED = 5
BUSY = frozenset({_ACCEPTED, 6})

_MEANINGS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "accepted, not done yet",
    6: "device busy",
    7: "not done",
    8: "memory parity error",
}
_NO_PATH, _NO_ANSWER = 10, 11
FAR_FUTURE_S = 3600.0

# Whatever the library has to say about a connection reaches the caller as an error with a device's name on it.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device said no."""

    code: int

    @property
    def busy(self) -> bool:
        """Whether the device only puts us off; that says nothing about the registers asked for."""
        return self.code in BUSY

    @property
    def reason(self) -> str:
        """In words, with the number that the device's manual lists."""
        return f"device refused: {_MEANINGS.get(self.code, 'unknown exception')} ({self.code})"


class Wire(Protocol):
    """How frames travel: over TCP or a serial line."""

    where: str
    """The other side, for messages."""
    silence_s: float
    """The line is quiet for at least this long before a request [s]."""
    lateness_s: float
    """A question without an answer bars its unit for this long [s], counted from the question, because a late answer cannot be
    told from another. 0: it can, the connection is dropped, and a new one has none of the old one's answers."""

    def client(self, packet: Callable[[bool, bytes], bytes], connection: Callable[[bool], None]) -> ModbusBaseClient:
        """A client that is not connected yet and reports every frame and the connection's state."""
        ...

    def passed(self, question: bytes, received: bytes) -> bytes | None:
        """What the client may see of all that was received since the question: b"" for nothing yet, None for nonsense."""
        ...

    def complaint(self) -> str:
        """Why it cannot be opened, "" when there is nothing to say about it."""
        ...


class Connection:
    """The owner of one connection; `device` in its methods is whom an error is about."""

    def __init__(self, wire: Wire, timeout_s: float, gap_s: float = 0.0) -> None:
        self._wire, self._timeout_s, self._gap_s = wire, timeout_s, gap_s
        self._client: ModbusBaseClient | None = None
        self._lock = asyncio.Lock()
        self._deadline: asyncio.Timeout | None = None
        self._lost = self._nonsense = False
        self._question = b""
        self._unreachable_at = self._settled_at = self._heard_at = -FAR_FUTURE_S
        self._barred: dict[int, float] = {}
        self.epoch = 0
        """Counts the times that the other side went away; what was learned about devices before may be wrong now."""

    @asynccontextmanager
    async def turn(self, device: str) -> AsyncIterator[None]:
        """Hold the link. Who waited while the other side was found unreachable is told so instead of trying again."""
        arrived = self._now()
        async with self._lock:
            if self._unreachable_at > arrived:
                raise self._unreachable(device)
            yield

    async def connect(self, device: str) -> ModbusBaseClient:
        """The open connection. Raises LinkError."""
        if self._client is not None and not self._lost:
            return self._client
        self.drop()
        client = self._wire.client(self._packet, self._connection)
        client.ctx.max_buffer_size = MOST_BUFFERED
        try:
            async with asyncio.timeout(self._timeout_s):
                connected = await client.connect()
        except (TimeoutError, termios.error):
            connected = False
        except BaseException:
            client.close()
            raise
        if not connected:
            client.close()
            self.epoch += 1
            self._unreachable_at = self._now()
            raise self._unreachable(device)
        self._client, self._lost = client, False
        return client

    def drop(self) -> None:
        """Close the connection; the next request opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def read(self, device: str, unit: int, table: Table, start: int, count: int) -> list[int] | Refusal:
        """`count` registers or coils from `start`."""
        client = await self.connect(device)
        ask = {
            "holding": client.read_holding_registers,
            "input": client.read_input_registers,
            "coil": client.read_coils,
            "discrete": client.read_discrete_inputs,
        }[table]
        answer = await self._settle(device, unit, lambda: ask(start, count=count, device_id=unit))
        if isinstance(answer, Refusal):
            return answer
        values = [int(bit) for bit in answer.bits[:count]] if table in BIT_TABLES else list(answer.registers)
        self._expect(device, len(values) == count, f"{len(values)} values for {count} asked at {start}")
        return values

    async def write(
        self, device: str, unit: int, table: Table, start: int, values: Sequence[int], *, single: bool
    ) -> Refusal | None:
        """Write coils or registers from `start`; `single`: one register by function 6. None: acknowledged."""
        if len(values) > MOST_WRITTEN:
            raise ValueError(f"{len(values)} registers in one write; Modbus allows {MOST_WRITTEN}")
        client = await self.connect(device)
        if table == "coil":
            answer = await self._settle(device, unit, lambda: client.write_coil(start, bool(values[0]), device_id=unit))
        elif single and len(values) == 1:
            answer = await self._settle(device, unit, lambda: client.write_register(start, values[0], device_id=unit))
        else:
            answer = await self._settle(
                device, unit, lambda: client.write_registers(start, list(values), device_id=unit)
            )
        if isinstance(answer, Refusal):
            if answer.code == _ACCEPTED:
                raise LinkTimeout(device, f"took the write to {start}, but does not say that it is done")
            return answer
        self._expect(
            device, bool(answer.address == start), f"an acknowledgement for {answer.address} of a write to {start}"
        )
        return None

    async def _settle(self, device: str, unit: int, ask: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU | Refusal:
        """One request and what became of it; anything but an answer or a refusal costs the connection, or bars the unit."""
        await self._quiet(unit)
        self._nonsense = False
        asked_at = self._now()
        try:
            async with asyncio.timeout(self._timeout_s) as self._deadline:
                answer = await ask()
        except TimeoutError as exc:
            self._give_up_on(unit, asked_at)
            raise self._failure(device) from exc
        except ModbusException as exc:
            self.drop()
            raise LinkError(device, f"{self._wire.where}: connection lost") from exc
        except BaseException:
            self._give_up_on(unit, asked_at)
            raise
        finally:
            self._deadline = None
            self._settled_at = self._now()
        if not answer.isError():
            return answer
        if answer.exception_code == _NO_ANSWER:
            raise LinkTimeout(device, f"the gateway {self._wire.where} got no answer from it; is its unit id right?")
        if answer.exception_code == _NO_PATH:
            raise LinkError(device, f"the gateway {self._wire.where} has no path to it; is its unit id right?")
        return Refusal(answer.exception_code)

    async def _quiet(self, unit: int) -> None:
        """Wait until a request may go out: nothing is under way on the line, and the unit is not barred."""
        pause = self._pause(unit)
        while pause > 0:
            await asyncio.sleep(pause)
            pause = self._pause(unit)

    def _pause(self, unit: int) -> float:
        silent_at = max(self._settled_at, self._heard_at) + self._wire.silence_s
        return max(self._settled_at + self._gap_s, silent_at, self._barred.get(unit, silent_at)) - self._now()

    def _give_up_on(self, unit: int, asked_at: float) -> None:
        """A question will have no answer; see to it that a late one is not taken for another's."""
        if self._wire.lateness_s:
            self._barred[unit] = asked_at + self._wire.lateness_s
        else:
            self.drop()

    def _failure(self, device: str) -> LinkError:
        """Why the wait for an answer ended without one."""
        if self._nonsense:
            return GarbledError(device, f"{self._wire.where}: the answer does not fit the question")
        if self._lost:
            return LinkError(device, f"{self._wire.where}: connection lost")
        return LinkTimeout(device, f"{self._wire.where}: no answer within {self._timeout_s:g} s")

    def _expect(self, device: str, fits: bool, what: str) -> None:
        if not fits:
            self.drop()
            raise GarbledError(device, f"{self._wire.where}: {what}")

    def _unreachable(self, device: str) -> LinkError:
        complaint = self._wire.complaint()
        return LinkError(device, f"cannot connect to {self._wire.where}" + (f": {complaint}" if complaint else ""))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _stop_waiting(self) -> None:
        """End the wait for an answer now."""
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(self._now())

    def _connection(self, up: bool) -> None:
        """The library's word that the connection was made, or lost by the other side."""
        if not up:
            self._lost = True
            self.epoch += 1
            self._stop_waiting()

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """See every frame before the library does, so that nonsense is an error here and no exception in its callbacks."""
        if sending:
            self._question = data
            return data
        self._heard_at = self._now()
        passed = self._wire.passed(self._question, data)
        self._nonsense = not passed
        if passed is None:
            self._stop_waiting()
        return passed or b""
