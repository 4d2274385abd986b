"""BACnet's tagged values as bytes (ASHRAE 135 clause 20.2): primitive values, and a cursor over what a device sent.

Pure. What an answer holds beyond primitive values is stepped over, never guessed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

Kind = Literal["real", "double", "unsigned", "signed", "enumerated"]
Value = None | bool | int | float | str | bytes | tuple[bool, ...]


def encode(value: float | None, kind: Kind) -> bytes:
    """A number as a primitive value of `kind`; None is Null. Raises ValueError when the kind cannot hold it."""
    if value is None:
        return b"\x00"
    if kind == "real":
        try:
            return b"\x44" + struct.pack(">f", value)
        except OverflowError as exc:
            raise ValueError(f"{value:g} does not fit a 32-bit float") from exc
    if kind == "double":
        return b"\x55\x08" + struct.pack(">d", value)
    whole = round(value)
    if kind == "signed":
        size = ((whole if whole >= 0 else ~whole).bit_length() + 8) // 8
        return bytes((0x30 | size,)) + whole.to_bytes(size, "big", signed=True)
    if not 0 <= whole < 1 << 32:
        raise ValueError(f"{value:g} does not fit an {kind} value")
    return unsigned(2 if kind == "unsigned" else 9, whole)


def unsigned(number: int, value: int, *, context: bool = False) -> bytes:
    """A whole number under an application or context tag."""
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes((number << 4 | (8 if context else 0) | size,)) + value.to_bytes(size, "big")


class Tags:
    """A cursor over tagged data; every reader raises ValueError when something else stands there."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def at_context(self, number: int) -> bool:
        byte = self._peek()
        return byte & 0xF8 == number << 4 | 8 and byte & 7 < 6

    def at_opening(self, number: int) -> bool:
        return self._peek() == number << 4 | 0xE

    def at_closing(self, number: int) -> bool:
        """Whether the closing tag stands here; if so, step over it."""
        found = self._peek() == number << 4 | 0xF
        self._at += found
        return found

    def opening(self, number: int) -> None:
        if not self.at_opening(number):
            raise ValueError(f"no opening tag {number} at byte {self._at}")
        self._at += 1

    def context(self, number: int) -> bytes:
        """The content of a context tag."""
        if not self.at_context(number):
            raise ValueError(f"no context tag {number} at byte {self._at}")
        return self._take(self._length())

    def values(self, number: int) -> list[Value]:
        """The primitive values between an opening tag and its closing tag; nested structures count as one None each."""
        self.opening(number)
        found: list[Value] = []
        while not self.at_closing(number):
            found.append(self._value())
        return found

    def rest(self) -> Iterator[Value]:
        """The primitive values up to the end."""
        while self.left:
            yield self._value()

    def _value(self) -> Value:
        byte = self._peek()
        if byte & 8:
            self._skip()
            return None
        number = byte >> 4
        if number == 1:
            self._at += 1
            return bool(byte & 7)
        return _primitive(number, self._take(self._length()))

    def _skip(self) -> None:
        """Step over one context tag with all that it encloses."""
        byte = self._peek()
        if byte & 7 != 6:
            if byte & 7 == 7:
                raise ValueError(f"closing tag {byte >> 4} out of place at byte {self._at}")
            self._take(self._length())
            return
        self._at += 1
        while not self.at_closing(byte >> 4):
            self._value()

    def _peek(self) -> int:
        if self._at >= len(self._data):
            raise ValueError("the answer ends too soon")
        return self._data[self._at]

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise ValueError("the answer ends too soon")
        chunk = self._data[self._at : end]
        self._at = end
        return chunk

    def _length(self) -> int:
        """Step over a tag, giving the length of its content (tag numbers over 14 do not occur in what we read)."""
        length = self._peek() & 7
        self._at += 1
        if length == 5:
            length = self._take(1)[0]
            if length >= 254:
                length = int.from_bytes(self._take(2 if length == 254 else 4), "big")
        return length


def _primitive(number: int, content: bytes) -> Value:
    if number == 0:
        return None
    if number in (2, 9, 12):
        return int.from_bytes(content, "big")
    if number == 3:
        return int.from_bytes(content, "big", signed=True)
    if number in (4, 5):
        if len(content) != (4 if number == 4 else 8):
            raise ValueError(f"a float of {len(content)} bytes")
        return float(struct.unpack(">f" if number == 4 else ">d", content)[0])
    if number == 7:
        return _text(content)
    if number == 8:
        bits = "".join(f"{byte:08b}" for byte in content[1:])
        return tuple(bit == "1" for bit in bits[: len(bits) - content[0]]) if content else ()
    return content


def _text(content: bytes) -> str:
    charsets = {0: "utf-8", 4: "utf-16-be", 5: "latin-1"}
    return content[1:].decode(charsets.get(content[0] if content else 0, "latin-1"), "replace")
