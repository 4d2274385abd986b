"""Modbus units on a simulated serial line, asked by pymodbus, and by pyserial with frames whose check sums are printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusIOException

from energyctl.core.errors import ConfigError
from hil.device import SimDevice
from hil.servers.rtu import RtuServer, crc16

ASK_POWER = bytes.fromhex("01 04 0034 0002 3005")
"""Input registers 52 and 53 of unit 1."""
POWER = bytes.fromhex("01 04 04 4640 e400 a418")
"""12345.0 as a 32-bit float."""


@pytest.fixture
def meter(make_device) -> SimDevice:
    return make_device("meter", "eastron/sdm630@1", power=12.345, frequency=50.0)


@pytest.fixture
def battery(make_device) -> SimDevice:
    return make_device("storage", "sunspec/battery@1")


@asynccontextmanager
async def serving(tmp_path: Path, devices, baudrate: int = 115200, **options) -> AsyncIterator[tuple[RtuServer, Port]]:
    async with RtuServer(devices, tmp_path / "bus", baudrate, **options) as server:
        port = Port(server.path, baudrate)
        try:
            yield server, port
        finally:
            port.serial.close()


class Port:
    """A serial port that is read without blocking the loop."""

    def __init__(self, path: Path, baudrate: int) -> None:
        self.serial = serial.Serial(str(path), baudrate, timeout=0, exclusive=True)

    async def ask(self, frame: bytes, wait_s: float = 0.3, size: int = 300) -> bytes:
        """What comes back until `size` bytes are there or nothing has come for a while."""
        self.serial.write(frame)
        heard, end = b"", time.monotonic() + wait_s
        while len(heard) < size and time.monotonic() < end:
            await asyncio.sleep(0.002)
            heard += self.serial.read(300)
        return heard


@pytest.mark.parametrize(
    ("frame", "low", "high"),
    [
        ("11 03 006b 0003", 0x76, 0x87),  # the specification's reading of holding registers, unit 17
        ("01 04 0000 0002", 0x71, 0xCB),  # the meter's manual: asking for the voltage
        ("01 04 04 4366 3334", 0x1B, 0x38),  # and its answer, 230.2 V
    ],
)
def test_the_check_sums_that_manuals_print(frame, low, high):
    assert crc16(bytes.fromhex(frame)) == high << 8 | low
    assert crc16(bytes.fromhex(frame) + bytes([low, high])) == 0


async def test_the_meter_by_bytes(tmp_path, meter):
    async with serving(tmp_path, {1: meter}) as (_, port):
        assert await port.ask(ASK_POWER, 2, len(POWER)) == POWER


async def test_the_meter_and_its_neighbour_by_pymodbus(tmp_path, meter, battery):
    async with RtuServer({1: meter, 3: battery}, tmp_path / "bus", 115200) as server:
        client = AsyncModbusSerialClient(str(server.path), baudrate=115200, timeout=0.2, retries=0)
        assert await client.connect()
        assert (await client.read_input_registers(52, count=2, device_id=1)).registers == [0x4640, 0xE400]
        assert (await client.read_holding_registers(40000, count=2, device_id=3)).registers == [0x5375, 0x6E53]
        assert (await client.read_input_registers(1024, count=2, device_id=1)).exception_code == 2
        with pytest.raises(ModbusIOException):  # on a serial line nobody answers for a unit that is not there
            await client.read_input_registers(52, count=2, device_id=2)
        meter.online = False
        with pytest.raises(ModbusIOException):
            await client.read_input_registers(52, count=2, device_id=1)
        meter.online = True
        assert not (await client.read_input_registers(52, count=2, device_id=1)).isError()
        client.close()


@pytest.mark.parametrize(
    "frame",
    [
        ASK_POWER[:-1] + bytes([ASK_POWER[-1] ^ 1]),  # wrong check sum
        ASK_POWER[:5],  # cut short
        b"",
        b"\x01",
        b"\xff" + ASK_POWER,  # something before it
    ],
)
async def test_what_is_no_frame_is_ignored_and_the_next_one_is_answered(tmp_path, meter, frame):
    async with serving(tmp_path, {1: meter}) as (_, port):
        assert await port.ask(frame, 0.05) == b""
        assert await port.ask(ASK_POWER, 2, len(POWER)) == POWER


async def test_a_frame_may_come_in_two_parts_but_not_with_silence_between(tmp_path, meter):
    async with serving(tmp_path, {1: meter}, 2400) as (_, port):  # 3.5 characters take 16 ms
        assert await port.ask(ASK_POWER[:3], 0.005) == b""
        assert await port.ask(ASK_POWER[3:], 2, len(POWER)) == POWER
        assert await port.ask(ASK_POWER[:3], 0.08) == b""
        assert await port.ask(ASK_POWER[3:], 0.3) == b""


async def test_the_line_is_as_slow_as_its_baud_rate(tmp_path, meter):
    """8 characters there, 3.5 of silence, 105 back: 116.5 * 11 bits at 9600 per second are 133 ms."""
    asked = bytes.fromhex("01 04 0000 0032")
    asked += crc16(asked).to_bytes(2, "little")
    async with serving(tmp_path, {1: meter}, 9600) as (_, port):
        start = time.monotonic()
        heard = await port.ask(asked, 3, 105)
        took = time.monotonic() - start
    assert (len(heard), heard[:3], crc16(heard)) == (105, b"\x01\x04\x64", 0)
    assert 0.133 <= took < 0.3


async def test_a_line_that_is_not_paced_is_not(tmp_path, meter):
    async with serving(tmp_path, {1: meter}, 1200, paced=False) as (_, port):
        start = time.monotonic()
        for _ in range(10):
            assert await port.ask(ASK_POWER, 2, len(POWER)) == POWER
        assert time.monotonic() - start < 0.5  # 1.9 s at 1200 baud


async def test_a_broadcast_is_carried_out_by_all_and_answered_by_none(tmp_path, battery, make_device):
    other = make_device("other", "sunspec/battery@1")
    async with serving(tmp_path, {3: battery, 4: other}) as (server, port):
        enable = next(c.register for c in server.units[3].tables["holding"].cells if c.name == "setpoint_enable")
        for function, data in ((6, b"\0\1"), (3, b"\0\1")):
            frame = bytes([0, function]) + enable.to_bytes(2, "big") + data
            assert await port.ask(frame + crc16(frame).to_bytes(2, "little"), 0.05) == b""
    assert [(r.point, r.value) for r in battery.log] == [("setpoint_enable", 1.0)]
    assert [(r.point, r.value) for r in other.log] == [("setpoint_enable", 1.0)]


async def test_a_request_into_an_answer_spoils_both(tmp_path, meter):
    asked = bytes.fromhex("01 04 0000 0032")
    asked += crc16(asked).to_bytes(2, "little")
    async with serving(tmp_path, {1: meter}, 9600) as (_, port):
        port.serial.write(asked)
        await asyncio.sleep(0.07)
        heard = await port.ask(ASK_POWER, 0.3)
        assert 0 < len(heard) < 105
        assert await port.ask(ASK_POWER, 2, len(POWER)) == POWER


async def test_the_line_does_to_frames_what_it_is_told(tmp_path, meter):
    async with serving(tmp_path, {1: meter}) as (server, port):
        server.line.impair.blackhole = True
        assert await port.ask(ASK_POWER, 0.05) == b""
        server.line.impair.blackhole = False
        server.line.impair.duplicate, server.line.impair.direction = 1.0, "to_client"
        assert await port.ask(ASK_POWER, 2, 2 * len(POWER)) == POWER + POWER
        server.line.impair.duplicate, server.line.impair.delay_s = 0.0, 0.15
        start = time.monotonic()
        assert await port.ask(ASK_POWER, 2, len(POWER)) == POWER
        assert time.monotonic() - start > 0.15
        port.serial.write(ASK_POWER)
        await asyncio.sleep(0.05)
        await server.line.reset()
        assert await port.ask(b"", 0.2) == b""
        assert (server.line.counts.to_client.duplicated, server.line.counts.to_device.swallowed) == (1, 1)
        with pytest.raises(ConfigError, match="serial line"):
            server.line.retarget("127.0.0.1", 1)


async def test_the_path_goes_with_the_server(tmp_path, meter):
    async with serving(tmp_path, {1: meter}) as (server, _):
        assert server.path.is_char_device()
    assert not server.path.is_symlink()
