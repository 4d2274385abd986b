"""The OPC UA driver against an asyncua server on a real socket: the contract, and what is particular to OPC UA."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers import opcua
from drivers.opcua.points import Target
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Driver, Identifies, Link, Partial, Refused, Subscribes, Written
from energyctl.core.errors import ConfigError, DeviceRefused, LinkError, LinkTimeout
from energyctl.core.points import Access, Command, Quality, Sample, Write
from energyctl.core.profile import Profile
from tests.drivers.contract import DriverContract
from tests.drivers.opcua_device import SECOND, OpcuaDevice, Wire

TIMEOUT_S = 0.5
PATIENT_S = 5.0
"""For tests in which nothing falls silent, so that a busy machine does not look like a dead server."""
NS = "urn:acme:hall"


def node(name: str, kind: str = "Double") -> dict[str, Any]:
    return {"ns": NS, "id": name, "type": kind}


PROFILE = Profile.model_validate(
    {
        "profile": "acme/fan@1",
        "vendor": "Acme",
        "model": "Fan",
        "kind": "fan",
        "protocol": "opcua",
        "identity": {"contains": "Fan 3", "address": node("Fan.Model", "String")},
        "points": {
            "power": {"unit": "W", "invert": True, "address": node("Fan.Power")},
            "temp": {"unit": "°C", "address": node("Fan.Temp", "Float")},
            "state": {"address": node("Fan.State", "Int32")},
            "running": {"kind": "bool", "access": "rw", "address": node("Fan.Running", "Boolean")},
            "speed": {"unit": "%", "access": "rw", "address": node("Fan.Speed")},
            "timeout": {"unit": "s", "access": "rw", "address": node("Fan.Timeout", "UInt32")},
        },
    }
)
NODES: dict[str, tuple[str, Any, bool]] = {
    "Fan.Model": ("String", "Acme Fan 3", False),
    "Fan.Power": ("Double", 1500.0, False),
    "Fan.Temp": ("Float", 20.5, False),
    "Fan.State": ("Int32", -7, False),
    "Fan.Running": ("Boolean", False, True),
    "Fan.Speed": ("Double", 40.0, True),
    "Fan.Timeout": ("UInt32", 30, True),
    "B.Fan.Temp": ("Float", 11.25, False),
}
KNOWN = {
    "fan.power": -1.5,
    "fan.temp": 20.5,
    "fan.state": -7.0,
    "fan.running": 0.0,
    "fan.speed": 0.4,
    "fan.timeout": 30.0,
}
NODE_OF = {f"fan.{name}": str(spec.address["id"]) for name, spec in PROFILE.points.items()}


def canonical(point: str, value: float) -> float:
    """The oracle's own conversion."""
    return {"fan.power": value / -1000, "fan.speed": value / 100}.get(point, float(value))


