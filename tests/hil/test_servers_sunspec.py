"""The SunSpec chain, scanned by pysunspec2's own client and compared with its model definitions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import sunspec2
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from hil.servers.modbus import ModbusServer
from hil.servers.sunspec import LAYOUTS, fields

MODELS = Path(sunspec2.__file__).parent / "models" / "json"
TYPES = {
    "uint16": "u",
    "int16": "i",
    "enum16": "e",
    "uint32": "u32",
    "int32": "i32",
    "uint64": "u64",
    "acc32": "a32",
    "bitfield32": "b32",
    "sunssf": "sf",
    "pad": "pad",
}


def defined(model: int) -> list[tuple[str, int, int, str, str]]:
    """(name, offset, size, type, scale factor) of each point after id and length, from the published definition."""
    group = json.loads((MODELS / f"model_{model}.json").read_text())["group"]
    points = [("", point) for point in group["points"]]
    points += [(f"{inner['name']}.", point) for inner in group.get("groups", []) for point in inner["points"]]
    rows, offset = [], 0
    for prefix, point in points:
        kind = TYPES.get(point["type"], f"s{point['size']}")
        rows.append((prefix + point["name"], offset, point["size"], kind, point.get("sf", "")))
        offset += point["size"]
    return rows[2:]


@pytest.mark.parametrize("model", sorted(LAYOUTS))
def test_layouts_are_those_of_the_published_definitions(model):
    ours = [(f.name, f.offset, f.size, f.type, f.factor) for f in fields(model)]
    assert ours == defined(model)


def scan(port: int, unit: int):
    client = SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        client.scan()
        for models in client.models.values():
            for model in models if isinstance(models, list) else [models]:
                model.read()
        return client
    finally:
        client.close()


async def scanned(devices, unit):
    async with ModbusServer(devices) as server:
        return await asyncio.to_thread(scan, server.address[1], unit)


async def test_the_inverter_as_pysunspec2_sees_it(make_device):
    inverter = make_device(
        "inverter", "sunspec/pv-inverter@1", power=-31.24, energy=4200.5, rated_power=40.0, state=4, power_limit=0.655
    )
    found = await scanned({2: inverter}, 2)
    assert [model for model in found.models if isinstance(model, int)] == [1, 103, 120, 123]
    common, measured = found.models[1][0], found.models[103][0]
    assert (common.Mn.value, common.Md.value, common.SN.value) == ("SunSpec", "PV inverter", "inverter")
    assert measured.W.cvalue == 31240
    assert measured.WH.cvalue == 4_200_500
    assert measured.St.value == 4
    assert measured.Hz.value is None
    assert found.models[120][0].WRtg.cvalue == 40_000
    assert found.models[123][0].WMaxLimPct.cvalue == pytest.approx(65.5)


async def test_the_battery_as_pysunspec2_sees_it(make_device):
    battery = make_device("storage", "sunspec/battery@1", power=12.5, soc=0.4237, capacity=60.0, power_setpoint=-8.0)
    found = await scanned({3: battery}, 3)
    assert [model for model in found.models if isinstance(model, int)] == [1, 701, 704, 713]
    assert found.models[701][0].W.cvalue == -12500
    assert found.models[713][0].SoC.cvalue == pytest.approx(42.37)
    assert found.models[713][0].WHRtg.cvalue == 60_000
    assert found.models[704][0].WSet.cvalue == 8000


async def test_a_command_written_by_pysunspec2(make_device):
    battery = make_device("storage", "sunspec/battery@1")

    def command(port: int) -> None:
        client = SunSpecModbusClientDeviceTCP(slave_id=3, ipaddr="127.0.0.1", ipport=port, timeout=5)
        client.scan()
        control = client.models[704][0]
        control.WSetRvrtTms.cvalue = 180
        control.WSetRvrtTms.write()
        control.WSet.cvalue = -4000
        control.WSet.write()
        control.WSetEna.cvalue = 1
        control.WSetEna.write()
        client.close()

    async with ModbusServer({3: battery}) as server:
        await asyncio.to_thread(command, server.address[1])
    assert [(r.point, r.value) for r in battery.log] == [
        ("setpoint_timeout", 180.0),
        ("power_setpoint", 4.0),
        ("setpoint_enable", 1.0),
    ]


async def test_a_dead_sensor_is_not_implemented_and_a_huge_value_its_nearest_end(make_device):
    battery = make_device("storage", "sunspec/battery@1", power=float("nan"), soc=7.0)
    found = await scanned({3: battery}, 3)
    assert found.models[701][0].W.value is None
    assert found.models[713][0].SoC.cvalue == pytest.approx(655.34)  # 0xFFFF would mean "not implemented"
