"""Registers and what they mean, and which of them to ask for in one request. Pure: no I/O, no clock.

A number lies in one to four 16-bit registers, high word first unless `word_order` is little, high byte first unless
`byte_order` is little. Its value is raw * scale * 10^exponent + offset. Raw bits listed in `absent`, NaN and infinity are
no value, and neither is a number that does not fit a register: both come back as `Unusable` with the reason, never as a
number that only looks right.

Requests are planned so that there are as few as possible: neighbours are read together, over gaps of up to `gap` unused
registers, in blocks of up to `most`. What belongs together (a span) is never split over two requests, because the device
may change it in between. A block never reaches over a cut, which is where a device is known to refuse.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

NumberType = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bit"]
Order = Literal["big", "little"]

WIDTHS: dict[str, int] = {
    "bit": 1,
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
"""Registers (coils for "bit") that a number of each type takes."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """No value, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Codec:
    """How a number is laid out in registers and scaled to the device's unit."""

    type: NumberType
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: float = 1.0
    offset: float = 0.0
    bit: int | None = None
    absent: frozenset[int] = frozenset()
    """Raw contents, as unsigned integers, by which the device says that it has no value."""
    absent_word: str = "not available"

    @property
    def width(self) -> int:
        """Registers it takes."""
        return WIDTHS[self.type]

    def decode(self, registers: Sequence[int], exponent: int = 0) -> float | Unusable:
        """Registers, in the order they came, to a value in the device's unit."""
        raw = pack(registers, self.word_order, self.byte_order)
        bits = int.from_bytes(raw, "big")
        if bits in self.absent:
            return Unusable(f"{self.absent_word} (0x{bits:0{2 * len(raw)}X})")
        if self.bit is not None:
            return float(bits >> self.bit & 1)
        number = self._number(raw, bits)
        if not math.isfinite(number):
            return Unusable("not a number (NaN)" if math.isnan(number) else "infinite")
        return shift(number, exponent) * self.scale + self.offset

    def encode(self, value: float, exponent: int = 0) -> tuple[int, ...] | Unusable:
        """A value in the device's unit to registers; integers are rounded to the nearest the register can hold."""
        if not math.isfinite(value):
            return Unusable(f"{value} is not a finite number")
        number = shift((value - self.offset) / self.scale, -exponent)
        raw = self._float_bytes(number) if self.type.startswith("float") else self._int_bytes(number)
        if isinstance(raw, Unusable):
            return raw
        if int.from_bytes(raw, "big") in self.absent:
            return Unusable(f"{value:g} is this register's mark for '{self.absent_word}'")
        return unpack(raw, self.word_order, self.byte_order)

    def _number(self, raw: bytes, bits: int) -> float:
        match self.type:
            case "float32" | "float64":
                number: float = struct.unpack(">f" if self.type == "float32" else ">d", raw)[0]
                return number
            case "int16" | "int32" | "int64":
                return float(int.from_bytes(raw, "big", signed=True))
            case _:
                return float(bits)

    def _float_bytes(self, number: float) -> bytes | Unusable:
        try:
            return struct.pack(">f" if self.type == "float32" else ">d", number)
        except OverflowError:
            return Unusable(f"{number:g} does not fit a {self.type}")

    def _int_bytes(self, number: float) -> bytes | Unusable:
        whole, signed, bits = round(number), self.type.startswith("int"), 16 * self.width
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        if self.type == "bit":
            high = 1
        if not low <= whole <= high:
            return Unusable(f"{whole} does not fit {self.type} ({low} to {high})")
        return whole.to_bytes(bits // 8, "big", signed=signed)


def shift(number: float, exponent: int) -> float:
    """`number` * 10^`exponent`; divides for negative exponents, so that 2305 with exponent -1 is 230.5 exactly."""
    return float(number * 10**exponent) if exponent >= 0 else number / 10**-exponent


def pack(registers: Sequence[int], word_order: Order = "big", byte_order: Order = "big") -> bytes:
    """Registers to bytes, most significant first."""
    words = registers if word_order == "big" else reversed(registers)
    return b"".join(word.to_bytes(2, byte_order) for word in words)


def unpack(raw: bytes, word_order: Order = "big", byte_order: Order = "big") -> tuple[int, ...]:
    """The inverse of `pack`."""
    words = tuple(int.from_bytes(raw[at : at + 2], byte_order) for at in range(0, len(raw), 2))
    return words if word_order == "big" else words[::-1]


def text(registers: Sequence[int]) -> str:
    """Registers that hold text, without its padding."""
    return pack(registers).split(b"\0", 1)[0].decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Registers that must be read in one request, from `start`."""

    start: int
    count: int = 1

    @property
    def stop(self) -> int:
        """The register after the last."""
        return self.start + self.count

    def moved(self, by: int) -> Span:
        """As many registers, `by` further on."""
        return Span(self.start + by, self.count)


@dataclass(frozen=True, slots=True)
class Block:
    """One request: the spans it answers, in order of their start."""

    spans: tuple[Span, ...]

    @property
    def start(self) -> int:
        """First register asked for."""
        return self.spans[0].start

    @property
    def count(self) -> int:
        """How many registers are asked for."""
        return max(span.stop for span in self.spans) - self.start

    def halves(self) -> tuple[Block, Block]:
        """Two blocks that answer the same spans; only for a block of several spans."""
        middle = len(self.spans) // 2
        return Block(self.spans[:middle]), Block(self.spans[middle:])

    def part(self, span: Span, registers: Sequence[int]) -> Sequence[int]:
        """The registers of one span out of the answer to the block."""
        return registers[span.start - self.start : span.stop - self.start]


def plan(spans: Iterable[Span], most: int, gap: int = 0, cuts: Collection[int] = ()) -> list[Block]:
    """The fewest blocks that answer all spans.

    `most` is the largest block [registers], `gap` the most unused registers read along between two spans; a cut c keeps
    registers c - 1 and c in different blocks. Going from the lowest start, a block takes all it can: any other choice
    only moves its end to the left. Raises ValueError for a span that no block can hold.
    """
    blocks: list[list[Span]] = []
    start = stop = 0
    for span in sorted(set(spans)):
        if span.count > most:
            raise ValueError(f"{span.count} registers from {span.start} belong together, but a request holds {most}")
        apart = span.start - stop > gap or any(stop <= cut <= span.start for cut in cuts)
        if not blocks or apart or max(stop, span.stop) - start > most:
            blocks.append([])
            start, stop = span.start, span.stop
        blocks[-1].append(span)
        stop = max(stop, span.stop)
    return [Block(tuple(block)) for block in blocks]