@dataclass(frozen=True)
class Certificates:
    server: tuple[Path, Path]
    client: tuple[Path, Path]
    stranger: tuple[Path, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")

    async def make(name: str, uri: str) -> tuple[Path, Path]:
        key, cert = folder / f"{name}_key.pem", folder / f"{name}.der"
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        await setup_self_signed_certificate(key, cert, uri, "localhost", uses, {"commonName": name})
        return cert, key

    async def make_all() -> Certificates:
        return Certificates(
            await make("server", "urn:freeopcua:python:server"),
            await make("client", "urn:energyctl:client"),
            await make("stranger", "urn:energyctl:client"),
        )

    return asyncio.run(make_all())


@pytest.fixture(scope="module")
def started(certificates: Certificates) -> Iterator[OpcuaDevice]:
    server = OpcuaDevice(NS, NODES)
    server.start(certificates.server, trusted=certificates.client[0])
    yield server
    server.stop()


@pytest.fixture
def server(started: OpcuaDevice) -> OpcuaDevice:
    started.reset()
    return started


@pytest.fixture
async def wire(server: OpcuaDevice) -> AsyncIterator[Wire]:
    wire = Wire(server.port)
    await wire.start()
    yield wire
    await wire.cut()


class OpcuaRig:
    """See `contract.Rig`."""

    device = "fan"
    timeout_s = TIMEOUT_S
    known = KNOWN
    refusable = "fan.temp"
    read_only = "fan.temp"
    writable = ("fan.speed", 0.75)
    command = Command("fan", (Write("fan.timeout", 60.0), Write("fan.speed", 0.75), Write("fan.running", 1.0)))
    relinquishes = False
    identity = "Acme Fan 3"

    def __init__(self, server: OpcuaDevice, wire: Wire, driver: Driver) -> None:
        self.server, self.wire, self.driver = server, wire, driver
        self.neighbour: dict[str, float] = {}

    def received(self) -> Sequence[tuple[str, float]]:
        points = {name: point for point, name in NODE_OF.items()}
        return [(points[name], canonical(points[name], value)) for name, value in self.server.writes]

    def shown(self, point: str) -> float:
        return canonical(point, self.server.value(NODE_OF[point]))

    async def refuse_read(self, point: str) -> None:
        self.server.show(NODE_OF[point], status=ua.StatusCodes.BadSensorFailure)

    async def refuse_write(self, point: str, after: int = 0) -> None:
        self.server.refused[NODE_OF[point]] = after

    async def mute(self) -> None:
        self.wire.mute = True

    async def answer_late(self) -> None:
        self.wire.delay_s = 1.5 * TIMEOUT_S

    async def stop(self) -> None:
        await self.wire.cut()

    async def start(self) -> None:
        self.server.reset()
        await self.wire.start()

    async def heal(self) -> None:
        self.wire.heal()
        self.server.reset()


def link(port: int, **options: Any) -> Link:
    return Link(
        "hall", "opcua", {"url": f"opc.tcp://127.0.0.1:{port}", "timeout": PATIENT_S, "publishing": 0.05, **options}
    )


def changed(**points: Any) -> Profile:
    """The profile with other points."""
    return Profile.model_validate({**dict(PROFILE), "points": points})


FAN = Device("fan", PROFILE)


@pytest.fixture
async def quick(server: OpcuaDevice, wire: Wire) -> AsyncIterator[OpcuaRig]:
    """A driver that soon gives up waiting."""
    async with opcua.factory.open(link(wire.port, timeout=TIMEOUT_S), [FAN], LiveClock()) as driver:
        yield OpcuaRig(server, wire, driver)


@pytest.fixture
async def rig(server: OpcuaDevice, wire: Wire) -> AsyncIterator[OpcuaRig]:
    """A driver that waits as long as it takes."""
    async with opcua.factory.open(link(wire.port), [FAN], LiveClock()) as driver:
        yield OpcuaRig(server, wire, driver)


class TestOpcua(DriverContract):
    """The contract, on OPC UA."""

    @pytest.fixture
    def rig(self, quick: OpcuaRig) -> OpcuaRig:
        return quick


@pytest.mark.parametrize(
    ("status", "value", "quality", "reason"),
    [
        (ua.StatusCodes.BadSensorFailure, None, Quality.BAD, "BadSensorFailure"),
        (ua.StatusCodes.BadNoCommunication, None, Quality.BAD, "BadNoCommunication"),
        (ua.StatusCodes.UncertainLastUsableValue, 20.5, Quality.UNCERTAIN, "UncertainLastUsableValue"),
        (ua.StatusCodes.Good, 20.5, Quality.GOOD, ""),
        (ua.StatusCodes.GoodLocalOverride, 20.5, Quality.GOOD, ""),
    ],
)
async def test_the_status_code_is_the_quality(
    rig: OpcuaRig, status: int, value: float | None, quality: Quality, reason: str
) -> None:
    rig.server.show("Fan.Temp", status=status)
    (sample,) = await rig.driver.read(["fan.temp"])
    assert (sample.value, sample.quality, sample.reason) == (value, quality, reason)


@pytest.mark.parametrize(
    ("data", "value", "reason"),
    [
        (ua.DataValue(ua.Variant(20.5), ua.StatusCode(ua.StatusCodes.BadSensorFailure)), None, "BadSensorFailure"),
        (ua.DataValue(ua.Variant(20.5), None), 20.5, ""),
        (ua.DataValue(ua.Variant(True)), 1.0, ""),
        (ua.DataValue(ua.Variant(None, ua.VariantType.Null)), None, "no value"),
        (ua.DataValue(None), None, "no value"),
        (ua.DataValue(ua.Variant([1.0, 2.0])), None, "a list, not a number"),
    ],
)
def test_whatever_a_server_sends_is_a_sample(data: Any, value: float | None, reason: str) -> None:
    target = Target("fan.temp", "fan", PROFILE.points["temp"], "")
    sample = target.sample(datetime(2026, 1, 1, tzinfo=UTC), data)
    assert (sample.value, sample.reason) == (value, reason)
    assert (sample.quality is Quality.BAD) == (value is None)


async def test_a_servers_timestamp_is_not_trusted(rig: OpcuaRig) -> None:
    (sample,) = await rig.driver.read(["fan.temp"])
    assert abs(sample.time.timestamp() - time.time()) < 5


async def test_nan_is_bad(rig: OpcuaRig) -> None:
    rig.server.show("Fan.Power", float("nan"))
    (sample,) = await rig.driver.read(["fan.power"])
    assert (sample.value, sample.quality, sample.reason) == (None, Quality.BAD, "not a finite number")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (node("Fan.Nothing"), "BadNodeIdUnknown"),
        ({**node("Fan.Temp"), "ns": "urn:acme:cellar"}, "the server has no namespace 'urn:acme:cellar'"),
        (node("Fan.Model"), "a str, not a number"),
    ],
)
async def test_a_wrong_address_is_one_bad_point(wire: Wire, address: dict[str, Any], reason: str) -> None:
    wrong = PROFILE.points["temp"].model_copy(update={"address": address})
    fan = Device("fan", changed(wrong=wrong, temp=PROFILE.points["temp"]))
    async with opcua.factory.open(link(wire.port), [fan], LiveClock()) as driver:
        samples = await driver.read(["fan.wrong", "fan.temp"])
    assert [(s.value, s.quality, s.reason) for s in samples] == [(None, Quality.BAD, reason), (20.5, Quality.GOOD, "")]


