"""Broken and malicious frames at the simulated servers: nothing falls over, nothing hangs, the next valid request is answered.

FUZZ_FRAMES sets how many frames each protocol gets (2,000 unless told), FUZZ_SEED where the random numbers start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
import traceback
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from asyncua import Client, ua
from ruamel.yaml import YAML

from energyctl.config import load_site
from hil.still import Still
from hil.twin import Twin

FRAMES = int(os.environ.get("FUZZ_FRAMES", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
HANG_S, LATE_S = 1.0, 5.0
"""How much work, and how much time on a busy machine, a batch and a valid request may take."""
PUSH_S = 5.0
"""A confirmed notification that nobody acknowledges is tried three times, a second each."""
BATCH = 50
"""Frames between two valid requests."""
TOWN_HALL = Path(__file__).parents[2] / "sites/larissa/town-hall.yaml"


@pytest.fixture(autouse=True)
def silence():
    """What libraries log of mangled frames is no text that test reports could carry."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
async def links(tmp_path):
    """The town hall on real sockets: its connections as they are now. Fails when the event loop saw a lost exception."""
    lost: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(_told(context)))
    site = load_site(TOWN_HALL)
    world = Still(site, datetime(2026, 1, 15, 12, tzinfo=UTC))
    world.devices["meter"].set("power", 12.5)
    world.devices["heatpump"].set("zone1_temp", 20.5)
    world.devices["charger"].set("power", 7.25)
    async with Twin(site, world.devices) as twin:
        await twin.push()
        yield YAML(typ="safe").load(twin.derive(tmp_path / "derived.yaml"))["connections"]
        await asyncio.wait_for(twin.push(), PUSH_S)
    assert not lost, f"{len(lost)} exceptions, {len(set(lost))} different:\n" + "\n".join(sorted(set(lost)))


def _told(context) -> str:
    error = context.get("exception")
    return "\n".join([context["message"], *(traceback.format_exception(error) if error else ())])


def mutant(random: Random, seeds: list[bytes], framed) -> bytes:
    """A seed with something wrong, or noise; mostly with a length field that fits, so that it is looked into."""
    if random.random() < 0.1:
        return random.randbytes(random.randrange(1, 300))
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1 if at < len(data):
                data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                del data[at : at + random.randrange(1, 9)]
            case 4:
                data[at : at + 4] = random.randbytes(4)
            case _:
                data += random.choice(seeds)
    return framed(bytes(data)) if random.random() < 0.85 else bytes(data)


@asynccontextmanager
async def in_time(sent: list[bytes]):
    """What is inside must be done before it counts as hanging; else the test fails with the last frames."""
    begun, spent = time.perf_counter(), time.process_time()
    try:
        yield
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        pytest.fail(f"{error!r} after {[frame.hex() for frame in sent[-BATCH:]]}")
    took, spent = time.perf_counter() - begun, time.process_time() - spent
    assert spent < HANG_S and took < LATE_S, (
        f"{spent:.2f} s of work, {took:.2f} s after {[frame.hex() for frame in sent[-BATCH:]]}"
    )


def adu(unit: int, pdu: str) -> bytes:
    body = bytes.fromhex(pdu)
    return struct.pack(">HHHB", 7, 0, len(body) + 1, unit) + body


MODBUS = [
    adu(1, "04 0034 0002"),
    adu(1, "04 0000 0050"),
    adu(2, "03 9C40 007D"),
    adu(3, "03 9D37 0010"),
    adu(2, "06 9CDB 1388"),
    adu(3, "10 9D37 0004 08 0001 0001 0000 1388"),
    adu(3, "10 9D39 0002 04 FFFF EC78"),
    adu(1, "01 0000 0010"),
    adu(1, "02 0000 0010"),
    adu(2, "05 0000 FF00"),
    adu(2, "0F 0000 000A 02 CD01"),
    adu(2, "16 9CDB 00F2 0025"),
    adu(2, "17 9C40 0006 9CDB 0001 02 00FF"),
    adu(1, "2B 0E 01 00"),
    adu(9, "03 0000 0001"),
]


