"""Sick devices on the wire, seen by clients that know nothing of the bench: pymodbus, bacpypes3, asyncua."""

from __future__ import annotations

import asyncio
import math
import struct
from contextlib import asynccontextmanager

import pytest
from asyncua import Client, ua
from bacpypes3.apdu import ErrorRejectAbortNack
from bacpypes3.basetypes import ErrorType
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from energyctl.core.errors import ConfigError
from energyctl.core.profile import Profile
from hil.device import SimDevice
from hil.servers.bacnet import BacnetServer
from hil.servers.modbus import ModbusServer
from hil.servers.opcua import OpcuaServer


def profile(protocol: str, **points) -> Profile:
    data = {"profile": "test/sick@1", "vendor": "T", "model": "S", "kind": "relay", "protocol": protocol}
    return Profile.model_validate(data | {"points": points})


# -- Modbus ------------------------------------------------------------------------------------------------------------

REGISTERS = profile(
    "modbus",
    temp={"unit": "°C", "address": {"register": 0, "type": "int16", "scale": 0.1}},
    power={"unit": "W", "address": {"register": 1, "type": "int32"}},
    wide={"unit": "W", "address": {"register": 3, "type": "float32"}},
    limit={"unit": "W", "access": "rw", "address": {"register": 5, "type": "uint32"}},
    speed={"unit": "%", "access": "rw", "address": {"register": 7}},
    valve={"kind": "bool", "access": "rw", "address": {"table": "coil", "register": 2}},
    alarm={"kind": "bool", "address": {"table": "coil", "register": 3}},
)


@asynccontextmanager
async def modbus(*devices: SimDevice):
    async with ModbusServer(dict(enumerate(devices, 1))) as server:
        host, port = server.address
        client = AsyncModbusTcpClient(host, port=port, timeout=0.25, retries=0)
        assert await client.connect()
        try:
            yield server, client
        finally:
            client.close()


@pytest.fixture
def relay() -> SimDevice:
    values = {"temp": 21.5, "power": 70.0, "wide": 1.5, "limit": 65.538, "speed": 0.4, "valve": 1.0}
    return SimDevice("relay", REGISTERS, values)


async def words(client, start: int, count: int, unit: int = 1) -> list[int] | int:
    """Registers, or the exception."""
    answer = await client.read_holding_registers(start, count=count, device_id=unit)
    return answer.exception_code if answer.isError() else answer.registers


async def test_a_silent_unit_leaves_the_others_behind_the_port_alone(relay):
    other = SimDevice("other", REGISTERS, {"temp": 7.0})
    async with modbus(relay, other) as (_, client):
        relay.ail.silent = True
        quiet = asyncio.create_task(client.read_holding_registers(0, count=1, device_id=1))
        with pytest.raises(ModbusIOException):
            await quiet
        assert await words(client, 0, 1, unit=2) == [70]
        relay.ail.silent = False
        assert await words(client, 0, 1) == [215]


async def test_every_request_gets_the_exception_the_device_is_stuck_with(relay):
    async with modbus(relay) as (_, client):
        relay.ail.exception = 6
        assert await words(client, 0, 1) == 6
        assert (await client.read_coils(2, count=1, device_id=1)).exception_code == 6
        assert (await client.write_register(7, 50, device_id=1)).exception_code == 6
    assert relay.log == []


async def test_a_refused_point_spoils_every_block_that_touches_it_and_no_other(relay):
    async with modbus(relay) as (_, client):
        relay.ail.refused |= {"power", "limit", "valve"}
        assert [await words(client, *block) for block in ((0, 1), (0, 2), (1, 2), (2, 1), (3, 2), (0, 8))] == [
            [215], 2, 2, 2, [0x44BB, 0x8000], 2,
        ]  # fmt: skip
        assert (await client.write_registers(5, [0, 9], device_id=1)).exception_code == 2
        assert not (await client.write_register(7, 50, device_id=1)).isError()
        assert (await client.read_coils(2, count=1, device_id=1)).exception_code == 2
        assert (await client.read_coils(3, count=1, device_id=1)).bits[0] is False
        assert (await client.write_coil(2, False, device_id=1)).exception_code == 2
    assert [(r.point, r.accepted, r.reason) for r in relay.log] == [
        ("limit", False, "refused for now"),
        ("speed", True, ""),
        ("valve", False, "refused for now"),
    ]


