"""Every kind of fault and stimulus, seen from outside: by a raw client on real sockets where it shows on the wire.

A kind without a case in here fails. Cases are told what the healthy bench shows, and look again when the fault has ended.
"""

from __future__ import annotations

import asyncio
import math
import signal
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from asyncua import Client, ua

from energyctl.config import load_site
from energyctl.core.errors import ConfigError, DaemonDown
from hil.events import Happened
from hil.faults import KINDS, SUBJECTS, Bench, Schedule, make
from hil.plant import build
from hil.scenario import Scenario
from hil.still import Still
from hil.twin import Twin

START = datetime(2026, 1, 14, 11, 0, tzinfo=UTC)
TOWN_HALL = Path("sites/larissa/town-hall.yaml").resolve()
WATER = """
site: {id: baths, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4, mode: monitor}
connections: {bus: {modbus: tcp, host: 10.0.0.5}, cellar: {bacnet: ip, host: 10.0.0.6}}
devices:
  meter: {profile: eastron/sdm630@1, via: bus}
  storage: {profile: sunspec/battery@1, via: bus, unit: 3}
  tank: {profile: generic/hot-water-tank@1, via: cellar, device: 7}
grid: {meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}
resources: {base: {kind: base-load}}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""
SHED = (
    WATER.replace("  tank: {profile: generic/hot-water-tank@1, via: cellar, device: 7}\n", "")
    .replace(", cellar: {bacnet: ip, host: 10.0.0.6}", "")
    .replace("baths", "shed")
)
POWER = struct.pack(">BHH", 4, 52, 2)
SET_ENABLE, SET_MODE, SET_POWER = 40247, 40248, 40249
"""Model 704 of the battery in its chain: WSetEna, WSetMod, WSet."""


class Raw:
    """A Modbus client that hides nothing: None is silence, bytes are the answer's PDU, a cut connection raises."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port, self.number = host, port, 0
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    def send(self, pdu: bytes, unit: int = 1) -> int:
        self.number += 1
        self.writer.write(struct.pack(">HHHB", self.number, 0, len(pdu) + 1, unit) + pdu)
        return self.number

    async def receive(self, wait: float = 0.15) -> tuple[int, bytes] | None:
        try:
            async with asyncio.timeout(wait):
                number, _, length, _ = struct.unpack(">HHHB", await self.reader.readexactly(7))
                return number, await self.reader.readexactly(length - 1)
        except TimeoutError:
            return None
        except asyncio.IncompleteReadError as end:
            raise ConnectionResetError from end

    async def ask(self, pdu: bytes = POWER, unit: int = 1, wait: float = 0.15) -> bytes | None:
        if self.writer is None or self.writer.is_closing():
            await self.connect()
        self.send(pdu, unit)
        answer = await self.receive(wait)
        return None if answer is None else answer[1]

    async def data(self, pdu: bytes = POWER, unit: int = 1) -> bytes:
        answer = await self.ask(pdu, unit, 5.0)
        assert answer is not None
        assert answer[0] < 0x80, f"exception {answer[1]}"
        return answer[2:]

    async def watts(self) -> float:
        return struct.unpack(">f", await self.data())[0]

    async def write(self, register: int, *words: int, unit: int = 3) -> bytes | None:
        body = struct.pack(f">BHHB{len(words)}H", 16, register, len(words), 2 * len(words), *words)
        return await self.ask(body, unit, 5.0)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()


