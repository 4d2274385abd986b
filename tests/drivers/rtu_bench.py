"""A serial line with Modbus units on it, a pseudo-terminal with a name that stays; the check sum is the specification's own.

It shares no code with the driver or its library.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import tty
from pathlib import Path
from typing import Any

from tests.drivers.modbus_bench import BenchUnit


def check_sum(data: bytes) -> bytes:
    """Modbus over serial line 1.02, 6.2.2, a bit at a time."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register, out = register >> 1, register & 1
            if out:
                register ^= 0xA001
    return bytes((register & 0xFF, register >> 8))


class RtuBench:
    """Units by id; nobody answers for one that is not there. Requests must come whole and well-formed."""

    def __init__(self, **units: BenchUnit) -> None:
        self.units = {int(name.removeprefix("u")): unit for name, unit in units.items()}
        self.heard: list[bytes] = []
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name, "bus")
        self._master = self._slave = -1

    @property
    def options(self) -> dict[str, Any]:
        """Of a connection to it; a pseudo-terminal has no parity."""
        return {"transport": "rtu", "device": str(self.path), "baudrate": 115200, "parity": "N"}

    async def start(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path.symlink_to(os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._serve)

    async def stop(self) -> None:
        """Pull the converter out of the machine."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self.path.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def say(self, data: bytes) -> None:
        """Put bytes on the line."""
        if self._master >= 0:
            os.write(self._master, data)

    def _serve(self) -> None:
        frame = os.read(self._master, 300)
        self.heard.append(frame)
        assert check_sum(frame[:-2]) == frame[-2:], frame.hex(" ")
        unit = self.units.get(frame[0])
        if unit is None or unit.mute:
            return
        body = frame[:1] + unit.answer(frame[1:-2])
        answer = body + check_sum(body)
        if unit.mangle is not None:
            answer = unit.mangle(answer)
        asyncio.get_running_loop().call_later(unit.delay_s, self.say, answer)