async def test_raw_numbers_are_patterns_before_scale(relay):
    relay.ail.raw |= {"temp": 0x8000, "power": 0xFFFFFFFF, "wide": 0x7FC00000, "valve": 0}
    async with modbus(relay) as (_, client):
        assert await words(client, 0, 5) == [0x8000, 0xFFFF, 0xFFFF, 0x7FC0, 0x0000]
        assert (await client.read_coils(2, count=1, device_id=1)).bits[0] is False


async def test_words_in_the_other_order_in_reads_and_writes(relay):
    async with modbus(relay) as (_, client):
        assert await words(client, 0, 8) == [
            215,
            1,
            0x1170,
            0x44BB,
            0x8000,
            1,
            2,
            40,
        ]  # 70000 and 65538 W, high word first
        relay.ail.swapped_words = True
        assert await words(client, 0, 8) == [215, 0x1170, 1, 0x8000, 0x44BB, 2, 1, 40]
        await client.write_registers(5, [0x0007, 0x0000], device_id=1)
        await client.write_register(7, 30, device_id=1)
    assert (relay.values["limit"], relay.values["speed"]) == (0.007, 0.3)


async def test_a_map_that_has_moved_by_two(relay):
    relay.ail.moved_by = 2
    async with modbus(relay) as (_, client):
        assert [await words(client, 0, 1), await words(client, 2, 1), await words(client, 9, 1)] == [2, [215], [40]]
        assert (await client.read_coils(4, count=1, device_id=1)).bits[0] is True
        await client.write_register(9, 55, device_id=1)
        await client.write_coil(4, False, device_id=1)
    assert (relay.values["speed"], relay.values["valve"]) == (0.55, 0.0)


async def test_distorted_readings_and_none_at_all(relay):
    relay.ail.distorted = {"temp": [lambda value, _: value + 1.5], "wide": [lambda *_: math.nan]}
    async with modbus(relay) as (_, client):
        got = await words(client, 0, 5)
    assert got[0] == 230
    assert math.isnan(struct.unpack(">f", struct.pack(">2H", *got[3:]))[0])
    assert relay.values["temp"] == 21.5


async def test_a_device_alone_on_a_port_loses_its_connections_when_it_restarts(relay):
    other = SimDevice("other", REGISTERS)
    async with modbus(relay, other) as (server, client):
        relay.reboot()
        await server.push()
        assert await words(client, 0, 1) == [215]  # a gateway's connection is not the device's
    async with modbus(relay) as (server, client):
        relay.reboot()
        await server.push()
        await asyncio.sleep(0.05)
        assert not client.connected
        assert await client.connect()
        assert await words(client, 0, 1) == [215]


async def test_a_write_that_a_deaf_point_acknowledges(relay):
    relay.ail.deaf.add("speed")
    async with modbus(relay) as (_, client):
        assert not (await client.write_register(7, 90, device_id=1)).isError()
        assert await words(client, 7, 1) == [40]


# -- BACnet ------------------------------------------------------------------------------------------------------------

OBJECTS = profile(
    "bacnet",
    temp={"unit": "°C", "address": {"object": "analog-input,1"}},
    wind={"unit": "°C", "address": {"object": "analog-input,2"}},
    mode={"kind": "enum", "choices": {"a": 1, "b": 2}, "address": {"object": "multi-state-input,1"}},
    target={"unit": "°C", "access": "rw", "address": {"object": "analog-value,1"}},
)
TEMP, WIND, MODE, TARGET = "analog-input,1", "analog-input,2", "multi-state-input,1", "analog-value,1"


