"""Modbus TCP and RTU by mbpoll, which is libmodbus: every point of the town hall's Modbus devices, writes and refusals.

Registers of the meter are those of its manual; of the SunSpec devices, the offsets of the published models on a chain that
starts at 40000 with model 1 (68 registers): inverter 103 at 40070, 120 at 40122, 123 at 40150; battery 701 at 40070, 704 at
40225, 713 at 40292. A SunSpec number counts in powers of ten that stand in a register of their own.
"""

from __future__ import annotations

import pytest

from hil.servers.rtu import RtuServer

from .conftest import points
from .mbpoll import KINDS, Mbpoll

UNITS = {"meter": 1, "inverter": 2, "storage": 3}
METER = {  # canonical, input register, number that the meter's display would show
    "meter.power": (12.345, 52, 12345.0),
    "meter.voltage_l1_n": (229.5, 0, 229.5),
    "meter.voltage_l2_n": (230.25, 2, 230.25),
    "meter.voltage_l3_n": (231.125, 4, 231.125),
    "meter.current_l1": (17.5, 6, 17.5),
    "meter.current_l2": (18.25, 8, 18.25),
    "meter.current_l3": (19.0, 10, 19.0),
    "meter.power_l1": (4.016, 12, 4016.0),
    "meter.power_l2": (-0.25, 14, -250.0),
    "meter.power_l3": (8.579, 16, 8579.0),
    "meter.power_factor": (0.9375, 62, 0.9375),
    "meter.frequency": (49.98, 70, 49.98),
    "meter.energy_import": (98765.5, 72, 98765.5),
    "meter.energy_export": (432.25, 74, 432.25),
}
SUNSPEC = {  # canonical, type, holding register, register of the scale factor, number in the device's unit
    "inverter.power": (-3.21, "int16", 40084, 40085, 3210),  # W out of the inverter
    "inverter.energy": (7654.321, "uint32", 40094, 40096, 7654321),
    "inverter.rated_power": (40.0, "uint16", 40125, 40126, 40000),
    "inverter.state": (4.0, "uint16", 40108, None, 4),
    "inverter.power_limit": (0.6789, "uint16", 40155, 40173, 67.89),
    "inverter.power_limit_enable": (1.0, "uint16", 40159, None, 1),
    "inverter.power_limit_timeout": (65000.0, "uint16", 40157, None, 65000),
    "storage.power": (14.56, "int16", 40080, 40186, -14560),  # charging
    "storage.soc": (0.4321, "uint16", 40296, 40300, 43.21),
    "storage.capacity": (60.0, "uint16", 40294, 40299, 60000),
    "storage.power_setpoint": (-98.765, "int32", 40249, 40280, 98765),
    "storage.setpoint_enable": (1.0, "uint16", 40247, None, 1),
    "storage.setpoint_mode": (0.0, "uint16", 40248, None, 0),
    "storage.setpoint_timeout": (70000.0, "uint32", 40256, None, 70000),
}


@pytest.fixture(params=["tcp", "rtu"])
async def line(request, hall, tmp_path):
    """mbpoll at the devices: on the town hall's own server, or the same devices on a serial line of 19200 baud."""
    if request.param == "tcp":
        link = hall.links["plant-room"]
        yield Mbpoll(link["host"], "-m", "tcp", "-p", str(link["port"]))
        return
    units = {unit: hall.devices[name] for name, unit in UNITS.items()}
    async with RtuServer(units, tmp_path / "tty", 19200):
        yield Mbpoll(str(tmp_path / "tty"), "-m", "rtu", "-b", "19200", "-P", "even")


@pytest.fixture
def nobody(request):
    """What mbpoll says when a unit is not there: a gateway knows, on a serial line there is silence."""
    over = request.node.callspec.params["line"]
    return {"tcp": "Target device failed to respond", "rtu": "Connection timed out"}[over]


