"""The OPC UA server, asked by an asyncua client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from asyncua import Client, ua
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from energyctl.core.profile import Profile
from hil.device import SimDevice
from hil.servers.opcua import OpcuaServer, Secured

URI = "urn:energyctl:building"
KINDS = Profile.model_validate(
    {
        "profile": "test/kinds@1",
        "vendor": "Test",
        "model": "K-1",
        "kind": "controller",
        "protocol": "opcua",
        "points": {
            "level": {"unit": "%", "access": "rw", "address": {"ns": "urn:k", "id": "K.Level", "type": "Float"}},
            "count": {"address": {"ns": "urn:k", "id": "K.Count", "type": "Int16"}},
            "power": {"unit": "W", "invert": True, "address": {"ns": "urn:other", "id": "K.Power", "type": "Int32"}},
        },
    }
)


@pytest.fixture
def devices(make_device) -> list[SimDevice]:
    return [
        make_device("airhandler", "generic/ahu@1", power=1.75, co2=612.0, fan_speed=0.4),
        make_device("charger", "generic/ev-charger@1", power=11.0, connected=1.0, current_limit=32.0),
    ]


@asynccontextmanager
async def serving(devices, **options):
    async with OpcuaServer(devices, **options) as server, Client(server.url) as client:
        index = await client.get_namespace_index(URI) if any(d.id == "charger" for d in devices) else 0
        yield SimpleNamespace(
            server=server, client=client, node=lambda name, ns=index: client.get_node(ua.NodeId(name, ns))
        )


async def put(node, value, kind) -> str:
    """The status a write was answered with."""
    try:
        await node.write_value(ua.DataValue(ua.Variant(value, kind)))
    except ua.UaStatusCodeError as error:
        return type(error).__name__
    return "Good"


async def test_two_devices_share_a_server(devices):
    async with serving(devices) as link:
        assert await link.node("Charger.Power").read_value() == 11.0
        assert await link.node("Charger.Connected").read_value() is True
        assert await link.node("AirHandler.FanSpeed").read_value() == 40.0
        assert await link.node("Charger.Model").read_value() == "EVC-22"
        assert await link.node("AirHandler.Model").read_value() == "AHU-6"


async def test_a_person_can_browse_to_the_values(devices):
    async with serving(devices) as link:
        folders = {
            (await node.read_browse_name()).Name: node for node in await link.client.nodes.objects.get_children()
        }
        names = {(await node.read_browse_name()).Name for node in await folders["charger"].get_children()}
    assert set(folders) == {"Server", "airhandler", "charger"}
    assert {"power", "connected", "current_limit", "Model"} <= names


async def test_two_devices_of_a_type_have_prefixes(make_device):
    pair = [make_device(name, "generic/ev-charger@1", power=kw) for name, kw in (("charger", 11.0), ("second", 7.4))]
    async with serving(pair, prefixes={"second": "B."}) as link:
        assert await link.node("Charger.Power").read_value() == 11.0
        assert await link.node("B.Charger.Power").read_value() == 7.4
        assert await link.node("B.Charger.Model").read_value() == "EVC-22"


async def test_types_units_and_namespaces():
    device = SimDevice("k", KINDS, {"level": 0.25, "count": 7.4, "power": 3.2})
    async with serving([device]) as link:
        k, other = [await link.client.get_namespace_index(uri) for uri in ("urn:k", "urn:other")]
        values = [await link.node(*at).read_data_value() for at in (("K.Level", k), ("K.Count", k), ("K.Power", other))]
        assert [(v.Value.Value, v.Value.VariantType.name) for v in values] == [
            (25.0, "Float"),
            (7, "Int16"),
            (-3200, "Int32"),
        ]
        assert await put(link.node("K.Level", k), 33.3, ua.VariantType.Float) == "Good"
    assert device.values["level"] == pytest.approx(0.333, abs=1e-9)


async def test_times_are_virtual(devices, make_device):
    charger = devices[1]
    async with serving(devices) as link:
        charger.time += timedelta(minutes=1)
        charger.set("power", 7.4)
        await link.server.push()
        got = await link.node("Charger.Power").read_data_value()
    assert (got.Value.Value, got.SourceTimestamp, got.ServerTimestamp) == (7.4, charger.time, charger.time)


DOUBLE, BOOL = ua.VariantType.Double, ua.VariantType.Boolean


@pytest.mark.parametrize(
    ("name", "value", "kind", "status", "logged"),
    [
        ("Charger.CurrentLimit", 16.0, DOUBLE, "Good", [("current_limit", 16.0, True)]),
        ("Charger.FailsafeTimeout", 180, ua.VariantType.UInt32, "Good", [("failsafe_timeout", 180.0, True)]),
        ("AirHandler.Flush", True, BOOL, "Good", [("flush", 1.0, True)]),
        ("Charger.CurrentLimit", 40.0, DOUBLE, "BadOutOfRange", [("current_limit", 40.0, False)]),
        ("Charger.CurrentLimit", float("nan"), DOUBLE, "BadOutOfRange", None),
        ("Charger.CurrentLimit", 16, ua.VariantType.Int32, "BadTypeMismatch", [("current_limit", None, False)]),
        ("Charger.CurrentLimit", [16.0], DOUBLE, "BadTypeMismatch", [("current_limit", None, False)]),
        ("Charger.Power", 3.0, DOUBLE, "BadNotWritable", [("power", None, False)]),
        ("Charger.Model", "mine", ua.VariantType.String, "BadUserAccessDenied", []),
        ("Charger.Nonsense", 3.0, DOUBLE, "BadUserAccessDenied", []),
    ],
)
async def test_writes(devices, name, value, kind, status, logged):
    before = {device.id: dict(device.values) for device in devices}
    async with serving(devices) as link:
        assert await put(link.node(name), value, kind) == status
        if status == "Good":
            assert await link.node(name).read_value() == value
    log = [record for device in devices for record in device.log]
    if logged is not None:
        assert [(r.point, r.value, r.accepted) for r in log] == logged
    if status != "Good":
        assert {device.id: device.values for device in devices} == before


async def test_an_administrator_by_name_is_no_administrator(devices):
    async with OpcuaServer(devices) as server:
        client = Client(server.url)
        client.set_user("admin")
        client.set_password("admin")
        async with client:
            index = await client.get_namespace_index(URI)
            assert await put(client.get_node(ua.NodeId("Charger.Power", index)), 3.0, DOUBLE) == "BadNotWritable"


async def test_an_unplugged_device_has_bad_values_and_takes_nothing(devices):
    charger = devices[1]
    async with serving(devices) as link:
        charger.online = False
        await link.server.push()
        got = await link.node("Charger.Power").read_data_value(raise_on_bad_status=False)
        assert (got.StatusCode.name, got.Value.Value) == ("BadNoCommunication", None)
        assert await put(link.node("Charger.CurrentLimit"), 16.0, DOUBLE) == "BadNoCommunication"
        assert await link.node("AirHandler.Power").read_value() == 1.75
        charger.online = True
        await link.server.push()
        assert await link.node("Charger.Power").read_value() == 11.0


class Told:
    """Counts what a subscription is told, by node."""

    def __init__(self) -> None:
        self.total = 0
        self.last: dict[str, object] = {}

    def datachange_notification(self, node, value, data) -> None:
        self.total += 1
        self.last[node.nodeid.Identifier] = value


async def test_every_notification_of_a_step_is_out_when_push_returns(devices, busy):
    air, charger = devices
    told = Told()
    with busy():
        async with serving(devices) as link:
            # a publishing interval far longer than the test: nothing leaves by the wall clock
            subscription = await link.client.create_subscription(3_600_000, told)
            names = ("Charger.Power", "Charger.Connected", "Charger.CurrentLimit", "AirHandler.CO2")
            await subscription.subscribe_data_change([link.node(name) for name in names])
            for step in range(100):
                charger.set("power", step / 10)
                charger.set("connected", float(step >= 50))
                air.set("co2", 600.0 + step)
                air.set("power", step / 100)  # nobody listens to this one
                pushed = await link.server.push()
                async with asyncio.timeout(5):
                    while told.total < sum(pushed.values()):
                        await asyncio.sleep(0)
                assert [told.last[name] for name in names] == [step / 10, step >= 50, 32.0, 600.0 + step]
            await asyncio.sleep(0.05)
            assert pushed == {"charger": 3 + 100 + 2, "airhandler": 1 + 100}
            assert told.total == sum(pushed.values())


async def test_first_values_and_writes_are_told_at_once(devices):
    """No step is pushed and no interval is over: what is told belongs to the instant it became so."""
    told = Told()
    async with serving(devices) as link:
        subscription = await link.client.create_subscription(3_600_000, told)
        await asyncio.sleep(0.1)  # the empty first publishing is over
        for written in (None, 16.0):
            if written is None:
                await subscription.subscribe_data_change(link.node("Charger.CurrentLimit"))
            else:
                await put(link.node("Charger.CurrentLimit"), written, DOUBLE)
            async with asyncio.timeout(5):
                while told.last != {"Charger.CurrentLimit": written or 32.0}:
                    await asyncio.sleep(0)


async def test_a_write_of_a_client_is_told_to_subscribers_too(devices):
    told = Told()
    async with serving(devices) as link:
        subscription = await link.client.create_subscription(3_600_000, told)
        await subscription.subscribe_data_change(link.node("Charger.CurrentLimit"))
        await put(link.node("Charger.CurrentLimit"), 16.0, DOUBLE)
        pushed = await link.server.push()
        async with asyncio.timeout(5):
            while told.total < pushed["charger"]:
                await asyncio.sleep(0)
    assert (pushed, told.last) == ({"airhandler": 0, "charger": 2}, {"Charger.CurrentLimit": 16.0})


async def test_with_a_password_only_who_knows_it_gets_in(devices):
    async with OpcuaServer(devices, user="operator", password="s3cret") as server:
        for user, password, allowed in (
            ("operator", "s3cret", True),
            ("operator", "guess", False),
            (None, None, False),
        ):
            client = Client(server.url)
            if user is not None:
                client.set_user(user)
                client.set_password(password)
            if allowed:
                async with client:
                    assert await client.nodes.server.read_browse_name()
            else:
                with pytest.raises(ua.UaStatusCodeError):
                    await client.connect()


def files(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its private key."""
    key = generate_private_key()
    names = [x509.UniformResourceIdentifier(f"urn:energyctl:{name}"), x509.DNSName("localhost")]
    usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    made = generate_self_signed_app_certificate(key, name, {"organizationName": "energyctl"}, names, extended=usage)
    certificate, private = folder / f"{name}.der", folder / f"{name}.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.DER))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, private


async def test_a_secured_endpoint_takes_no_open_connection(devices, tmp_path):
    secured = Secured(*files(tmp_path, "site"))
    certificate, private = files(tmp_path, "client")
    async with OpcuaServer(devices, user="operator", password="s3cret", secured=secured) as server:
        with pytest.raises(Exception):  # noqa: B017  the library has several ways to say no
            await asyncio.wait_for(Client(server.url).connect(), 3)
        client = Client(server.url)
        client.application_uri = "urn:energyctl:client"
        mode = ua.MessageSecurityMode.SignAndEncrypt
        await client.set_security(SecurityPolicyBasic256Sha256, certificate, private, mode=mode)
        client.set_user("operator")
        client.set_password("s3cret")
        async with client:
            index = await client.get_namespace_index(URI)
            assert await client.get_node(ua.NodeId("Charger.Power", index)).read_value() == 11.0
