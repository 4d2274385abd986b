"""A device's values as Modbus registers, by the bench's own codec.

A `Cell` is one point in one table: where it starts, how many registers it has, how a canonical value becomes its bytes
and back. A `RegisterMap` is all of a device: reading an extent gives the cells' bytes over a fixed background, and
writing hands the covered points over in address order. Gaps inside an extent read 0; outside it is no such address.
An integer that cannot hold a value shows its nearest end; NaN shows the type's "not available" pattern.

What ails the device is acted out here as far as registers go: readings, raw patterns, words in the other order, a map that
has moved, points that are refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from hil.device import SimDevice, WriteRejected
from hil.units import shown, taken

FORMATS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
SIZES = {name: struct.calcsize(">" + code) // 2 for name, code in FORMATS.items()}
_RANGES = {
    name: (0, (1 << 16 * size) - 1) if name.startswith("u") else (-(1 << 16 * size - 1), (1 << 16 * size - 1) - 1)
    for name, size in SIZES.items()
}
ILLEGAL_ADDRESS, ILLEGAL_VALUE = 2, 3


class Refusal(Exception):
    """A Modbus exception answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One point in one table; `raw = (shown value - offset) / scale`, in registers of 16 bits, high byte first."""

    name: str
    spec: PointSpec
    register: int
    type: str
    scale: float = 1.0
    offset: float = 0.0
    little: bool = False
    """The low word comes first."""
    swapped: bool = False
    """The low byte of every word comes first."""
    bit: int | None = None
    """The point is this bit of its register."""
    missing: int = 0
    """What an integer shows for NaN, as an unsigned pattern; 0 where the device has nothing for it."""

    @property
    def end(self) -> int:
        """The register after the last."""
        return self.register + SIZES[self.type]

    def image(self, device: SimDevice) -> bytes:
        """The registers' bytes as the device shows them now."""
        raw = device.ail.raw.get(self.name)
        data = self.encode(device.reading(self.name)) if raw is None else self._words(self._pattern(int(raw)))
        return _turned(data) if device.ail.swapped_words else data

    def encode(self, value: float) -> bytes:
        """The registers' bytes for a canonical value."""
        raw = (shown(self.spec, value) - self.offset) / self.scale
        if self.bit is not None:
            return struct.pack(">H", (1 << self.bit) if raw and not math.isnan(raw) else 0)
        if self.type.startswith("float"):
            return self._words(struct.pack(">" + FORMATS[self.type], raw))
        if math.isnan(raw):
            return self._words(self._pattern(self.missing))
        return self._words(struct.pack(">" + FORMATS[self.type], self._whole(raw)))

    def decode(self, data: bytes) -> float:
        """The inverse of `encode`."""
        if self.bit is not None:
            return float(struct.unpack(">H", data)[0] >> self.bit & 1)
        raw = struct.unpack(">" + FORMATS[self.type], self._words(data))[0]
        return taken(self.spec, raw * self.scale + self.offset)

    def _whole(self, raw: float) -> int:
        """The nearest integer that the type holds and that does not mean "not available"."""
        low, high = _RANGES[self.type]
        whole = round(min(max(raw, low), high))
        if self.missing and whole & (1 << 16 * SIZES[self.type]) - 1 == self.missing:
            return whole + 1 if whole < 0 else whole - 1
        return whole

    def _pattern(self, raw: int) -> bytes:
        size = 2 * SIZES[self.type]
        return (raw % (1 << 8 * size)).to_bytes(size, "big")

    def _words(self, data: bytes) -> bytes:
        words = [data[at : at + 2] for at in range(0, len(data), 2)]
        return b"".join(word[::-1] if self.swapped else word for word in (words[::-1] if self.little else words))


@dataclass(frozen=True)
class Table:
    """One table of a device: its points by register, and words that never change (model ids, texts)."""

    cells: Sequence[Cell] = ()
    fixed: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", sorted(self.cells, key=lambda cell: cell.register))
        object.__setattr__(self, "first", min([*self.fixed, *(cell.register for cell in self.cells)]))
        object.__setattr__(self, "end", max([*(at + 1 for at in self.fixed), *(cell.end for cell in self.cells)]))

    first: int = field(init=False)
    end: int = field(init=False)

    def check(self, start: int, count: int) -> None:
        """Raises Refusal unless all of `count` addresses from `start` are in the table."""
        if not self.first <= start < start + count <= self.end:
            raise Refusal(ILLEGAL_ADDRESS)

    def within(self, start: int, end: int) -> list[Cell]:
        """The cells that have a register in [start, end)."""
        return [cell for cell in self.cells if cell.register < end and cell.end > start]


