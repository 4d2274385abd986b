"""The BACnet driver against bacpypes3 devices on real UDP ports: the contract, and what is particular to BACnet."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from drivers import bacnet
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Driver, Identifies, Link, Partial, Refused, ShowsPriority, Subscribes, Written
from energyctl.core.errors import ConfigError, DeviceRefused, LinkError, LinkTimeout
from energyctl.core.points import Command, Quality, Sample, Write
from energyctl.core.profile import Profile
from tests.drivers.bacnet_device import BacnetDevice, free_port
from tests.drivers.contract import DriverContract

TIMEOUT_S = 0.4
PATIENT_S = 5.0
"""For tests in which nothing falls silent, so that a busy machine does not look like a dead device."""

PROFILE = Profile.model_validate(
    {
        "profile": "acme/thermo@1",
        "vendor": "Acme",
        "model": "Thermo",
        "kind": "thermostat",
        "protocol": "bacnet",
        "points": {
            "temp": {"unit": "°C", "address": {"object": "analog-input,1"}},
            "power": {"unit": "W", "invert": True, "address": {"object": "analog-input,2"}},
            "setpoint": {"unit": "°C", "access": "rw", "address": {"object": "analog-value,1"}},
            "valve": {"unit": "%", "access": "rw", "address": {"object": "analog-output,1"}},
            "fan": {"kind": "bool", "access": "rw", "address": {"object": "binary-output,1"}},
            "mode": {
                "kind": "enum",
                "access": "rw",
                "choices": {"off": 1, "heat": 2, "cool": 3},
                "address": {"object": "multi-state-output,1"},
            },
            "curve": {"access": "rw", "address": {"object": "analog-value,7"}},
        },
    }
)
VALUES = {
    "analog-input,1": 20.5,
    "analog-input,2": 1500.0,
    "analog-value,1": 21.0,
    "analog-output,1": 40.0,
    "binary-output,1": 0.0,
    "multi-state-output,1": 2.0,
}
PLAIN = {"analog-value,7": 1.25}
KNOWN = {
    "hp.temp": 20.5,
    "hp.power": -1.5,
    "hp.setpoint": 21.0,
    "hp.valve": 0.4,
    "hp.fan": 0.0,
    "hp.mode": 2.0,
    "hp.curve": 1.25,
}
OBJECT_OF = {f"hp.{name}": str(spec.address["object"]) for name, spec in PROFILE.points.items()}


def canonical(point: str, value: float) -> float:
    """The oracle's own conversion."""
    return {"hp.power": value / -1000, "hp.valve": value / 100}.get(point, value)


def changed(**fields: Any) -> Profile:
    """The profile with other points or options."""
    return Profile.model_validate({**dict(PROFILE), **fields})


class BacnetRig:
    """See `contract.Rig`."""

    device = "hp"
    timeout_s = TIMEOUT_S
    known = KNOWN
    refusable = "hp.valve"
    read_only = "hp.temp"
    writable = ("hp.setpoint", 22.5)
    command = Command("hp", (Write("hp.fan", 1.0), Write("hp.valve", 0.75), Write("hp.setpoint", 23.0)))
    relinquishes = True
    identity = "Acme Thermo 9 1.2"

    def __init__(self, server: BacnetDevice, driver: Driver) -> None:
        self.server, self.driver = server, driver
        self.neighbour = {"other.temp": 7.5}

    def received(self) -> Sequence[tuple[str, float]]:
        points = {name: point for point, name in OBJECT_OF.items()}
        return [(points[o], canonical(points[o], v)) for o, v, _ in self.server.writes if v is not None]

    def shown(self, point: str) -> float:
        return canonical(point, float(self.server.object(OBJECT_OF[point]).presentValue))

    async def refuse_read(self, point: str) -> None:
        self.server.faults.unreadable.add(OBJECT_OF[point])

    async def refuse_write(self, point: str, after: int = 0) -> None:
        self.server.faults.unwritable[OBJECT_OF[point]] = after

    async def mute(self) -> None:
        self.server.faults.mute = True

    async def answer_late(self) -> None:
        self.server.faults.delay_s = 1.5 * TIMEOUT_S

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    async def heal(self) -> None:
        self.server.faults.__init__()  # type: ignore[misc]


def link(**options: Any) -> Link:
    return Link("bms", "bacnet", {"host": "127.0.0.1", "timeout": PATIENT_S, **options})


