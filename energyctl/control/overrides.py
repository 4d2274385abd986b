"""What people have set by hand for a while: one override per point, with who, why and until when.

An override is a wish of rank operator in every cycle until it ends; the gate decides on it as on any other. Its end is a time
on the clock that never jumps, so setting the wall clock neither prolongs nor ends it. A file keeps it over a restart: within
the same run of the machine that clock goes on and the end stays exact; after a reboot the wall clock counts, but never for
more than was left when the file was written, so a clock that fell back prolongs nothing. A file that cannot be written is
removed: what was cleared must not come back.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, FiniteFloat, ValidationError

from energyctl.core.clock import Clock
from energyctl.core.files import write_whole
from energyctl.core.points import ProcessImage, Rank, Setpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Override:
    """A value [the point's unit] that a person wants at a point until `ends_s` on `Clock.monotonic()`."""

    point: str
    value: float
    by: str
    reason: str
    ends_s: float

    @property
    def setpoint(self) -> Setpoint:
        """The wish it stands for."""
        return Setpoint(self.point, self.value, Rank.OPERATOR, f"operator:{self.by}", self.reason, self.ends_s)


class _Kept(BaseModel):
    """An override in the file; `left_s` is what was left of it when the file was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: str
    value: FiniteFloat
    by: str
    reason: str
    until: AwareDatetime
    ends_s: FiniteFloat
    left_s: FiniteFloat


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    boot: str
    overrides: tuple[_Kept, ...]


class Overrides:
    """The standing overrides of a site. `on_change`, when set, is told of every one that begins or ends, and in which words."""

    def __init__(self, path: Path, clock: Clock, boot: str) -> None:
        """`boot` names the run of the machine; "" where monotonic times mean nothing to the next process."""
        self._path, self._clock, self._boot = path, clock, boot
        self.on_change: Callable[[Override, str], None] | None = None
        self._standing = {one.point: one for one in self._load()}
        if self._standing:
            self.keep()

    @property
    def standing(self) -> list[Override]:
        """Those that have not ended, by point."""
        now_s = self._clock.monotonic()
        return [one for _, one in sorted(self._standing.items()) if one.ends_s > now_s]

    def until(self, one: Override) -> datetime:
        """When an override ends by the wall clock as it goes now."""
        return self._clock.now() + timedelta(seconds=one.ends_s - self._clock.monotonic())

    def set(self, values: Mapping[str, float], by: str, reason: str, seconds: float) -> None:
        """Values by point for so long; what stood at these points is replaced. `keep` makes it survive a restart."""
        ends_s = self._clock.monotonic() + seconds
        new = {point: Override(point, value, by, reason, ends_s) for point, value in values.items()}
        self._standing = self._standing | new
        for one in new.values():
            self._tell(one, f"set to {one.value:g} by hand for {seconds:g} s")

    def clear(self, match: str, by: str) -> list[str]:
        """End the overrides of the points that match a glob; returns the points."""
        gone = [one for one in self.standing if fnmatch.fnmatchcase(one.point, match)]
        self._standing = {p: one for p, one in self._standing.items() if one not in gone}
        for one in gone:
            self._tell(one, f"override cleared by {by}")
        return [one.point for one in gone]

    def wishes(self, image: ProcessImage, now_s: float, expires_at: float) -> Sequence[Setpoint]:
        """One wish per override; those whose time is over are told of and dropped."""
        over = [one for one in self._standing.values() if one.ends_s <= now_s]
        for one in over:
            self._tell(one, "override over")
        if over:
            self._standing = {one.point: one for one in self._standing.values() if one.ends_s > now_s}
        return [one.setpoint for one in self.standing]

    def keep(self) -> bool:
        """Write what stands now to the file; False when that failed, and then a restart knows of none."""
        now_s = self._clock.monotonic()
        kept = tuple(
            _Kept(
                point=one.point,
                value=one.value,
                by=one.by,
                reason=one.reason,
                until=self.until(one),
                ends_s=one.ends_s,
                left_s=one.ends_s - now_s,
            )
            for one in self.standing
        )
        try:
            write_whole(self._path, _File(boot=self._boot, overrides=kept).model_dump_json(indent=1))
            return True
        except OSError as error:
            log.error("%s: overrides cannot be kept: %s", self._path, error)
            with suppress(OSError):
                self._path.unlink()
            return False

    def _load(self) -> list[Override]:
        try:
            file = _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            log.error("%s: overrides of before are lost: %s", self._path, error)
            return []
        now_s = self._clock.monotonic()
        left = [(one, self._left(one, file.boot)) for one in file.overrides]
        return [Override(k.point, k.value, k.by, k.reason, now_s + left_s) for k, left_s in left if left_s > 0]

    def _left(self, one: _Kept, boot: str) -> float:
        if boot and boot == self._boot:
            return one.ends_s - self._clock.monotonic()
        return min((one.until - self._clock.now()).total_seconds(), one.left_s)

    def _tell(self, one: Override, text: str) -> None:
        log.info("%s: %s (%s)", one.point, text, one.reason)
        if self.on_change is not None:
            self.on_change(one, text)
