"""Servers for a whole site, and the site file that points at them."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

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


# -- a serial line, a secured server, lines, and devices that were mixed up --------------------------------------------

MIXED = """
site: {id: mixed, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4}
connections:
  bus: {modbus: rtu, device: /dev/ttyUSB0, baudrate: 115200, parity: E, timeout: 500 ms}
  net: {modbus: tcp, host: 10.0.0.5}
  bms: {bacnet: ip, host: 10.0.0.6}
  open: {opcua: tcp, url: "opc.tcp://10.0.0.8:4840"}
devices:
  first: {profile: eastron/sdm630@1, via: bus, unit: 1}
  second: {profile: eastron/sdm630@1, via: bus, unit: 2}
  third: {profile: eastron/sdm630@1, via: net, unit: 7}
  west: {profile: generic/heat-pump-2zone@1, via: bms, device: 11}
  east: {profile: generic/heat-pump-2zone@1, via: bms, device: 12, host: 10.0.0.7}
  left: {profile: generic/ev-charger@1, via: open}
  right: {profile: generic/ev-charger@1, via: open, prefix: B.}
  air: {profile: generic/ahu@1, via: open}
grid: {meter: first.power, import_limit: 60 kW, export_limit: 30 kW}
resources:
  base: {kind: base-load, prior: load.csv}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""


SAFE = MIXED.replace("via: open}\ngrid", "via: safe}\ngrid").replace(
    "devices:\n",
    """\
  safe:
    opcua: tcp
    url: opc.tcp://10.0.0.9:4840
    security: Basic256Sha256
    user: operator
    password: {secret: word}
    certificate: ours.der
    private_key: ours.pem
    server_certificate: theirs.der
devices:
""",
)
SAFE = SAFE.replace("connections:\n", "secrets:\n  word: {env: MIXED_TWIN_PASSWORD}\nconnections:\n")


@pytest.fixture
def mixed(tmp_path: Path) -> Site:
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n2026-01-01T00:00:00Z,5.0\n2026-01-01T01:00:00Z,6.0\n")
    (tmp_path / "mixed.yaml").write_text(MIXED)
    return load_site(tmp_path / "mixed.yaml")