class Wired:
    """A bench on sockets, its schedule, and a raw client of its Modbus connection."""

    def __init__(self, site, world, twin, tmp_path: Path, lockstep: bool) -> None:
        self.site, self.world, self.twin = site, world, twin
        self.state = tmp_path / "state"
        self.bench = Bench(site, world, twin, seed=3, lockstep=lockstep, state=self.state)
        self.schedule = Schedule((), self.bench, world.log)
        place = next(one.address for one in twin.endpoints if one.protocol == "modbus").split()[0]
        self.raw = Raw(place.split(":")[0], int(place.split(":")[1]))

    def show(self, point: str, value: float) -> None:
        device, _, name = point.partition(".")
        self.world.devices[device].set(name, value)

    async def begin(self, kind: str, on: str = "", for_s: float | None = None, **parameters) -> str:
        name = await self.schedule.begin(make({"fault": kind, "on": on, **parameters}), for_s=for_s)
        await self.twin.push()
        return name

    async def end(self, name: str) -> None:
        await self.schedule.end(name)
        await self.twin.push()

    async def go(self, seconds: float) -> None:
        await self.schedule.go(self.world.time + timedelta(seconds=seconds), 60)
        await self.twin.push()


@asynccontextmanager
async def wired(file: Path, tmp_path: Path, moving: bool = False, lockstep: bool = False):
    site = load_site(file)
    world = build(site, Scenario(name="day", start="13:00")) if moving else Still(site, START)
    async with AsyncExitStack() as stack:
        twin = await stack.enter_async_context(Twin(site, world.devices, proxied=True))
        bench = Wired(site, world, twin, tmp_path, lockstep)
        stack.callback(bench.raw.close)
        stack.push_async_callback(bench.schedule.close)
        await bench.go(0)
        yield bench


Case = Callable[[Wired], Awaitable[None]]
CASES: dict[str, tuple[Case, dict]] = {}


def case(kind: str, **options) -> Callable[[Case], Case]:
    """The case of a kind, on a shed with a meter at 12 kW and a battery, or with `options` of `wired`."""

    def register(run: Case) -> Case:
        CASES[kind] = (run, options)
        return run

    return register


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_does_what_it_says_and_can_be_taken_back(kind, tmp_path):
    assert kind in CASES, f"there is no case for '{kind}'; write one"
    run, options = CASES[kind]
    file = tmp_path / "site.yaml"
    file.write_text(options.get("text", SHED))
    file = options.get("file", file)
    async with wired(file, tmp_path, options.get("moving", False), options.get("lockstep", False)) as bench:
        if not options.get("moving"):
            bench.show("meter.power", 12.0)
        await run(bench)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_says_what_it_is(kind):
    cls = KINDS[kind]
    assert cls.kind == kind == kind.lower()
    assert "_" not in kind
    assert cls.about.endswith(".")
    assert sum(cls in kinds for kinds in SUBJECTS.values()) == 1


# Readings


async def power_of(b: Wired, kind: str, **parameters) -> float:
    """What the meter says of 12 kW with this fault, in W; it must be right again afterwards."""
    name = await b.begin(kind, "meter.power", **parameters)
    watts = await b.raw.watts()
    assert (await b.raw.watts() == watts) or math.isnan(watts)
    await b.end(name)
    assert await b.raw.watts() == 12000.0
    assert b.world.devices["meter"].values["power"] == 12.0
    return watts


@case("nan")
async def _(b: Wired) -> None:
    assert math.isnan(await power_of(b, "nan"))
    b.show("meter.energy_import", 5.0)
    await b.begin("nan", "meter")
    energy = await b.raw.data(struct.pack(">BHH", 4, 72, 2))
    assert math.isnan(struct.unpack(">f", energy)[0])


@case("sentinel")
async def _(b: Wired) -> None:
    name = await b.begin("sentinel", "meter.power", raw="0xFFFF8000")
    assert (await b.raw.data()).hex() == "ffff8000"
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("stuck")
async def _(b: Wired) -> None:
    name = await b.begin("stuck", "meter.power")
    b.show("meter.power", 20.0)
    assert await b.raw.watts() == 12000.0
    await b.end(name)
    assert await b.raw.watts() == 20000.0


@case("bias")
async def _(b: Wired) -> None:
    assert await power_of(b, "bias", by="-2500 W") == pytest.approx(9500.0)


@case("drift")
async def _(b: Wired) -> None:
    await b.begin("drift", "meter.power", by="6 kW")
    assert await b.raw.watts() == 12000.0
    await b.go(600)
    assert await b.raw.watts() == pytest.approx(13000.0)
    await b.go(3000)
    assert await b.raw.watts() == pytest.approx(18000.0)


