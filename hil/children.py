"""Child processes of a run: started with a log, listened to, and ended on the way out, whatever the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from energyctl.core.errors import ConfigError, EnergyctlError

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0
_TAIL = 15

Child = asyncio.subprocess.Process


@asynccontextmanager
async def child_process(command: Sequence[str], log: Path, stdout: int) -> AsyncIterator[Child]:
    """A child whose standard input stays open as long as we live; ended on the way out if it has not ended by itself."""
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=stdout, stderr=errors
        )
    try:
        yield child
    finally:
        await stop(child)


async def stop(child: Child) -> None:
    """End a child with SIGTERM, or by force when it takes too long or nobody waits any more."""
    if child.returncode is None:
        child.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await child.wait()
        except TimeoutError:
            pass
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def first_word(child: Child, log: Path, who: str) -> dict[str, Any]:
    """The JSON line that says a child is ready. Raises ConfigError when a file was wrong, EnergyctlError otherwise."""
    assert child.stdout is not None
    try:
        line = await asyncio.wait_for(child.stdout.readline(), STARTS_WITHIN_S)
    except TimeoutError:
        line = b""
    if not line and await _code(child) == ConfigError.exit_code:
        raise ConfigError(tail(log))
    if not line:
        raise EnergyctlError(f"{who} did not start: {tail(log)}")
    said: dict[str, Any] = json.loads(line)
    return said


async def ended_well(child: Child, log: Path, who: str) -> None:
    """Wait for a child that is about to end. Raises EnergyctlError with the end of its log when it does not, or badly."""
    try:
        code = await asyncio.wait_for(child.wait(), ENDS_WITHIN_S)
    except TimeoutError:
        raise EnergyctlError(f"{who} does not end: {tail(log)}") from None
    if code != 0:
        raise EnergyctlError(f"{who} failed: {tail(log)}")


def tail(log: Path) -> str:
    """The end of a log, for messages."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join(lines) or f"nothing in {log}"


async def _code(child: Child) -> int | None:
    """The exit code of a child that has closed its output, None when it does not end."""
    try:
        return await asyncio.wait_for(child.wait(), 1.0)
    except TimeoutError:
        return None