async def test_namespaces_are_looked_up_anew_after_a_restart(rig: OpcuaRig) -> None:
    await rig.driver.read(list(KNOWN))
    await rig.wire.cut()
    rig.server.number(SECOND)
    await rig.wire.start()
    samples = await rig.driver.read(list(KNOWN))
    assert {s.point: s.value for s in samples} == {p: pytest.approx(v) for p, v in KNOWN.items()}
    assert await rig.driver.write(Command("fan", (Write("fan.speed", 0.9),))) == Written()
    assert rig.server.writes == [("Fan.Speed", pytest.approx(90.0))]


@pytest.mark.parametrize(
    ("point", "value", "reason"),
    [
        ("fan.timeout", -1.0, "-1 does not fit UInt32"),
        ("fan.timeout", 2.0**32, "4.29497e+09 does not fit UInt32"),
        ("fan.running", 2.0, "2 does not fit Boolean"),
        ("fan.running", 0.5, "0.5 does not fit Boolean"),
    ],
)
async def test_a_value_the_node_cannot_hold_is_refused_before_the_wire(
    rig: OpcuaRig, point: str, value: float, reason: str
) -> None:
    steps = (Write("fan.speed", 0.9), Write(point, value))
    assert await rig.driver.write(Command("fan", steps)) == Refused(point, reason)
    assert rig.server.writes == []


async def test_a_type_the_server_does_not_take_is_refused_by_name(server: OpcuaDevice) -> None:
    wrong = PROFILE.points["timeout"].model_copy(update={"address": node("Fan.Timeout", "Double")})
    async with opcua.factory.open(link(server.port), [Device("fan", changed(wrong=wrong))], LiveClock()) as driver:
        assert await driver.write(Command("fan", (Write("fan.wrong", 60.0),))) == Refused(
            "fan.wrong", "BadTypeMismatch"
        )


async def test_a_node_the_server_keeps_read_only_is_refused_by_name(server: OpcuaDevice) -> None:
    wrong = PROFILE.points["temp"].model_copy(update={"access": Access.READ_WRITE})
    async with opcua.factory.open(link(server.port), [Device("fan", changed(wrong=wrong))], LiveClock()) as driver:
        result = await driver.write(Command("fan", (Write("fan.wrong", 60.0),)))
    assert result == Refused("fan.wrong", "BadUserAccessDenied")


async def test_what_could_not_be_read_before_cannot_be_undone(rig: OpcuaRig) -> None:
    rig.server.show("Fan.Timeout", status=ua.StatusCodes.BadNoCommunication)
    await rig.refuse_write("fan.running")
    result = await rig.driver.write(rig.command)
    assert result == Partial("fan.running", "BadOutOfRange", ("fan.timeout",))


