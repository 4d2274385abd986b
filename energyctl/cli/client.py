"""Talks to a running daemon: one request line, one answer line, JSON over its Unix socket.

No answer at all means DaemonDown; what the daemon refuses comes back with its own words and exit code.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Generator
from contextlib import closing
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from energyctl.core.errors import DaemonDown, EnergyctlError
from energyctl.daemon.paths import address

TIMEOUT_S = 90.0
"""More than the daemon takes for anything; a plan has a minute."""


class RefusedByDaemon(EnergyctlError):
    """The daemon answered no; carries its words and its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class DaemonSilent(DaemonDown):
    """There is a daemon, and it does not answer in time."""


def ask(path: Path, do: str, timeout_s: float = TIMEOUT_S, **fields: Any) -> Any:
    """One request; returns its result. Raises DaemonDown or RefusedByDaemon."""
    with closing(stream(path, do, timeout_s, **fields)) as answers:
        return next(answers)


def stream(path: Path, do: str, timeout_s: float = TIMEOUT_S, **fields: Any) -> Generator[Any, None, None]:
    """One request, and every result that follows until the caller stops. Raises DaemonDown or RefusedByDaemon."""
    with _connect(path, timeout_s) as connection, connection.makefile("rwb") as lines:
        try:
            lines.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            lines.flush()
            while True:
                yield _answer(lines, path)
        except TimeoutError:
            raise DaemonSilent(f"the daemon at {path} did not answer within {timeout_s:g} s") from None
        except ConnectionError:
            raise DaemonDown(f"the daemon at {path} ended before it answered") from None


def daemon_pid(path: Path) -> int:
    """The process that listens at a control socket, also when it is hung. Raises DaemonDown."""
    with _connect(path, TIMEOUT_S) as connection:
        size = struct.calcsize("3i")
        pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]
        return pid


def _connect(path: Path, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        with address(path) as name:
            connection.connect(name)
    except PermissionError:
        connection.close()
        raise DaemonDown(f"not allowed to talk to the daemon at {path}; only its own user and root may") from None
    except OSError:
        connection.close()
        raise DaemonDown(f"no daemon is running (no answer at {path}); start it with 'energyctl run SITE'") from None
    return connection


def _answer(lines: BufferedRWPair, path: Path) -> Any:
    line = lines.readline()
    if not line:
        raise DaemonDown(f"the daemon at {path} ended before it answered; only its own user and root may ask")
    answer = json.loads(line)
    if not answer.get("ok"):
        raise RefusedByDaemon(str(answer.get("error", "no reason given")), int(answer.get("exit_code", 1)))
    return answer["result"]
