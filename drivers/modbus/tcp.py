"""Modbus over TCP: frames carry a transaction id, and their length, in front (MBAP)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pymodbus.client import AsyncModbusTcpClient

from .connection import FAR_FUTURE_S
from .options import TcpOptions

_LAST_READ_FUNCTION = 4


class TcpWire:
    """A TCP port."""

    silence_s = 0.0
    lateness_s = 0.0

    def __init__(self, options: TcpOptions) -> None:
        self._options = options
        self.where = f"{options.host}:{options.port}"

    def client(
        self, packet: Callable[[bool, bytes], bytes], connection: Callable[[bool], None]
    ) -> AsyncModbusTcpClient:
        """A client that waits as long as it is let and tries nothing twice."""
        return AsyncModbusTcpClient(
            self._options.host,
            port=self._options.port,
            timeout=FAR_FUTURE_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=packet,
            trace_connect=connection,
        )

    def passed(self, question: bytes, received: bytes) -> bytes | None:
        """Everything, for as long as it can become an answer."""
        return received if fits(question, received) else None

    def complaint(self) -> str:
        """Nothing: a port that is closed is all there is to say."""
        return ""


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