class Bacnet:
    """A bacpypes3 client with answers as plain values: a number, an error's code, "silence"."""

    def __init__(self, app, at: Address) -> None:
        self.app, self.at = app, at

    async def read(self, thing: str, what: str = "present-value"):
        try:
            return _plain(await self.app.read_property(self.at, thing, what))
        except ErrorRejectAbortNack as error:
            return _plain(error)

    async def write(self, thing: str, value, priority: int = 10):
        try:
            return _plain(await self.app.write_property(self.at, thing, "present-value", value, priority=priority))
        except ErrorRejectAbortNack as error:
            return _plain(error)

    async def many(self, *things: str, what: str = "present-value") -> list[object]:
        asked = [part for thing in things for part in (thing, [what])]
        return [_plain(value) for *_, value in await self.app.read_property_multiple(self.at, asked)]


def _plain(value):
    if isinstance(value, ErrorType):
        return str(value.errorCode)
    if isinstance(value, ErrorRejectAbortNack):
        return str(getattr(value, "errorCode", "silence"))
    return value


@asynccontextmanager
async def bacnet(device: SimDevice):
    async with BacnetServer(device, 7) as server:
        own = DeviceObject(objectIdentifier=("device", 9), objectName="client", apduTimeout=250, numberOfApduRetries=0)
        async with BacnetServer(SimDevice("x", OBJECTS), 1) as probe:
            port = probe.address[1]
        app = NormalApplication(own, IPv4Address(f"127.0.0.1:{port}"))
        await app.normal.server._local_transport_ready.wait()
        try:
            yield server, Bacnet(app, Address("{}:{}".format(*server.address)))
        finally:
            app.close()


@pytest.fixture
def panel() -> SimDevice:
    return SimDevice("panel", OBJECTS, {"temp": 21.5, "wind": 3.25, "mode": 2.0, "target": 20.0})


async def test_bacnet_silence(panel):
    async with bacnet(panel) as (_, client):
        panel.ail.silent = True
        assert await client.read(TEMP) == "silence"
        panel.ail.silent = False
        assert await client.read(TEMP) == 21.5


async def test_bacnet_errors_for_everything_and_for_one_point(panel):
    async with bacnet(panel) as (_, client):
        panel.ail.exception = 4
        assert [await client.read(TEMP), await client.write(TARGET, 22.0)] == ["operational-problem"] * 2
        panel.ail.exception = None
        panel.ail.refused |= {"temp", "target"}
        assert await client.many(TEMP, WIND, TARGET) == ["read-access-denied", 3.25, "read-access-denied"]
        assert [await client.read(TEMP), await client.write(TARGET, 22.0)] == [
            "read-access-denied",
            "write-access-denied",
        ]
    assert [(r.point, r.reason) for r in panel.log] == [("target", "refused for now")]


async def test_bacnet_readings_raw_numbers_and_none(panel):
    panel.ail.distorted = {"temp": [lambda value, _: value + 1.0], "mode": [lambda *_: math.nan]}
    panel.ail.raw["wind"] = -999.0
    async with bacnet(panel) as (_, client):
        assert await client.many(TEMP, WIND) == [22.5, -999.0]
        assert [int(bit) for bit in await client.read(MODE, "status-flags")] == [0, 1, 0, 0]
        panel.ail.distorted["temp"] = [lambda *_: math.nan]
        assert math.isnan(await client.read(TEMP))


async def test_bacnet_instances_that_have_moved(panel):
    async with bacnet(panel) as (_, client):
        panel.ail.moved_by = 1
        assert await client.many(TEMP, WIND, "analog-input,3") == ["unknown-object", 21.5, 3.25]
        assert await client.write(TARGET, 22.0) == "unknown-object"
        assert await client.write("analog-value,2", 22.0) is None
        listed = [str(each) for each in await client.read("device,7", "object-list")]
        assert await client.read("device,7") == "unknown-property"
    assert listed == ["device,7", WIND, "analog-input,3", "multi-state-input,2", "analog-value,2"]
    assert panel.values["target"] == 22.0