def device(server: BacnetDevice, name: str = "hp", profile: Profile = PROFILE, **options: Any) -> Device:
    return Device(name, profile, {"device": server.instance, "port": server.port, **options})


@pytest.fixture
async def server() -> AsyncIterator[BacnetDevice]:
    server = BacnetDevice(1100, VALUES, PLAIN)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def other() -> AsyncIterator[BacnetDevice]:
    other = BacnetDevice(1200, {"analog-input,1": 7.5})
    await other.start()
    yield other
    await other.stop()


@pytest.fixture
async def quick(server: BacnetDevice, other: BacnetDevice) -> AsyncIterator[BacnetRig]:
    """A driver that soon gives up waiting."""
    neighbour = device(other, "other", changed(points={"temp": PROFILE.points["temp"]}))
    async with bacnet.factory.open(link(timeout=TIMEOUT_S), [device(server), neighbour], LiveClock()) as driver:
        yield BacnetRig(server, driver)


@pytest.fixture
async def rig(server: BacnetDevice) -> AsyncIterator[BacnetRig]:
    """A driver that waits as long as it takes."""
    async with bacnet.factory.open(link(cov_lifetime=1.0), [device(server)], LiveClock()) as driver:
        yield BacnetRig(server, driver)


class TestBacnet(DriverContract):
    """The contract, on BACnet."""

    @pytest.fixture
    def rig(self, quick: BacnetRig) -> BacnetRig:
        return quick


async def test_undoing_puts_our_own_slot_back_and_touches_no_other(rig: BacnetRig) -> None:
    valve, setpoint = OBJECT_OF["hp.valve"], OBJECT_OF["hp.setpoint"]
    await rig.driver.write(Command("hp", (Write("hp.valve", 0.5),)))
    await rig.server.command(setpoint, 19.0, 8)
    await rig.refuse_write("hp.fan")
    steps = (Write("hp.valve", 0.9), Write("hp.setpoint", 24.0), Write("hp.fan", 1.0))
    assert isinstance(await rig.driver.write(Command("hp", steps)), Refused)
    assert rig.server.writes == [
        (valve, 50.0, 10),
        (valve, pytest.approx(90.0), 10),
        (setpoint, 24.0, 10),
        (setpoint, None, 10),
        (valve, 50.0, 10),
    ]
    assert (rig.server.slot(setpoint, 8), rig.server.slot(setpoint, 10)) == (19.0, None)


async def broken_off(rig: BacnetRig, at: int, silent_s: float) -> tuple[Any, dict[str, float]]:
    """A command whose step `at` is carried out and not answered, and how its points differ from before afterwards."""
    before = {step.point: rig.shown(step.point) for step in rig.command.steps}
    rig.server.faults.dumb[OBJECT_OF[rig.command.steps[at].point]] = silent_s
    try:
        result = await rig.driver.write(rig.command)
    except LinkError as error:
        result = error
    after = {step.point: rig.shown(step.point) for step in rig.command.steps}
    return result, {point: value for point, value in after.items() if value != before[point]}


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_row45_a_step_without_an_answer_is_undone_with_those_before_it(quick: BacnetRig, at: int) -> None:
    result, changed = await broken_off(quick, at, TIMEOUT_S / 2)
    assert isinstance(result, LinkTimeout) and changed == {}
    assert all(quick.server.slot(OBJECT_OF[step.point], 10) is None for step in quick.command.steps)


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_row45_what_is_stuck_on_a_device_that_fell_silent_is_named(quick: BacnetRig, at: int) -> None:
    result, changed = await broken_off(quick, at, 60.0)
    steps = quick.command.steps
    assert isinstance(result, Partial)
    assert (result.point, result.stuck) == (steps[at].point, tuple(step.point for step in reversed(steps[: at + 1])))
    assert set(result.stuck) == set(changed) and "no answer" in result.reason