async def test_every_reading_of_the_meter(hall, line):
    assert set(METER) == points(hall, "meter")
    await hall.show({name: value for name, (value, _, _) in METER.items()})
    printed, _ = await line.ask(1, "-t", "3:float", "-B", "-r", "0", "-c", "38")
    assert {name: printed[register // 2] for name, (_, register, _) in METER.items()} == pytest.approx(
        {name: number for name, (_, _, number) in METER.items()}, rel=1e-5
    )


async def test_every_reading_of_the_sunspec_devices(hall, line):
    assert set(SUNSPEC) == points(hall, "inverter", "storage")
    await hall.show({name: value for name, (value, *_) in SUNSPEC.items()})
    got = {}
    for name, (_, kind, register, factor, _) in SUNSPEC.items():
        unit = UNITS[name.partition(".")[0]]
        power = 0 if factor is None else await line.read(unit, "int16", factor)
        got[name] = await line.read(unit, kind, register) * 10.0**power
    assert got == pytest.approx({name: number for name, (*_, number) in SUNSPEC.items()}, rel=1e-12)


@pytest.mark.parametrize(
    ("device", "kind", "register", "numbers", "logged"),
    [
        ("inverter", "uint16", 40155, (5000,), [("power_limit", 0.5)]),
        ("inverter", "uint16", 40157, (120,), [("power_limit_timeout", 120.0)]),
        ("inverter", "uint16", 40159, (1,), [("power_limit_enable", 1.0)]),
        ("storage", "int32", 40249, (12500,), [("power_setpoint", -12.5)]),  # 12.5 kW out
        ("storage", "int32", 40249, (-12500,), [("power_setpoint", 12.5)]),
        ("storage", "uint32", 40256, (70000,), [("setpoint_timeout", 70000.0)]),
        ("storage", "uint16", 40247, (1, 0), [("setpoint_enable", 1.0), ("setpoint_mode", 0.0)]),
        (
            "storage",
            "uint16",
            40247,
            (1, 1, 0xFFFF, 0x10000 - 5000),  # the setpoint's two words follow: -5000 W
            [("setpoint_enable", 1.0), ("setpoint_mode", 1.0), ("power_setpoint", 5.0)],
        ),
    ],
)
async def test_writes(hall, line, device, kind, register, numbers, logged):
    _, said = await line.ask(UNITS[device], *KINDS[kind][0], "-r", str(register), write=numbers)
    assert said == ""
    assert hall.log(device) == [(point, value, True) for point, value in logged]
    single = len(numbers) == 1 and kind == "uint16"
    assert {record.via for record in hall.devices[device].log} == {f"modbus fc {6 if single else 16}"}
    assert await line.read(UNITS[device], kind, register) == numbers[0]


ADDRESS, VALUE = "Illegal data address", "Illegal data value"


@pytest.mark.parametrize(
    ("unit", "place", "write", "said"),
    [
        (1, "-t 3 -r 900", (), ADDRESS),
        (1, "-t 4 -r 52", (), ADDRESS),  # the meter has no holding registers
        (1, "-t 0 -r 0", (), ADDRESS),
        (1, "-t 3 -r 0 -c 81", (), VALUE),  # the meter answers at most 80
        (2, "-t 4 -r 40084", (100,), ADDRESS),  # a reading cannot be written
        (2, "-t 4 -r 40155", (10100,), VALUE),  # 101 %
        (2, "-t 4 -r 40159", (2,), VALUE),
        (3, "-t 4 -r 40249", (1,), VALUE),  # half of a setpoint
    ],
)
async def test_refusals(hall, line, unit, place, write, said):
    before = {name: dict(device.values) for name, device in hall.devices.items()}
    assert await line.ask(unit, *place.split(), write=write) == ([], said)
    assert {name: device.values for name, device in hall.devices.items()} == before
    assert not any(record.accepted for device in hall.devices.values() for record in device.log)


async def test_a_unit_that_is_absent_or_unplugged_and_its_neighbours(hall, line, nobody):
    hall.devices["inverter"].online = False
    await hall.show({"meter.power": 1.5})
    assert await line.ask(9, "-t", "3", "-r", "52") == ([], nobody)
    assert await line.ask(2, "-t", "4", "-r", "40000") == ([], nobody)
    assert await line.ask(1, "-t", "3:float", "-B", "-r", "52") == ([1500.0], "")
