"""BACnet's bytes: tags, values, requests and answers (ANSI/ASHRAE 135, clauses 20 and 21), as far as a small device needs them.

Written apart from the driver's codec and from any library's, so that no two of them can share a mistake.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NULL, BOOLEAN, UNSIGNED, SIGNED, REAL, DOUBLE, CHARACTERS, BITS, ENUMERATED, OBJECT = 0, 1, 2, 3, 4, 5, 7, 8, 9, 12
"""Application tags."""
_OPENING, _CLOSING = 6, 7
_UTF8 = b"\x00"


class Malformed(Exception):
    """The bytes are no such message."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: `kind` is "application", "context", "opening" or "closing"."""

    number: int
    kind: str
    data: bytes = b""


def tags(data: bytes) -> Iterator[Tag]:
    """The tags of a message in order. Raises Malformed."""
    at = 0
    while at < len(data):
        first = data[at]
        number, form, context, at = first >> 4, first & 7, bool(first & 8), at + 1
        if number == 15:
            number, at = _byte(data, at), at + 1
        if context and form in (_OPENING, _CLOSING):
            yield Tag(number, "opening" if form == _OPENING else "closing")
            continue
        if not context and number == BOOLEAN:
            yield Tag(number, "application", bytes([form]))
            continue
        if form == 5:
            form, at = _byte(data, at), at + 1
            if form == 254:
                form, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        if at + form > len(data):
            raise Malformed
        yield Tag(number, "context" if context else "application", data[at : at + form])
        at += form


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Malformed
    return data[at]


def number_of(tag: Tag) -> float | None:
    """An application value as a number, None for Null. Raises Malformed for what is neither."""
    match tag.number:
        case 0:
            return None
        case 2 | 9:
            return int.from_bytes(tag.data, "big")
        case 3:
            return int.from_bytes(tag.data, "big", signed=True)
        case 4 if len(tag.data) == 4:
            return float(struct.unpack(">f", tag.data)[0])
        case 5 if len(tag.data) == 8:
            return float(struct.unpack(">d", tag.data)[0])
    raise Malformed


def _head(number: int, size: int, context: bool) -> bytes:
    first = number << 4 | (8 if context else 0)
    if size < 5:
        return bytes([first | size])
    return bytes([first | 5, size]) if size < 254 else bytes([first | 5, 254]) + size.to_bytes(2, "big")


def _digits(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def context(number: int, value: int, size: int | None = None) -> bytes:
    """An unsigned, enumeration or object id with a context tag."""
    data = _digits(value) if size is None else value.to_bytes(size, "big")
    return _head(number, len(data), True) + data


def enclosed(number: int, inner: bytes) -> bytes:
    """Something between an opening and a closing tag."""
    return bytes([number << 4 | 8 | _OPENING]) + inner + bytes([number << 4 | 8 | _CLOSING])


def null() -> bytes:
    """Nothing."""
    return b"\x00"


def boolean(value: bool) -> bytes:
    """A truth value."""
    return b"\x11" if value else b"\x10"


def unsigned(value: int) -> bytes:
    """A whole number from 0."""
    data = _digits(value)
    return _head(UNSIGNED, len(data), False) + data


def enumerated(value: int) -> bytes:
    """A choice by number."""
    data = _digits(value)
    return _head(ENUMERATED, len(data), False) + data


def real(value: float) -> bytes:
    """A 32-bit float; what is too large for one is infinite."""
    try:
        return b"\x44" + struct.pack(">f", value)
    except OverflowError:
        return b"\x44" + struct.pack(">f", float("inf") if value > 0 else float("-inf"))


def characters(text: str) -> bytes:
    """A text, as UTF-8."""
    data = _UTF8 + text.encode()
    return _head(CHARACTERS, len(data), False) + data


def bits(values: Sequence[bool]) -> bytes:
    """A string of bits, the first in the highest place."""
    unused = -len(values) % 8
    number = sum(1 << (len(values) - 1 - at) for at, value in enumerate(values) if value) << unused
    data = bytes([unused]) + number.to_bytes((len(values) + 7) // 8, "big")
    return _head(BITS, len(data), False) + data


def object_id(kind: int, instance: int) -> bytes:
    """An object by type and instance."""
    return _head(OBJECT, 4, False) + (kind << 22 | instance).to_bytes(4, "big")


def error(error_class: int, code: int) -> bytes:
    """An error's class and code."""
    return enumerated(error_class) + enumerated(code)