def modbus_framed(frame: bytes) -> bytes:
    return frame[:2] + struct.pack(">HH", 0, max(len(frame), 8) - 6) + frame[6:].ljust(2, b"\0")


class Modbus:
    """Sends frames over a connection that is renewed when the server closes it; answers are thrown away."""

    def __init__(self, link) -> None:
        self.place = (link["host"], link["port"])
        self._writer = None
        self._drain = None

    async def send(self, frame: bytes) -> None:
        if self._writer is None or self._writer.is_closing() or self._drain.done():
            await self.close()
            reader, self._writer = await asyncio.open_connection(*self.place)
            self._drain = asyncio.create_task(_swallow(reader))
        with suppress(ConnectionError):
            self._writer.write(frame)
            await self._writer.drain()
        await asyncio.sleep(0.0002)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._drain.cancel()

    async def ask(self) -> bytes:
        reader, writer = await asyncio.open_connection(*self.place)
        writer.write(MODBUS[0])
        try:
            return await asyncio.wait_for(reader.readexactly(13), 5)
        finally:
            writer.close()


async def _swallow(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass


async def test_modbus(links):
    random, sent = Random(SEED), []
    client = Modbus(links["plant-room"])
    while len(sent) < FRAMES:
        async with in_time(sent):
            for _ in range(BATCH):
                sent.append(mutant(random, MODBUS, modbus_framed))
                await client.send(sent[-1])
            assert await client.ask() == bytes.fromhex("0007 0000 0007 01 04 04") + struct.pack(">f", 12500.0)
    await client.close()


def bacnet(apdu: str, npdu: str = "01 04") -> bytes:
    body = bytes.fromhex(npdu + apdu)
    return b"\x81\x0a" + (4 + len(body)).to_bytes(2, "big") + body


ASK = "00 05 {:02x} 0C 0C 00000001 19 55"
BACNET = [
    bacnet(ASK.format(1)),  # read-property analog-input,1 present-value
    bacnet("00 05 02 0C 0C 00800001 19 57"),  # priority array
    bacnet("00 05 02 0C 0C 0200044C 19 4C"),  # object list
    bacnet("02 75 03 0E 0C 00000001 1E 09 55 1F 0C 00800001 1E 09 08 1F"),  # read-property-multiple, "all"
    bacnet("00 05 04 0F 0C 00800001 19 55 3E 44 41B00000 3F 49 0A"),  # write-property at 10
    bacnet("00 05 05 0F 0C 00800001 19 55 3E 00 3F 49 0A"),  # relinquish
    bacnet("00 05 06 10 0C 00800001 1E 09 55 2E 44 41A80000 2F 39 0A 1F"),  # write-property-multiple
    bacnet("00 05 07 05 09 07 1C 00000001 29 00 39 3C"),  # subscribe to changes, unconfirmed
    bacnet("00 05 08 05 09 07 1C 00000001"),  # cancel
    bacnet("10 08 0A 044C 1A 044C", "01 00"),  # who-is
    bacnet("10 08", "01 20 FFFF 00 FF"),
    bacnet("10 07 3D 07 00 68656174", "01 00"),  # who-has
    bacnet("10 00 C4 02000457 22 0400 91 03 21 0F", "01 00"),  # i-am
    bacnet("00 05 09 1A 09 00 1C 00000000 2C 00000000"),  # read-range
    bacnet("0C 05 0A 00 04 0E 0C 00000001"),  # first segment of a request
    bacnet("40 0A 01 04"),  # segment acknowledgement
    bacnet("20 04 0F"),
    bacnet("70 05 04"),
]


def bacnet_framed(frame: bytes) -> bytes:
    return b"\x81" + frame[1:2] + struct.pack(">H", max(len(frame), 4)) + frame[4:]


class Datagrams(asyncio.DatagramProtocol):
    """Sends datagrams, and finds the answer to its own read among what comes back."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future | None = None

    def datagram_received(self, data: bytes, _address) -> None:
        said = data[data.find(b"\x30", 4) :]
        if self.answer is not None and not self.answer.done() and said[1:2] == bytes([self.asked]):
            self.answer.set_result(said)

    async def ask(self, transport) -> bytes:
        self.asked = 0x40 + (self.asked + 1) % 64
        self.answer = asyncio.get_running_loop().create_future()
        transport.sendto(bacnet(ASK.format(self.asked)))
        return await asyncio.wait_for(self.answer, 5)


async def test_bacnet(links):
    random, sent = Random(SEED), []
    link, loop = links["bms"], asyncio.get_running_loop()
    place = (link["host"], link["port"])
    noise, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=place, family=socket.AF_INET)
    transport, asker = await loop.create_datagram_endpoint(Datagrams, remote_addr=place, family=socket.AF_INET)
    while len(sent) < FRAMES:
        async with in_time(sent):
            for _ in range(BATCH):
                sent.append(mutant(random, BACNET, bacnet_framed))
                noise.sendto(sent[-1])
                await asyncio.sleep(0)
            said = await asker.ask(transport)
            assert said[2:] == bytes.fromhex("0C 0C 00000001 19 55 3E 44") + struct.pack(">f", 20.5) + b"\x3f"
    noise.close()
    transport.close()


class Tap:
    """Passes an OPC UA connection on, remembers the client's frames and can put others in after them."""

    def __init__(self, url: str) -> None:
        self._place = url.removeprefix("opc.tcp://").split(":")
        self.frames: list[bytes] = []
        self.url, self.closed = "", asyncio.Event()
        self._sequence = 0
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> Tap:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = "opc.tcp://{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in (self._up, self._down):
            writer.close()

    async def inject(self, frame: bytes) -> None:
        """Send a frame with the sequence number that is due, so that it is not turned away for that alone."""
        if len(frame) >= 24:
            self._sequence += 1
            frame = frame[:16] + struct.pack("<I", self._sequence) + frame[20:]
        with suppress(ConnectionError):
            self._up.write(frame)
            await self._up.drain()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._down = writer
        back, self._up = await asyncio.open_connection(*self._place)
        self._tasks = [asyncio.create_task(self._forth(reader)), asyncio.create_task(self._back(back, writer))]

    async def _forth(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                header = await reader.readexactly(8)
                frame = header + await reader.readexactly(int.from_bytes(header[4:], "little") - 8)
                self.frames.append(frame)
                if frame[:3] == b"MSG":
                    (self._sequence,) = struct.unpack_from("<I", frame, 16)
                self._up.write(frame)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        self.closed.set()


class Quiet:
    """A subscription's handler that does nothing."""

    def datachange_notification(self, *_: object) -> None: ...


async def _talk(client: Client) -> None:
    """One of everything that a client of the town hall may ask."""
    index = await client.get_namespace_index("urn:energyctl:building")
    limit = client.get_node(ua.NodeId("Charger.CurrentLimit", index))
    await limit.read_value()
    await limit.write_value(ua.DataValue(ua.Variant(16.0, ua.VariantType.Double)))
    await client.nodes.objects.get_children()
    await limit.get_path()
    subscription = await client.create_subscription(1000, Quiet())
    await subscription.subscribe_data_change(limit)


def opcua_framed(frame: bytes) -> bytes:
    return frame[:4].ljust(4, b"F") + struct.pack("<I", max(len(frame), 8)) + frame[8:]


async def test_opcua(links):
    random, sent = Random(SEED), []
    url = links["building-server"]["url"]
    while len(sent) < FRAMES:
        async with in_time(sent):
            async with Tap(url) as tap:
                client = Client(tap.url, timeout=2)
                with suppress(ConnectionError, TimeoutError, ua.UaError):
                    await client.connect()
                    await _talk(client)
                seeds = list(tap.frames)
                for _ in range(BATCH):
                    sent.append(mutant(random, seeds, opcua_framed))
                    await tap.inject(sent[-1])
                    if tap.closed.is_set():
                        break
                client.disconnect_socket()
            async with Client(url, timeout=5) as healthy:
                index = await healthy.get_namespace_index("urn:energyctl:building")
                assert await healthy.get_node(ua.NodeId("Charger.Power", index)).read_value() == 7.25
