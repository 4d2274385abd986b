"""Whether the wall clock can be relied on. While it cannot, nothing that goes by the calendar is written.

Not trusted is a clock that shows a time before this program was made or, at the start, before the newest stored sample; and
one that was set: that moved against the clock that never jumps by more than `safety.clock_step` from one look to the next. A
clock that was set is trusted again once it has gone on without a jump for `safety.clock_settle`, unless it was set back by
more than a day. Where the operating system says that the clock is synchronised, that settles it at once.

While it is not trusted no plan is made nor followed, and a resource whose own rule goes by the time of day gets nothing;
people, safety rules and the limits of the connection are heard as ever. Monotonic time is never in doubt.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.seams import Ban
from energyctl.core.clock import Clock
from energyctl.core.durations import words
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Resource

RULE = "clock"
MADE = datetime(2026, 1, 1, tzinfo=UTC)
"""No real clock of this program is earlier."""
BACK_AT_MOST = timedelta(days=1)
"""A clock that is set back further is not believed on its own word."""
TRIM_SLACK = timedelta(days=1)
_TIME_ERROR = 5
_STA_UNSYNC = 0x40


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the wall clock: the last look at both clocks, the earliest time believed, the last jump."""

    wall: datetime
    mono_s: float
    earliest: datetime
    jumped_at_s: float | None = None
    doubt: str | None = None
    """Why it is not trusted; None when it is."""


def begin(wall: datetime, mono_s: float, made: datetime, newest: datetime | None, synchronised: bool) -> Trust:
    """The first look. `newest`: the newest stored sample, None when there is none."""
    earliest = made if newest is None else max(made, newest)
    return _judged(Trust(wall, mono_s, earliest), made, 0.0, synchronised)


def look(
    before: Trust, wall: datetime, mono_s: float, made: datetime, step_s: float, settle_s: float, synchronised: bool
) -> Trust:
    """The next look, by the rule of this module."""
    moved_s = (wall - before.wall).total_seconds() - (mono_s - before.mono_s)
    now = replace(before, wall=wall, mono_s=mono_s)
    if abs(moved_s) > step_s:
        ahead = "ahead" if moved_s > 0 else "back"
        now = replace(now, jumped_at_s=mono_s, doubt=f"it was set {ahead} by {words(timedelta(seconds=abs(moved_s)))}")
    return _judged(now, made, settle_s, synchronised)


def _judged(now: Trust, made: datetime, settle_s: float, synchronised: bool) -> Trust:
    if now.wall < made or (now.wall < now.earliest and not synchronised):
        return replace(now, doubt=f"it shows {now.wall:%Y-%m-%d %H:%M} UTC, and {now.earliest:%Y-%m-%d %H:%M} has been")
    settled = now.jumped_at_s is None or now.mono_s - now.jumped_at_s >= settle_s
    if settled or synchronised:
        return replace(now, earliest=max(made, now.wall - BACK_AT_MOST), jumped_at_s=None, doubt=None)
    return now


class ClockTrust:
    """Watches the wall clock of a daemon; a ban on what goes by the calendar while it is not trusted."""

    def __init__(
        self,
        clock: Clock,
        alarms: Alarms,
        resources: Sequence[Resource],
        newest: datetime | None,
        step_s: float,
        settle_s: float,
        synchronised: Callable[[], bool] | None = None,
    ) -> None:
        """`newest`: the time of the newest stored sample. `synchronised`: what the system says; a simulated clock has none."""
        self._clock, self._alarms, self._newest = clock, alarms, newest
        self._step_s, self._settle_s = step_s, settle_s
        self._synchronised = synchronised or (kernel_says_synchronised if not clock.virtual else lambda: False)
        self._made = datetime.min.replace(tzinfo=UTC) if clock.virtual else MADE
        scheduled = tuple(f"rule:{one.id}" for one in resources if getattr(one, "by_calendar", False))
        self._sources = ("plan:", *scheduled)
        self._began_s = clock.monotonic()
        self._trust = begin(clock.now(), self._began_s, self._made, newest, self._synchronised())

    @classmethod
    def of(cls, site: Site, clock: Clock, alarms: Alarms, newest: datetime | None) -> ClockTrust:
        """As a site file sets it."""
        safety = site.safety
        return cls(clock, alarms, site.resources, newest, safety.clock_step_s, safety.clock_settle_s)

    def succeed(self, before: ClockTrust) -> None:
        """Go on with what is known of the clock under another configuration."""
        self._trust, self._newest, self._began_s = before._trust, before._newest, before._began_s

    @property
    def doubt(self) -> str | None:
        """Why the wall clock is not trusted; None when it is."""
        return None if self._trust.doubt is None else f"the clock is not trusted: {self._trust.doubt}"

    def look(self, image: ProcessImage, now_s: float) -> None:
        """See `seams.Watches`."""
        now, synchronised = self._clock.now(), self._synchronised()
        self._trust = look(self._trust, now, now_s, self._made, self._step_s, self._settle_s, synchronised)
        self._alarms.set(RULE, "site", self.doubt, now)

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """See `seams.Bans`."""
        doubt = self.doubt
        return None if doubt is None else Ban(RULE, {"*": doubt}, self._sources)

    @property
    def trims_by(self) -> datetime | None:
        """The time that the age of history may be judged by, None while nothing may be deleted.

        Never more than a day later than the newest sample there was at the start would be by now: a clock that is years
        ahead, and stays so until it is believed, must not empty the historian.
        """
        now = self._clock.now()
        if self._trust.doubt is not None or self._newest is None:
            return None if self._trust.doubt is not None else now
        up = timedelta(seconds=self._clock.monotonic() - self._began_s)
        return min(now, self._newest + up + TRIM_SLACK)


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` of Linux, and room for its rest."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    ]


def kernel_says_synchronised() -> bool:
    """Whether a time service keeps this machine's clock right (adjtimex(2), which reads without any privilege)."""
    if os.uname().sysname != "Linux":
        return False
    timex = _Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return bool(state >= 0 and state != _TIME_ERROR and not timex.status & _STA_UNSYNC)
