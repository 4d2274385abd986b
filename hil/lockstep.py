"""The simulated site's side of lockstep: whoever connects moves its time on, and time stands still in between.

Line JSON over a Unix socket. The greeting is {"now", "end", "step_s"}. {"advance": time} moves the world to that time,
pushes everything out to subscribers and is answered by {"now", "pushed": {device: notifications sent so far},
"clock_off_s": how far the client's wall clock is to be off}, with "done": true from the end on. A request that makes no
sense gets {"error": why} and the connection is closed. One client at a time; when it goes the run is over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Moved:
    """The world of a lockstep run: what time it is there, and how to move it on and send out what is new."""

    now: Callable[[], datetime]
    go: Callable[[datetime], Awaitable[None]]
    push: Callable[[], Awaitable[Mapping[str, int]]]
    """Returns the notifications sent so far per device."""
    clock_off_s: Callable[[], float] = lambda: 0.0
    """How far the client's wall clock is to be off [s]."""


class LockstepServer:
    """Moves a world for one client; `finished` is set when that client has gone."""

    def __init__(
        self,
        world: Moved,
        path: Path,
        end: datetime | None = None,
        step_s: float = 60.0,
        moved: Callable[[datetime], None] | None = None,
    ) -> None:
        self.finished = asyncio.Event()
        self._world, self._path = world, path
        self._end, self._step_s, self._moved = end, step_s, moved
        self._busy = False
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._busy:
            await _send(writer, {"error": "another client moves this site's time"})
            writer.close()
            return
        self._busy = True
        try:
            await _send(writer, self._greeting())
            while line := await reader.readline():
                answer = await self._answer(line)
                await _send(writer, answer)
                if "error" in answer:
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.finished.set()

    def _greeting(self) -> dict[str, Any]:
        end = None if self._end is None else self._end.isoformat()
        return {"now": self._world.now().isoformat(), "end": end, "step_s": self._step_s}

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            to = datetime.fromisoformat(json.loads(line)["advance"])
        except (ValueError, KeyError, TypeError):
            return {"error": 'expected {"advance": "2026-01-15T00:01:00+00:00"}'}
        if to.tzinfo is None or to < self._world.now():
            return {"error": f"cannot advance to {to.isoformat()}; it is {self._world.now().isoformat()}"}
        await self._world.go(to.astimezone(UTC))
        answer: dict[str, Any] = {
            "now": self._world.now().isoformat(),
            "pushed": dict(await self._world.push()),
            "clock_off_s": self._world.clock_off_s(),
        }
        if self._moved is not None:
            self._moved(self._world.now())
        return answer | ({"done": True} if self._end is not None and self._world.now() >= self._end else {})


async def _send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()
