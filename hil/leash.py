"""`python -m hil.leash COMMAND...`: runs a command that must not outlive whoever started it.

When standard input closes, because the starter has ended in whatever way, or on SIGTERM or SIGINT, the command gets a
SIGTERM, and what is left of it after `GRACE_S` is killed, with all that it started. The exit code is the command's own, or
128 plus the signal that killed it, as shells have it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

GRACE_S = 25.0
_LOOK_EVERY_S = 0.1


def hold(command: Sequence[str]) -> int:
    """Run a command on the leash; returns its exit code."""
    wanted = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wanted.set())
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_wait_for_eof, args=(wanted,), daemon=True).start()
    while child.poll() is None and not wanted.wait(_LOOK_EVERY_S):
        pass
    code = _end(child)
    return code if code >= 0 else 128 - code


def _end(child: subprocess.Popen[bytes]) -> int:
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def _wait_for_eof(wanted: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    wanted.set()


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))