@case("spike")
async def _(b: Wired) -> None:
    await b.begin("spike", "meter.power", by="50 kW", probability="50 %")
    seen = []
    for _minute in range(40):
        await b.go(60)
        seen.append(await b.raw.watts() - 12000.0)
    wild = [watts for watts in seen if watts]
    assert 10 <= len(wild) <= 30
    assert all(25000 <= abs(watts) <= 50000 for watts in wild)
    assert min(wild) < 0 < max(wild)


@case("unit-mistake")
async def _(b: Wired) -> None:
    assert await power_of(b, "unit-mistake", factor="W/kW") == 12e6
    assert await power_of(b, "unit-mistake", factor=0.5) == 6000.0
    assert await power_of(b, "unit-mistake", factor="degF") == pytest.approx(53600.0)


@case("sign-flipped")
async def _(b: Wired) -> None:
    assert await power_of(b, "sign-flipped") == -12000.0


@case("word-swap")
async def _(b: Wired) -> None:
    right = await b.raw.data()
    name = await b.begin("word-swap", "meter")
    assert await b.raw.data() == right[2:] + right[:2]
    await b.end(name)
    assert await b.raw.data() == right


# Communication


@case("silent")
async def _(b: Wired) -> None:
    name = await b.begin("silent", "meter")
    assert await b.raw.ask() is None
    assert await b.raw.data(struct.pack(">BHH", 3, 40000, 2), unit=3) == b"SunS"
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("offline")
async def _(b: Wired) -> None:
    name = await b.begin("offline", "meter")
    assert await b.raw.ask() == bytes([0x84, 0x0B])
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("exception")
async def _(b: Wired) -> None:
    name = await b.begin("exception", "meter", code="0x06")
    assert await b.raw.ask() == bytes([0x84, 6])
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("refused-point")
async def _(b: Wired) -> None:
    name = await b.begin("refused-point", "meter.power")
    assert await b.raw.ask() == bytes([0x84, 2])
    assert len(await b.raw.data(struct.pack(">BHH", 4, 0, 2))) == 4
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("reset")
async def _(b: Wired) -> None:
    assert await b.raw.watts() == 12000.0
    await b.begin("reset", "bus")
    assert await cut(b)
    name = await b.begin("reset", "meter", every="10 s")
    cuts = []
    for second in range(1, 26):
        await b.raw.watts()
        await b.go(1)
        if await cut(b):
            cuts.append(second)
    assert cuts == [10, 20]
    await b.end(name)
    await b.raw.watts()
    await b.go(30)
    assert not await cut(b)


async def cut(b: Wired) -> bool:
    """Whether the connection has been reset; the next question opens a new one."""
    try:
        gone = await asyncio.wait_for(b.raw.reader.read(1), 0.02) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        gone = True
    b.raw.close()
    b.raw.writer = None
    return gone


@case("blackhole")
async def _(b: Wired) -> None:
    assert await b.raw.watts() == 12000.0
    name = await b.begin("blackhole", "bus")
    assert await b.raw.ask() is None
    assert not await cut(b)
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("half-open")
async def _(b: Wired) -> None:
    assert await b.raw.watts() == 12000.0
    name = await b.begin("half-open", "bus")
    assert await b.raw.ask() is None
    await b.end(name)
    assert await b.raw.ask() is None, "a dead connection stays dead"
    assert not await cut(b)
    b.raw.close()
    b.raw.writer = None
    assert await b.raw.watts() == 12000.0


@case("refused-connection")
async def _(b: Wired) -> None:
    assert await b.raw.watts() == 12000.0
    name = await b.begin("refused-connection", "bus")
    assert await cut(b)
    with pytest.raises(ConnectionRefusedError):
        await b.raw.connect()
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("delay")
async def _(b: Wired) -> None:
    name = await b.begin("delay", "bus", by="100 ms", jitter="10 ms")
    begun = time.monotonic()
    assert await b.raw.watts() == 12000.0
    assert 0.2 <= time.monotonic() - begun < 2.0
    await b.end(name)
    begun = time.monotonic()
    assert await b.raw.watts() == 12000.0
    assert time.monotonic() - begun < 0.2


