"""Modbus RTU units on a serial line that is a pseudo-terminal: clients open `path` as they would a serial port.

The line is as slow as a real one: a frame takes eleven bit times per character each way, arrives in pieces as a UART hands
them on, and 3.5 characters of silence end it (Modbus over serial line 1.02, 2.5.1). What has a wrong CRC, is meant for a unit
that is not there, or comes while an answer is under way is ignored, as on a real line where nobody says "no such unit". A
write to unit 0 is carried out by all and answered by none. `line` stands between, in both directions, a frame at a time.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Literal

from energyctl.core.errors import ConfigError
from hil.device import SimDevice
from hil.proxy import Counts, Impairment, Tally
from hil.proxy.impair import Lane, Track, Way
from hil.proxy.pump import Pump

from .requests import answer, register_map

BITS = 11
"""A start bit, eight of data, parity and stop, or two stop bits instead (2.5.1)."""
PIECE = 16
"""Characters that a UART collects before it hands them on."""
LEAST_GAP_S = 0.002
"""A pseudo-terminal may hand on what was written at once in parts; what belongs together comes within this."""
BROADCAST = 0
_WRITES = (5, 6, 15, 16)
_SHORT = 8


class SerialLine:
    """What lies between the client and the units; see `hil.proxy.Line`. Frames are the units that it loses or doubles."""

    transport: Literal["serial"] = "serial"

    def __init__(self, path: Path, heard: Callable[[bytes], bool], say: Callable[[bytes], bool], seed: int) -> None:
        self.address = self.target = (str(path), 0)
        self.impair, self.counts = Impairment(), Counts()
        self.to_device = self._pump("to_device", self.counts.to_device, heard, seed)
        self.to_client = self._pump("to_client", self.counts.to_client, say, seed)

    async def reset(self) -> None:
        """What is under way is lost."""
        self.to_device.drop()
        self.to_client.drop()

    def retarget(self, host: str, port: int) -> None:
        """Raises ConfigError: the units are on this line and on no other."""
        raise ConfigError(f"{self.address[0]}: a serial line cannot be led to {host}:{port}")

    def _pump(self, way: Way, tally: Tally, send: Callable[[bytes], bool], seed: int) -> Pump:
        return Pump(Lane(Track(way, self.impair, tally), Random(f"{seed} {way}")), tally, send)


class RtuServer:
    """Serves devices by unit id at `path`, a link to the pseudo-terminal. `async with` opens and closes it."""

    def __init__(
        self, devices: Mapping[int, SimDevice], path: Path, baudrate: int = 9600, *, paced: bool = True, seed: int = 0
    ) -> None:
        self.units = {unit: register_map(device, unit) for unit, device in devices.items()}
        self.path = path
        self._seed = seed
        self._character_s = BITS / baudrate if paced else 0.0
        self._gap_s = 3.5 * self._character_s
        self._master = self._slave = -1
        self._buffer = bytearray()
        self._silence: asyncio.TimerHandle | None = None
        self._talk: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RtuServer:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self.line = SerialLine(self.path, self._heard, self._say, self._seed)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        await self.line.reset()
        if self._silence is not None:
            self._silence.cancel()
        if self._talk is not None:
            self._talk.cancel()
        self.path.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    async def push(self) -> Mapping[str, int]:
        """Nothing is ever pushed: reads see the values of the moment."""
        return {}

    def answer(self, frame: bytes) -> bytes | None:
        """What the line says to a frame, as a frame; None when nobody answers."""
        if len(frame) < 4 or crc16(frame):
            return None
        unit, pdu = frame[0], frame[1:-2]
        if unit == BROADCAST:
            for each in self.units.values():
                if pdu[0] in _WRITES and each.device.online:
                    answer(each, pdu)
            return None
        target = self.units.get(unit)
        if target is None or not target.device.online:
            return None
        said = answer(target, pdu)
        return None if said is None else framed(unit, said)

    def _readable(self) -> None:
        data = os.read(self._master, 4096)
        if self._silence is not None:
            self._silence.cancel()
        self._buffer += data
        if _whole(self._buffer):
            self._frame_ended()
        else:
            wait = max(self._gap_s, LEAST_GAP_S) + len(data) * self._character_s
            self._silence = asyncio.get_running_loop().call_later(wait, self._frame_ended)

    def _frame_ended(self) -> None:
        frame = bytes(self._buffer)
        self._buffer.clear()
        self._later(len(frame) * self._character_s, self.line.to_device, frame)

    def _later(self, seconds: float, pump: Pump, frame: bytes) -> None:
        asyncio.get_running_loop().call_later(seconds, pump.put, frame)

    def _heard(self, frame: bytes) -> bool:
        if self._master < 0:
            return False
        if self._talk is not None and not self._talk.done():
            self._talk.cancel()
            return False
        said = self.answer(frame)
        if said is not None:
            self._later(self._gap_s, self.line.to_client, said)
        return True

    def _say(self, frame: bytes) -> bool:
        if self._master < 0:
            return False
        self._talk = asyncio.get_running_loop().create_task(self._speak(frame, self._talk))
        return True

    async def _speak(self, frame: bytes, before: asyncio.Task[None] | None) -> None:
        """Put a frame on the line, a piece at a time, after what is on it already."""
        if before is not None and not before.done():
            await asyncio.wait([before])
        for at in range(0, len(frame), PIECE):
            piece = frame[at : at + PIECE]
            await asyncio.sleep(len(piece) * self._character_s)
            with suppress(BlockingIOError):
                os.write(self._master, piece)


def crc16(data: bytes | bytearray) -> int:
    """The check sum of a frame (Modbus over serial line 1.02, 6.2.2); 0 for one that ends in its own, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def framed(unit: int, pdu: bytes) -> bytes:
    """A frame for the line."""
    body = bytes([unit]) + pdu
    return body + crc16(body).to_bytes(2, "little")


def _whole(frame: bytes | bytearray) -> bool:
    """Whether it is a request whose end can be told without waiting for the silence behind it."""
    if len(frame) < _SHORT:
        return False
    length = 9 + frame[6] if frame[1] in (15, 16) else _SHORT
    return len(frame) == length and not crc16(frame)
