"""The service notification protocol (sd_notify): READY, WATCHDOG, STOPPING over a Unix datagram socket.

The same few messages serve systemd and our own supervising parent. WATCHDOG is sent by a completed control cycle and by
nothing else, so that a hung loop is noticed whoever supervises. WATCHDOG_USEC, sent with READY where cycles are slow, asks
the supervisor to wait longer.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

WATCHDOG_S = 13.0
"""How long supervisors wait for a completed cycle unless they are told to be more patient."""


def patience(period_s: float) -> list[str]:
    """What to tell a supervisor where cycles are slow: wait 2.5 of them, which is less than the lease of three."""
    wanted_s = 2.5 * period_s
    return [f"WATCHDOG_USEC={int(wanted_s * 1e6)}"] if wanted_s > WATCHDOG_S else []


class Notifier:
    """Sends to $NOTIFY_SOCKET; does nothing when there is none."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def send(self, *lines: str) -> None:
        """Send assignments such as "READY=1"; a supervisor that has gone away is not our problem."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)