async def broken_off(rig: OpcuaRig, at: int, gone: bool) -> tuple[Any, dict[str, float]]:
    """A command whose step `at` is carried out and answered too late, or never; and how its points differ afterwards."""
    before = {step.point: rig.shown(step.point) for step in rig.command.steps}
    name = NODE_OF[rig.command.steps[at].point]
    rig.server.slow[name] = 1.5 * TIMEOUT_S
    task = asyncio.create_task(rig.driver.write(rig.command))
    while name in rig.server.slow:
        await asyncio.sleep(0.01)
    if gone:
        await rig.wire.cut()
    try:
        result: Any = await task
    except LinkError as error:
        result = error
    after = {step.point: rig.shown(step.point) for step in rig.command.steps}
    return result, {point: value for point, value in after.items() if value != before[point]}


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_row45_a_step_without_an_answer_is_undone_with_those_before_it(quick: OpcuaRig, at: int) -> None:
    result, changed = await broken_off(quick, at, gone=False)
    assert isinstance(result, LinkTimeout) and changed == {}


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_row45_what_is_stuck_on_a_server_that_is_gone_is_named(quick: OpcuaRig, at: int) -> None:
    result, changed = await broken_off(quick, at, gone=True)
    steps = quick.command.steps
    assert isinstance(result, Partial)
    assert (result.point, result.stuck) == (steps[at].point, tuple(step.point for step in reversed(steps[: at + 1])))
    assert set(result.stuck) == set(changed) and result.reason


