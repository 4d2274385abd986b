"""One Modbus TCP connection, shared by all unit ids behind it: a request goes out when the one before it is settled.

- the connection is opened by the first request that needs it; nothing reconnects in the background.
- a request ends in an answer, in a refusal by the device, in silence (LinkTimeout), in nonsense (GarbledError) or in a lost
  connection (LinkError). After silence, nonsense or cancellation the connection is dropped, so that no answer that comes
  late can meet a later question.
- a gateway that says its device does not answer (exceptions 10 and 11) is itself well: the connection stays.

This module alone knows pymodbus, and is imported when a connection is made.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from energyctl.core.errors import GarbledError, LinkError, LinkTimeout

from .options import BIT_TABLES, LinkOptions, Table

MOST_WRITTEN = 123
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
_LAST_READ_FUNCTION = 4
_FAR_FUTURE_S = 3600.0

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


class Connection:
    """The owner of one TCP connection; `device` in its methods is whom an error is about."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._client: AsyncModbusTcpClient | None = None
        self._lock = asyncio.Lock()
        self._deadline: asyncio.Timeout | None = None
        self._lost = self._nonsense = False
        self._question = b""
        self._unreachable_at = self._settled_at = -_FAR_FUTURE_S
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

    async def connect(self, device: str) -> AsyncModbusTcpClient:
        """The open connection. Raises LinkError."""
        if self._client is not None and not self._lost:
            return self._client
        self.drop()
        client = AsyncModbusTcpClient(
            self._options.host,
            port=self._options.port,
            timeout=_FAR_FUTURE_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._packet,
            trace_connect=self._connection,
        )
        try:
            async with asyncio.timeout(self._options.timeout):
                connected = await client.connect()
        except TimeoutError:
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
        answer = await self._settle(device, lambda: ask(start, count=count, device_id=unit))
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
            answer = await self._settle(device, lambda: client.write_coil(start, bool(values[0]), device_id=unit))
        elif single and len(values) == 1:
            answer = await self._settle(device, lambda: client.write_register(start, values[0], device_id=unit))
        else:
            answer = await self._settle(device, lambda: client.write_registers(start, list(values), device_id=unit))
        if isinstance(answer, Refusal):
            if answer.code == _ACCEPTED:
                raise LinkTimeout(device, f"took the write to {start}, but does not say that it is done")
            return answer
        self._expect(
            device, bool(answer.address == start), f"an acknowledgement for {answer.address} of a write to {start}"
        )
        return None

    async def _settle(self, device: str, ask: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU | Refusal:
        """One request and what became of it; anything but an answer or a refusal costs the connection."""
        if (pause := self._settled_at + self._options.gap - self._now()) > 0:
            await asyncio.sleep(pause)
        self._nonsense = False
        try:
            async with asyncio.timeout(self._options.timeout) as self._deadline:
                answer = await ask()
        except TimeoutError as exc:
            self.drop()
            raise self._failure(device) from exc
        except ModbusException as exc:
            self.drop()
            raise LinkError(device, f"{self._where}: connection lost") from exc
        except BaseException:
            self.drop()
            raise
        finally:
            self._deadline = None
            self._settled_at = self._now()
        if not answer.isError():
            return answer
        if answer.exception_code == _NO_ANSWER:
            raise LinkTimeout(device, f"the gateway {self._where} got no answer from it; is its unit id right?")
        if answer.exception_code == _NO_PATH:
            raise LinkError(device, f"the gateway {self._where} has no path to it; is its unit id right?")
        return Refusal(answer.exception_code)

    def _failure(self, device: str) -> LinkError:
        """Why the wait for an answer ended without one."""
        if self._nonsense:
            return GarbledError(device, f"{self._where}: the answer does not fit the question")
        if self._lost:
            return LinkError(device, f"{self._where}: connection lost")
        return LinkTimeout(device, f"{self._where}: no answer within {self._options.timeout:g} s")

    def _expect(self, device: str, fits: bool, what: str) -> None:
        if not fits:
            self.drop()
            raise GarbledError(device, f"{self._where}: {what}")

    def _unreachable(self, device: str) -> LinkError:
        return LinkError(device, f"cannot connect to {self._where}")

    @property
    def _where(self) -> str:
        return f"{self._options.host}:{self._options.port}"

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _give_up(self) -> None:
        """End the wait for an answer now."""
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(self._now())

    def _connection(self, up: bool) -> None:
        """The library's word that the connection was made, or lost by the other side."""
        if not up:
            self._lost = True
            self.epoch += 1
            self._give_up()

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """See every frame before the library does, so that nonsense is an error here and no exception in its callbacks."""
        if sending:
            self._question = data
        elif not fits(self._question, data):
            self._nonsense = True
            self._give_up()
            return b""
        return data


def fits(question: bytes, received: bytes) -> bool:
    """Whether the bytes received so far can be, or become, an answer to a request frame.

    Frames with another transaction id are none of ours; the one that has ours (or 0, as some gateways send) must come from
    the unit asked, carry the function asked or its exception, and be as long as it says.
    """
    ours = int.from_bytes(question[:2], "big")
    while len(received) >= 9:
        transaction, protocol, length, unit, function, size = struct.unpack(">HHHBBB", received[:9])
        if protocol or not 3 <= length <= 254:
            return False
        frame, received = received[: 6 + length], received[6 + length :]
        if len(frame) < 6 + length:
            return True
        if transaction in (0, ours):
            expected: int = _length(function, question[7], size)
            return bool(unit == question[6] and length == expected)
    return True


def _length(function: int, asked: int, size: int) -> int:
    """The length field that an answer must have: an exception, a read of `size` bytes, a write's acknowledgement."""
    if function == asked | 0x80:
        return 3
    if function != asked:
        return -1
    return size + 3 if asked <= _LAST_READ_FUNCTION else 6