async def test_bacnet_slots_and_subscriptions_do_not_survive_a_restart(panel):
    async with bacnet(panel) as (server, client):
        told = client.app.change_of_value(
            client.at, ObjectIdentifier(TEMP), issue_confirmed_notifications=False, lifetime=300
        )
        async with told as values:
            assert (await values.get_value())[1] == 21.5
            await values.get_value()
            await client.write(TARGET, 25.0)
            assert (panel.values["target"], server.sent) == (25.0, 1)
            panel.reboot()
            panel.set("temp", 22.0)
            await server.push()
            slots = await client.read(TARGET, "priority-array")
            assert server.sent == 1
    assert (panel.values["target"], [slot.null is not None for slot in slots]) == (20.0, [True] * 16)


async def test_bacnet_a_deaf_point_keeps_its_slots_empty(panel):
    panel.ail.deaf.add("target")
    async with bacnet(panel) as (_, client):
        assert await client.write(TARGET, 25.0) is None
        slots = await client.read(TARGET, "priority-array")
        assert (await client.read(TARGET), all(slot.null is not None for slot in slots)) == (20.0, True)


# -- OPC UA ------------------------------------------------------------------------------------------------------------

DOUBLE = {"ns": "urn:s", "type": "Double"}
NAMES = {
    "temp": {"unit": "°C", "address": DOUBLE | {"id": "S.Temp"}},
    "count": {"address": {"ns": "urn:s", "id": "S.Count", "type": "Int16"}},
    "target": {"unit": "°C", "access": "rw", "address": DOUBLE | {"id": "S.Target"}},
}
NAMED = profile("opcua", **NAMES)
NODES = profile("opcua", **NAMES, numbered={"unit": "kW", "access": "rw", "address": DOUBLE | {"id": 40}})


class Opcua:
    """An asyncua client with answers as plain values: a number, or a bad status by name."""

    def __init__(self, client: Client, index: int) -> None:
        self.client, self.index = client, index

    def node(self, identifier):
        return self.client.get_node(ua.NodeId(identifier, self.index))

    async def read(self, *identifiers):
        nodes = [self.node(each) for each in identifiers]
        got = await self.client.read_attributes(nodes)
        return [value.Value.Value if value.StatusCode.is_good() else value.StatusCode.name for value in got]

    async def write(self, identifier, value: float) -> str:
        try:
            await self.node(identifier).write_value(ua.DataValue(ua.Variant(value, ua.VariantType.Double)))
        except ua.UaStatusCodeError as error:
            return type(error).__name__
        return "Good"


@asynccontextmanager
async def opcua(*devices: SimDevice):
    prefixes = {device.id: "" if index == 0 else f"{device.id}." for index, device in enumerate(devices)}
    async with OpcuaServer(devices, prefixes) as server, Client(server.url, timeout=0.4) as client:
        yield server, Opcua(client, await client.get_namespace_index("urn:s"))


@pytest.fixture
def station() -> SimDevice:
    return SimDevice("station", NODES, {"temp": 21.5, "count": 7.0, "target": 20.0, "numbered": 1.25})


async def test_opcua_a_silent_device_leaves_the_session_to_the_others(station):
    other = SimDevice("other", NAMED, {"temp": 5.0})
    async with opcua(station, other) as (_, client):
        station.ail.silent = True
        silent = [
            asyncio.create_task(client.read("S.Temp")),
            asyncio.create_task(client.read("other.S.Temp", "S.Temp")),
            asyncio.create_task(client.write("S.Target", 25.0)),
        ]
        for _ in range(3):
            assert await client.read("other.S.Temp") == [5.0]
        outcomes = await asyncio.gather(*silent, return_exceptions=True)
        assert [type(each) for each in outcomes] == [TimeoutError] * 3
        station.ail.silent = False
        assert await client.read("S.Temp", "other.S.Temp") == [21.5, 5.0]
    assert station.log == []