@case("late")
async def _(b: Wired) -> None:
    await b.begin("late", "bus", by="400 ms")
    assert await b.raw.ask(wait=0.1) is None
    number, answer = await b.raw.receive(2.0)
    assert (number, answer[2:]) == (1, struct.pack(">f", 12000.0))


@case("loss")
async def _(b: Wired) -> None:
    name = await b.begin("loss", "bus", share="100 %", direction="to_client")
    assert await b.raw.ask() is None
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("duplicated")
async def _(b: Wired) -> None:
    name = await b.begin("duplicated", "bus", share="100 %", direction="to_client")
    await b.raw.watts()
    assert (await b.raw.receive())[0] == 1
    await b.end(name)
    await b.raw.watts()
    assert await b.raw.receive() is None


@case("reordered")
async def _(b: Wired) -> None:
    await b.raw.watts()
    await b.begin("reordered", "bus", share="50 %", direction="to_client")
    asked = [b.raw.send(POWER) for _ in range(20)]
    got = [(await b.raw.receive(3.0))[0] for _ in asked]
    assert sorted(got) == asked
    assert got != asked


# Devices


def watts_set(device) -> float:
    return device.values["power_setpoint"]


@case("reboot")
async def _(b: Wired) -> None:
    storage = b.world.devices["storage"]
    await b.raw.write(SET_ENABLE, 1)
    assert storage.values["setpoint_enable"] == 1.0
    await b.begin("reboot", "storage")
    assert (await b.raw.write(SET_ENABLE, 1))[1] == 0x0B
    await b.go(29)
    assert (storage.online, storage.boots) == (False, 0)
    await b.go(1)
    assert (storage.online, storage.boots, storage.values["setpoint_enable"]) == (True, 1, 0.0)
    assert "reboot" not in b.schedule.standing
    await b.begin("reboot", "storage", for_s=90)
    await b.go(89)
    assert not storage.online
    await b.go(1)
    assert storage.online


@case("firmware-swap")
async def _(b: Wired) -> None:
    name = await b.begin("firmware-swap", "meter", by=10)
    assert struct.unpack(">f", await b.raw.data(struct.pack(">BHH", 4, 62, 2)))[0] == 12000.0
    assert await b.raw.ask() != struct.pack(">BBf", 4, 4, 12000.0)
    await b.end(name)
    assert await b.raw.watts() == 12000.0


@case("address-swap")
async def _(b: Wired) -> None:
    name = await b.begin("address-swap", "meter", other="storage")
    assert struct.unpack(">f", await b.raw.data(POWER, unit=3))[0] == 12000.0
    assert await b.raw.data(struct.pack(">BHH", 3, 40000, 2), unit=1) == b"SunS"
    with pytest.raises(ConfigError, match="is at another's address already"):
        await b.begin("address-swap", "storage", other="meter")
    await b.end(name)
    assert await b.raw.watts() == 12000.0
    with pytest.raises(ConfigError, match=r"other: 'stroage': no other device .* did you mean 'storage'"):
        await b.begin("address-swap", "meter", other="stroage")


@case("deaf")
async def _(b: Wired) -> None:
    storage = b.world.devices["storage"]
    name = await b.begin("deaf", "storage.power_setpoint")
    assert (await b.raw.write(SET_POWER, 0, 5000))[0] == 16
    assert watts_set(storage) == 0.0
    assert [(w.point, w.value, w.accepted) for w in storage.log] == [("power_setpoint", -5.0, True)]
    await b.end(name)
    await b.raw.write(SET_POWER, 0, 5000)
    assert watts_set(storage) == -5.0