@pytest.fixture
def safe(tmp_path: Path, mixed: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """With another OPC UA connection, which is secured with files that are of no use here."""
    monkeypatch.setenv("MIXED_TWIN_PASSWORD", "s3cret")
    for name in ("ours.der", "ours.pem", "theirs.der"):
        (tmp_path / name).touch()
    (tmp_path / "mixed.yaml").write_text(SAFE)
    return load_site(tmp_path / "mixed.yaml", resolve_secrets=True)


def kind_of(path: str) -> str:
    """ "device", "secret" (a file that only its owner reads), "file" or "nothing"."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return "nothing"
    return "device" if stat.S_ISCHR(mode) else "file" if mode & 0o077 else "secret"


@asynccontextmanager
async def running(site: Site, tmp_path: Path, **options) -> AsyncIterator[tuple[Twin, dict, dict]]:
    """A twin, its simulated devices, and the options of the derived site's connections and devices."""
    world = still(site)
    async with Twin(site, world.devices, **options) as twin:
        derived = load_site(twin.derive(tmp_path / "derived.yaml"))
        told = {link.id: link.options for link in derived.links} | {d.id: d.options for d in derived.devices.values()}
        yield twin, world.devices, told


async def hertz(client, unit: int) -> float:
    await client.connect()
    got = await client.read_input_registers(70, count=2, device_id=unit)
    return client.convert_from_registers(got.registers, client.DATATYPE.FLOAT32)


async def test_a_serial_line_is_a_path_that_clients_open(mixed, tmp_path):
    async with running(mixed, tmp_path) as (twin, devices, told):
        devices["first"].set("frequency", 50.5)
        devices["second"].set("frequency", 49.5)
        assert told["bus"] | {"device": ""} == {
            "transport": "rtu", "device": "", "baudrate": 115200, "parity": "N", "timeout": 0.5,
        }  # fmt: skip
        path = str(told["bus"]["device"])
        assert (twin.endpoints[1].address, kind_of(path)) == (f"{path} unit 2", "device")
        client = AsyncModbusSerialClient(path, baudrate=115200, timeout=1, retries=0)
        assert [await hertz(client, unit) for unit in (1, 2)] == [50.5, 49.5]
        twin.swap("first", "second")
        assert [await hertz(client, unit) for unit in (1, 2)] == [49.5, 50.5]
        client.close()
    assert kind_of(path) == "nothing"


async def test_devices_of_a_kind_change_places_and_change_back(mixed, tmp_path):
    async with running(mixed, tmp_path) as (twin, devices, told):
        for name, value in {"second": 49.5, "third": 60.0}.items():
            devices[name].set("frequency", value)
        for name, value in {"left": 11.0, "right": 7.0, "west": 3.0, "east": 4.0}.items():
            devices[name].set("power", value)
        await twin.push()
        serial = AsyncModbusSerialClient(str(told["bus"]["device"]), baudrate=115200, timeout=1, retries=0)
        tcp = AsyncModbusTcpClient(str(told["net"]["host"]), port=int(told["net"]["port"]))
        ask = NormalApplication(
            DeviceObject(objectIdentifier=("device", 9), objectName="c"), IPv4Address("127.0.0.1:0")
        )
        at = [Address("{host}:{port}".format(**{**told["bms"], **told[name]})) for name in ("west", "east")]
        async with Client(str(told["open"]["url"])) as client:
            index = await client.get_namespace_index("urn:energyctl:building")
            nodes = [client.get_node(ua.NodeId(f"{prefix}Charger.Power", index)) for prefix in ("", "B.")]

            async def seen() -> list[float]:
                chargers = [await node.read_value() for node in nodes]
                pumps = [await ask.read_property(each, "analog-input,5", "present-value") for each in at]
                return [await hertz(serial, 2), await hertz(tcp, 7), *chargers, *pumps]

            assert await seen() == [49.5, 60.0, 11.0, 7.0, 3.0, 4.0]
            pairs = [("second", "third"), ("left", "right"), ("west", "east")]
            for pair in pairs:
                twin.swap(*pair)
            assert await seen() == [60.0, 49.5, 7.0, 11.0, 4.0, 3.0]
            devices["left"].set("power", 12.0)
            await twin.push()
            assert (await seen())[2:4] == [7.0, 12.0]
            for pair in pairs:
                twin.swap(*pair)
            assert await seen() == [49.5, 60.0, 12.0, 7.0, 3.0, 4.0]
        for client in (serial, tcp, ask):
            client.close()


async def test_what_cannot_change_places_says_so(mixed, tmp_path):
    async with running(mixed, tmp_path) as (twin, _, _):
        with pytest.raises(ConfigError, match=r"'first' \(modbus\) and 'west' \(bacnet\) cannot answer"):
            twin.swap("first", "west")
        with pytest.raises(ConfigError, match=r"'left' \(opcua generic/ev-charger@1\) and 'air'"):
            twin.swap("left", "air")
        with pytest.raises(ConfigError, match="'nobody' is no device"):
            twin.swap("nobody", "west")


async def test_a_secured_server_stays_secured(safe, tmp_path):
    async with running(safe, tmp_path) as (_, devices, told):
        there = told["safe"]
        assert "s3cret" not in (tmp_path / "derived.yaml").read_text()
        assert (there["security"], there["user"]) == ("Basic256Sha256", "operator")
        assert kind_of(str(there["private_key"])) == "secret"
        assert set(told["open"]) == {"transport", "url"}

        async def connect(password: str) -> Client:
            client = Client(str(there["url"]), timeout=3)
            client.application_uri = "urn:energyctl:client"
            files = [str(there[name]) for name in ("certificate", "private_key")]
            pinned = str(there["server_certificate"])
            await client.set_security(SecurityPolicyBasic256Sha256, *files, server_certificate=pinned)
            client.set_user("operator")
            client.set_password(password)
            await client.connect()
            return client

        client = await connect("s3cret")
        index = await client.get_namespace_index("urn:energyctl:building")
        assert (
            await client.get_node(ua.NodeId("AirHandler.Power", index)).read_value() == devices["air"].values["power"]
        )
        await client.disconnect()
        with pytest.raises(ua.UaStatusCodeError):
            await connect("guess")
        with pytest.raises(Exception):  # noqa: B017  the library has several ways to say no
            await asyncio.wait_for(Client(str(there["url"])).connect(), 3)


async def test_every_server_has_a_line_in_front_of_it(mixed, tmp_path):
    async with running(mixed, tmp_path, proxied=True) as (twin, devices, told):
        devices["third"].set("frequency", 60.0)
        net = twin.line("net")
        assert (net, net.transport, twin.line("third")) == (twin.line("third"), "tcp", net)
        assert net.address == (told["net"]["host"], told["net"]["port"]) != net.target
        tcp = AsyncModbusTcpClient(str(told["net"]["host"]), port=int(told["net"]["port"]), timeout=0.2, retries=0)
        assert await hertz(tcp, 7) == 60.0
        assert net.counts.to_client.delivered == 1
        net.impair.blackhole = True
        with pytest.raises(Exception, match="No response"):
            await hertz(tcp, 7)
        tcp.close()
        assert [twin.line(name).framing for name in ("net", "open")] == ["modbus", "opcua"]
        assert twin.line("west").address != twin.line("east").address
        assert twin.line("left") is twin.line("right") is twin.line("open")
        assert twin.line("bus").transport == "serial"
        async with Client(str(told["open"]["url"])) as client:
            assert await client.nodes.server.read_browse_name()
        assert twin.line("open").counts.to_device.seen > 0


async def test_what_is_done_to_a_connection_is_done_to_all_its_devices(mixed, tmp_path):
    async with running(mixed, tmp_path, proxied=True) as (twin, _, _):
        bms, west, east = (twin.line(name) for name in ("bms", "west", "east"))
        west.impair.loss = 0.5
        bms.impair.delay_s = 0.1
        assert [(line.impair.delay_s, line.impair.loss) for line in (west, east)] == [(0.1, 0.5), (0.1, 0.0)]
        bms.impair.delay_s = 0.0
        assert [(line.impair.delay_s, line.impair.loss) for line in (west, east)] == [(0.0, 0.5), (0.0, 0.0)]
        with pytest.raises(ConfigError, match="name one of the devices"):
            bms.retarget("127.0.0.1", 1)


async def test_without_lines_there_are_none_but_on_a_serial_line(mixed, tmp_path):
    async with running(mixed, tmp_path) as (twin, _, _):
        assert twin.line("first") is twin.line("bus")
        with pytest.raises(ConfigError, match="no line in front of 'net': the simulation was started without"):
            twin.line("net")
        with pytest.raises(ConfigError, match="'nets' is neither a connection nor a device"):
            twin.line("nets")


async def test_two_devices_cannot_have_the_same_unit(tmp_path, mixed):
    (tmp_path / "mixed.yaml").write_text(
        MIXED.replace("{profile: eastron/sdm630@1, via: bus, unit: 2}", "{profile: sunspec/battery@1, via: bus}")
    )
    site = load_site(tmp_path / "mixed.yaml")
    with pytest.raises(ConfigError, match=r"devices\.second\.unit: 1 is first's already"):
        await Twin(site, still(site).devices).__aenter__()
