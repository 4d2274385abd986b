"""The BACnet device, asked by a bacpypes3 client on a port of its own."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from bacpypes3.apdu import ErrorRejectAbortNack
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import Address, IPv4Address
from bacpypes3.primitivedata import Null, ObjectIdentifier

from energyctl.core.profile import Profile
from hil.device import SimDevice
from hil.servers.bacnet import BacnetServer

PUMP = "generic/heat-pump-2zone@1"
SETPOINT, ZONE, MODE = "analog-value,1", "analog-input,1", "multi-state-value,1"

KINDS = Profile.model_validate(
    {
        "profile": "test/kinds@1",
        "vendor": "Test",
        "model": "K-1",
        "kind": "controller",
        "protocol": "bacnet",
        "points": {
            "fan": {"kind": "bool", "access": "rw", "address": {"object": "binary-value,1"}},
            "pump": {"kind": "bool", "access": "rw", "address": {"object": "binary-output,2"}},
            "filter": {"kind": "bool", "address": {"object": "binary-input,1"}},
            "mode": {
                "kind": "enum",
                "access": "rw",
                "choices": {"off": 1, "auto": 2, "on": 3},
                "address": {"object": "multi-state-value,4"},
            },
            "stage": {"kind": "enum", "choices": {"one": 1, "two": 2}, "address": {"object": "multi-state-input,1"}},
            "valve": {"unit": "%", "access": "rw", "address": {"object": "analog-output,1"}},
            "power": {"unit": "W", "invert": True, "address": {"object": "analog-input,9"}},
        },
    }
)


@pytest.fixture
def pump(make_device) -> SimDevice:
    return make_device("heatpump", PUMP, zone1_setpoint=20.0, zone2_setpoint=19.0, zone1_temp=20.125, mode=1)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving(device: SimDevice, instance: int = 1100):
    async with BacnetServer(device, instance) as server:
        own = DeviceObject(objectIdentifier=("device", 9), objectName="client", apduTimeout=300, numberOfApduRetries=0)
        app = NormalApplication(own, IPv4Address(f"127.0.0.1:{free_port()}"))
        await app.normal.server._local_transport_ready.wait()
        try:
            yield SimpleNamespace(server=server, app=app, at=Address("{}:{}".format(*server.address)))
        finally:
            app.close()


async def read(link, thing: str, what: str = "present-value"):
    return await link.app.read_property(link.at, thing, what)


async def write(link, thing: str, value, priority=None, what: str = "present-value") -> str:
    """The error code, empty when the write was taken."""
    try:
        answer = await link.app.write_property(link.at, thing, what, value, priority=priority)
    except ErrorRejectAbortNack as error:
        answer = error
    return "" if answer is None else str(answer.errorCode)


async def test_it_says_who_it_is(pump):
    async with serving(pump) as link:
        assert await read(link, "device,1100", "model-name") == "HP-2Z"
        assert await read(link, "device,1100", "vendor-name") == "Generic"
        (found,) = await link.app.who_is(1100, 1100, address=link.at, timeout=2)
    assert found.iAmDeviceIdentifier[1] == 1100


async def test_readings_and_units(pump):
    async with serving(pump) as link:
        assert await read(link, ZONE) == 20.125
        assert str(await read(link, ZONE, "units")) == "degrees-celsius"
        assert await read(link, MODE) == 1


async def test_the_lowest_slot_in_use_holds_and_relinquishing_goes_back_to_the_devices_own_value(pump):
    async with serving(pump) as link:
        steps = [
            (21.3, 10, 21.3, True),
            (23.0, 8, 23.0, True),  # the building's operator
            (21.5, 10, 23.0, True),  # ours waits below
            (Null(()), 8, 21.5, True),
            (Null(()), 10, 20.0, False),
        ]
        for value, slot, holds, commanded in steps:
            assert await write(link, SETPOINT, value, slot) == ""
            assert await read(link, SETPOINT) == pytest.approx(holds)
            assert pump.values["zone1_setpoint"] == holds
            assert pump.commanded("zone1_setpoint") is commanded
    assert [(r.value, r.via) for r in pump.log] == [
        (21.3, "bacnet prio 10"),
        (23.0, "bacnet prio 8"),
        (21.5, "bacnet prio 10"),
        (None, "bacnet relinquish prio 8"),
        (None, "bacnet relinquish prio 10"),
    ]


async def test_the_priority_array_shows_who_commands(pump):
    async with serving(pump) as link:
        await write(link, SETPOINT, 21.5, 10)
        await write(link, SETPOINT, 18.0)
        slots = await read(link, SETPOINT, "priority-array")
    held = {slot: entry.real for slot, entry in enumerate(slots, 1) if entry.null is None}
    assert held == {10: 21.5, 16: 18.0}


async def test_the_schedule_of_the_building_moves_on_under_a_command(pump):
    async with serving(pump) as link:
        await write(link, SETPOINT, 22.0, 10)
        pump.set("zone1_setpoint", 17.0)
        await link.server.push()
        assert (await read(link, SETPOINT), await read(link, SETPOINT, "relinquish-default")) == (22.0, 17.0)
        pump.set("zone1_setpoint", 16.0)
        await write(link, SETPOINT, Null(()), 10)
        assert (await read(link, SETPOINT), pump.values["zone1_setpoint"]) == (16.0, 16.0)


@pytest.mark.parametrize(
    ("thing", "what", "value", "code", "logged"),
    [
        (ZONE, "present-value", 25.0, "write-access-denied", ("zone1_temp", "read-only")),
        (MODE, "present-value", 2, "write-access-denied", ("mode", "read-only")),
        (SETPOINT, "present-value", 99.0, "value-out-of-range", ("zone1_setpoint", "outside 10 to 35")),
        (SETPOINT, "relinquish-default", 25.0, "write-access-denied", ("zone1_setpoint", "read-only property")),
        (SETPOINT, "out-of-service", True, "write-access-denied", ("zone1_setpoint", "read-only property")),
        (ZONE, "out-of-service", True, "write-access-denied", ("zone1_temp", "read-only property")),
    ],
)
async def test_refused_writes_change_nothing_and_are_logged(pump, thing, what, value, code, logged):
    before = dict(pump.values)
    async with serving(pump) as link:
        assert await write(link, thing, value, 10 if what == "present-value" else None, what) == code
        assert await read(link, SETPOINT) == 20.0
    assert pump.values == before
    assert [(r.point, r.reason, r.accepted) for r in pump.log] == [(*logged, False)]


async def test_every_kind_of_object(make_device):
    device = SimDevice("k", KINDS, {"filter": 1.0, "stage": 2.0, "power": -1.5, "valve": 0.25})
    async with serving(device, 7) as link:
        assert str(await read(link, "binary-input,1")) == "active"
        assert await read(link, "multi-state-input,1") == 2
        assert await read(link, "analog-input,9") == 1500.0
        assert await read(link, "analog-output,1") == 25.0
        assert await write(link, "binary-value,1", "active", 10) == ""
        assert await write(link, "binary-output,2", "active", 10) == ""
        assert await write(link, "multi-state-value,4", 3, 10) == ""
        assert await write(link, "multi-state-value,4", 9, 10) == "value-out-of-range"
        assert await write(link, "analog-output,1", 60.0, 10) == ""
        assert (await read(link, "multi-state-value,4"), device.values["valve"]) == (3, 0.6)
    assert (device.values["fan"], device.values["pump"], device.values["mode"]) == (1.0, 1.0, 3.0)


async def test_an_unplugged_device_is_silent(pump):
    async with serving(pump) as link:
        pump.online = False
        await link.server.push()
        with pytest.raises(ErrorRejectAbortNack):
            raise await read(link, ZONE)
        pump.online = True
        await link.server.push()
        assert await read(link, ZONE) == 20.125


class Watch:
    """A subscription that collects the values it is told."""

    def __init__(self, thing: str, confirmed: bool) -> None:
        self.thing, self.confirmed = thing, confirmed
        self.seen: list[float] = []

    async def run(self, link, ready: asyncio.Event) -> None:
        subscribed = link.app.change_of_value(
            link.at, ObjectIdentifier(self.thing), issue_confirmed_notifications=self.confirmed, lifetime=300
        )
        async with subscribed as values:
            while True:
                what, value = await values.get_value()
                if str(what) == "present-value":
                    self.seen.append(value)
                    ready.set()


@pytest.mark.parametrize("confirmed", [False, True], ids=["unconfirmed", "confirmed"])
async def test_every_notification_of_a_step_has_left_when_push_returns(pump, busy, confirmed):
    watches = [Watch(thing, confirmed) for thing in (ZONE, SETPOINT, MODE)]
    with busy():
        async with serving(pump) as link:
            tasks = []
            for watch in watches:
                ready = asyncio.Event()
                tasks.append(asyncio.create_task(watch.run(link, ready)))
                await asyncio.wait_for(ready.wait(), 5)
            for step in range(40):
                pump.set("zone1_temp", 20.5 + step / 10)
                pump.set("zone1_setpoint", 16.0 + step % 3)
                pump.set("mode", 1.0 + step // 20)
                pushed = (await link.server.push())["heatpump"]
                async with asyncio.timeout(5):
                    while sum(len(watch.seen) for watch in watches) < pushed:
                        await asyncio.sleep(0)
                assert [watch.seen[-1] for watch in watches] == pytest.approx(
                    [20.5 + step / 10, 16.0 + step % 3, 1 + step // 20]
                )
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    # the first notification of each; then a temperature and a setpoint per step, and the mode once
    assert [len(watch.seen) for watch in watches] == [1 + 40, 1 + 40, 1 + 1]
    assert pushed == 3 + 40 + 40 + 1


async def test_a_port_in_use_is_an_error_at_once(pump, make_device):
    async with BacnetServer(pump, 1100) as first:
        with pytest.raises(OSError, match="in use"):
            await BacnetServer(make_device("other", PUMP), 1101, *first.address).__aenter__()


@pytest.mark.parametrize(
    ("service", "answer"),
    [
        ("0c 0c00000004 1955", "30010c0c00000004 1955 3e 44420a0000 3f"),  # ReadProperty, as it should be
        ("0c 1955", "600104"),  # no object
        ("0c 0c000000", "600104"),  # cut short
        ("0e 0c00000004 1e 5955 1f", "600104"),  # a tag that does not belong there
        ("0e 1e 0955 1f", "600104"),  # a property of nothing
        ("0e 0c00000004 1e 1901 1f", "600104"),  # an index of nothing
        ("0f 0c00800001 1955", "600104"),  # a write without a value
        ("05 1c00000004", "600104"),  # a subscription of nobody
        ("1f 00", "600109"),  # a service there is none of
        ("0c 0c02000001 1955", "50010c 9101 911f"),  # another device
    ],
)
async def test_requests_by_their_bytes(pump, service, answer):
    """What makes no sense is rejected as clause 18.9 has it, and the device goes on."""
    pump.set("supply_temp", 34.5)
    apdu = bytes.fromhex("000501" + service)
    request = bytes.fromhex("810a") + (6 + len(apdu)).to_bytes(2, "big") + b"\x01\x04" + apdu
    async with BacnetServer(pump, 1100) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.sendto(b"\x81\x0a\x00\x05\x01", server.address)
            client.sendto(request, server.address)
            async with asyncio.timeout(2):
                got = await asyncio.get_running_loop().sock_recv(client, 1500)
    assert got[6:].hex() == bytes.fromhex(answer).hex()
