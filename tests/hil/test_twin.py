"""Servers for a whole site, and the site file that points at them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from energyctl.config import Site, load_site
from energyctl.core.errors import ConfigError
from hil.still import Still
from hil.twin import Twin

TOWN_HALL = Path("sites/larissa/town-hall.yaml")
LARISSA = TOWN_HALL.resolve().parent

SMALL = """
site: {id: small, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4}
connections:
  bus: {modbus: tcp, host: 10.0.0.5}
  bms: {bacnet: ip, host: 10.0.0.6, local_address: 10.0.0.2, cov_lifetime: 90 s} # kept as it is
devices:
  meter: {profile: eastron/sdm630@1, via: bus}
  west: {profile: generic/heat-pump-2zone@1, via: bms, device: 11}
  east: {profile: generic/heat-pump-2zone@1, via: bms, device: 12, host: 10.0.0.7}
grid: {meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}
resources:
  base: {kind: base-load, prior: load.csv}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""


def still(site: Site) -> Still:
    return Still(site, datetime(2026, 1, 15, 12, 0, tzinfo=UTC))


@pytest.fixture
def small(tmp_path: Path) -> Site:
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n2026-01-01T00:00:00Z,5.0\n2026-01-01T01:00:00Z,6.0\n")
    (tmp_path / "small.yaml").write_text(SMALL)
    return load_site(tmp_path / "small.yaml")


async def test_the_town_hall_answers_on_all_three_protocols(tmp_path):
    site = load_site(TOWN_HALL)
    world = still(site)
    world.devices["meter"].set("power", 12.345)
    world.devices["charger"].set("power", 11.0)
    async with Twin(site, world.devices) as twin:
        await twin.push()
        derived = load_site(twin.derive(tmp_path / "derived.yaml"))
        links = {link.id: link.options for link in derived.links}
        meter = AsyncModbusTcpClient(str(links["plant-room"]["host"]), port=int(links["plant-room"]["port"]))
        await meter.connect()
        got = await meter.read_input_registers(52, count=2, device_id=1)
        meter.close()
        async with Client(str(links["building-server"]["url"])) as client:
            index = await client.get_namespace_index("urn:energyctl:building")
            power = await client.get_node(ua.NodeId("Charger.Power", index)).read_value()
    assert (got.registers, power) == ([0x4640, 0xE400], 11.0)
    assert [(e.device, e.link, e.protocol) for e in twin.endpoints] == [
        ("meter", "plant-room", "modbus"),
        ("inverter", "plant-room", "modbus"),
        ("storage", "plant-room", "modbus"),
        ("heatpump", "bms", "bacnet"),
        ("airhandler", "building-server", "opcua"),
        ("charger", "building-server", "opcua"),
    ]


async def test_the_derived_site_says_the_same_but_where_things_are(tmp_path):
    site = load_site(TOWN_HALL)
    async with Twin(site, still(site).devices) as twin:
        derived = load_site(twin.derive(tmp_path / "elsewhere" / "town-hall.yaml"))
    same = ("id", "name", "timezone", "mode", "period_s", "devices", "link_of", "limits", "safety", "goals", "planner")
    assert {name: getattr(derived, name) for name in same} == {name: getattr(site, name) for name in same}
    assert [resource.id for resource in derived.resources] == [resource.id for resource in site.resources]
    for before, after in zip(site.links, derived.links, strict=True):
        moved = {"host", "port", "url"}
        assert {k: v for k, v in before.options.items() if k not in moved} == {
            k: v for k, v in after.options.items() if k not in moved
        }
    text = (tmp_path / "elsewhere" / "town-hall.yaml").read_text()
    assert f"prior: {LARISSA}/measured/base_load_history.csv # from the utility" in text


async def test_several_bacnet_devices_get_addresses_of_their_own(small, tmp_path):
    async with Twin(small, still(small).devices) as twin:
        derived = load_site(twin.derive(tmp_path / "derived.yaml"))
        at = {e.device: e.address for e in twin.endpoints}
    link = next(link for link in derived.links if link.id == "bms")
    west, east = derived.devices["west"].options, derived.devices["east"].options
    assert at["west"] == f"{link.options['host']}:{link.options['port']} device 11"
    assert at["east"] == f"{east['host']}:{east['port']} device 12"
    assert (west, east["host"]) == ({"device": 11}, "127.0.0.1")
    assert link.options["cov_lifetime"] == 90.0
    assert "local_address" not in link.options
    assert "# kept as it is" in (tmp_path / "derived.yaml").read_text()


def free(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_sites_own_ports_when_they_are_on_this_machine(tmp_path, small):
    port = free()
    (tmp_path / "small.yaml").write_text(SMALL.replace("host: 10.0.0.5", f"host: localhost, port: {port}"))
    site = load_site(tmp_path / "small.yaml")
    async with Twin(site, still(site).devices, site_ports=True) as twin:
        at = {e.device: e.address for e in twin.endpoints}
        assert at["meter"] == f"127.0.0.1:{port} unit 1"
        with pytest.raises(ConfigError, match=rf"connections.bus: cannot listen on localhost:{port}: .*in use"):
            await Twin(site, still(site).devices, site_ports=True).__aenter__()
    async with Twin(site, still(site).devices, site_ports=True):
        pass  # everything was let go of


async def test_a_start_that_fails_leaves_nothing_behind(tmp_path, small):
    """The first connection is up when the second finds its port taken."""
    modbus, bacnet = free(), free(socket.SOCK_DGRAM)
    text = SMALL.replace("host: 10.0.0.5", f"host: localhost, port: {modbus}")
    (tmp_path / "small.yaml").write_text(text.replace("host: 10.0.0.6", f"host: localhost, port: {bacnet}"))
    site = load_site(tmp_path / "small.yaml")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", bacnet))
        with pytest.raises(ConfigError, match=r"connections\.bms"):
            await Twin(site, still(site).devices, site_ports=True).__aenter__()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", modbus)