@case("clamped")
async def _(b: Wired) -> None:
    storage = b.world.devices["storage"]
    half = await b.begin("clamped", "storage.power_setpoint", share="50 %")
    await b.raw.write(SET_POWER, 0, 5000)
    assert watts_set(storage) == -2.5
    most = await b.begin("clamped", "storage.power_setpoint", at_most="2 kW")
    await b.raw.write(SET_POWER, 0, 5000)
    assert (watts_set(storage), storage.log[-1].value) == (-2.0, -5.0)
    await b.end(half)
    await b.end(most)
    await b.raw.write(SET_POWER, 0, 5000)
    assert watts_set(storage) == -5.0


@case("reverts")
async def _(b: Wired) -> None:
    storage = b.world.devices["storage"]
    name = await b.begin("reverts", "storage.power_setpoint", after="30 s")
    await b.raw.write(SET_POWER, 0, 5000)
    await b.go(29)
    await b.raw.write(SET_POWER, 0, 6000)
    assert watts_set(storage) == -6.0
    await b.go(1)
    assert watts_set(storage) == 0.0
    assert await b.raw.data(struct.pack(">BHH", 3, SET_POWER, 2), unit=3) == bytes(4)
    await b.end(name)
    await b.raw.write(SET_POWER, 0, 5000)
    await b.go(60)
    assert watts_set(storage) == -5.0


# People


@case("second-master")
async def _(b: Wired) -> None:
    storage, start = b.world.devices["storage"], b.world.time
    name = await b.begin("second-master", "storage.power_setpoint", value="5 kW", every="20 s")
    await b.go(50)
    await b.end(name)
    await b.go(50)
    told = [(w.point, w.value, (w.time - start).total_seconds(), w.via) for w in storage.log]
    once = [("setpoint_timeout", 60.0), ("setpoint_mode", 1.0), ("power_setpoint", 5.0), ("setpoint_enable", 1.0)]
    assert told == [(*step, second, "rival") for second in (0.0, 20.0, 40.0) for step in once]
    assert await b.raw.data(struct.pack(">BHH", 3, SET_POWER, 2), unit=3) == struct.pack(">i", -5000)


@case("operator-override", file=TOWN_HALL)
async def _(b: Wired) -> None:
    storage, heatpump = b.world.devices["storage"], b.world.devices["heatpump"]
    name = await b.begin("operator-override", "storage.power_setpoint", value="3 kW")
    await b.raw.write(SET_POWER, 0, 5000)
    assert watts_set(storage) == 3.0
    await b.end(name)
    assert watts_set(storage) == 0.0
    await b.raw.write(SET_POWER, 0, 5000)
    assert watts_set(storage) == -5.0
    name = await b.begin("operator-override", "heatpump.zone1_setpoint", value="18 °C")
    assert heatpump.values["zone1_setpoint"] == 18.0
    assert heatpump.commanded("zone1_setpoint")
    assert heatpump.log[-1].via == "rival prio 8"
    await b.end(name)
    assert not heatpump.commanded("zone1_setpoint")
    with pytest.raises(ConfigError, match=r"operator-override: value: '18' is no value of heatpump.zone1_setpoint"):
        await b.begin("operator-override", "heatpump.zone1_setpoint", value="18")


@case("local-switch")
async def _(b: Wired) -> None:
    storage = b.world.devices["storage"]
    await b.raw.write(SET_ENABLE, 1)
    name = await b.begin("local-switch", "storage")
    assert storage.values["setpoint_enable"] == 0.0
    assert (await b.raw.write(SET_ENABLE, 1))[0] == 16
    assert storage.values["setpoint_enable"] == 0.0
    await b.end(name)
    await b.raw.write(SET_ENABLE, 1)
    assert storage.values["setpoint_enable"] == 1.0
    with pytest.raises(ConfigError, match="'meter' has no point that may be written"):
        await b.begin("local-switch", "meter")


# The daemon

LISTENS = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True); "
LISTENS += "import time; time.sleep(60)"