async def test_opcua_bad_status_for_everything_for_one_point_and_for_no_value(station):
    async with opcua(station) as (_, client):
        station.ail.exception = 4
        assert await client.read("S.Temp", "S.Count") == ["BadDeviceFailure"] * 2
        assert await client.write("S.Target", 25.0) == "BadDeviceFailure"
        station.ail.exception = None
        station.ail.refused |= {"temp", "target"}
        assert await client.read("S.Temp", "S.Count", "S.Target") == ["BadNotReadable", 7, "BadNotReadable"]
        assert await client.write("S.Target", 25.0) == "BadNotWritable"
        station.ail.refused.clear()
        station.ail.distorted = {"temp": [lambda *_: math.nan], "target": [lambda value, _: value - 2]}
        station.ail.raw["count"] = 32767
        assert await client.read("S.Temp", "S.Count", "S.Target") == ["BadSensorFailure", 32767, 18.0]
    assert station.values["target"] == 20.0


async def test_opcua_numeric_node_ids_move_and_names_stay(station):
    async with opcua(station) as (_, client):
        assert await client.read(40, "S.Temp") == [1.25, 21.5]
        station.ail.moved_by = 3
        assert await client.read(40, 43, "S.Temp") == ["BadNodeIdUnknown", 1.25, 21.5]
        assert [await client.write(40, 2.0), await client.write(43, 2.0)] == ["BadNodeIdUnknown", "Good"]
    assert station.values["numbered"] == 2.0


class Told:
    def __init__(self) -> None:
        self.seen: list[tuple[object, str]] = []

    def datachange_notification(self, node, value, data) -> None:
        self.seen.append((value, data.monitored_item.Value.StatusCode.name))


async def test_opcua_subscribers_are_told_of_ailments_too(station):
    told = Told()
    async with opcua(station) as (server, client):
        subscription = await client.client.create_subscription(3_600_000, told)
        await subscription.subscribe_data_change(client.node("S.Temp"))
        await server.push()
        for change in (
            lambda: station.ail.refused.add("temp"),
            station.ail.refused.clear,
            lambda: station.ail.raw.update(temp=-273.0),
            lambda: setattr(station.ail, "silent", True),
            station.ail.raw.clear,
            lambda: setattr(station.ail, "silent", False),
        ):
            change()
            pushed = await server.push()
            async with asyncio.timeout(2):
                while len(told.seen) < pushed["station"]:
                    await asyncio.sleep(0)
    assert told.seen == [
        (21.5, "Good"),
        (None, "BadNotReadable"),
        (21.5, "Good"),
        (-273.0, "Good"),
        (21.5, "Good"),
    ]


async def test_opcua_a_device_alone_on_a_server_loses_its_sessions_when_it_restarts(station):
    other = SimDevice("other", NAMED)
    async with opcua(station, other) as (server, client):
        station.reboot()
        await server.push()
        assert await client.read("S.Temp") == [21.5]
    async with OpcuaServer([station]) as server:
        client = Client(server.url, timeout=0.4)
        await client.connect()
        station.reboot()
        await server.push()
        with pytest.raises((ConnectionError, TimeoutError)):
            await client.nodes.server.read_browse_name()
        async with Client(server.url) as again:
            assert await again.nodes.server.read_browse_name()


async def test_opcua_two_devices_with_the_same_numbers_cannot_share_a_server(station):
    with pytest.raises(ConfigError, match=r"devices\.other: node 40 of urn:s is station's already"):
        await OpcuaServer([station, SimDevice("other", NODES)], {"other": "other."}).__aenter__()