async def test_row45_the_server_shows_what_is_not_undone(quick: OpcuaRig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle(*args: Any) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr("drivers.opcua.driver.OpcuaDriver._undo", idle)
    _, changed = await broken_off(quick, 1, gone=False)
    assert set(changed) == {step.point for step in quick.command.steps[:2]}


async def test_devices_of_one_type_share_a_server_by_prefix(server: OpcuaDevice) -> None:
    other = Device("b", changed(temp=PROFILE.points["temp"]), {"prefix": "B."})
    async with opcua.factory.open(link(server.port), [FAN, other], LiveClock()) as driver:
        first, second = await asyncio.gather(driver.read(["fan.temp"]), driver.read(["b.temp"]))
    assert (first[0].value, second[0].value) == (20.5, 11.25)


@pytest.mark.parametrize(("most", "requests"), [(2, [2, 2, 2]), (4, [4, 2]), (500, [6])])
async def test_many_nodes_are_read_in_requests_the_server_can_take(
    server: OpcuaDevice, most: int, requests: list[int]
) -> None:
    profile = Profile.model_validate({**dict(PROFILE), "options": {"max_nodes": most}})
    async with opcua.factory.open(link(server.port), [Device("fan", profile)], LiveClock()) as driver:
        samples = await driver.read(list(KNOWN))
    assert [s.value for s in samples] == [pytest.approx(v) for v in KNOWN.values()]
    assert server.reads == requests


async def test_all_who_wait_for_a_dead_server_wait_once(quick: OpcuaRig) -> None:
    await quick.mute()
    start = time.monotonic()
    results = await asyncio.gather(*(quick.driver.read(["fan.temp"]) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(result, LinkError) for result in results)
    assert time.monotonic() - start < 3 * TIMEOUT_S
    assert quick.wire.accepted == 1


async def test_a_device_without_a_probe_says_what_its_server_is(server: OpcuaDevice) -> None:
    profile = Profile.model_validate({**dict(PROFILE), "identity": None})
    async with opcua.factory.open(link(server.port), [Device("fan", profile)], LiveClock()) as driver:
        assert isinstance(driver, Identifies)
        assert "FreeOpcUa" in await driver.identify("fan")


async def test_a_device_that_cannot_say_who_it_is_is_not_identified(server: OpcuaDevice) -> None:
    identity = {"contains": "x", "address": node("Fan.Nobody", "String")}
    profile = Profile.model_validate({**dict(PROFILE), "identity": identity})
    async with opcua.factory.open(link(server.port), [Device("fan", profile)], LiveClock()) as driver:
        assert isinstance(driver, Identifies)
        with pytest.raises(LinkError, match=r"fan: does not say who it is: Fan.Nobody: BadNodeIdUnknown"):
            await driver.identify("fan")


# Subscriptions


async def until(holds: Callable[[], bool], within_s: float = 4.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


def told(heard: Sequence[Sample]) -> list[tuple[str, float | None]]:
    return [(sample.point, sample.value) for sample in heard]


async def test_changes_are_told_and_counted(rig: OpcuaRig) -> None:
    assert isinstance(rig.driver, Subscribes)
    heard: list[Sample] = []
    assert rig.driver.received == {}
    await rig.driver.subscribe(["fan.temp", "fan.speed"], heard.append)
    await until(lambda: len(heard) == 2)
    assert sorted(told(heard)) == [("fan.speed", 0.4), ("fan.temp", 20.5)]
    assert rig.driver.received == {"fan": 2}
    await rig.driver.write(Command("fan", (Write("fan.speed", 0.75),)))
    await until(lambda: len(heard) == 3)
    rig.server.show("Fan.Temp", status=ua.StatusCodes.BadSensorFailure)
    await until(lambda: len(heard) == 4)
    assert told(heard)[2:] == [("fan.speed", 0.75), ("fan.temp", None)]
    assert (heard[3].quality, heard[3].reason) == (Quality.BAD, "BadSensorFailure")
    assert rig.driver.received == {"fan": 4}


async def test_no_change_between_two_publishings_is_lost(server: OpcuaDevice) -> None:
    heard: list[Sample] = []
    async with opcua.factory.open(link(server.port, publishing=0.3), [FAN], LiveClock()) as driver:
        assert isinstance(driver, Subscribes)
        await driver.subscribe(["fan.power"], heard.append)
        await until(lambda: len(heard) == 1)
        for watts in range(50):
            server.show("Fan.Power", float(watts))
        await until(lambda: len(heard) >= 51)
    assert [sample.value for sample in heard[1:]] == [pytest.approx(-watts / 1000) for watts in range(50)]


async def test_a_subscription_survives_a_restart_of_the_server(rig: OpcuaRig) -> None:
    assert isinstance(rig.driver, Subscribes)
    heard: list[Sample] = []
    await rig.driver.subscribe(["fan.temp"], heard.append)
    await until(lambda: len(heard) == 1)
    await rig.wire.cut()
    with pytest.raises(LinkError):
        await rig.driver.read(["fan.temp"])
    rig.server.number(SECOND)
    await rig.wire.start()
    await rig.driver.read(["fan.temp"])
    rig.server.show("Fan.Temp", 23.5)
    await until(lambda: told(heard)[1:] == [("fan.temp", 20.5), ("fan.temp", 23.5)])


async def test_a_server_that_is_away_is_subscribed_when_it_comes(
    rig: OpcuaRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.opcua.watch.KEEP_S", 0.05)
    assert isinstance(rig.driver, Subscribes)
    heard: list[Sample] = []
    await rig.stop()
    await rig.driver.subscribe(["fan.temp"], heard.append)
    await rig.start()
    await until(lambda: told(heard) == [("fan.temp", 20.5)])


async def test_a_point_that_cannot_be_subscribed_is_named_and_the_others_are(server: OpcuaDevice) -> None:
    wrong = PROFILE.points["temp"].model_copy(update={"address": node("Fan.Nothing")})
    fan = Device("fan", changed(wrong=wrong, temp=PROFILE.points["temp"]))
    heard: list[Sample] = []
    async with opcua.factory.open(link(server.port), [fan], LiveClock()) as driver:
        assert isinstance(driver, Subscribes)
        with pytest.raises(DeviceRefused, match=r"fan.wrong: fan refused: BadNodeIdUnknown"):
            await driver.subscribe(["fan.wrong", "fan.temp"], heard.append)
        await until(lambda: told(heard) == [("fan.temp", 20.5)])


async def test_a_server_that_takes_no_subscriptions_is_still_read(
    server: OpcuaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)

    monkeypatch.setattr(server.server.iserver.subscription_service, "create_subscription", refuse)
    async with opcua.factory.open(link(server.port), [FAN], LiveClock()) as driver:
        assert isinstance(driver, Subscribes)
        with pytest.raises(DeviceRefused, match=r"fan.temp: fan refused: BadTooManySubscriptions"):
            await driver.subscribe(["fan.temp"], lambda _: None)
        assert [sample.value for sample in await driver.read(["fan.temp"])] == [20.5]


# Security


def secured(certificates: Certificates, port: int, **options: Any) -> Link:
    given = {
        "security": "Basic256Sha256",
        "certificate": str(certificates.client[0]),
        "private_key": str(certificates.client[1]),
        "server_certificate": str(certificates.server[0]),
        **options,
    }
    return link(port, **given)


async def test_a_secured_connection_reads_and_writes(server: OpcuaDevice, certificates: Certificates) -> None:
    where = secured(certificates, server.port, user="operator", password="secret")
    async with opcua.factory.open(where, [FAN], LiveClock()) as driver:
        assert [s.value for s in await driver.read(["fan.temp"])] == [20.5]
        assert await driver.write(Command("fan", (Write("fan.speed", 0.75),))) == Written()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"user": "operator", "password": "guess"}, "BadUserAccessDenied"),
        ({"server_certificate": "stranger"}, "do the certificates and the security policy fit"),
        ({"certificate": "stranger", "private_key": "stranger"}, "do the certificates and the security policy fit"),
        ({"mode": "Sign"}, "do the certificates and the security policy fit"),
        ({"security": "Aes256Sha256RsaPss"}, "do the certificates and the security policy fit"),
    ],
)
async def test_nothing_less_than_what_was_agreed_is_taken(
    server: OpcuaDevice, certificates: Certificates, wrong: dict[str, str], reason: str
) -> None:
    for option, index in (("certificate", 0), ("private_key", 1), ("server_certificate", 0)):
        if wrong.get(option) == "stranger":
            wrong = {**wrong, option: str(certificates.stranger[index])}
    where = secured(certificates, server.port, **{"timeout": 1.0, **wrong})
    async with opcua.factory.open(where, [FAN], LiveClock()) as driver:
        with pytest.raises(LinkError, match=f"fan: .*{reason}"):
            await driver.read(["fan.temp"])
        assert server.reads == []