@asynccontextmanager
async def stand_in(b: Wired):
    """A process that listens where a daemon of the site would."""
    b.state.mkdir(parents=True)
    command = (sys.executable, "-c", LISTENS, str(b.state / "control.sock"))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        await child.stdout.readline()
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def told_of_daemon(b: Wired) -> list[str]:
    return [event.text for event in b.world.log.events if event.kind is Happened.DAEMON]


@case("daemon-killed")
async def _(b: Wired) -> None:
    with pytest.raises(DaemonDown, match="no daemon of site 'shed' is running"):
        await b.begin("daemon-killed")
    async with stand_in(b) as child:
        await b.begin("daemon-killed")
        assert await asyncio.wait_for(child.wait(), 5) == -signal.SIGKILL
    assert told_of_daemon(b) == ["killed"]
    assert b.schedule.standing == {}


@case("daemon-stopped")
async def _(b: Wired) -> None:
    async with stand_in(b) as child:
        await b.begin("daemon-stopped")
        assert await asyncio.wait_for(child.wait(), 5) == -signal.SIGTERM
    assert told_of_daemon(b) == ["stopped"]


@case("daemon-hung")
async def _(b: Wired) -> None:
    async with stand_in(b) as child:
        await b.begin("daemon-hung", for_s=20)
        assert await state_of(child.pid, "T")
        await b.go(20)
        assert await state_of(child.pid, "S")
        await b.begin("daemon-hung")
        assert await state_of(child.pid, "T")
        await b.schedule.close()
        assert await state_of(child.pid, "S")
    assert told_of_daemon(b) == ["hung", "resumed", "hung", "resumed"]


async def state_of(pid: int, wanted: str) -> bool:
    """Whether the process comes into a state (proc(5): T stopped, S sleeping)."""
    async with asyncio.timeout(5):
        while _state(pid) != wanted:
            await asyncio.sleep(0.01)
    return True


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@case("clock-jump", lockstep=True)
async def _(b: Wired) -> None:
    one = await b.begin("clock-jump", by="1 h")
    other = await b.begin("clock-jump", by="-20 min")
    assert b.bench.wall_clock.off_s == 2400.0
    await b.end(one)
    assert b.bench.wall_clock.off_s == -1200.0
    await b.end(other)
    assert b.bench.wall_clock.off_s == 0.0


@case("price-missing", file=TOWN_HALL, lockstep=True)
async def _(b: Wired) -> None:
    derived = b.twin.derive(b.state.parent / "derived.yaml")
    start = datetime(2019, 1, 21, 22, 0, tzinfo=UTC)
    make({"fault": "price-missing", "after": "6 h"}).prepare(derived, start)
    site = load_site(derived)
    prices = rows_of(site.path.with_name("derived-prices.csv"))
    assert (prices[0], prices[-1].split(",")[0]) == ("time_utc,price_eur_per_mwh", "2019-01-22T03:45Z")
    with pytest.raises(ConfigError, match="price-missing: after: no prices would be left"):
        make({"fault": "price-missing"}).prepare(derived, datetime(2018, 1, 1, tzinfo=UTC))


def rows_of(file: Path) -> list[str]:
    return file.read_text().splitlines()


# Stimuli


async def mean_of(b: Wired, what: str, minutes: int = 5) -> float:
    """The mean of a power or state over the next minutes."""
    before = len(b.world.trace)
    await b.go(60 * minutes)
    rows = b.world.trace[before:]
    return sum({**row.powers_kw, **row.states}[what] for row in rows) / len(rows)