async def test_row45_the_device_shows_what_is_not_undone(quick: BacnetRig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle(*args: Any) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr("drivers.bacnet.driver.BacnetDriver._undo", idle)
    _, changed = await broken_off(quick, 1, TIMEOUT_S / 2)
    assert set(changed) == {step.point for step in quick.command.steps[:2]}


async def test_a_higher_slot_holds_and_is_seen(rig: BacnetRig) -> None:
    assert isinstance(rig.driver, ShowsPriority)
    assert rig.driver.our_priority == 10
    assert await rig.driver.priorities("hp.valve") == {}
    await rig.server.command(OBJECT_OF["hp.valve"], 20.0, 8)
    assert await rig.driver.write(Command("hp", (Write("hp.valve", 0.75),))) == Written()
    assert await rig.driver.priorities("hp.valve") == {8: pytest.approx(0.2), 10: 0.75}
    (sample,) = await rig.driver.read(["hp.valve"])
    assert sample.value == pytest.approx(0.2)
    assert await rig.driver.relinquish("hp.valve") == Written()
    assert await rig.driver.priorities("hp.valve") == {8: pytest.approx(0.2)}
    assert rig.server.writes[-1] == (OBJECT_OF["hp.valve"], None, 10)


async def test_we_write_the_priority_the_site_says(server: BacnetDevice) -> None:
    async with bacnet.factory.open(link(priority=12), [device(server)], LiveClock()) as driver:
        await driver.write(Command("hp", (Write("hp.mode", 3.0),)))
        await driver.write(Command("hp", (Write("hp.fan", 1.0),)))
    assert server.writes == [("multi-state-output,1", 3.0, 12), ("binary-output,1", 1.0, 12)]


async def test_a_point_without_slots_is_written_undone_and_has_none_to_give_back(rig: BacnetRig) -> None:
    assert isinstance(rig.driver, ShowsPriority)
    assert await rig.driver.priorities("hp.curve") == {}
    result = await rig.driver.relinquish("hp.curve")
    assert result == Refused("hp.curve", "no slot to give up: unknown-property")
    await rig.refuse_write("hp.fan")
    assert isinstance(await rig.driver.write(Command("hp", (Write("hp.curve", 2.0), Write("hp.fan", 1.0)))), Refused)
    assert [(name, value) for name, value, _ in rig.server.writes] == [
        ("analog-value,7", 2.0),
        ("analog-value,7", 1.25),
    ]


async def test_an_object_that_is_not_there_is_one_bad_point(server: BacnetDevice) -> None:
    gone = PROFILE.points["temp"].model_copy(update={"address": {"object": "analog-input,99"}})
    profile = changed(points={"temp": PROFILE.points["temp"], "gone": gone})
    async with bacnet.factory.open(link(), [device(server, profile=profile)], LiveClock()) as driver:
        samples = await driver.read(["hp.temp", "hp.gone"])
    assert [(s.value, s.quality, s.reason) for s in samples] == [
        (20.5, Quality.GOOD, ""),
        (None, Quality.BAD, "unknown-object"),
    ]


@pytest.mark.parametrize(
    ("flags", "value", "quality", "reason"),
    [
        ([0, 0, 0, 0], 20.5, Quality.GOOD, ""),
        ([1, 0, 0, 0], 20.5, Quality.GOOD, ""),
        ([1, 1, 0, 0], None, Quality.BAD, "the device reports a fault"),
        ([0, 0, 1, 0], 20.5, Quality.UNCERTAIN, "overridden at the device"),
        ([0, 0, 0, 1], 20.5, Quality.UNCERTAIN, "out of service"),
    ],
)
async def test_status_flags_become_quality(
    rig: BacnetRig, flags: list[int], value: float | None, quality: Quality, reason: str
) -> None:
    rig.server.faults.flags["analog-input,1"] = flags
    (sample,) = await rig.driver.read(["hp.temp"])
    assert (sample.value, sample.quality, sample.reason) == (value, quality, reason)


async def test_a_sensor_that_says_nan_is_bad(rig: BacnetRig) -> None:
    rig.server.object("analog-input,1").presentValue = float("nan")
    (sample,) = await rig.driver.read(["hp.temp"])
    assert (sample.value, sample.quality, sample.reason) == (None, Quality.BAD, "not a finite number")


@pytest.mark.parametrize(
    ("options", "requests"),
    [({"max_properties": 4}, [2, 2, 2, 1]), ({"max_properties": 4, "status_flags": False}, [4, 3]), ({}, [7])],
)
async def test_many_points_are_read_in_batches_the_device_can_take(
    server: BacnetDevice, options: dict[str, Any], requests: list[int]
) -> None:
    hp = device(server, profile=changed(options=options))
    async with bacnet.factory.open(link(), [hp], LiveClock()) as driver:
        samples = await driver.read(list(KNOWN))
    assert [s.value for s in samples] == [pytest.approx(v) for v in KNOWN.values()]
    assert [len(objects) for objects in server.reads] == requests


async def test_a_point_that_spoils_a_batch_is_found_and_read_alone(rig: BacnetRig) -> None:
    rig.server.faults.poison = {"analog-output,1"}
    for requests in ([7, 3, 4, 2, 1, 1, 2], [6, 1]):
        rig.server.reads.clear()
        samples = {sample.point: sample for sample in await rig.driver.read(list(KNOWN))}
        assert list(samples) == list(KNOWN)
        assert (samples["hp.valve"].quality, samples["hp.valve"].reason) == (Quality.BAD, "unknown-object")
        assert {s.point for s in samples.values() if s.quality is Quality.GOOD} == KNOWN.keys() - {"hp.valve"}
        assert sorted(map(len, rig.server.reads)) == sorted(requests)
    await rig.heal()
    for requests in ([6, 1], [7]):
        rig.server.reads.clear()
        assert {sample.quality for sample in await rig.driver.read(list(KNOWN))} == {Quality.GOOD}
        assert [len(objects) for objects in rig.server.reads] == requests


async def test_another_device_at_the_address_is_not_taken_for_ours(server: BacnetDevice) -> None:
    async with bacnet.factory.open(link(), [device(server, device=1101)], LiveClock()) as driver:
        assert isinstance(driver, Identifies)
        with pytest.raises(LinkError, match=f"hp: device 1101 is not at 127.0.0.1:{server.port}: unknown-object"):
            await driver.identify("hp")


async def test_many_callers_never_have_a_device_deal_with_more_than_eight_requests(rig: BacnetRig) -> None:
    asked = 0
    go_on = asyncio.Event()
    answer = rig.server.app.do_ReadPropertyMultipleRequest

    async def slow(apdu: Any) -> None:
        nonlocal asked
        asked += 1
        await go_on.wait()
        await answer(apdu)

    rig.server.app.do_ReadPropertyMultipleRequest = slow
    reads = [asyncio.create_task(rig.driver.read(["hp.temp"])) for _ in range(30)]
    await until(lambda: asked >= 8)
    await asyncio.sleep(0.1)
    assert asked == 8
    go_on.set()
    assert {sample.value for (sample,) in await asyncio.gather(*reads)} == {20.5}


async def test_an_acknowledgement_of_something_else_is_not_ours(quick: BacnetRig) -> None:
    await quick.driver.read(["hp.temp"])
    await quick.mute()
    write = asyncio.create_task(quick.driver.write(Command("hp", (Write("hp.valve", 0.9),))))
    await asyncio.sleep(0.05)
    for invoke in range(256):
        quick.server.send(bytes.fromhex(f"810a0009 0100 20{invoke:02x}05"), own_port(quick))
    with pytest.raises(LinkTimeout):
        await write


async def test_a_host_without_an_address_is_a_link_error(server: BacnetDevice) -> None:
    async with bacnet.factory.open(link(), [device(server, host="no-such-host.invalid")], LiveClock()) as driver:
        with pytest.raises(LinkError, match=r"hp: there is no host 'no-such-host.invalid'"):
            await driver.read(["hp.temp"])


async def test_a_local_port_in_use_is_said_at_once(server: BacnetDevice) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", free_port()))
        port = taken.getsockname()[1]
        driver = bacnet.factory.open(link(local_port=port), [device(server)], LiveClock())
        with pytest.raises(LinkError, match=f"bms: cannot use our own UDP port 0.0.0.0:{port}: Address already in use"):
            await driver.__aenter__()


async def test_nobody_on_the_network_can_read_or_write_us(rig: BacnetRig) -> None:
    port = own_port(rig)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind(("127.0.0.1", 0))
        read_device = bytes.fromhex("810a0011 0104 0005010c 0c023fffff 194b")
        for junk in (read_device, b"", b"\x81", b"\x81\x0a\x00\x04", b"\x00" * 40, read_device[:9]):
            stranger.sendto(junk, ("127.0.0.1", port))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(stranger, 1500), 0.1)
    assert (await rig.driver.read(["hp.temp"]))[0].value == 20.5


