"""The control socket: how commands and the web process read and act through the one daemon.

Line JSON over a Unix socket: {"do": NAME, ...} in, {"ok": true, "result": ...} or {"ok": false, "error": ..., "exit_code": n}
out, one line each; "watch" streams. The socket's file mode and the peer's user id decide who may talk: the daemon's own
user and root; who it is, the handlers are told as "user", whatever the request says. A write goes the way of every other
write: it becomes a wish of rank operator, and the gate decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from energyctl.core.errors import EnergyctlError, StoreError
from energyctl.core.people import user_name

from .paths import address

log = logging.getLogger(__name__)

MAX_LINE = 64 * 1024
LEAST_WATCH_S = 0.05
MOST_CLIENTS = 200
Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlServer:
    """Serves `handlers` by the name in "do"."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self.handlers = handlers
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind the socket, for this user alone; a stale file of a dead daemon is replaced. Raises StoreError."""
        self._path.unlink(missing_ok=True)
        previous = os.umask(0o177)
        try:
            with address(self._path) as name:
                self._server = await asyncio.start_unix_server(self._client, name, limit=MAX_LINE)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot listen there: {error.strerror or error}") from error
        finally:
            os.umask(previous)

    async def stop(self) -> None:
        """Stop serving and remove the socket."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.cancel()
        self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            user = _user(writer.get_extra_info("socket"))
            if user is None or len(self._clients) > _most_clients():
                return
            while line := await reader.readline():
                await self._answer(line, user, writer)
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            with suppress(Exception):
                writer.close()

    async def _answer(self, line: bytes, user: str, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
            name = request["do"]
            handler = self.handlers[name]
            request["user"] = user
        except (ValueError, KeyError, TypeError):
            known = ", ".join(sorted(self.handlers))
            await _send(writer, {"ok": False, "error": f'send {{"do": one of {known}}}', "exit_code": 2})
            return
        try:
            if request.get("watch_s"):
                while True:
                    await _send(writer, {"ok": True, "result": await handler(request)})
                    await asyncio.sleep(max(LEAST_WATCH_S, float(request["watch_s"])))
                    handler = self.handlers.get(name, handler)
            await _send(writer, {"ok": True, "result": await handler(request)})
        except EnergyctlError as error:
            await _send(writer, {"ok": False, "error": str(error), "exit_code": error.exit_code})
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            text = f"bad request: {type(error).__name__}: {error}"
            await _send(writer, {"ok": False, "error": text, "exit_code": 2})


async def _send(writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()


def _most_clients() -> int:
    """So many at a time; one more is let go at once, so that clients alone cannot use up the daemon's file descriptors."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CLIENTS, allowed // 2)


def _user(connection: socket.socket) -> str | None:
    """The name of who asks; None unless it is the daemon's own user or root."""
    _, user, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    if user in (0, os.getuid()):
        return user_name(user)
    log.warning("control socket: refused user id %d", user)
    return None
