"""Where units end in a TCP byte stream, so that a lost or doubled reply is one whole reply and never torn bytes.

`raw` takes what came in one read, `modbus` a frame by the length in its MBAP header, `opcua` a chunk by the size in its
header. What is no such frame is passed on as it comes from there on: the proxy never judges what two others say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Literal

Framing = Literal["raw", "modbus", "opcua"]

OPCUA_LONGEST = 1 << 24


def modbus_length(data: bytes | bytearray) -> int | None:
    """Bytes of the frame that starts here, 0 when its header is not whole, None when it is none (MBAP, 7 bytes)."""
    if len(data) < 6:
        return 0
    _, protocol, length = struct.unpack_from(">HHH", data)
    return 6 + length if protocol == 0 and 2 <= length <= 254 else None


def opcua_length(data: bytes | bytearray) -> int | None:
    """The same for a chunk (OPC 10000-6, 6.7.2 and 7.1.2.2): three letters of type, one of finality, size of the whole."""
    if len(data) < 8:
        return 0
    kind, size = struct.unpack_from("<3sxI", data)
    return size if kind.isalpha() and 8 <= size <= OPCUA_LONGEST else None


LENGTHS: Mapping[Framing, Callable[[bytes | bytearray], int | None]] = {
    "raw": lambda data: None,
    "modbus": modbus_length,
    "opcua": opcua_length,
}


class Framer:
    """Cuts one byte stream into units."""

    def __init__(self, framing: Framing) -> None:
        self._length = LENGTHS[framing]
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The units that are whole now."""
        self._buffer += data
        units = []
        while self._buffer:
            length = self._length(self._buffer)
            if length is None:
                self._length = LENGTHS["raw"]
                length = len(self._buffer)
            if not length or length > len(self._buffer):
                break
            units.append(bytes(self._buffer[:length]))
            del self._buffer[:length]
        return units

    def rest(self) -> bytes:
        """What is left of a frame that never became whole; the stream has ended."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
