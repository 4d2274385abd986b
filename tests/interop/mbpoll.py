"""mbpoll, a command-line Modbus master over libmodbus, run once a question."""

from __future__ import annotations

import asyncio
import re

from .conftest import found

KINDS = {  # mbpoll's option, bits, signed
    "uint16": (("-t", "4"), 16, False),
    "int16": (("-t", "4"), 16, True),
    "int32": (("-t", "4:int", "-B"), 32, True),
    "uint32": (("-t", "4:int", "-B"), 32, False),
}


class Mbpoll:
    """Asks at one place: a host or the path of a serial line, with the options that go with it."""

    def __init__(self, place: str, *options: str) -> None:
        self._place, self._options = place, options

    async def ask(self, unit: int, *options: str, write: tuple[int, ...] = ()) -> tuple[list[float], str]:
        """The numbers that it prints, and its complaint, without which it must have ended well."""
        values = ["--", *map(str, write)] if write else []
        common = ["-q", "-1", "-0", "-o", "1", "-a", str(unit)]
        process = await asyncio.create_subprocess_exec(
            found("mbpoll"),
            *common,
            *self._options,
            *options,
            self._place,
            *values,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, errors = await asyncio.wait_for(process.communicate(), 20)
        said = errors.decode().strip()
        assert (process.returncode == 0) == (said == ""), said
        numbers = re.findall(r"^\[\d+\]:\s+(\S+)", printed.decode(), re.MULTILINE)
        return [float(number) for number in numbers], said.rpartition(": ")[2]

    async def read(self, unit: int, kind: str, register: int) -> int:
        """One holding value."""
        options, bits, signed = KINDS[kind]
        (number,), said = await self.ask(unit, *options, "-r", str(register))
        assert said == ""
        pattern = int(number) % 2**bits
        return pattern - 2**bits if signed and pattern >= 2 ** (bits - 1) else pattern
