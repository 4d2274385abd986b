"""A simulated site and the real daemon in processes of their own, from a scenario's first instant to its last.

In lockstep the daemon moves the site's time on; live both follow the clock, and the daemon runs as it does in a building,
under `energyctl run` with its supervising parent. Runs are independent, so several may go on at once.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from energyctl.config import load_site
from energyctl.core.errors import EnergyctlError

from .children import STARTS_WITHIN_S, Child, child_process, ended_well, first_word, stop, tail
from .control import ask
from .events import Happened
from .scenario import Scenario, load, patched, saved
from .testing.defects import daemon_command

Progress = Callable[[float], None]
_WHO = "the simulated site"
_LEFT = ("trace.json", "writes.json", "events.json", "site.log", "daemon.log")
_TOLD_EVERY_S = 0.5
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class RunResult:
    """A finished run: the files it left, how long it took, and how much simulated time it covered."""

    out: Path
    site: Path
    """The site file the daemon ran with."""
    trace: Path
    writes: Path
    events: Path
    state: Path
    """The daemon's state directory (historian and journal)."""
    wall_s: float
    """From the first step to the last, without starting and stopping."""
    simulated_s: float
    daemon_code: int
    """What the daemon ended with, or in a live run its supervising parent."""

    @property
    def speed(self) -> float:
        """Multiples of real time."""
        return self.simulated_s / self.wall_s if self.wall_s else 0.0


@dataclass(frozen=True)
class Given:
    """What a run starts from: the site file with the scenario's patch, the scenario as it will run, where everything goes."""

    site: Path
    scenario: Scenario
    out: Path
    defect: str | None = None
    """Planted in the daemon, to see that something goes red for it (see `hil.testing.defects`)."""

    def simulation(self, *options: str) -> list[str]:
        """The command of the simulated site."""
        command = [sys.executable, "-m", "hil.process", str(self.site), "--scenario", str(self.scenario.file)]
        return [*command, "--stop-on-eof", "--out", str(self.out), *options]

    @property
    def site_log(self) -> Path:
        return self.out / "site.log"

    @property
    def daemon_log(self) -> Path:
        return self.out / "daemon.log"


async def run_pair(
    site: Path, scenario: str, strategy: Literal["plan", "rules"], out: Path, progress: Progress | None = None
) -> RunResult:
    """Run a scenario of `site` in lockstep, guided by `strategy`, and return what it left in `out`.

    `progress` gets the share done, 0..1. Both processes log into `out` (site.log, daemon.log). Raises ConfigError for
    mistakes in the files, EnergyctlError with the end of the log of whichever process failed. Leaves no process behind,
    however it ends.
    """
    result = await run(site, load(scenario), out, progress, strategy=strategy)
    if result.daemon_code:
        raise EnergyctlError(f"the daemon failed: {tail(out / 'daemon.log')}")
    return result


async def run(
    site: Path, scenario: Scenario, out: Path, progress: Progress | None = None, **other: str | int
) -> RunResult:
    """Run a scenario in its own mode, with `other` values of it where given; `run_pair` says the rest.

    A daemon that ends badly is no error here: its exit code is in the result, and in events.json.
    """
    return await run_given(prepare(site, scenario, out, **other), progress)


def prepare(site: Path, scenario: Scenario, out: Path, **other: str | int) -> Given:
    """Write into `out` what a run starts from; what an earlier run left there is deleted.

    Raises ConfigError for a patch that does not suit the site.
    """
    for name in _LEFT:
        (out / name).unlink(missing_ok=True)
    if (out / "given").is_dir():
        shutil.rmtree(out / "state", ignore_errors=True)
    changed = saved(scenario, out / "given" / "scenario.yaml", site, **other)
    scenario = load(changed)
    if scenario.patch:
        site = patched(site, scenario.patch, out / "given" / "patched")
    return Given(site, scenario, out)


async def run_given(given: Given, progress: Progress | None = None) -> RunResult:
    """Run what has been prepared; `run` says the rest."""
    return await (_live if given.scenario.mode == "live" else _lockstep)(given, progress)


async def _lockstep(given: Given, progress: Progress | None) -> RunResult:
    scenario = given.scenario
    start = scenario.start(load_site(given.site).timezone)
    command = given.simulation("--lockstep", "--step", str(scenario.step))
    async with child_process(command, given.site_log, asyncio.subprocess.PIPE) as simulation:
        ready = await first_word(simulation, given.site_log, _WHO)
        following = asyncio.create_task(_follow(simulation, progress))
        try:
            daemon = [*daemon_command(given.defect), ready["site"], "--lockstep", ready["lockstep"]]
            daemon += ["--state", str(given.out / "state"), "--strategy", scenario.strategy, "--stop-on-eof"]
            async with child_process(daemon, given.daemon_log, asyncio.subprocess.DEVNULL) as child:
                code = await child.wait()
            if code:
                await _let_go(Path(ready["lockstep"]))
            await ended_well(simulation, given.site_log, _WHO)
            told = await following
        finally:
            following.cancel()
    wall_s, end = (told[-1][0] - told[0][0], told[-1][1]) if told else (0.0, start)
    simulated_s = (end - told[0][1]).total_seconds() if told else 0.0
    if code == 0 and end < start + timedelta(seconds=scenario.lasts):
        raise EnergyctlError(f"{_WHO} stopped at {end.isoformat()}, before the end: {tail(given.site_log)}")
    _note(given.out / "events.json", start, end, code)
    return _result(given, ready, wall_s, simulated_s, code)