async def test_a_server_that_offers_no_security_is_not_spoken_to(
    server: OpcuaDevice, certificates: Certificates
) -> None:
    server.offer_security(False)
    async with opcua.factory.open(secured(certificates, server.port, timeout=1.0), [FAN], LiveClock()) as driver:
        with pytest.raises(LinkError, match=r"fan: .*; do the certificates and the security policy fit"):
            await driver.read(["fan.temp"])
    assert server.reads == []


# What a site file may say

URL = "opc.tcp://127.0.0.1:4840"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "connections.hall.url: missing"),
        ({"url": "http://x"}, "connections.hall.url: 'http://x' is no OPC UA address; write 'opc.tcp://host:4840'"),
        (
            {"url": "opc.tcp://me:pw@host:4840"},
            "connections.hall.url: a user or password does not belong in the address; write 'user' and 'password'",
        ),
        ({"url": URL, "polcy": "x"}, "connections.hall.polcy: unknown option; there is transport, url, timeout, "),
        ({"url": URL, "security": "Basic256"}, "connections.hall.security: input should be 'none', 'Basic256Sha256', "),
        (
            {"url": URL, "security": "Basic256Sha256"},
            "connections.hall: security Basic256Sha256 needs certificate, private_key, server_certificate",
        ),
        ({"url": URL, "certificate": "/nowhere.der"}, "connections.hall.certificate: there is no file '/nowhere.der'"),
        ({"url": URL, "private_key": "/k.der"}, "connections.hall.private_key: '/k.der' must end in .pem"),
        (
            {"url": URL, "user": "a", "password": "b"},
            "connections.hall: a password needs 'security: Basic256Sha256' and 'mode: SignAndEncrypt', or others read it",
        ),
    ],
)
def test_mistakes_in_a_site_file_are_named(options: dict[str, Any], problem: str) -> None:
    where = Link("hall", "opcua", options)
    (line,) = opcua.factory.check(where, [FAN])
    assert line.startswith(problem)
    assert "'b'" not in line
    with pytest.raises(ConfigError):
        opcua.factory.open(where, [FAN], LiveClock())


def test_two_devices_cannot_be_the_same_nodes() -> None:
    devices = [FAN, Device("fan2", PROFILE), Device("fan3", PROFILE, {"prefix": "C."})]
    problem = "devices.fan2.prefix: the same nodes as fan; tell them apart with a prefix"
    assert opcua.factory.check(link(4840), devices) == [problem]


@pytest.mark.parametrize(
    ("point", "problem"),
    [
        ({"address": {"id": "X"}}, "points.p.address.ns: missing"),
        (
            {"address": {"ns": NS, "id": "X", "type": "Real"}},
            "points.p.address.type: unknown type 'Real'; known: Boolean",
        ),
        ({"address": {"ns": NS, "id": "X", "type": "String"}}, "points.p.address.type: a point is a number; "),
        (
            {"access": "rw", "address": {"ns": NS, "id": "X"}},
            "points.p.address.type: missing; a written point must say",
        ),
    ],
)
def test_mistakes_in_a_profile_are_named(point: dict[str, Any], problem: str) -> None:
    (line,) = opcua.factory.check(link(4840), [Device("fan", changed(p=point))])
    assert line.startswith(f"devices.fan.profile: acme/fan@1: {problem}")


def test_checking_a_site_file_does_not_load_the_library() -> None:
    code = "import sys, drivers.opcua as d; d.factory; sys.exit('asyncua' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
