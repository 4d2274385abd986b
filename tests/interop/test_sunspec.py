"""The SunSpec devices by pysunspec2's own client, which finds the models by itself and scales by the published definitions."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from .conftest import points

READINGS = {  # canonical; model, point, number in the unit of the model
    "inverter.power": (-3.21, 103, "W", 3210),
    "inverter.energy": (7654.321, 103, "WH", 7654321),
    "inverter.state": (4.0, 103, "St", 4),
    "inverter.rated_power": (40.0, 120, "WRtg", 40000),
    "inverter.power_limit": (0.6789, 123, "WMaxLimPct", 67.89),
    "inverter.power_limit_enable": (1.0, 123, "WMaxLim_Ena", 1),
    "inverter.power_limit_timeout": (65000.0, 123, "WMaxLimPct_RvrtTms", 65000),
    "storage.power": (14.56, 701, "W", -14560),
    "storage.power_setpoint": (-98.765, 704, "WSet", 98765),
    "storage.setpoint_enable": (1.0, 704, "WSetEna", 1),
    "storage.setpoint_mode": (0.0, 704, "WSetMod", 0),
    "storage.setpoint_timeout": (70000.0, 704, "WSetRvrtTms", 70000),
    "storage.soc": (0.4321, 713, "SoC", 43.21),
    "storage.capacity": (60.0, 713, "WHRtg", 60000),
}


@contextmanager
def scanned(link, unit: int):
    """A client that has found the device's models; for use in a thread."""
    client = SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr=link["host"], ipport=link["port"], timeout=5)
    client.scan()
    try:
        yield client
    finally:
        client.close()


def inventory(link, unit: int):
    with scanned(link, unit) as client:
        found = [model for model in client.models if isinstance(model, int)]
        values = {
            (model, name): point.cvalue for model in found for name, point in client.models[model][0].points.items()
        }
        errors = [client.models[model][0].error_info for model in found]
    return found, values, errors


@pytest.mark.parametrize(
    ("device", "unit", "models"), [("inverter", 2, [1, 103, 120, 123]), ("storage", 3, [1, 701, 704, 713])]
)
async def test_scan_finds_the_models_and_every_reading(hall, device, unit, models):
    mine = {name: row for name, row in READINGS.items() if name.startswith(f"{device}.")}
    assert set(mine) == points(hall, device)
    await hall.show({name: value for name, (value, *_) in mine.items()})
    found, values, errors = await asyncio.to_thread(inventory, hall.links["plant-room"], unit)
    assert (found, [error for error in errors if error]) == (models, [])
    assert {name: values[model, point] for name, (_, model, point, _) in mine.items()} == pytest.approx(
        {name: number for name, (*_, number) in mine.items()}, rel=1e-12
    )
    profile = hall.devices[device].profile
    assert (values[1, "Mn"], values[1, "Md"], values[1, "DA"]) == (profile.vendor, profile.model, unit)
    read = {(model, point) for _, model, point, _ in mine.values()} | {
        (1, name) for name in ("Mn", "Md", "Vr", "SN", "DA")
    }
    others = {key for key, value in values.items() if key not in read and value not in (None, "")}
    assert {name for _, name in others if not name.endswith("_SF")} <= {
        "ID",
        "L",
        "Pad",
    }  # what it does not have says so


def command(link) -> None:
    with scanned(link, 3) as client:
        model = client.models[704][0]
        model.WSetMod.cvalue, model.WSet.cvalue, model.WSetEna.cvalue = 1, -7500, 1
        model.write()


async def test_a_model_is_written(hall):
    await asyncio.to_thread(command, hall.links["plant-room"])
    assert sorted(hall.log("storage")) == [
        ("power_setpoint", 7.5, True),
        ("setpoint_enable", 1.0, True),
        ("setpoint_mode", 1.0, True),
    ]
