"""The Modbus server, asked by pymodbus and by hand-written bytes."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from pymodbus.client import AsyncModbusTcpClient

from energyctl.core.profile import Profile
from hil.device import SimDevice
from hil.servers.modbus import ModbusServer
from hil.servers.requests import pack_bits, unpack_bits

PLAIN = Profile.model_validate(
    {
        "profile": "test/plain@1",
        "vendor": "Test",
        "model": "P-1",
        "kind": "relay",
        "protocol": "modbus",
        "identity": {"contains": "P-1", "address": {"table": "holding", "register": 100, "type": "string", "count": 4}},
        "options": {
            "table": "holding",
            "type": "uint16",
            "max_registers": 50,
            "not_available": {"int16": [0x7FFF], "uint16": [0xFFFF]},
        },
        "points": {
            "speed": {
                "unit": "%",
                "access": "rw",
                "minimum": 0,
                "maximum": 100,
                "address": {"register": 0, "scale": 0.1},
            },
            "temp": {"unit": "°C", "address": {"register": 1, "type": "int16", "scale": 0.1, "offset": -40}},
            "energy": {"unit": "Wh", "address": {"register": 2, "type": "uint32", "word_order": "little"}},
            "total": {"unit": "kWh", "address": {"register": 4, "type": "float64"}},
            "first": {"kind": "bool", "access": "rw", "address": {"register": 8, "bit": 0}},
            "fourth": {"kind": "bool", "access": "rw", "address": {"register": 8, "bit": 3}},
            "target": {"unit": "W", "access": "rw", "address": {"register": 10, "type": "float32"}},
            "hours": {"address": {"register": 12, "type": "uint32", "byte_order": "little"}},
            "relay": {"kind": "bool", "access": "rw", "address": {"table": "coil", "register": 5}},
            "alarm": {"kind": "bool", "address": {"table": "discrete", "register": 7}},
        },
    }
)


@pytest.fixture
def meter(make_device) -> SimDevice:
    return make_device(
        "meter", "eastron/sdm630@1", power=12.345, frequency=50.02, energy_import=1250.5, current_l1=18.0
    )


@asynccontextmanager
async def serving(devices):
    async with ModbusServer(devices) as server:
        host, port = server.address
        client = AsyncModbusTcpClient(host, port=port, timeout=2, retries=0)
        assert await client.connect()
        reader, writer = await asyncio.open_connection(host, port)
        try:
            yield SimpleNamespace(server=server, client=client, reader=reader, writer=writer)
        finally:
            client.close()
            writer.close()


async def talk(link, sent: bytes, size: int) -> bytes:
    link.writer.write(sent)
    return await asyncio.wait_for(link.reader.readexactly(size), 2)


def floats(registers: list[int]) -> list[float]:
    data = struct.pack(f">{len(registers)}H", *registers)
    return list(struct.unpack(f">{len(registers) // 2}f", data))


async def test_the_meter_by_the_bytes_of_its_manual(meter):
    async with serving({1: meter}) as link:
        # input register 52, two registers: 12345.0 W is 46 40 e4 00 as a 32-bit float
        answer = await talk(link, bytes.fromhex("0102 0000 0006 01 04 0034 0002"), 13)
    assert answer.hex(" ") == "01 02 00 00 00 07 01 04 04 46 40 e4 00"


async def test_the_meter_by_pymodbus(meter):
    async with serving({1: meter}) as link:
        got = await link.client.read_input_registers(52, count=24, device_id=1)
        power, *_, frequency, imported, exported = floats(got.registers)
    assert power == 12345.0
    assert (frequency, imported, exported) == pytest.approx((50.02, 1250.5, 0.0))


async def test_a_point_may_be_read_in_half_as_in_a_real_meter(meter):
    async with serving({1: meter}) as link:
        assert (await link.client.read_input_registers(52, count=1, device_id=1)).registers == [0x4640]
        assert (await link.client.read_input_registers(53, count=2, device_id=1)).registers == [0xE400, 0]


async def test_types_scales_word_orders_and_bits():
    device = SimDevice("p", PLAIN, {"speed": 0.455, "temp": -12.3, "energy": 70.0, "total": 1.5, "fourth": 1.0})
    device.set("hours", 0x01020304)
    async with serving({9: device}) as link:
        got = await link.client.read_holding_registers(0, count=14, device_id=9)
        assert got.registers[:4] == [455, 277, 0x1170, 0x0001]  # 45.5 %, (-12.3 + 40) / 0.1, 70000 low word first
        assert struct.unpack(">d", struct.pack(">4H", *got.registers[4:8])) == (1.5,)
        assert got.registers[8] == 0b1000
        assert got.registers[12:] == [0x0201, 0x0403]
        device.set("temp", float("nan"))
        assert (await link.client.read_holding_registers(1, count=1, device_id=9)).registers == [0x7FFF]
        name = await link.client.read_holding_registers(100, count=4, device_id=9)
        assert struct.pack(">4H", *name.registers) == b"P-1\0\0\0\0\0"


async def test_writes_arrive_as_canonical_values():
    device = SimDevice("p", PLAIN)
    async with serving({9: device}) as link:
        await link.client.write_register(0, 250, device_id=9)
        await link.client.write_registers(10, [0x44FA, 0x0000], device_id=9)
        await link.client.write_register(8, 0b1001, device_id=9)
    assert [(r.point, r.value, r.via) for r in device.log] == [
        ("speed", pytest.approx(0.25), "modbus fc 6"),
        ("target", 2.0, "modbus fc 16"),
        ("first", 1.0, "modbus fc 6"),
        ("fourth", 1.0, "modbus fc 6"),
    ]


async def test_one_write_of_several_points_is_taken_in_address_order(make_device):
    battery = make_device("storage", "sunspec/battery@1")
    async with serving({3: battery}) as link:
        cells = {cell.name: cell.register for cell in link.server.units[3].tables["holding"].cells}
        enable, mode, setpoint = (cells[name] for name in ("setpoint_enable", "setpoint_mode", "power_setpoint"))
        assert (mode, setpoint) == (enable + 1, enable + 2)
        values = [1, 1, 0x0000, 0x1F40]  # enabled, watts, 8000 W discharging
        assert not (await link.client.write_registers(enable, values, device_id=3)).isError()
    assert [(r.point, r.value) for r in battery.log] == [
        ("setpoint_enable", 1.0),
        ("setpoint_mode", 1.0),
        ("power_setpoint", -8.0),
    ]


async def test_a_rejected_point_ends_the_write_and_what_came_before_stays(make_device):
    battery = make_device("storage", "sunspec/battery@1")
    async with serving({3: battery}) as link:
        enable = next(c.register for c in link.server.units[3].tables["holding"].cells if c.name == "setpoint_enable")
        answer = await link.client.write_registers(enable, [1, 9, 0, 8000], device_id=3)
    assert answer.exception_code == 3
    assert [(r.point, r.accepted) for r in battery.log] == [("setpoint_enable", True), ("setpoint_mode", False)]
    assert (battery.values["setpoint_enable"], battery.values["power_setpoint"]) == (1.0, 0.0)


async def test_coils_and_discrete_inputs():
    device = SimDevice("p", PLAIN, {"alarm": 1.0})
    async with serving({9: device}) as link:
        assert (await link.client.read_discrete_inputs(7, count=1, device_id=9)).bits[0] is True
        await link.client.write_coil(5, True, device_id=9)
        assert (await link.client.read_coils(5, count=1, device_id=9)).bits[0] is True
        await link.client.write_coils(5, [False], device_id=9)
    assert [(r.value, r.via) for r in device.log] == [(1.0, "modbus fc 5"), (0.0, "modbus fc 15")]


@pytest.mark.parametrize(
    ("pdu", "exception"),
    [
        ("07", 1),  # a function that is not served
        ("2b 0e 01 00", 1),
        ("03 0034 0002", 2),  # the meter has no holding registers
        ("04 0400 0002", 2),  # beyond its last register
        ("04 004b 0002", 2),  # one register too far
        ("04 0000 0000", 3),  # none at all
        ("04 0000 0051", 3),  # 81, one more than this meter gives at once
        ("04 0000 007e", 3),  # 126, more than a frame holds
        ("04 0000", 3),  # cut short
        ("06 0034 0001", 2),  # a read-only device
    ],
)
async def test_exceptions_of_the_meter(meter, pdu, exception):
    body = bytes.fromhex(pdu)
    async with serving({1: meter}) as link:
        frame = struct.pack(">HHHB", 7, 0, len(body) + 1, 1) + body
        answer = await talk(link, frame, 9)
    assert answer == struct.pack(">HHHBBB", 7, 0, 3, 1, body[0] | 0x80, exception)


@pytest.mark.parametrize(
    ("pdu", "exception", "logged"),
    [
        ("06 0001 0000", 2, ("temp", "read-only")),
        ("06 0009 0000", 2, ("holding 9", "not a writable register")),
        ("06 000a 44fa", 3, ("target", "not all of its registers")),
        ("06 0000 03e9", 3, ("speed", "outside 0 to 1")),  # 100.1 %
        ("10 000a 0002 04 7fc0 0000", 3, ("target", "not a finite number")),
        ("10 000a 0002 03 44fa 00", 3, None),  # byte count does not fit
        ("10 000a 0002 04 44fa", 3, None),
        ("05 0005 1234", 3, None),  # neither on nor off
    ],
)
async def test_refused_writes_change_nothing_and_are_logged(pdu, exception, logged):
    device = SimDevice("p", PLAIN)
    before = dict(device.values)
    body = bytes.fromhex(pdu)
    async with serving({9: device}) as link:
        answer = await talk(link, struct.pack(">HHHB", 1, 0, len(body) + 1, 9) + body, 9)
    assert answer[-2:] == bytes([body[0] | 0x80, exception])
    assert device.values == before
    assert [(r.point, r.reason) for r in device.log if not r.accepted] == ([logged] if logged else [])


async def test_unknown_and_unplugged_units_are_the_gateways_exception(meter):
    async with serving({1: meter}) as link:
        assert (await link.client.read_input_registers(52, count=2, device_id=2)).exception_code == 0x0B
        meter.online = False
        assert (await link.client.read_input_registers(52, count=2, device_id=1)).exception_code == 0x0B
        meter.online = True
        assert not (await link.client.read_input_registers(52, count=2, device_id=1)).isError()


async def test_pipelined_requests_each_get_their_own_answer(meter):
    registers = [52, 70, 72, 6, 52]
    async with serving({1: meter}) as link:
        frames = [struct.pack(">HHHBBHH", 100 + i, 0, 6, 1, 4, register, 2) for i, register in enumerate(registers)]
        answers = await talk(link, b"".join(frames), 13 * len(frames))
    got = [struct.unpack(">HHHBBBf", answers[at : at + 13]) for at in range(0, len(answers), 13)]
    assert [answer[0] for answer in got] == [100, 101, 102, 103, 104]
    assert [answer[-1] for answer in got] == pytest.approx([12345.0, 50.02, 1250.5, 18.0, 12345.0])


async def test_a_request_may_come_byte_by_byte(meter):
    async with serving({1: meter}) as link:
        for byte in bytes.fromhex("0102 0000 0006 01 04 0034 0002"):
            link.writer.write(bytes([byte]))
            await link.writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(link.reader.readexactly(13), 2)
    assert answer.hex() == "010200000007010404" + "4640e400"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("0001 0001 0006 01 04 0034 0002"),  # not Modbus by its protocol id
        bytes.fromhex("0001 0000 0001 01 04"),  # too short to hold a function
        bytes.fromhex("0001 0000 00ff 01 04"),  # longer than any frame
    ],
)
async def test_garbage_closes_the_connection_and_nothing_else(meter, garbage):
    async with serving({1: meter}) as link:
        link.writer.write(garbage + bytes.fromhex("0102 0000 0006 01 04 0034 0002"))
        assert await asyncio.wait_for(link.reader.read(), 2) == b""
        assert not (await link.client.read_input_registers(52, count=2, device_id=1)).isError()


async def test_a_stopped_server_drops_its_clients(meter):
    async with ModbusServer({1: meter}) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(bytes.fromhex("0102 0000 0006 01 04 0034 0002"))
        await asyncio.wait_for(reader.readexactly(13), 2)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(*writer.get_extra_info("peername"))
    assert await asyncio.wait_for(reader.read(), 2) == b""


def test_bits_go_lowest_first():
    assert pack_bits([True, False, True, True, False, False, True, True, True, False]).hex() == "cd01"
    assert unpack_bits(bytes.fromhex("cd01"), 10) == [
        bool(int(bit)) for bit in "1011001110"
    ]  # the example of the Modbus specification, section 6.11
