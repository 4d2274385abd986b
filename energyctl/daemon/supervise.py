"""The supervising parent of a bare `energyctl run`: what systemd is to the service.

It starts the daemon as a child, listens for its watchdog over the same notification protocol, and when the child dies or
falls silent, hands its devices back from the journal, well within the lease. If the parent itself is killed the child sees
its standard input close and stops by itself. The parent imports nothing heavy, so that it is there when it is needed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WATCHDOG_S = 20.0
START_S = 60.0
EXIT_CRASHED = 70


def supervise(args: Sequence[str]) -> int:
    """Run `python -m energyctl.daemon ARGS` until it ends; hand back when it ended badly. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="energyctl-") as directory:
        address = str(Path(directory) / "notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(address)
        child = subprocess.Popen(
            [sys.executable, "-m", "energyctl.daemon", *args, "--stop-on-eof"],
            stdin=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))},
        )
        _pass_on_signals(child)
        with listener:
            silent = _watch(child, listener)
    if silent:
        print(f"energyctl: no completed cycle for {WATCHDOG_S:g} s; the daemon was killed", file=sys.stderr)
    elif child.returncode >= 0:
        return child.returncode
    else:
        print(f"energyctl: the daemon was killed by {signal.Signals(-child.returncode).name}", file=sys.stderr)
    print("energyctl: handing its devices back", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "energyctl.daemon.handback", *args], check=False)
    return EXIT_CRASHED


def _pass_on_signals(child: subprocess.Popen[bytes]) -> None:
    def stop(number: int, _: object) -> None:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _watch(child: subprocess.Popen[bytes], listener: socket.socket) -> bool:
    """Wait for the child to end. True when it had to be killed for being silent."""
    heard, watching, allowed = time.monotonic(), False, START_S
    while child.poll() is None:
        readable, _, _ = select.select([listener], [], [], 0.2)
        if readable:
            message = listener.recv(4096).decode(errors="replace").split("\n")
            heard = time.monotonic()
            watching = watching or "WATCHDOG=1" in message
            if "STOPPING=1" in message:
                allowed = START_S
            elif watching:
                allowed = WATCHDOG_S
        elif watching and time.monotonic() - heard > allowed:
            child.kill()
            child.wait()
            return True
    return False
