"""The emergency stop: while it stands nothing is written, by anybody, and everything that is held is handed back.

A file is the truth: it stands as long as the file is there, whatever is in it. So it can be pressed while the daemon is down,
hung or crash-looping, and holds from the first cycle of the next start. Where the file cannot be written (the disk is full)
the running daemon keeps it in mind and tries again to write it. When the folder cannot be looked into, what was known stays.
"""

from __future__ import annotations

import logging
from pathlib import Path

from energyctl.core.clock import Clock
from energyctl.core.estop_file import NOT_KEPT, Pressed, clear, press, pressed_at
from energyctl.core.points import ProcessImage

from .alarms import Alarms
from .seams import Ban

log = logging.getLogger(__name__)

RULE = "estop"


class EmergencyStop:
    """The emergency stop as a running daemon sees it: a ban on everything, and an alarm."""

    def __init__(self, path: Path, clock: Clock, alarms: Alarms) -> None:
        self._path, self._clock, self._alarms = path, clock, alarms
        self._unwritten: Pressed | None = None
        self._known: Pressed | None = None

    @property
    def standing(self) -> Pressed | None:
        """Who pressed it; None when it does not stand."""
        try:
            self._known = pressed_at(self._path) or self._unwritten
        except OSError as error:
            log.error("%s: whether the emergency stop stands cannot be known: %s", self._path, error)
        return self._known

    def press(self, by: str, reason: str) -> bool:
        """It stands from now on. False when it could not be written down."""
        pressed = Pressed(by, reason, self._clock.now())
        try:
            press(self._path, pressed)
        except OSError as error:
            log.error("%s: %s", self._path, error)
            self._known = self._unwritten = pressed
        else:
            self._unwritten = None
        return self._unwritten is None

    def clear(self) -> None:
        """End it. Raises OSError when the file cannot be removed, and then it stands."""
        clear(self._path)
        self._known = self._unwritten = None

    def barred(self, point: str) -> str | None:
        """Why a point may not be written to this very moment; asked just before the wire."""
        standing = self.standing
        return None if standing is None else str(standing)

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """Everything, while it stands."""
        standing = self.standing
        return None if standing is None else Ban(RULE, {"*": str(standing)})

    def look(self, image: ProcessImage, now_s: float) -> None:
        """The alarm while it stands; what could not be written down is tried again."""
        if self._unwritten is not None:
            self.press(self._unwritten.by, self._unwritten.reason)
        standing = self.standing
        text = None if standing is None else f"{standing}{'; ' + NOT_KEPT if self._unwritten else ''}"
        self._alarms.set(RULE, "site", text, image.time)
