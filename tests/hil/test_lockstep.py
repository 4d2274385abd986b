"""Lockstep: time moves when the client says so, everything is out before the answer, and two runs are one."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from energyctl.daemon.lockstep import Lockstep, SiteClock
from hil.device import SimDevice
from hil.lockstep import LockstepServer, Moved
from hil.world import move

START = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
TOWN_HALL = Path("sites/larissa/town-hall.yaml").resolve()


class Clockwork:
    """A world that notes the steps it is moved in."""

    def __init__(self, **devices: SimDevice) -> None:
        self.time = START
        self.devices = devices
        self.off_s = 0.0
        self.steps: list[float] = []

    def step(self, to: datetime) -> None:
        self.steps.append((to - self.time).total_seconds())
        self.time = to


def moved(world: Clockwork) -> Moved:
    """The world as a server moves it."""
    pushes: list[datetime] = []

    async def push() -> dict[str, int]:
        pushes.append(world.time)
        return {"charger": len(pushes)}

    async def go(to: datetime) -> None:
        move(world, to, 60.0)

    return Moved(lambda: world.time, go, push, lambda: world.off_s)


@asynccontextmanager
async def lockstep(world: Clockwork, tmp_path: Path, **options):
    async with LockstepServer(moved(world), tmp_path / "s", **options) as server:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))

        async def ask(**message) -> dict:
            writer.write(json.dumps(message).encode() + b"\n")
            return json.loads(await asyncio.wait_for(reader.readline(), 5))

        hello = json.loads(await asyncio.wait_for(reader.readline(), 5))
        yield SimpleNamespace(server=server, hello=hello, ask=ask, reader=reader, writer=writer)
        writer.close()


async def test_greeting_advancing_and_the_end(tmp_path):
    world = Clockwork()
    async with lockstep(world, tmp_path, end=START + timedelta(minutes=3), step_s=60.0) as link:
        assert link.hello == {"now": "2026-01-15T00:00:00+00:00", "end": "2026-01-15T00:03:00+00:00", "step_s": 60.0}
        first = await link.ask(advance="2026-01-15T00:01:00+00:00")
        assert first == {"now": "2026-01-15T00:01:00+00:00", "pushed": {"charger": 1}, "clock_off_s": 0.0}
        world.off_s = -1200.0
        same = await link.ask(advance="2026-01-15T00:01:00+00:00")
        assert same == {"now": "2026-01-15T00:01:00+00:00", "pushed": {"charger": 2}, "clock_off_s": -1200.0}
        world.off_s = 0.0
        last = await link.ask(advance="2026-01-15T02:03:30+02:00")
        assert (last["now"], last["done"]) == ("2026-01-15T00:03:30+00:00", True)
        assert not link.server.finished.is_set()
    await asyncio.wait_for(link.server.finished.wait(), 5)
    assert world.steps == [60.0, 60.0, 60.0, 30.0]


async def test_a_wall_clock_can_be_wrong_and_the_other_clock_never_is(tmp_path):
    world = Clockwork()
    async with LockstepServer(moved(world), tmp_path / "s"):
        daemon = Lockstep(lambda: None)
        await daemon.connect(tmp_path / "s")
        clock, seen = SiteClock(daemon), []

        async def loop() -> None:
            with clock.busy():
                for minute, off_s in enumerate((0.0, 3600.0, -60.0, 0.0), 1):
                    world.off_s = off_s
                    await clock.sleep_until(60.0 * minute)
                    seen.append((clock.monotonic(), clock.now() - START - timedelta(minutes=minute)))

        driving = asyncio.create_task(clock.drive())
        await asyncio.wait_for(loop(), 5)
        driving.cancel()
        daemon.close()
    assert seen == [
        (60.0, timedelta(0)),
        (120.0, timedelta(hours=1)),
        (180.0, timedelta(minutes=-1)),
        (240.0, timedelta(0)),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"hello\n", "expected"),
        (b'{"advance": 5}\n', "expected"),
        (b'{"forward": "2026-01-15T00:01:00+00:00"}\n', "expected"),
        (b'{"advance": "2026-01-15T00:01:00"}\n', "cannot advance"),
        (
            b'{"advance": "2026-01-14T00:01:00+00:00"}\n',
            "cannot advance to 2026-01-14T00:01:00+00:00; it is 2026-01-15",
        ),
    ],
)
async def test_nonsense_is_told_and_ends_the_run(tmp_path, line, said):
    world = Clockwork()
    async with lockstep(world, tmp_path) as link:
        link.writer.write(line)
        assert said in json.loads(await asyncio.wait_for(link.reader.readline(), 5))["error"]
        assert await asyncio.wait_for(link.reader.read(), 5) == b""
        await asyncio.wait_for(link.server.finished.wait(), 5)
    assert world.steps == []


async def test_one_client_at_a_time(tmp_path):
    async with lockstep(Clockwork(), tmp_path) as link:
        reader, _ = await asyncio.open_unix_connection(str(tmp_path / "s"))
        assert "another client" in json.loads(await asyncio.wait_for(reader.readline(), 5))["error"]
        assert (await link.ask(advance="2026-01-15T00:01:00+00:00"))["pushed"] == {"charger": 1}


def test_devices_log_in_the_time_of_the_world(make_device):
    world = Clockwork(charger=make_device("charger", "generic/ev-charger@1"))
    move(world, START + timedelta(minutes=5), 60.0)
    world.devices["charger"].write("current_limit", 10.0)
    assert world.devices["charger"].log[0].time == START + timedelta(minutes=5)


# The process: the real town hall, moved by a script that also writes to its devices.


@asynccontextmanager
async def process(out: Path):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hil.process", str(TOWN_HALL), "--scenario", "town-hall-winter", "--lockstep"),
        *("--out", str(out)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": "random"},
    )
    assert child.stdout is not None
    try:
        yield child, json.loads(await asyncio.wait_for(child.stdout.readline(), 60))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


class Told:
    def __init__(self) -> None:
        self.total = 0
        self.rows: list[tuple[str, float]] = []

    def datachange_notification(self, node, value, data) -> None:
        self.total += 1
        self.rows.append((node.nodeid.Identifier, float(value)))


async def scripted(child, ready, steps: int) -> list:
    """Advance minute by minute; read the meter each time, follow the charger, command battery and charger now and then."""
    told, seen = Told(), []
    host, port = ready["endpoints"]["meter"].split()[1].split(":")
    modbus = AsyncModbusTcpClient(host, port=int(port), timeout=10, retries=0)
    await modbus.connect()
    reader, writer = await asyncio.open_unix_connection(ready["lockstep"])
    now = datetime.fromisoformat(json.loads(await reader.readline())["now"])
    async with Client(ready["endpoints"]["charger"].split()[1]) as client:
        index = await client.get_namespace_index("urn:energyctl:building")
        power, limit = (client.get_node(ua.NodeId(f"Charger.{name}", index)) for name in ("Power", "CurrentLimit"))
        subscription = await client.create_subscription(3_600_000, told)
        await subscription.subscribe_data_change([power, limit])
        for step in range(steps):
            now += timedelta(minutes=1)
            writer.write(json.dumps({"advance": now.isoformat()}).encode() + b"\n")
            pushed = json.loads(await reader.readline())["pushed"]["charger"]
            async with asyncio.timeout(10):
                while told.total < pushed:
                    await asyncio.sleep(0)
            got = await modbus.read_input_registers(52, count=2, device_id=1)
            seen.append((pushed, told.rows[-1], struct.unpack(">f", struct.pack(">2H", *got.registers))[0]))
            if step % 10 == 3:
                # SunSpec 704 of the battery: enabled, watts, and 5 kW to 1.4 kW of discharge
                await modbus.write_registers(40247, [1, 1, 0, 5000 - 40 * step], device_id=3)
            if step % 10 == 7:
                await limit.write_value(6.0 + step / 10)
    modbus.close()
    writer.close()
    assert await asyncio.wait_for(child.wait(), 20) == 0
    return seen


async def test_two_runs_are_the_same_also_with_other_load_on_the_machine(tmp_path, busy):
    async with process(tmp_path / "a") as one, process(tmp_path / "b") as other:
        with busy():
            first, second = await asyncio.gather(scripted(*one, 100), scripted(*other, 100))
    assert first == second
    for name in ("trace.json", "writes.json", "events.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    trace, writes = (json.loads((tmp_path / "a" / name).read_text()) for name in ("trace.json", "writes.json"))
    assert len(trace) == 100
    assert [(w["device"], w["point"], w["value"]) for w in writes[:5]] == [
        ("storage", "setpoint_enable", 1.0),
        ("storage", "setpoint_mode", 1.0),
        ("storage", "power_setpoint", -4.88),
        ("charger", "current_limit", 6.7),
        ("storage", "setpoint_enable", 1.0),
    ]
    assert writes[0]["time"] == trace[4]["time"]
    assert trace[5]["powers_kw"]["battery"] == pytest.approx(-4.88)
