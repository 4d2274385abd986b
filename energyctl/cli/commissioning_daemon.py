"""A daemon to commission with: the one that runs, or one of our own that controls nothing, for as long as it is needed.

Our own ends when we do, however we end, because its standard input closes then; it hands back what it holds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from energyctl.core.errors import DaemonDown, EnergyctlError
from energyctl.daemon.paths import StatePaths

from . import client
from .output import note

UP_WITHIN_S = 30.0
STOPPED_WITHIN_S = 40.0


@contextmanager
def some_daemon(site: Path, paths: StatePaths) -> Iterator[Path]:
    """The control socket of a daemon of the site. Raises EnergyctlError when none runs and none can be started."""
    try:
        client.ask(paths.socket, "status")
    except DaemonDown:
        with _own(site, paths):
            yield paths.socket
    else:
        yield paths.socket


@contextmanager
def _own(site: Path, paths: StatePaths) -> Iterator[None]:
    note("no daemon is running; one is started that controls nothing")
    how = ("--strategy", "rules", "--at-most", "monitor", "--stop-on-eof")
    command = [sys.executable, "-m", "energyctl.daemon", str(site), "--state", str(paths.root), *how]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
        try:
            _wait(process, paths, log)
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(STOPPED_WITHIN_S)


def _wait(process: subprocess.Popen[Any], paths: StatePaths, log: IO[str]) -> None:
    """Until it answers and every device has been heard, or cannot be."""
    until = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            log.seek(0)
            raise EnergyctlError(f"the daemon did not start:\n{log.read().strip()}")
        try:
            status = client.ask(paths.socket, "status")
        except DaemonDown:
            time.sleep(0.1)
            continue
        if status["cycle"] > 1 and all(map(_heard, status["devices"])):
            return
        time.sleep(0.1)
    raise DaemonDown(f"the daemon at {paths.socket} was not ready within {UP_WITHIN_S:g} s")


def _heard(device: dict[str, Any]) -> bool:
    return bool(device["mode"] == "off" or device["reads"] or device["errors"])
