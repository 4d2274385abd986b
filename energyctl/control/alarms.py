"""Alarms: raised when a condition lasts, kept while it does, acknowledged by people, cleared when it ends.

An alarm is identified by its name and subject, e.g. "device-lost" of "battery". The rules, in order:
- A condition must last as long as its kind's delay without being cleared; then the alarm is raised, once.
- Raising it again while it stands counts, and keeps it up to date. Clearing it ends it.
- One that is raised `FLAPS` times within `FLAP_WINDOW_S` comes and goes: it then stands until its condition has been gone
  for `QUIET_S`, and counts how often it came.
- An acknowledgement belongs to a standing alarm and ends with it.
- Standing alarms of an earlier run are taken over by `restore`, with their acknowledgements. Nothing clears them within
  `SETTLE_S`, since a device that has not been asked yet looks well; whoever says nothing of one for `FORGOTTEN_S` (or
  twice its delay) has forgotten it, and it is cleared.
- An alarm that follows from another (see `alarm_kinds`) is kept and journaled but not announced, as long as the other stands.

Durations are counted on a clock that never jumps. `on_change` is told of every step, for the journal; `announce` of those
that people should hear of.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from energyctl.core.errors import ConfigError
from energyctl.core.severity import Severity

from .alarm_kinds import OF_THE_SITE, AlarmKind, kind_of

log = logging.getLogger(__name__)

FLAPS = 6
FLAP_WINDOW_S = 600.0
QUIET_S = 600.0
SETTLE_S = 30.0
FORGOTTEN_S = 3600.0

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A standing or cleared alarm. `count` is how often its condition was seen, `times` how often it came."""

    name: str
    subject: str
    text: str
    raised_at: datetime
    count: int = 1
    cleared_at: datetime | None = None
    last_seen: datetime | None = None
    times: int = 1
    follows: str = ""
    """The standing alarm it follows from, as "name subject"."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""
    """Of who acknowledged it."""

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return kind_of(self.name).severity

    def as_json(self) -> dict[str, Any]:
        """For JSON: times as ISO 8601 text."""
        plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(self).items()}
        return {**plain, "severity": self.severity.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Alarm:
        """The inverse of `as_json`. Raises KeyError, TypeError or ValueError for anything else."""
        times = ("raised_at", "cleared_at", "last_seen", "acknowledged_at")
        known = {name: data[name] for name in cls.__slots__}
        return cls(**{**known, **{n: datetime.fromisoformat(known[n]) for n in times if known[n] is not None}})


@dataclass(slots=True)
class _Kept:
    """A standing alarm and what is known of its condition; times on the clock that never jumps [s]."""

    alarm: Alarm
    since_s: float
    holds: bool = True
    gone_s: float = 0.0
    flapping: bool = False
    restored: bool = False
    """Of an earlier run, and its condition has not been seen since."""
    announced: bool = False


@dataclass(slots=True)
class _Waiting:
    """A condition that has not lasted long enough."""

    since_s: float
    text: str


@dataclass
class Alarms:
    """The standing alarms. `monotonic` gives seconds that never jump; without it the times given are taken for that."""

    on_change: Callable[[Alarm], None] | None = None
    monotonic: Callable[[], float] | None = None
    announce: Callable[[str, Alarm], None] | None = None
    """Told "raised", "cleared" or "acknowledged" of what people should hear of."""
    _kept: dict[Key, _Kept] = field(default_factory=dict)
    _waiting: dict[Key, _Waiting] = field(default_factory=dict)
    _raises: dict[Key, deque[float]] = field(default_factory=dict)
    _taken_over: bool = False
    changes: int = 0
    """Counts whatever has to be remembered over a restart: raised, cleared, acknowledged."""

    @property
    def standing(self) -> list[Alarm]:
        """Standing alarms, oldest first, each with the alarm it follows from now."""
        found = [replace(kept.alarm, follows=self._cause(kept.alarm)) for kept in self._kept.values()]
        return sorted(found, key=lambda alarm: (alarm.raised_at, alarm.name, alarm.subject))

    def raise_(self, name: str, subject: str, text: str, now: datetime) -> None:
        """Say that a condition holds."""
        key, now_s = (name, subject), self._seconds(now)
        kept = self._kept.get(key)
        if kept is not None:
            self._continue(key, kept, text, now, now_s)
            return
        waiting = self._waiting.setdefault(key, _Waiting(now_s, text))
        waiting.text = text
        if now_s - waiting.since_s >= kind_of(name).delay_s:
            self._raise(key, now, now_s)

    def clear(self, name: str, subject: str, now: datetime) -> None:
        """Say that a condition does not hold; nothing happens when the alarm does not stand."""
        key, now_s = (name, subject), self._seconds(now)
        self._waiting.pop(key, None)
        kept = self._kept.get(key)
        if kept is None:
            return
        if kept.holds:
            kept.holds, kept.gone_s = False, now_s
        if self._may_end(kept, now_s):
            self._end(key, now)

    def set(self, name: str, subject: str, text: str | None, now: datetime) -> None:
        """Raise with `text`, or clear when it is None: for conditions that are looked at every cycle."""
        if text is None:
            self.clear(name, subject, now)
        else:
            self.raise_(name, subject, text, now)

    def doubt(self, name: str, subject: str) -> None:
        """Say that it cannot be told whether a condition holds: what waits begins anew, what stands stays."""
        self._waiting.pop((name, subject), None)

    def tick(self, now: datetime) -> None:
        """Do what time alone brings: delays that end, quiet that lasts, alarms of an earlier run that nobody knows."""
        now_s = self._seconds(now)
        for key, waiting in list(self._waiting.items()):
            if now_s - waiting.since_s >= kind_of(key[0]).delay_s:
                self._raise(key, now, now_s)
        for key, kept in list(self._kept.items()):
            forgotten = kept.restored and now_s - kept.since_s >= max(FORGOTTEN_S, 2 * kind_of(key[0]).delay_s)
            if forgotten or (not kept.holds and self._may_end(kept, now_s)):
                self._end(key, now)
            elif not kept.announced:
                self._announce(kept)

    def acknowledge(self, name: str, subject: str, by: str, note: str, now: datetime) -> Alarm:
        """Somebody has seen a standing alarm and says so. Raises ConfigError when it does not stand."""
        kept = self._kept.get((name, subject))
        if kept is None:
            there = ", ".join(f"'{alarm.name} {alarm.subject}'" for alarm in self.standing)
            raise ConfigError(f"no alarm '{name} {subject}' stands; {f'there are {there}' if there else 'none does'}")
        kept.alarm = replace(kept.alarm, acknowledged_at=now, acknowledged_by=by, note=note)
        self.changes += 1
        if self.announce is not None:
            self.announce("acknowledged", kept.alarm)
        return kept.alarm

    def restore(self, alarms: Sequence[Alarm], now: datetime) -> None:
        """Take over the standing alarms of an earlier run, once. They were told of then and are not told of again."""
        if self._taken_over:
            return
        self._taken_over, now_s = True, self._seconds(now)
        for alarm in alarms:
            kept = _Kept(replace(alarm, follows=""), now_s, restored=True, announced=True)
            self._kept.setdefault((alarm.name, alarm.subject), kept)

    def _seconds(self, now: datetime) -> float:
        return now.timestamp() if self.monotonic is None else self.monotonic()

    def _raise(self, key: Key, now: datetime, now_s: float) -> None:
        text = self._waiting.pop(key).text
        alarm = Alarm(*key, text, now, last_seen=now)
        raises = self._raises.setdefault(key, deque(maxlen=FLAPS))
        raises.append(now_s)
        flapping = len(raises) == FLAPS and now_s - raises[0] <= FLAP_WINDOW_S
        kept = _Kept(replace(alarm, times=FLAPS if flapping else 1), now_s, flapping=flapping)
        self._kept[key] = kept
        self.changes += 1
        log.warning("ALARM %s %s: %s%s", *key, text, " (comes and goes; it stands until it is quiet)" * flapping)
        self._tell(kept.alarm)
        self._announce(kept)

    def _continue(self, key: Key, kept: _Kept, text: str, now: datetime, now_s: float) -> None:
        came = 0 if kept.holds else 1
        alarm = kept.alarm
        kept.alarm = replace(alarm, count=alarm.count + 1, times=alarm.times + came, text=text, last_seen=now)
        if came:
            self._raises.setdefault(key, deque(maxlen=FLAPS)).append(now_s)
        kept.holds, kept.restored = True, False

    def _may_end(self, kept: _Kept, now_s: float) -> bool:
        if kept.restored and now_s - kept.since_s < SETTLE_S:
            return False
        return not kept.flapping or now_s - kept.gone_s >= QUIET_S

    def _end(self, key: Key, now: datetime) -> None:
        kept = self._kept.pop(key)
        cleared = replace(kept.alarm, cleared_at=now)
        self.changes += 1
        log.info("cleared %s %s after %s", *key, now - cleared.raised_at)
        self._tell(cleared)
        if kept.announced and self.announce is not None:
            self.announce("cleared", cleared)

    def _announce(self, kept: _Kept) -> None:
        if self._cause(kept.alarm):
            return
        kept.announced = True
        if self.announce is not None:
            self.announce("raised", kept.alarm)

    def _cause(self, alarm: Alarm) -> str:
        """The standing alarm that explains this one, as "name subject"; "" when it stands for itself."""
        return next((" ".join(key) for key in self._kept if explains(key, alarm, kind_of(alarm.name))), "")

    def _tell(self, alarm: Alarm) -> None:
        if self.on_change is not None:
            self.on_change(alarm)


def explains(cause: Key, alarm: Alarm, kind: AlarmKind) -> bool:
    """Whether an alarm follows from another one: by its kind, and because both are about the same device."""
    name, subject = cause
    if name not in kind.follows:
        return False
    return name in OF_THE_SITE or subject.partition(".")[0] == alarm.subject.partition(".")[0]
