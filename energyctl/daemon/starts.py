"""Starts that came to no orderly end: ten within ten minutes are a crash loop, and then nothing is written.

Every start is written down and an orderly end wipes the record, whatever could be handed back. The tenth start in ten minutes
without one only monitors, with an alarm, and so does every start after it, until a person stops the daemon in order: who
starts it then has put right what made it crash, or learns again that it does.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from energyctl.control.alarms import Alarms
from energyctl.control.seams import Ban
from energyctl.core.clock import Clock
from energyctl.core.files import write_whole
from energyctl.core.points import ProcessImage

log = logging.getLogger(__name__)

MOST, WITHIN_S = 10, 600.0
RULE = "crash-loop"


class _Start(BaseModel):
    """A start by both clocks; the one that never jumps counts within one run of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boot: str
    at_s: float
    at: AwareDatetime


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    starts: tuple[_Start, ...] = ()
    looping: bool = False


class Starts:
    """Counts the starts of a site's daemon in a file; a ban on everything in a crash loop."""

    def __init__(self, path: Path, clock: Clock, boot: str, alarms: Alarms) -> None:
        """`boot` names the run of the machine; "" where monotonic times mean nothing to the next process."""
        self._path, self._clock, self._boot, self._alarms = path, clock, boot, alarms
        self._looping = False

    def begin(self) -> None:
        """Write this start down, and see whether it is one too many."""
        before = self._read()
        now = _Start(boot=self._boot, at_s=self._clock.monotonic(), at=self._clock.now())
        recent = [start for start in before.starts if self._ago_s(start, now) <= WITHIN_S][-MOST:]
        self._looping = before.looping or len(recent) + 1 >= MOST
        try:
            write_whole(self._path, _Record(starts=(*recent, now), looping=self._looping).model_dump_json())
        except OSError as error:
            log.error("%s: this start cannot be counted: %s", self._path, error)

    def end(self) -> None:
        """The daemon ends in order."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """Everything, in a crash loop."""
        return Ban(RULE, {"*": _TEXT}) if self._looping else None

    def look(self, image: ProcessImage, now_s: float) -> None:
        """The alarm of a crash loop."""
        self._alarms.set(RULE, "daemon", _TEXT if self._looping else None, image.time)

    def _read(self) -> _Record:
        try:
            return _Record.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return _Record()
        except (OSError, ValidationError) as error:
            log.error("%s: starts of before cannot be counted: %s", self._path, error)
            return _Record()

    def _ago_s(self, start: _Start, now: _Start) -> float:
        """How long ago a start was [s]. Between two runs of the machine the wall clock may have been set either way."""
        if start.boot and start.boot == now.boot:
            return now.at_s - start.at_s
        return abs(now.at - start.at) / timedelta(seconds=1)


_TEXT = (
    f"the daemon was started {MOST} times within {WITHIN_S / 60:g} min without an orderly end: it only monitors until it is "
    "stopped in order and started again"
)
