"""The file that is the emergency stop: it stands as long as the file is there, whatever is in it.

Nothing heavy is imported here: the command that presses it must be quick.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import sync_folder

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
        path.stat()
    except FileNotFoundError:
        return None
    try:
        return _pressed(path.read_bytes())
    except OSError:  # it is there, whatever it is
        return Pressed("", "", None)


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
