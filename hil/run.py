"""A simulated site and the real daemon in processes of their own, in lockstep, from the first minute to the last.

`run_pair` is what `energyctl hil run` and the demo use; pairs are independent, so several may run at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from energyctl.core.errors import ConfigError, EnergyctlError

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0
_TAIL = 15


@dataclass(frozen=True)
class RunResult:
    """A finished run: the files it left, how long it took, and how much simulated time it covered."""

    out: Path
    site: Path
    """The site file the daemon ran with."""
    trace: Path
    writes: Path
    state: Path
    """The daemon's state directory (historian and journal)."""
    wall_s: float
    """From the first step to the last, without starting and stopping."""
    simulated_s: float

    @property
    def speed(self) -> float:
        """Multiples of real time."""
        return self.simulated_s / self.wall_s if self.wall_s else 0.0


async def run_pair(
    site: Path,
    scenario: str,
    strategy: Literal["plan", "rules"],
    out: Path,
    progress: Callable[[float], None] | None = None,
    *,
    step_s: float = 60.0,
) -> RunResult:
    """Run a scenario of `site` under the daemon and return what it left in `out`.

    `progress` gets the share done, 0..1. Both processes log into `out` (site.log, daemon.log). Raises ConfigError for
    mistakes in the files, EnergyctlError with the end of the log of whichever process failed. Leaves no process behind,
    however it ends.
    """
    site_log, daemon_log = _logs(out)
    simulation = [sys.executable, "-m", "hil.process", str(site), "--scenario", scenario, "--lockstep", "--stop-on-eof"]
    simulation += ["--out", str(out), "--step", str(step_s)]
    async with _process(simulation, site_log, asyncio.subprocess.PIPE) as site_process:
        ready = await _ready(site_process, site_log)
        daemon = [sys.executable, "-m", "energyctl.daemon", ready["site"], "--lockstep", ready["lockstep"]]
        daemon += ["--state", str(out / "state"), "--strategy", strategy, "--stop-on-eof"]
        following = asyncio.create_task(_follow(site_process, progress))
        try:
            async with _process(daemon, daemon_log, asyncio.subprocess.DEVNULL) as daemon_process:
                if await daemon_process.wait():
                    raise EnergyctlError(f"the daemon failed: {_tail(daemon_log)}{_also(site_process, site_log)}")
            await _ended(site_process, site_log)
            wall_s, simulated_s = await following
        finally:
            following.cancel()
    return RunResult(
        out, Path(ready["site"]), out / "trace.json", out / "writes.json", out / "state", wall_s, simulated_s
    )


def _logs(out: Path) -> tuple[Path, Path]:
    out.mkdir(parents=True, exist_ok=True)
    return out / "site.log", out / "daemon.log"


@asynccontextmanager
async def _process(command: Sequence[str], log: Path, stdout: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child whose standard input stays open as long as we live; ended on the way out if it has not ended by itself."""
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=stdout, stderr=errors
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), ENDS_WITHIN_S)
            except (TimeoutError, asyncio.CancelledError):
                child.kill()
                await child.wait()


async def _ready(child: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), STARTS_WITHIN_S)
    except TimeoutError:
        line = b""
    if not line and await _code(child) == ConfigError.exit_code:
        raise ConfigError(_tail(log))
    if not line:
        raise EnergyctlError(f"the simulated site did not start: {_tail(log)}")
    ready: dict[str, Any] = json.loads(line)
    return ready


async def _code(child: asyncio.subprocess.Process) -> int | None:
    """The exit code of a child that has closed its output, None when it does not end."""
    try:
        return await asyncio.wait_for(child.wait(), 1.0)
    except TimeoutError:
        return None


async def _follow(child: asyncio.subprocess.Process, progress: Callable[[float], None] | None) -> tuple[float, float]:
    """Pass progress on until the simulation ends. Returns wall and simulated seconds from the first word to the last."""
    assert child.stdout is not None
    told: list[tuple[float, datetime]] = []
    while line := await child.stdout.readline():
        message = json.loads(line)
        told = [*told[:1], (time.monotonic(), datetime.fromisoformat(message["now"]))]
        if progress is not None:
            progress(float(message["share"]))
    return (told[-1][0] - told[0][0], (told[-1][1] - told[0][1]).total_seconds()) if told else (0.0, 0.0)


async def _ended(child: asyncio.subprocess.Process, log: Path) -> None:
    try:
        code = await asyncio.wait_for(child.wait(), ENDS_WITHIN_S)
    except TimeoutError:
        raise EnergyctlError(f"the simulated site does not end: {_tail(log)}") from None
    if code != 0:
        raise EnergyctlError(f"the simulated site failed: {_tail(log)}")


def _also(child: asyncio.subprocess.Process, log: Path) -> str:
    return f"\nand the simulated site: {_tail(log)}" if child.returncode else ""


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join(lines) or f"nothing in {log}"
