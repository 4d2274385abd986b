"""Alarms: raised once, kept while the condition lasts, cleared when it ends; each step logged and journaled.

An alarm is identified by its name and subject, e.g. "device-lost" of "battery". Raising it again while it stands only
counts. There is no delay here: whoever raises has already decided that it matters.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A standing or cleared alarm."""

    name: str
    subject: str
    text: str
    raised_at: datetime
    count: int = 1
    cleared_at: datetime | None = None


class Alarms:
    """The standing alarms. `on_change`, when set, is told of every raise and clear, with the alarm."""

    def __init__(self, on_change: Callable[[Alarm], None] | None = None) -> None:
        self._standing: dict[tuple[str, str], Alarm] = {}
        self.on_change = on_change

    @property
    def standing(self) -> list[Alarm]:
        """Standing alarms, oldest first."""
        return sorted(self._standing.values(), key=lambda alarm: (alarm.raised_at, alarm.name, alarm.subject))

    def raise_(self, name: str, subject: str, text: str, now: datetime) -> None:
        """Raise an alarm, or count it when it stands already."""
        standing = self._standing.get((name, subject))
        if standing is not None:
            self._standing[name, subject] = replace(standing, count=standing.count + 1, text=text)
            return
        alarm = Alarm(name, subject, text, now)
        self._standing[name, subject] = alarm
        log.warning("ALARM %s %s: %s", name, subject, text)
        self._tell(alarm)

    def clear(self, name: str, subject: str, now: datetime) -> None:
        """Clear an alarm; nothing happens when it does not stand."""
        alarm = self._standing.pop((name, subject), None)
        if alarm is not None:
            log.info("cleared %s %s after %s", name, subject, now - alarm.raised_at)
            self._tell(replace(alarm, cleared_at=now))

    def _tell(self, alarm: Alarm) -> None:
        if self.on_change is not None:
            self.on_change(alarm)

    def set(self, name: str, subject: str, text: str | None, now: datetime) -> None:
        """Raise with `text`, or clear when it is None: for conditions that are looked at every cycle."""
        if text is None:
            self.clear(name, subject, now)
        else:
            self.raise_(name, subject, text, now)
