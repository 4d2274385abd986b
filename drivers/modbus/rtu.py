"""Modbus over a serial line (RTU): a frame is unit id, request and check sum, and silence ends it.

Nothing in a frame says which question it answers. So only a frame that is whole, has a right check sum and answers the
question in unit id, function and length is passed on, whatever noise is around it; a unit whose answer did not come in
time is not asked again before as much time again has passed, and what it says meanwhile is thrown away.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.framer.rtu import FramerRTU

from .connection import FAR_FUTURE_S
from .options import RtuOptions

_BIT_READS, _REGISTER_READS = (1, 2), (3, 4)
_EXCEPTION, _EXCEPTION_SIZE = 0x80, 5
_ACKNOWLEDGEMENT_SIZE = 8
_LEAST_SILENCE_S = 0.00175
"""From 19200 baud on the silence between frames is fixed (Modbus over serial line 1.02, 2.5.1.1)."""


class RtuWire:
    """A serial port."""

    def __init__(self, options: RtuOptions) -> None:
        self._options = options
        self.where = options.device
        bits = 1 + 8 + (options.parity != "N") + options.stopbits
        self.silence_s = max(3.5 * bits / options.baudrate, _LEAST_SILENCE_S)
        self.lateness_s = 2 * options.timeout

    def client(
        self, packet: Callable[[bool, bytes], bytes], connection: Callable[[bool], None]
    ) -> AsyncModbusSerialClient:
        """A client that waits as long as it is let and tries nothing twice."""
        return AsyncModbusSerialClient(
            self._options.device,
            baudrate=self._options.baudrate,
            parity=self._options.parity,
            stopbits=self._options.stopbits,
            timeout=FAR_FUTURE_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=packet,
            trace_connect=connection,
        )

    def passed(self, question: bytes, received: bytes) -> bytes:
        """The answer, once it is there."""
        return answer_in(question, received)

    def complaint(self) -> str:
        """Why the port cannot be opened, as far as the file system knows."""
        if not Path(self._options.device).exists():
            return "there is no such port"
        if not os.access(self._options.device, os.R_OK | os.W_OK):
            return "no permission; on most systems the group dialout has it"
        return "it is in use, or does not take these settings"


def answer_in(question: bytes, received: bytes) -> bytes:
    """The frame among the received bytes that answers a request frame, b"" when there is none (yet)."""
    unit, function = question[:2]
    shapes = (_success(question), (bytes((unit, function | _EXCEPTION)), _EXCEPTION_SIZE))
    for at in range(len(received) - _EXCEPTION_SIZE + 1):
        for head, size in shapes:
            frame = received[at : at + size]
            if len(frame) == size and frame.startswith(head) and _sound(frame):
                return frame
    return b""


def _success(question: bytes) -> tuple[bytes, int]:
    """What the answer that carries the request out begins with, and its size."""
    unit, function, _, count = struct.unpack_from(">BBHH", question)
    if function in (*_BIT_READS, *_REGISTER_READS):
        data = (count + 7) // 8 if function in _BIT_READS else 2 * count
        return bytes((unit, function, data)), data + 5
    return question[:6], _ACKNOWLEDGEMENT_SIZE


def _sound(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))