@dataclass(frozen=True)
class RegisterMap:
    """The tables ("holding", "input", "coil", "discrete") of one device, and the most registers one read may ask for."""

    device: SimDevice
    tables: Mapping[str, Table]
    most: int = 125

    def read(self, table: str, start: int, count: int) -> bytes:
        """`count` registers of two bytes each. Raises Refusal."""
        if count > self.most:
            raise Refusal(ILLEGAL_VALUE)
        start -= self.device.ail.moved_by
        where = self._table(table, start, count)
        image = bytearray(2 * count)
        for at in range(start, start + count):
            word = where.fixed.get(at)
            if word:
                struct.pack_into(">H", image, 2 * (at - start), word)
        for cell in self._allowed(where.within(start, start + count)):
            _overlay(image, 2 * (cell.register - start), cell.image(self.device))
        return bytes(image)

    def write(self, start: int, data: bytes, via: str) -> None:
        """Holding registers from `start`; every one must belong to a writable point that is covered whole.

        Points are taken in address order; the first the device rejects ends it, and those before it stay written.
        Raises WriteRejected, Refusal.
        """
        start -= self.device.ail.moved_by
        end = start + len(data) // 2
        cells = self._table("holding", start, end - start).within(start, end)
        covered = {at for cell in cells for at in range(cell.register, cell.end)}
        if not covered.issuperset(range(start, end)):
            self.device.refuse(f"holding {start}", None, via=via, reason="not a writable register", kind="access")
        for cell in cells:
            if cell.register < start or cell.end > end:
                self.device.refuse(cell.name, None, via=via, reason="not all of its registers", kind="value")
        turn = _turned if self.device.ail.swapped_words else bytes
        parts = [(cell, data[2 * (cell.register - start) : 2 * (cell.end - start)]) for cell in cells]
        values = [(cell, cell.decode(turn(part))) for cell, part in parts]
        for cell, value in values:
            if cell.spec.access is not Access.READ_WRITE:
                self.device.refuse(cell.name, value, via=via, reason="read-only", kind="access")
            self._refuse_write(cell.name, value, via)
        for cell, value in values:
            self.device.write(cell.name, value, via=via)

    def read_bits(self, table: str, start: int, count: int) -> list[bool]:
        """Coils or discrete inputs. Raises Refusal."""
        start -= self.device.ail.moved_by
        where = self._table(table, start, count)
        values = {cell.register: self._bit(cell) for cell in self._allowed(where.within(start, start + count))}
        return [values.get(at, False) for at in range(start, start + count)]

    def write_bits(self, start: int, bits: Sequence[bool], via: str) -> None:
        """Coils from `start`. Raises WriteRejected, Refusal."""
        start -= self.device.ail.moved_by
        by_register = {cell.register: cell for cell in self._table("coil", start, len(bits)).cells}
        for at in range(start, start + len(bits)):
            if at not in by_register:
                self.device.refuse(f"coil {at}", None, via=via, reason="not a writable coil", kind="access")
        for at, bit in enumerate(bits):
            self._refuse_write(by_register[start + at].name, float(bit), via)
        for at, bit in enumerate(bits):
            self.device.write(by_register[start + at].name, float(bit), via=via)

    def _allowed(self, cells: list[Cell]) -> list[Cell]:
        """The same cells. Raises Refusal when the device refuses one of them."""
        if not self.device.ail.refused.isdisjoint(cell.name for cell in cells):
            raise Refusal(ILLEGAL_ADDRESS)
        return cells

    def _refuse_write(self, name: str, value: float, via: str) -> None:
        if name in self.device.ail.refused:
            self.device.refuse(name, value, via=via, reason="refused for now", kind="address")

    def _bit(self, cell: Cell) -> bool:
        raw = self.device.ail.raw.get(cell.name)
        value = self.device.reading(cell.name) if raw is None else raw
        return value != 0 and not math.isnan(value)

    def _table(self, table: str, start: int, count: int) -> Table:
        where = self.tables.get(table)
        if where is None:
            raise Refusal(ILLEGAL_ADDRESS)
        where.check(start, count)
        return where


def _turned(data: bytes) -> bytes:
    """The words in the other order."""
    return b"".join(data[at : at + 2] for at in reversed(range(0, len(data), 2)))


def _overlay(image: bytearray, at: int, data: bytes) -> None:
    """OR `data` into `image` from byte `at`, cutting off what lies outside; several bit points share a register."""
    for index, byte in enumerate(data):
        if 0 <= at + index < len(image):
            image[at + index] |= byte


def refusal_code(rejected: WriteRejected) -> int:
    """The Modbus exception code for a write that a device did not take."""
    return ILLEGAL_ADDRESS if rejected.kind in ("address", "access") else ILLEGAL_VALUE
