"""SunSpec: a device describes itself as a chain of numbered models; points are found by model and name, not by register.

The chain starts with "SunS" at register 40000, 50000 or 0. Each model begins with its id and its length, and the next one
follows it; id 0xFFFF ends the chain. What a model's registers mean comes from the published definitions (the JSON files
that pysunspec2 ships). Only the fixed part of a model is known here, not its repeating groups.

A point's scale factor is a register of the same model. Where the definition does not call it static it may change at any
time, so it is read in the same request as the point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .registers import Codec, NumberType, Span, Unusable

BASES = (40000, 50000, 0)
MARKER = (0x5375, 0x6E53)
END = 0xFFFF
LONGEST_CHAIN = 256

_NUMBERS: dict[str, tuple[NumberType, frozenset[int]]] = {
    "int16": ("int16", frozenset({0x8000})),
    "uint16": ("uint16", frozenset({0xFFFF})),
    "count": ("uint16", frozenset({0xFFFF})),
    "acc16": ("uint16", frozenset({0})),
    "enum16": ("uint16", frozenset({0xFFFF})),
    "bitfield16": ("uint16", frozenset({0xFFFF})),
    "int32": ("int32", frozenset({0x80000000})),
    "uint32": ("uint32", frozenset({0xFFFFFFFF})),
    "acc32": ("uint32", frozenset({0})),
    "enum32": ("uint32", frozenset({0xFFFFFFFF})),
    "bitfield32": ("uint32", frozenset({0xFFFFFFFF})),
    "int64": ("int64", frozenset({0x8000000000000000})),
    "uint64": ("uint64", frozenset({0xFFFFFFFFFFFFFFFF})),
    "acc64": ("uint64", frozenset({0})),
    "float32": ("float32", frozenset({0x7FC00000})),
    "float64": ("float64", frozenset({0x7FF8000000000000})),
    "sunssf": ("int16", frozenset({0x8000})),
}
"""SunSpec's number types: the registers they are, and the contents that mean "not implemented"."""


@dataclass(frozen=True, slots=True)
class Field:
    """A point of a model: `offset` [registers] from the model's id register."""

    offset: int
    type: str
    size: int
    writable: bool
    exponent: int = 0
    """A scale factor written in the definition itself."""
    scale_offset: int | None = None
    scale_static: bool = True

    @property
    def together(self) -> Span:
        """What must be read in one request, from the model's id register: the field, and its scale factor if that may move."""
        first, last = self.offset, self.offset + self.size - 1
        if self.scale_offset is not None and not self.scale_static:
            first, last = min(first, self.scale_offset), max(last, self.scale_offset)
        return Span(first, last - first + 1)

    @property
    def codec(self) -> Codec | None:
        """How its registers are read, None where it is no number (text, padding, addresses)."""
        if self.type not in _NUMBERS:
            return None
        kind, absent = _NUMBERS[self.type]
        return Codec(kind, absent=absent, absent_word="not implemented")


@dataclass(frozen=True, slots=True)
class Model:
    """A model found in a device: register of its id, and its length [registers] after id and length themselves."""

    register: int
    length: int

    def holds(self, field: Field) -> bool:
        """Whether the device's model is long enough to have the field; old devices carry shorter ones."""
        last = max(field.offset + field.size, 0 if field.scale_offset is None else field.scale_offset + 1)
        return last <= self.length + 2


@lru_cache(maxsize=64)
def fields(model: int) -> Mapping[str, Field]:
    """The points of a model by name, of nested groups as "group.point". Raises KeyError for an unknown model."""
    from sunspec2 import mdef

    path = Path(mdef.__file__).parent / "models" / "json" / mdef.to_json_filename(model)
    if not path.is_file():
        raise KeyError(model)
    points = list(_placed(mdef.from_json_file(str(path))["group"], ""))
    offsets = {name: (offset, point) for offset, name, point in points}
    return {name: _field(offset, name, point, offsets) for offset, name, point in points}


def _placed(group: dict[str, Any], prefix: str, start: int = 0) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every point of the fixed part with its offset; ends at the first group that repeats."""
    for point in group["points"]:
        yield start, prefix + point["name"], point
        start += point["size"]
    for inner in group.get("groups", ()):
        if inner.get("count", 1) != 1:
            return
        for placed in _placed(inner, f"{prefix}{inner['name']}.", start):
            yield placed
            start = placed[0] + placed[2]["size"]


def _field(offset: int, name: str, point: dict[str, Any], offsets: Mapping[str, tuple[int, dict[str, Any]]]) -> Field:
    scale = point.get("sf")
    exponent, scale_offset, static = (scale, None, True) if isinstance(scale, int) else (0, None, True)
    if isinstance(scale, str):
        own = name.removesuffix(point["name"]) + scale
        scale_offset, definition = offsets[own if own in offsets else scale]
        static = definition.get("static") == "S"
    return Field(offset, point["type"], point["size"], point.get("access") == "RW", exponent, scale_offset, static)


def scale_exponent(register: int) -> int | Unusable:
    """The power of ten that a scale-factor register holds; the standard allows -10 to 10."""
    exponent = register - 0x10000 if register & 0x8000 else register
    if register == 0x8000:
        return Unusable("scale factor not implemented (0x8000)")
    return exponent if -10 <= exponent <= 10 else Unusable(f"scale factor {exponent} is outside -10 to 10")


async def scan(read: Callable[[int, int], Awaitable[Sequence[int] | None]]) -> dict[int, Model] | Unusable:
    """The models of a device by id, the first of each; `read(register, count)` gives None where the device refuses."""
    for base in BASES:
        marker = await read(base, 2)
        if marker is not None and tuple(marker) == MARKER:
            return await _walk(read, base + 2)
    return Unusable(f"no SunSpec map at register {', '.join(map(str, BASES))}; is it the right unit id?")


async def _walk(
    read: Callable[[int, int], Awaitable[Sequence[int] | None]], register: int
) -> dict[int, Model] | Unusable:
    models: dict[int, Model] = {}
    for _ in range(LONGEST_CHAIN):
        head = await read(register, 2) if register < 0xFFFF else None
        if head is None:
            return Unusable(f"the chain of SunSpec models breaks off at register {register}")
        if head[0] == END:
            return models
        models.setdefault(head[0], Model(register, head[1]))
        register += 2 + head[1]
    return Unusable(f"the chain of SunSpec models has no end within {LONGEST_CHAIN} models")
