"""The emergency stop: while it stands nothing is written, by anybody, and everything that is held is handed back.

A file is the truth: it stands as long as the file is there, whatever is in it. So it can be pressed while the daemon is down,
hung or crash-looping, and holds from the first cycle of the next start. Where the file cannot be written (the disk is full)
the running daemon keeps it in mind and tries again to write it. When the folder cannot be looked into, what was known stays.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from energyctl.core.clock import Clock
from energyctl.core.files import sync_folder
from energyctl.core.points import ProcessImage

from .alarms import Alarms
from .seams import Ban

log = logging.getLogger(__name__)

RULE = "estop"
NOT_KEPT = "it could not be written down, so a restart would forget it"


@dataclass(frozen=True, slots=True)
class Pressed:
    """Who pressed it, when and why; what the file does not tell is None or ""."""

    by: str
    reason: str
    at: datetime | None

    def __str__(self) -> str:
        when = f" since {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        why = f": {self.reason}" if self.reason else ""
        return f"emergency stop by {self.by or 'somebody'}{when}{why} ('energyctl estop clear' ends it)"


def press(path: Path, pressed: Pressed) -> None:
    """Make the emergency stop stand, on disk when this returns; one that stands already stays as it is.

    Raises OSError when that is not sure; the file may be there all the same, and then it stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return
    at = pressed.at.isoformat() if pressed.at else None
    try:
        with suppress(OSError):  # an empty file on a full disk stands as well
            os.write(descriptor, json.dumps({"by": pressed.by, "reason": pressed.reason, "at": at}).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def pressed_at(path: Path) -> Pressed | None:
    """Who pressed it; None when it does not stand. Raises OSError when that cannot be known."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        path.stat()  # it is there, whatever it is
        return Pressed("", "", None)
    return _pressed(content)


def clear(path: Path) -> None:
    """End it. Raises OSError when the file cannot be removed, and then it stands."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        sync_folder(path.parent)


def _pressed(content: bytes) -> Pressed:
    """Whatever is in the file."""
    try:
        said: Any = json.loads(content)
        at = datetime.fromisoformat(said["at"]).astimezone(UTC) if said.get("at") else None
        return Pressed(str(said["by"]), str(said["reason"]), at)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Pressed("", "", None)


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