# Subscriptions


async def until(holds: Callable[[], bool], within_s: float = 4.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


async def subscribed(rig: BacnetRig, points: Sequence[str]) -> list[Sample]:
    heard: list[Sample] = []
    assert isinstance(rig.driver, Subscribes)
    await rig.driver.subscribe(points, heard.append)
    await until(lambda: len(heard) == len(points))
    return heard


def told(heard: Sequence[Sample]) -> list[tuple[str, float | None]]:
    return [(sample.point, sample.value) for sample in heard]


async def test_changes_are_told_and_notifications_counted(rig: BacnetRig) -> None:
    assert isinstance(rig.driver, Subscribes)
    heard = await subscribed(rig, ["hp.setpoint", "hp.valve"])
    assert sorted(told(heard)) == [("hp.setpoint", 21.0), ("hp.valve", pytest.approx(0.4))]
    assert rig.driver.received == {"hp": 2}
    await rig.driver.write(Command("hp", (Write("hp.valve", 0.75),)))
    await until(lambda: len(heard) == 3)
    assert told(heard)[2:] == [("hp.valve", 0.75)]
    assert rig.driver.received == {"hp": 3}


async def test_a_subscription_outlives_its_lifetime(rig: BacnetRig) -> None:
    heard = await subscribed(rig, ["hp.valve"])
    await asyncio.sleep(1.3)
    before = len(heard)
    assert before >= 3, "each renewal makes the device tell its value"
    await rig.driver.write(Command("hp", (Write("hp.valve", 0.75),)))
    await until(lambda: ("hp.valve", 0.75) in told(heard[before:]))


async def test_a_restarted_device_is_subscribed_again_by_the_next_renewal(server: BacnetDevice) -> None:
    async with bacnet.factory.open(link(cov_lifetime=1.0, timeout=TIMEOUT_S), [device(server)], LiveClock()) as driver:
        heard = await subscribed(BacnetRig(server, driver), ["hp.valve"])
        await server.stop()
        server.values = {**VALUES, "analog-output,1": 60.0}
        await server.start()
        await until(lambda: ("hp.valve", pytest.approx(0.6)) in told(heard))


async def test_a_device_that_answers_again_is_subscribed_at_once(quick: BacnetRig) -> None:
    heard = await subscribed(quick, ["hp.valve"])
    await quick.stop()
    with pytest.raises(LinkTimeout):
        await quick.driver.read(["hp.valve"])
    quick.server.values = {**VALUES, "analog-output,1": 60.0}
    await quick.start()
    await quick.driver.read(["hp.valve"])
    await until(lambda: ("hp.valve", pytest.approx(0.6)) in told(heard))


async def test_a_device_that_is_away_is_subscribed_when_it_comes(server: BacnetDevice) -> None:
    heard: list[Sample] = []
    await server.stop()
    async with bacnet.factory.open(link(cov_lifetime=1.0, timeout=TIMEOUT_S), [device(server)], LiveClock()) as driver:
        assert isinstance(driver, Subscribes)
        await driver.subscribe(["hp.valve"], heard.append)
        await server.start()
        await until(lambda: told(heard)[:1] == [("hp.valve", pytest.approx(0.4))])


async def test_a_point_that_cannot_be_subscribed_is_named_and_the_others_are(server: BacnetDevice) -> None:
    gone = PROFILE.points["temp"].model_copy(update={"address": {"object": "analog-input,99"}})
    profile = changed(points={"gone": gone, "valve": PROFILE.points["valve"]})
    async with bacnet.factory.open(link(), [device(server, profile=profile)], LiveClock()) as driver:
        heard: list[Sample] = []
        assert isinstance(driver, Subscribes)
        with pytest.raises(DeviceRefused, match=r"hp.gone: hp refused: unknown-object"):
            await driver.subscribe(["hp.gone", "hp.valve"], heard.append)
        await until(lambda: told(heard) == [("hp.valve", pytest.approx(0.4))])


async def test_leaving_cancels_what_the_device_holds_for_us(server: BacnetDevice) -> None:
    async with bacnet.factory.open(link(), [device(server)], LiveClock()) as driver:
        assert isinstance(driver, Subscribes)
        await driver.subscribe(["hp.valve", "hp.setpoint"], lambda _: None)
        assert len(server.app._cov_detections) == 2
    assert len(server.app._cov_detections) == 0


def notification(process: int = 1, target: str = "00400001", value: str = "4442c80000", flags: str = "820400") -> bytes:
    """An unconfirmed notification, by hand: 100.0 on analog-output,1, flags clear."""
    values = f"0955 2e {value} 2f 096f 2e {flags} 2f"
    body = f"0100 1002 09{process:02x} 1c0200044c 2c{target} 3900 4e {values} 4f"
    return bytes.fromhex(f"810a{len(bytes.fromhex(body)) + 4:04x}" + body)


@pytest.mark.parametrize(
    ("datagram", "sample"),
    [
        (notification(), (1.0, Quality.GOOD, "")),
        (notification(flags="820440"), (None, Quality.BAD, "the device reports a fault")),
        (notification(flags="820410"), (1.0, Quality.UNCERTAIN, "out of service")),
        (notification(value="447fc00000"), (None, Quality.BAD, "not a finite number")),
        (notification(value="00"), (None, Quality.BAD, "no value")),
        (notification(process=2), None),
        (notification(target="00400002"), None),
        (notification(value="4442"), None),
        (notification()[:-1], None),
    ],
)
async def test_what_a_notification_says_of_itself_is_believed(
    rig: BacnetRig, datagram: bytes, sample: tuple[float | None, Quality, str] | None
) -> None:
    heard = await subscribed(rig, ["hp.valve"])
    rig.server.send(datagram, own_port(rig))
    await rig.driver.read(["hp.temp"])
    assert [(s.value, s.quality, s.reason) for s in heard[1:]] == ([] if sample is None else [sample])


async def test_notifications_from_another_address_are_not_believed(rig: BacnetRig) -> None:
    heard = await subscribed(rig, ["hp.valve"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(notification(), ("127.0.0.1", own_port(rig)))
    await rig.driver.read(["hp.temp"])
    assert len(heard) == 1


def own_port(rig: BacnetRig) -> int:
    """Where the driver listens."""
    return int(rig.driver._station._link.server.local_address[1])  # type: ignore[attr-defined]


# What a site file may say


@pytest.mark.parametrize(
    ("link_options", "device_options", "problem"),
    [
        (
            {"port": 70000},
            {"device": 1},
            "connections.bms.port: input should be less than or equal to 65535, not 70000",
        ),
        ({"prot": 47809}, {"device": 1}, "connections.bms.prot: unknown option; did you mean 'port'?"),
        ({"host": None}, {"device": 1}, "connections.bms.host: missing; say where device hp is"),
        (
            {"timeout": 0.0},
            {"device": 1},
            "connections.bms.timeout: input should be greater than or equal to 0.02, not 0.0",
        ),
        ({"priority": 8}, {"device": 1}, "connections.bms.priority: input should be greater than or equal to 9, not 8"),
        ({}, {}, "devices.hp.device: missing"),
        ({}, {"device": 4194303}, "devices.hp.device: input should be less than or equal to 4194302, not 4194303"),
        ({}, {"device": "x"}, "devices.hp.device: input should be a valid integer, not 'x'"),
    ],
)
def test_mistakes_in_a_site_file_are_named(
    link_options: dict[str, Any], device_options: dict[str, Any], problem: str
) -> None:
    devices = [Device("hp", PROFILE, device_options)]
    assert bacnet.factory.check(link(**link_options), devices) == [problem]
    with pytest.raises(ConfigError):
        bacnet.factory.open(link(**link_options), devices, LiveClock())


def test_two_devices_cannot_be_one_instance() -> None:
    devices = [Device("a", PROFILE, {"device": 5}), Device("b", PROFILE, {"device": 5})]
    assert bacnet.factory.check(link(), devices) == ["devices.b.device: 5 is already the instance of a"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (
            {"object": "analogue-value,1"},
            "address.object: 'analogue-value' is not an object type with a number; known: ",
        ),
        ({"object": "analog-value"}, "address.object: 'analog-value' has no instance number; write 'analog-value,1'"),
        ({}, "address.object: missing"),
        ({"object": "analog-value,1", "index": 3}, "address.index: unknown option; there is object"),
    ],
)
def test_mistakes_in_a_profile_are_named(address: dict[str, Any], problem: str) -> None:
    spec = PROFILE.points["temp"].model_copy(update={"address": address})
    profile = changed(points={"temp": spec})
    (line,) = bacnet.factory.check(link(), [Device("hp", profile, {"device": 1})])
    assert line.startswith(f"devices.hp.profile: acme/thermo@1: points.temp.{problem}")


def test_checking_a_site_file_does_not_load_the_library() -> None:
    code = "import sys, drivers.bacnet as d; d.factory; sys.exit('bacpypes3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
