"""`python -m hil.process SITE`: the simulated site as a process of its own.

It starts the devices' servers, writes a site file that points at them, and prints one JSON line,
{"ready": true, "site", "lockstep", "endpoints", "scenario"}. With --lockstep a client on the socket moves the time on, and
{"now", "share"} lines tell how far it has come; the process ends when the client goes. Without, time runs by itself, from
now, and a scenario's day repeats. SIGINT, SIGTERM and the end of standard input (--stop-on-eof) end it as well. On every
way out trace.json (the truth, a row a minute) and writes.json (all that the devices were told) are in the output folder.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from energyctl.config import Site, load_site
from energyctl.core.errors import EnergyctlError

from .device import SimDevice
from .lockstep import LockstepServer, World, move
from .plant import Plant
from .scenario import Scenario, load, shipped
from .still import Still
from .twin import Endpoint, Twin

PATIENCE = "30 s"
"""How long a client waits for a device's answer in lockstep, where time stands still meanwhile."""
SHARES = 200
"""Progress is told this many times in a run."""


@dataclass(frozen=True)
class Options:
    """How to run a simulated site; `step_s` is the control period of a lockstep run [simulated s]."""

    site: Path
    scenario: str | None = None
    lockstep: bool = False
    out: Path | None = None
    step_s: float = 60.0
    speed: float = 1.0
    """Simulated seconds per second of wall time, when running live."""
    site_ports: bool = False
    stop_on_eof: bool = False


@dataclass(frozen=True)
class Ready:
    """What a started simulation has to say."""

    site: Path
    lockstep: Path | None
    endpoints: tuple[Endpoint, ...]
    scenario: str | None

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(
            {
                "ready": True,
                "site": str(self.site),
                "lockstep": None if self.lockstep is None else str(self.lockstep),
                "endpoints": {e.device: f"{e.protocol} {e.address}" for e in self.endpoints},
                "scenario": self.scenario,
            }
        )


async def simulate(
    options: Options,
    stop: asyncio.Event,
    ready: Callable[[Ready], None],
    progress: Callable[[datetime, float], None] | None = None,
) -> None:
    """Run a simulated site until `stop` is set, or its lockstep client goes. Raises ConfigError."""
    site = load_site(options.site, resolve_secrets=True)
    out = options.out or Path(tempfile.mkdtemp(prefix="hil-"))
    out.mkdir(parents=True, exist_ok=True)
    scenario = load(options.scenario) if options.scenario else None if options.lockstep else fitting(site)
    world = _world(site, scenario, options.lockstep)
    async with AsyncExitStack() as stack:
        twin = await stack.enter_async_context(Twin(site, world.devices, site_ports=options.site_ports))
        stack.callback(write_out, out, world)
        gc.freeze()  # what start-up made stays for good: collections need not look at it again
        move(world, world.time, options.step_s)
        await twin.push()
        derived = twin.derive(out / options.site.name, PATIENCE if options.lockstep else None)
        name = None if scenario is None else scenario.name
        if options.lockstep:
            end = None if scenario is None else scenario.end(site.timezone)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hil-")))
            server = LockstepServer(
                world, twin.push, folder / "time.sock", end, options.step_s, _shares(world.time, end, progress)
            )
            await stack.enter_async_context(server)
            ready(Ready(derived, folder / "time.sock", tuple(twin.endpoints), name))
            await _first(stop, server.finished)
        else:
            ready(Ready(derived, None, tuple(twin.endpoints), name))
            await _live(world, twin, options.speed, stop)


def fitting(site: Site) -> Scenario | None:
    """The first scenario that ships whose measured data lie beside the site file; None when there is none."""
    scenarios = (load(name) for name in shipped())
    return next((found for found in scenarios if (site.path.parent / found.measured).is_file()), None)


def _world(site: Site, scenario: Scenario | None, lockstep: bool) -> World:
    now = datetime.now(UTC).replace(microsecond=0)
    if scenario is None:
        return Still(site, now)
    return Plant(scenario, site) if lockstep else Plant(scenario, site, start=now)


async def _live(world: World, twin: Twin, speed: float, stop: asyncio.Event) -> None:
    """Move the world on once a second, by the running clock, so that a late step is made up for."""
    loop = asyncio.get_running_loop()
    begun, start = loop.time(), world.time
    while not stop.is_set():
        await _first(stop, timeout=1.0 - (loop.time() - begun) % 1.0)
        move(world, start + timedelta(seconds=(loop.time() - begun) * speed), 60.0)
        await twin.push()


async def _first(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Wait for the first of these events, or until the timeout."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _shares(
    start: datetime, end: datetime | None, progress: Callable[[datetime, float], None] | None
) -> Callable[[datetime], None] | None:
    if end is None or progress is None:
        return None
    told = -1

    def moved(now: datetime) -> None:
        nonlocal told
        share = (now - start) / (end - start)
        if int(share * SHARES) > told:
            told = int(share * SHARES)
            progress(now, min(1.0, share))

    return moved


def write_out(out: Path, world: World) -> None:
    """trace.json and writes.json: lists of rows, times as ISO text; writes by time, then device, then as they came."""
    rows = [_plain(row) for row in getattr(world, "trace", [])]
    (out / "trace.json").write_text(json.dumps(rows, indent=1) + "\n")
    (out / "writes.json").write_text(json.dumps(writes(world.devices), indent=1) + "\n")


def writes(devices: Mapping[str, SimDevice]) -> list[dict[str, Any]]:
    """Every write the devices got, by time, then device, then as they came."""
    records = [record for device in sorted(devices) for record in devices[device].log]
    return [_plain(record) for record in sorted(records, key=lambda record: record.time)]


def _plain(row: object) -> dict[str, Any]:
    if not is_dataclass(row) or isinstance(row, type):
        raise TypeError(f"not a row: {row!r}")
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(row).items()}


def parse(arguments: Sequence[str]) -> Options:
    """Options from the command line."""
    parser = argparse.ArgumentParser(prog="python -m hil.process", description="Run a simulated site in this process.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--scenario", help="a file, or the name of one that ships")
    parser.add_argument("--lockstep", action="store_true", help="time moves when a client on the socket says so")
    parser.add_argument("--out", type=Path, help="folder for the site file, trace.json and writes.json")
    parser.add_argument("--step", dest="step_s", type=float, default=60.0, help="lockstep control period [s]")
    parser.add_argument("--seconds-per-second", dest="speed", type=float, default=1.0, help="speed of a live run")
    parser.add_argument("--site-ports", action="store_true", help="the site file's own ports instead of free ones")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when standard input closes")
    return Options(**vars(parser.parse_args(arguments)))


def quiet() -> None:
    """Silence what the protocol libraries log about clients that come and go."""
    for name in ("asyncua", "bacpypes3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def run(
    options: Options,
    ready: Callable[[Ready], None],
    progress: Callable[[datetime, float], None] | None = None,
) -> None:
    """Simulate until SIGINT or SIGTERM, or the end of standard input when that is wanted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.stop_on_eof:
        # a plain file or /dev/null cannot be watched, and has no parent behind it that could end
        with suppress(PermissionError):
            loop.add_reader(sys.stdin.fileno(), stop.set)
    await simulate(options, stop, ready, progress)


def _tell_ready(ready: Ready) -> None:
    print(ready.line(), flush=True)


def _tell_progress(now: datetime, share: float) -> None:
    print(json.dumps({"now": now.isoformat(), "share": round(share, 4)}), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of `python -m hil.process`."""
    quiet()
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        asyncio.run(run(options, _tell_ready, _tell_progress))
    except EnergyctlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
