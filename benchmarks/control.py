"""How soon devices are their own again, and how soon people know: `python benchmarks/control.py [--quick]`.

The real daemon runs on a bench of simulated Modbus devices in this process. Measured, each several times and against the
devices' own state, with a person's override on the battery and rules on the rest:
- kill: SIGKILL to the daemon under its supervising parent, until every device is as it was found;
- hang: SIGSTOP in the place of SIGKILL, with the watchdog as it is shipped (20 s);
- estop: from the start of `energyctl estop` in a process of its own, and without the start of Python, from the request on the
  control socket, until every device is as it was found;
- alarm: a device falls silent, or the meter shows nonsense, until the alarm is on the daemon's socket, asked every 20 ms;
- missed cycles of one second, beside a process that does nothing but sleep until each second's turn.
Prints a table, and last one JSON object. The lease, 60 s, is what the first two are held against.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from energyctl.config import load_site
from hil.still import Still
from hil.twin import Twin
from tests.daemon.conftest import Bench, modbus_only

LEASE_S = 60.0
SUPERVISED = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
BARE = """
import sys, time
period, end, missed = 1.0, time.monotonic() + float(sys.argv[1]), 0
due = time.monotonic()
while due < end:
    time.sleep(max(0.0, due - time.monotonic()))
    due += period
    late = time.monotonic() - due
    if late > 0:
        skipped = int(late // period) + 1
        missed, due = missed + skipped, due + skipped * period
print(missed)
"""
"""The daemon's own rule for a missed cycle, with no work at all."""
Figures = dict[str, list[float]]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Devices on sockets of this process; whatever was started on them is gone at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = modbus_only(folder)
        site = load_site(file)
        world = Still(site, datetime.now(UTC))
        for device, point, value in (("meter", "power", 12.0), ("inverter", "power", -3.0), ("storage", "soc", 0.5)):
            world.devices[device].set(point, value)
        world.devices["inverter"].set("power_limit", 1.0)
        async with Twin(site, world.devices) as twin:
            await twin.push()
            made = Bench(twin, world.devices, twin.derive(folder / "derived.yaml"), folder / "state")
            try:
                yield made
            finally:
                for process in made.started:
                    if process.returncode is None:
                        os.killpg(process.pid, signal.SIGKILL)
                        await process.wait()


def local(on: Bench) -> bool:
    """Whether the devices are as they were found."""
    battery, inverter = on.devices["storage"].values, on.devices["inverter"].values
    return battery["setpoint_enable"] == 0.0 == battery["setpoint_timeout"] and inverter["power_limit_enable"] == 0.0


async def seconds_until(condition: Callable[[], bool | Awaitable[bool]], most_s: float = 90.0) -> float:
    """How long it took [s], to 5 ms. Raises TimeoutError."""
    begun = time.monotonic()
    while time.monotonic() < begun + most_s:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return time.monotonic() - begun
        await asyncio.sleep(0.005)
    raise TimeoutError(f"not within {most_s:g} s")


async def commanding(on: Bench, *, supervised: bool) -> asyncio.subprocess.Process:
    """A daemon that holds the battery for a person."""
    process = await on.start("--strategy", "rules", code=SUPERVISED if supervised else None)
    await on.running()
    await on.ask("write", point="storage.power_setpoint", value=5.0, for_s=3600, reason="benchmark")
    await on.until(lambda: not local(on))
    return process


def child(process: asyncio.subprocess.Process) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


async def left_alone(on: Bench, number: signal.Signals, runs: int) -> list[float]:
    """From a signal to the supervised daemon until all devices are local."""
    figures = []
    for _ in range(runs):
        parent = await commanding(on, supervised=True)
        os.kill(child(parent), number)
        figures.append(await seconds_until(lambda: local(on)))
        await parent.wait()
    return figures


async def estop(on: Bench, runs: int, *, command: bool) -> list[float]:
    """From the command, or the request alone, until all devices are local."""
    figures = []
    program = "from energyctl.cli.main import main; main()"
    arguments = (sys.executable, "-c", program, "estop", "--state", str(on.state))
    for _ in range(runs):
        process = await commanding(on, supervised=False)
        begun = time.monotonic()
        if command:
            asked = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.DEVNULL)
        else:
            await on.ask("estop", reason="benchmark")
        await seconds_until(lambda: local(on))
        figures.append(time.monotonic() - begun)
        if command:
            await asked.wait()
        await on.ask("estop-clear")
        await on.stop(process)
    return figures


async def raised(on: Bench, name: str) -> bool:
    await on.twin.push()
    await asyncio.sleep(0.015)
    return any(alarm["name"] == name for alarm in (await on.status())["alarms"])


async def alarm_latency(on: Bench, runs: int) -> Figures:
    """From a fault until its alarm is on the socket."""
    process = await commanding(on, supervised=False)
    figures: Figures = {"alarm: device silent": [], "alarm: meter shows nonsense": []}
    meter, storage = on.devices["meter"], on.devices["storage"]
    for _ in range(runs):
        storage.online = False
        figures["alarm: device silent"].append(await seconds_until(lambda: raised(on, "device-lost")))
        storage.online = True
        await on.until(lambda: _gone(on, "device-lost"), 60)
        meter.set("power", math.nan)
        figures["alarm: meter shows nonsense"].append(await seconds_until(lambda: raised(on, "meter-lost")))
        meter.set("power", 12.0)
        await on.until(lambda: _gone(on, "meter-lost"), 60)
    await on.stop(process)
    return figures


async def _gone(on: Bench, name: str) -> bool:
    return not await raised(on, name)


async def missed_cycles(on: Bench, seconds: float) -> dict[str, Any]:
    """Of the daemon, while its battery follows a meter that moves all the time, and of a bare sleep loop beside it."""
    process = await commanding(on, supervised=False)
    await on.ask("override-clear", match="*")
    before = await on.status()
    bare = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE, str(seconds), stdout=subprocess.PIPE)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        on.devices["meter"].set("power", 12.0 + 8.0 * math.sin(time.monotonic()))
        await on.twin.push()
        await asyncio.sleep(0.25)
    after = await on.status()
    said, _ = await bare.communicate()
    await on.stop(process)
    return {
        "cycles": after["cycle"] - before["cycle"],
        "missed": after["missed_cycles"] - before["missed_cycles"],
        "missed by a bare sleep loop": int(said),
    }


def row(name: str, figures: Sequence[float]) -> str:
    return f"{name:32} {len(figures):3} {statistics.median(figures):9.2f} {max(figures):9.2f}"


async def measure(*, quick: bool) -> None:
    runs, hangs, watched_s = (3, 1, 20.0) if quick else (20, 5, 120.0)
    async with bench() as on:
        figures: Figures = {
            "kill -> local": await left_alone(on, signal.SIGKILL, runs),
            "hang -> local": await left_alone(on, signal.SIGSTOP, hangs),
            "estop command -> local": await estop(on, runs, command=True),
            "estop request -> local": await estop(on, runs, command=False),
            **await alarm_latency(on, runs),
        }
        cycles = await missed_cycles(on, watched_s)
    print(f"{'':32} {'N':>3} {'median s':>9} {'max s':>9}   (lease {LEASE_S:g} s)")
    for name, values in figures.items():
        print(row(name, values))
    print(", ".join(f"{name} {value}" for name, value in cycles.items()))
    print(json.dumps({"seconds": figures, "cycles": cycles}))


if __name__ == "__main__":
    asyncio.run(measure(quick="--quick" in sys.argv[1:]))