async def _live(given: Given, progress: Progress | None) -> RunResult:
    """The scenario's time begins when the daemon has completed a cycle; what is at 0 s is there before the daemon."""
    scenario = given.scenario
    async with child_process(given.simulation("--held"), given.site_log, asyncio.subprocess.PIPE) as simulation:
        ready = await first_word(simulation, given.site_log, _WHO)
        start = datetime.now(UTC)
        daemon = [sys.executable, "-m", "hil.leash", *daemon_command(given.defect, supervised=True), ready["site"]]
        daemon += ["--state", str(given.out / "state"), "--strategy", scenario.strategy]
        async with child_process(daemon, given.daemon_log, asyncio.subprocess.DEVNULL) as child:
            ended = asyncio.create_task(_ended_at(child))
            await _up(child, given)
            begun = time.monotonic()
            await asyncio.to_thread(ask, given.out, "start")
            await _wait(simulation, begun, scenario.lasts, progress)
            await stop(child)
            end, code = await ended
        wall_s = time.monotonic() - begun
        if simulation.returncode is None:
            simulation.terminate()
        await ended_well(simulation, given.site_log, _WHO)
    _note(given.out / "events.json", start, end, code)
    return _result(given, ready, wall_s, wall_s, code)


async def _up(child: Child, given: Given) -> None:
    """Wait until the daemon has completed its first cycle. Raises EnergyctlError when it does not get there."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not await asyncio.to_thread(_cycles, given.out / "state" / "control.sock"):
        if child.returncode is not None:
            raise EnergyctlError(f"the daemon failed: {tail(given.daemon_log)}")
        if time.monotonic() > deadline:
            raise EnergyctlError(f"the daemon did not start within {STARTS_WITHIN_S:g} s: {tail(given.daemon_log)}")
        await asyncio.sleep(_LOOK_EVERY_S)


def _cycles(control: Path) -> int:
    try:
        return int(ask(control, "status")["cycle"])
    except EnergyctlError:
        return 0


async def _wait(simulation: Child, begun: float, seconds: float, progress: Progress | None) -> None:
    """Until so long after `begun`, or the simulation has ended."""
    while (gone := time.monotonic() - begun) < seconds and simulation.returncode is None:
        if progress is not None:
            progress(gone / seconds)
        await asyncio.sleep(min(_TOLD_EVERY_S, seconds - gone))
    if progress is not None:
        progress(1.0)


async def _let_go(simulation: Path) -> None:
    """Come and go in place of a client that has perhaps never come: the simulation ends when its client goes."""
    with suppress(OSError):
        _, writer = await asyncio.open_unix_connection(str(simulation))
        writer.close()


async def _ended_at(child: Child) -> tuple[datetime, int]:
    code = await child.wait()
    return datetime.now(UTC), code


async def _follow(child: Child, progress: Progress | None) -> list[tuple[float, datetime]]:
    """Pass progress on until the simulation ends. Returns the first and the last word: wall [s] and simulated time."""
    assert child.stdout is not None
    told: list[tuple[float, datetime]] = []
    while line := await child.stdout.readline():
        message = json.loads(line)
        told = [*told[:1], (time.monotonic(), datetime.fromisoformat(message["now"]))]
        if progress is not None:
            progress(float(message["share"]))
    return told


def _note(events: Path, start: datetime, end: datetime, code: int) -> None:
    """What became of the daemon, put among what else happened, by time."""
    happened: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        happened = json.loads(events.read_text())
    happened += [_event(start, "started"), _event(end, "ended", code=code)]
    happened.sort(key=lambda event: datetime.fromisoformat(event["time"]))
    events.write_text(json.dumps(happened, indent=1) + "\n")


def _event(at: datetime, text: str, **data: int) -> dict[str, Any]:
    return {"time": at.isoformat(), "kind": Happened.DAEMON.value, "subject": "daemon", "text": text, "data": data}


def _result(given: Given, ready: dict[str, Any], wall_s: float, simulated_s: float, code: int) -> RunResult:
    out = given.out
    files = (out / "trace.json", out / "writes.json", out / "events.json", out / "state")
    return RunResult(out, Path(ready["site"]), *files, wall_s, simulated_s, code)
