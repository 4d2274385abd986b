"""The supervising parent of a bare `energyctl run`: what systemd is to the service.

It starts the daemon as a child, listens for its watchdog over the same notification protocol, and when the child dies,
fails or falls silent, hands its devices back from the journal, well within the lease. If the parent itself is killed the
child sees its standard input close and stops by itself. The child is born with SIGINT and SIGTERM blocked and unblocks
them once it can stop gracefully, so that Ctrl-C at any moment is a stop and never a crash. The parent imports nothing
heavy, so that it is there when it is needed.
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

WATCHDOG_S = 13.0
START_S = 60.0
EXIT_CRASHED = 70
NOTHING_LEFT = (0, 2, 9)
"""Exit codes of a daemon that has handed everything back, or took nothing: the site file was wrong, or another one runs."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def supervise(args: Sequence[str], program: Sequence[str] = ("-m", "energyctl.daemon")) -> int:
    """Run `python PROGRAM ARGS` until it ends; hand back when it ended badly. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="energyctl-") as directory:
        address = str(Path(directory) / "notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(address)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        child = subprocess.Popen(
            [sys.executable, *program, *args, "--stop-on-eof"],
            stdin=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))},
        )
        _pass_on_signals(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        with listener:
            silent = _watch(child, listener)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # inherited by the hand-back, which nothing is to interrupt
    if silent:
        print(f"energyctl: no completed cycle for {silent:g} s; the daemon was killed", file=sys.stderr)
    elif child.returncode in NOTHING_LEFT:
        return child.returncode
    elif child.returncode < 0:
        print(f"energyctl: the daemon was killed by {signal.Signals(-child.returncode).name}", file=sys.stderr)
    print("energyctl: handing its devices back", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "energyctl.daemon.handback", *args], check=False)
    return child.returncode if child.returncode > 0 else EXIT_CRASHED


def _pass_on_signals(child: subprocess.Popen[bytes]) -> None:
    def stop(number: int, _: object) -> None:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def _watch(child: subprocess.Popen[bytes], listener: socket.socket) -> float:
    """Wait for the child to end. When it had to be killed for being silent, the seconds it was given; else 0."""
    heard, watching, allowed, watchdog_s = time.monotonic(), False, START_S, WATCHDOG_S
    while child.poll() is None:
        readable, _, _ = select.select([listener], [], [], 0.2)
        if readable:
            message = listener.recv(4096).decode(errors="replace").split("\n")
            heard = time.monotonic()
            watching = watching or "WATCHDOG=1" in message
            watchdog_s = max((watchdog_s, *_asked(message)))
            if "STOPPING=1" in message:
                allowed = START_S
            elif watching:
                allowed = watchdog_s
        elif time.monotonic() - heard > allowed:
            child.kill()
            child.wait()
            return allowed
    return 0.0


def _asked(message: Sequence[str]) -> list[float]:
    """How long the child asks to be waited for [s]: a slow cycle needs more than `WATCHDOG_S`."""
    name = "WATCHDOG_USEC="
    return [int(line.removeprefix(name)) / 1e6 for line in message if line.startswith(name)]
