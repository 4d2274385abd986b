"""The plant-room profiles between simulated devices and the real drivers: what one side means, the other understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from energyctl.config import Site, load_driver, load_site
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Written
from energyctl.core.points import Quality
from hil.device import SimDevice
from hil.twin import Twin

SITE = """
site: {id: plant-room, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4}
connections:
  bus: {modbus: tcp, host: 10.0.0.5}
  bms: {bacnet: ip, host: 10.0.0.6, local_address: 10.0.0.2}
  server: {opcua: tcp, url: "opc.tcp://10.0.0.7:4840"}
devices:
  meter: {profile: eastron/sdm630@1, via: bus, unit: 1}
  boiler: {profile: generic/boiler@1, via: bus, unit: 2}
  pumps: {profile: generic/pump-station@1, via: bus, unit: 3}
  tank: {profile: generic/hot-water-tank@1, via: bms, device: 11}
  pool: {profile: generic/pool@1, via: server}
grid: {meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}
resources:
  base: {kind: base-load, prior: load.csv}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""
SHOWN = {
    "boiler": {
        "power": 0.15, "supply_temp": 61.3, "return_temp": -4.2, "fuel_power": 1234.56, "supply_setpoint": 65.0,
        "enable": 1.0,
    },
    "pumps": {
        "power": 876.54, "level": 0.6789, "inflow": 75.5, "outflow": 12.3, "pumps_running": 3.0, "pumps_wanted": 2.0,
    },
    "tank": {"top_temp": 61.25, "bottom_temp": 12.5, "power": 6.0, "setpoint": 55.0},
    "pool": {"power": 5.5, "water_temp": 26.3, "air_temp": -3.25, "cover": 1.0, "setpoint": 27.0, "pump": 0.0},
}  # fmt: skip
WRITTEN = {
    "boiler": {"supply_setpoint": 72.5, "enable": 0.0},
    "pumps": {"pumps_wanted": 4.0},
    "tank": {"setpoint": 62.5},
    "pool": {"setpoint": 28.5, "pump": 1.0},
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n2026-01-01T00:00:00Z,5.0\n2026-01-01T01:00:00Z,6.0\n")
    (tmp_path / "site.yaml").write_text(SITE)
    return load_site(tmp_path / "site.yaml")


async def test_all_points_can_be_read_and_all_setpoints_written(site: Site, tmp_path: Path) -> None:
    devices = {device.id: SimDevice(device.id, device.profile) for device in site.devices.values()}
    for name, values in SHOWN.items():
        assert set(values) == set(devices[name].profile.points)
        for point, value in values.items():
            devices[name].set(point, value)
    async with Twin(site, devices) as twin:
        await twin.push()
        derived = load_site(twin.derive(tmp_path / "derived.yaml"))
        for link in derived.links:
            names = [name for name, via in derived.link_of.items() if via == link.id and name in SHOWN]
            own = [derived.devices[name] for name in names]
            async with load_driver(link.protocol).open(link, own, LiveClock()) as driver:
                for device in own:
                    assert device.profile.identity is not None
                    assert device.profile.identity.contains in await driver.identify(device.id)
                    samples = await driver.read(list(device.points))
                    assert {sample.quality for sample in samples} == {Quality.GOOD}
                    found = {sample.point.partition(".")[2]: sample.value for sample in samples}
                    assert found == pytest.approx(SHOWN[device.id], rel=1e-6)
                    for point, value in WRITTEN[device.id].items():
                        command = device.profile.command(device.id, point, value, 60.0)
                        assert await driver.write(command) == Written()
    for name, values in WRITTEN.items():
        assert {point: devices[name].values[point] for point in values} == pytest.approx(values)
