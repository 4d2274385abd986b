"""`python -m hil.process SITE`: the simulated site as a process of its own.

It starts the devices' servers, writes a site file that points at them, and prints one JSON line,
{"ready": true, "site", "lockstep", "endpoints", "scenario"}. With --lockstep a client on the socket moves the time on, and
{"now", "share"} lines tell how far it has come; the process ends when the client goes. Without, time runs by itself, from
now, and a scenario's day repeats; faults can then be asked for on a control socket (see `hil.control`). SIGINT, SIGTERM
and the end of standard input (--stop-on-eof) end it as well. On every way out trace.json (the truth, row by row),
writes.json (all that the devices were told) and events.json (what happened to them) are in the output folder.
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
from energyctl.core.errors import ConfigError, EnergyctlError

from .control import Control, serving
from .device import SimDevice
from .faults import Bench, Schedule
from .lockstep import LockstepServer, Moved
from .plant import build
from .scenario import NotApplicable, Scenario, fitted, load, shipped, site_of
from .twin import Endpoint, Twin
from .world import World

PATIENCE, IMPATIENCE = "30 s", "1 s"
"""How long a client waits for a device's answer in lockstep, where time stands still meanwhile. Where answers are to get
lost every one that does costs that much real time."""
LONGEST_ROW_S = 60.0
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
    held: bool = False
    """Live: what is not there from the start on counts its time from when "start" is asked on the control socket."""


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
    scenario = _scenario(options, site)
    world = _world(site, scenario, options)
    faults = [] if scenario is None else [event.fault for event in scenario.events]
    seed = 0 if scenario is None else scenario.seed
    proxied = not options.lockstep or any(fault.on_line for fault in faults)
    async with AsyncExitStack() as stack:
        twin = await stack.enter_async_context(
            Twin(
                site,
                world.devices,
                site_ports=options.site_ports,
                proxied=proxied,
                paced=not options.lockstep,
                seed=seed,
            )
        )
        stack.callback(write_out, out, world)
        bench = Bench(
            site,
            world,
            twin,
            seed=seed,
            lockstep=options.lockstep,
            state=out / "state",
        )
        events = () if scenario is None else scenario.events
        held = tuple(event for event in events if options.held and event.at_s > 0)
        schedule = Schedule([event for event in events if event not in held], bench, world.log)
        schedule.check(held)
        stack.push_async_callback(schedule.close)
        gc.freeze()  # what start-up made stays for good: collections need not look at it again
        timeout = IMPATIENCE if any(fault.swallows for fault in faults) else PATIENCE
        derived = twin.derive(out / options.site.name, timeout if options.lockstep else None)
        for fault in faults:
            fault.prepare(derived, world.time)
        await schedule.go(world.time, options.step_s)
        await twin.push()
        name = None if scenario is None else scenario.name
        running = _Running(world, twin, schedule, options.step_s)
        if options.lockstep:
            end = None if scenario is None else scenario.end(site.timezone)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hil-")))
            moved = Moved(lambda: world.time, running.go, twin.push, lambda: bench.wall_clock.off_s)
            told = _shares(world.time, end, progress)
            server = LockstepServer(moved, folder / "time.sock", end, options.step_s, told)
            await stack.enter_async_context(server)
            ready(Ready(derived, folder / "time.sock", tuple(twin.endpoints), name))
            await _first(stop, server.finished)
        else:
            control = Control(schedule, twin, held)
            listening = stack.enter_context(serving(control, None if options.held else site.id, out))
            await listening.start()
            stack.push_async_callback(listening.stop)
            ready(Ready(derived, None, tuple(twin.endpoints), name))
            await _live(running, control, options.speed, stop)


def _scenario(options: Options, site: Site) -> Scenario | None:
    """The scenario with the site's own names. Raises ConfigError when it does not apply."""
    if options.scenario is None:
        return None if options.lockstep else fitting(site)
    scenario = load(options.scenario)
    found = fitted(scenario, site)
    if isinstance(found, NotApplicable):
        raise ConfigError(f"scenario '{scenario.name}' does not apply to site '{site.id}': {found.reason}")
    return found


def fitting(site: Site) -> Scenario | None:
    """The first scenario that ships for this very site and lets it live in peace; None when there is none."""
    return next((found for found in map(load, shipped()) if _lives_in_peace(found, site)), None)


def _lives_in_peace(scenario: Scenario, site: Site) -> bool:
    own = site_of(scenario)
    return own is not None and own.resolve() == site.path.resolve() and not scenario.events and not scenario.patch


def _world(site: Site, scenario: Scenario | None, options: Options) -> World:
    course = scenario or Scenario(name="any-day")
    if options.lockstep:
        return build(site, course, row_s=min(LONGEST_ROW_S, options.step_s))
    row_s = min(LONGEST_ROW_S, site.period_s) if course.mode == "live" else LONGEST_ROW_S
    return build(site, course, start=datetime.now(UTC).replace(microsecond=0), row_s=row_s)


@dataclass(frozen=True)
class _Running:
    """A world on the wire with its schedule."""

    world: World
    twin: Twin
    schedule: Schedule
    step_s: float

    async def go(self, to: datetime) -> None:
        """Move on to an instant; faults and stimuli begin and end at theirs."""
        await self.schedule.go(to, self.step_s)


async def _live(running: _Running, control: Control, speed: float, stop: asyncio.Event) -> None:
    """Move the world on once a second and whenever something is due, by the running clock, so that lateness is made up for."""
    loop = asyncio.get_running_loop()
    await running.go(datetime.now(UTC))  # the servers took a while to start
    begun, start = loop.time(), running.world.time
    while not stop.is_set():
        passed = loop.time() - begun
        wait = 1.0 - passed % 1.0
        due = running.schedule.next_due
        if due is not None:
            wait = min(wait, max(0.0, (due - start).total_seconds() / speed - passed))
        control.woken.clear()
        await _first(stop, control.woken, timeout=wait)
        async with control.moving:
            await running.go(start + timedelta(seconds=(loop.time() - begun) * speed))
            await running.twin.push()


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
    """trace.json, writes.json and events.json: lists of rows, times as ISO text, in order of time."""
    lists = {
        "trace": [_plain(row) for row in world.trace],
        "writes": writes(world.devices),
        "events": [_plain(event) for event in world.log.events],
    }
    for name, rows in lists.items():
        (out / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")


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
    parser.add_argument("--out", type=Path, help="folder for the site file, trace.json, writes.json and events.json")
    parser.add_argument("--step", dest="step_s", type=float, default=60.0, help="lockstep control period [s]")
    parser.add_argument("--seconds-per-second", dest="speed", type=float, default=1.0, help="speed of a live run")
    parser.add_argument("--site-ports", action="store_true", help="the site file's own ports instead of free ones")
    parser.add_argument("--held", action="store_true", help="events wait for 'start' on the control socket")
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