@case("load", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    usual = await mean_of(b, "base")
    one, two = await b.begin("load", power="100 kW"), await b.begin("load", power="200 kW")
    assert await mean_of(b, "base") == pytest.approx(usual + 300, abs=10)
    await b.end(one)
    assert await mean_of(b, "base") == pytest.approx(usual + 200, abs=10)
    await b.end(two)
    assert await mean_of(b, "base") == pytest.approx(usual, abs=10)


@case("heat-wave", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    usual = await mean_of(b, "outdoor_c")
    await b.begin("heat-wave", by="12 K")
    assert await mean_of(b, "outdoor_c") == pytest.approx(usual + 12, abs=0.5)


@case("cold", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    usual = await mean_of(b, "outdoor_c")
    name = await b.begin("cold")
    assert await mean_of(b, "outdoor_c") == pytest.approx(usual - 8, abs=0.5)
    await b.end(name)
    assert await mean_of(b, "outdoor_c") == pytest.approx(usual, abs=0.5)


@case("clouds", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    usual = await mean_of(b, "ghi_w_m2", 10)
    assert usual > 100
    name = await b.begin("clouds", sun="10 %")
    assert await mean_of(b, "ghi_w_m2", 10) == pytest.approx(usual * 0.1, rel=0.3)
    await b.end(name)
    name = await b.begin("clouds", sun="0 %", flicker="2 min")
    edges = [await mean_of(b, "ghi_w_m2", 2) > 1 for _ in range(5)]
    assert edges == [False, True, False, True, False]
    await b.end(name)
    assert await mean_of(b, "ghi_w_m2") > 100


@case("people", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    name = await b.begin("people", times=3)
    assert b.world.influences.people == 3.0
    await b.end(name)
    assert b.world.influences.people == 1.0


@case("cars", file=TOWN_HALL, moving=True)
async def _(b: Wired) -> None:
    assert await mean_of(b, "car.connected", 1) == 0.0
    await b.begin("cars", needs="15 kWh")
    await b.go(60)
    row = b.world.trace[-1].states
    assert (row["car.connected"], row["car.missing_kwh"]) == (1.0, pytest.approx(15.0, abs=0.5))
    with pytest.raises(ConfigError, match="cars: count: 2 cars, but 1 chargers"):
        await b.begin("cars", count=2)


@case("draw", text=WATER, moving=True)
async def _(b: Wired) -> None:
    name = await b.begin("draw", "tank", by="10 kW")
    assert b.world.influences.draw == {"tank": 10.0}
    usual = await mean_of(b, "tank.drawn_kw")
    await b.end(name)
    assert usual - await mean_of(b, "tank.drawn_kw") == pytest.approx(10.0, abs=2)
    with pytest.raises(ConfigError, match="draw: on: 'meter': nothing is drawn from it; there are: tank"):
        await b.begin("draw", "meter", by="10 kW")


@case("reading-set", file=TOWN_HALL)
async def _(b: Wired) -> None:
    await b.begin("reading-set", "meter.power", value="-3 kW")
    assert await b.raw.watts() == -3000.0
    await b.begin("reading-set", "heatpump.mode", value="cool")
    assert b.world.devices["heatpump"].values["mode"] == 2.0
    await b.begin("reading-set", "charger.connected", value="on")
    url = next(one.address for one in b.twin.endpoints if one.device == "charger")
    async with Client(url) as client:
        index = await client.get_namespace_index("urn:energyctl:building")
        assert await client.get_node(ua.NodeId("Charger.Connected", index)).read_value() is True
    with pytest.raises(ConfigError, match=r"value: 'coll' is no value of heatpump.mode; did you mean 'cool'"):
        await b.begin("reading-set", "heatpump.mode", value="coll")


async def test_a_line_is_well_again_when_faults_of_its_device_and_of_its_connection_have_ended(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(
        WATER.replace("grid:", "  spare: {profile: generic/hot-water-tank@1, via: cellar, device: 8}\ngrid:")
    )
    async with wired(file, tmp_path) as b:
        tank, spare = b.twin.line("tank"), b.twin.line("spare")
        both = await b.begin("loss", "cellar", share="50 %")
        one = await b.begin("loss", "tank", share="20 %")
        assert (tank.impair.loss, spare.impair.loss) == (0.2, 0.5)
        await b.end(both)
        assert (tank.impair.loss, spare.impair.loss) == (0.2, 0.0)
        await b.end(one)
        assert tank.impair.loss == 0.0


async def test_nothing_is_stimulated_where_nothing_moves(tmp_path):
    (tmp_path / "site.yaml").write_text(SHED)
    async with wired(tmp_path / "site.yaml", tmp_path) as b:
        with pytest.raises(ConfigError, match="load: nothing moves in this simulation"):
            await b.begin("load", power="5 kW")
        assert b.world.log.events == []


# Words


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "needs one 'fault: KIND' or 'do: KIND'"),
        ({"fault": "silent", "do": "load"}, "needs one"),
        ({"fault": "silnt", "on": "meter"}, "no fault or stimulus is called 'silnt'; did you mean 'silent'?"),
        ({"fault": 5}, "no fault or stimulus is called '5'"),
        ({"fault": "delay", "by": "3"}, "delay: by: '3': a number without a unit; write '3 s'"),
        ({"fault": "delay"}, "delay: by is missing"),
        ({"fault": "delay", "by": "1 s", "jiter": "1 s"}, "delay: unknown parameter 'jiter'; did you mean 'jitter'?"),
        ({"fault": "loss", "share": "130 %"}, "loss: share: '130 %': must be at most 1"),
        ({"fault": "exception", "code": 9}, "exception: code: '9': must be one of 1 (illegal function)"),
        ({"fault": "clamped", "on": "x.y"}, "clamped: give either 'share: 50 %' or 'at_most: 5 kW'"),
        ({"fault": "unit-mistake", "factor": "kW"}, "'kW': must be a number, or one of W/kW, kW/W"),
        ({"do": "cars", "needs": "lots"}, "cars: needs: 'lots': expected a number and a unit"),
    ],
)
def test_what_makes_no_sense_is_told_in_the_words_of_whoever_wrote_it(data, said):
    with pytest.raises(ConfigError) as wrong:
        make(data)
    assert said in str(wrong.value)


def test_what_a_site_cannot_have_is_told():
    site = load_site(TOWN_HALL)
    for data, said in [
        ({"fault": "stuck"}, "stuck: on: is missing: the point or device it is done to"),
        ({"fault": "stuck", "on": "meter.pwer"}, "'meter.pwer': no such point or device; did you mean 'meter.power'?"),
        ({"fault": "bias", "on": "meter.power", "by": "2 K"}, "bias: by: '2 K': unit 'K' does not fit here"),
        ({"fault": "bias", "on": "heatpump.outdoor_temp", "by": "2 °C"}, "write K"),
        ({"fault": "half-open", "on": "bms"}, "'bms' is on bacnet; this is possible on modbus and opcua only"),
        ({"fault": "loss", "on": "plantroom"}, "no such connection or device; did you mean 'plant-room'?"),
        ({"do": "load", "on": "meter", "power": "1 kW"}, "it is done to the whole site; leave 'on' out"),
        ({"do": "cars", "on": "chargr"}, "no such part; did you mean 'charger'?"),
        ({"fault": "clamped", "on": "storage.power_setpoint", "at_most": "3"}, "clamped: at_most: '3'"),
    ]:
        with pytest.raises(ConfigError) as wrong:
            make(data).check(site)
        assert said in str(wrong.value)


def test_a_sick_reading_is_the_same_whoever_asks_when_and_how_often():
    site = load_site(TOWN_HALL)

    def readings(seed: int, looks: int) -> list[float]:
        world = Still(site, START)
        bench = Bench(site, world, SimpleNamespace(), seed=seed).of("wild")
        make({"fault": "spike", "on": "meter.power", "by": "9 kW", "probability": "30 %"}).begin(bench)
        make({"fault": "drift", "on": "meter.power", "by": "1 kW"}).begin(bench)
        shown = []
        for minute in range(60):
            world.devices["meter"].time = START + timedelta(minutes=minute)
            shown += [[world.devices["meter"].reading("power") for _ in range(looks)][-1]]
        return shown

    assert readings(1, 1) == readings(1, 3)
    assert readings(1, 1) != readings(2, 1)
