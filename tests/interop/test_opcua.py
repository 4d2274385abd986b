"""OPC UA by node-opcua: browsing, readings with type, status and time, writes, monitored items, and a secured endpoint."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace

import pytest
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from hil.servers.opcua import OpcuaServer, Secured

from .conftest import START, peer, points

URI = "urn:energyctl:building"
READINGS = {  # canonical; node, type, value
    "airhandler.power": (1.75, "AirHandler.Power", "Double", 1.75),
    "airhandler.flush": (1.0, "AirHandler.Flush", "Boolean", True),
    "airhandler.supply_temp": (18.6, "AirHandler.SupplyTemp", "Double", 18.6),
    "airhandler.co2": (612.5, "AirHandler.CO2", "Double", 612.5),
    "airhandler.fan_speed": (0.375, "AirHandler.FanSpeed", "Double", 37.5),  # %
    "charger.power": (10.9, "Charger.Power", "Double", 10.9),
    "charger.connected": (1.0, "Charger.Connected", "Boolean", True),
    "charger.session_energy": (7.125, "Charger.SessionEnergy", "Double", 7.125),
    "charger.current_limit": (16.5, "Charger.CurrentLimit", "Double", 16.5),
    "charger.failsafe_timeout": (180.0, "Charger.FailsafeTimeout", "UInt32", 180),
}


@asynccontextmanager
async def connected(url: str, folder, **options):
    """A session; `node` gives the id of one of the building's nodes as text."""
    async with peer("opcua.js", str(folder)) as client:
        await client.ask("connect", url=url, **options)
        index = await client.ask("namespace", uri=URI)
        yield SimpleNamespace(ask=client.ask, node=lambda name: f"ns={index};s={name}")
        await client.ask("close")


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """The client's own key and certificate, made once."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
async def building(hall, pki):
    async with connected(hall.links["building-server"]["url"], pki) as session:
        yield session


async def test_every_reading(hall, building):
    assert set(READINGS) == points(hall, "airhandler", "charger")
    await hall.show({name: value for name, (value, *_) in READINGS.items()})
    nodes = [building.node(node) for _, node, _, _ in READINGS.values()]
    got = await building.ask("read", nodes=nodes)
    assert [(one["status"], one["type"], one["value"]) for one in got] == [
        ("Good", kind, value) for _, _, kind, value in READINGS.values()
    ]
    assert {datetime.fromisoformat(one["time"]) for one in got} == {START}


async def test_browsing_leads_to_every_point(hall, building):
    found = {}
    for folder in await building.ask("browse", node="ObjectsFolder"):
        if folder["name"] in ("airhandler", "charger"):
            for variable in await building.ask("browse", node=folder["node"]):
                found[f"{folder['name']}.{variable['name']}"] = (variable["node"], variable["kind"])
    wanted = {name: (building.node(node), "Variable") for name, (_, node, _, _) in READINGS.items()}
    models = {f"{name}.Model": (building.node(f"{node}.Model"), "Variable") for name, node in DEVICES.items()}
    assert found == wanted | models
    texts = await building.ask("read", nodes=[node for node, _ in models.values()])
    assert [text["value"] for text in texts] == ["AHU-6", "EVC-22"]


DEVICES = {"airhandler": "AirHandler", "charger": "Charger"}


@pytest.mark.parametrize(
    ("node", "kind", "value", "status", "logged"),
    [
        ("Charger.CurrentLimit", "Double", 12.5, "Good", ("current_limit", 12.5, True)),
        ("Charger.FailsafeTimeout", "UInt32", 90, "Good", ("failsafe_timeout", 90.0, True)),
        ("AirHandler.Flush", "Boolean", True, "Good", ("flush", 1.0, True)),
        ("Charger.CurrentLimit", "Double", 40.0, "BadOutOfRange", ("current_limit", 40.0, False)),
        ("Charger.CurrentLimit", "Int32", 12, "BadTypeMismatch", ("current_limit", None, False)),
        ("Charger.Power", "Double", 3.0, "BadNotWritable", ("power", None, False)),
    ],
)
async def test_writes(hall, building, node, kind, value, status, logged):
    assert await building.ask("write", node=building.node(node), type=kind, value=value) == status
    assert [entry for device in DEVICES for entry in hall.log(device)] == [logged]
    if status == "Good":
        (got,) = await building.ask("read", nodes=[building.node(node)])
        assert (got["type"], got["value"]) == (kind, value)


async def test_an_unknown_node_and_an_unplugged_device_are_bad(hall, building):
    hall.devices["charger"].online = False
    await hall.push()
    nodes = [building.node(name) for name in ("Charger.Nonsense", "Charger.Power", "AirHandler.Power")]
    got = await building.ask("read", nodes=nodes)
    assert [one["status"] for one in got] == ["BadNodeIdUnknown", "BadNoCommunication", "Good"]


async def test_a_monitored_item_sees_every_change(hall, building):
    await hall.show({"charger.power": 3.0})
    await building.ask("monitor", node=building.node("Charger.Power"))
    assert await building.ask("changes", count=1) == [3.0]
    for number in (4.0, 7.5, 11.0):
        await hall.show({"charger.power": number})
    assert await building.ask("changes", count=3) == [4.0, 7.5, 11.0]


@pytest.fixture
async def secured(hall, tmp_path):
    """A server of the charger alone that wants encryption and a name and password."""
    key = generate_private_key()
    certificate = generate_self_signed_app_certificate(
        key,
        "simulated server",
        {"organizationName": "test"},
        [x509.UniformResourceIdentifier("urn:freeopcua:python:server"), x509.DNSName("127.0.0.1")],
        extended=[ExtendedKeyUsageOID.SERVER_AUTH],
        days=7,
    )
    files = Secured(tmp_path / "server.der", tmp_path / "server.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    files.private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    async with OpcuaServer([hall.devices["charger"]], user="hall", password="öffne dich", secured=files) as server:
        yield server


SAFE = {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}


async def test_signed_encrypted_and_with_a_password(hall, secured, pki):
    hall.devices["charger"].set("power", 7.25)
    await secured.push()
    async with connected(secured.url, pki, **SAFE, user="hall", password="öffne dich") as session:
        (got,) = await session.ask("read", nodes=[session.node("Charger.Power")])
        assert (got["status"], got["value"]) == ("Good", 7.25)
        limit = session.node("Charger.CurrentLimit")
        assert await session.ask("write", node=limit, type="Double", value=10.0) == "Good"
        (endpoint,) = await session.ask("endpoints")
    assert hall.log("charger") == [("current_limit", 10.0, True)]
    assert (endpoint["policy"], endpoint["mode"]) == ("Basic256Sha256", "SignAndEncrypt")
    assert "UserName" in endpoint["tokens"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({**SAFE, "user": "hall", "password": "wrong"}, "BadUserAccessDenied"),
        (SAFE, "BadUserAccessDenied"),
        ({}, "End point must exist"),
    ],
    ids=["wrong-password", "anonymous", "in-the-clear"],
)
async def test_anybody_else_is_kept_out(secured, pki, options, said):
    with pytest.raises(RuntimeError, match=said):
        async with connected(secured.url, pki, **options):
            pytest.fail("let in")
