"""Asks the site's rules every cycle (see `control.rules`), and keeps what they must know again after a restart.

It is written into the state directory when a rule begins or ends something, and every `SAVE_EVERY_S`; what a crash loses of
it is the time since then, which the calendar tells. Writing waits for the disk on a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from energyctl.config.site import RuleSection, Site
from energyctl.control.alarms import Alarms
from energyctl.control.rules import KINDS, Now, State
from energyctl.control.seams import Calendar
from energyctl.core.clock import Clock
from energyctl.core.files import write_whole
from energyctl.core.points import ProcessImage, Rank, Setpoint

log = logging.getLogger(__name__)

SAVE_EVERY_S = 600.0
SOURCES = {Rank.GUARD: "guard", Rank.RULE: "comfort"}
"""What the source of a rule's wishes begins with. "comfort:" comes before the "rule:" of a resource, and so wins over it."""


class _Memory(BaseModel):
    """The file: when it was written, and the states by the names of their rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    saved_at: AwareDatetime
    states: Mapping[str, dict[str, Any]]


class SiteRules:
    """The rules of a site; wants what they want."""

    def __init__(self, site: Site, path: Path, clock: Clock, calendar: Calendar, alarms: Alarms) -> None:
        self._rules, self._timezone, self._path = site.rules, site.timezone, path
        self._clock, self._calendar, self._alarms = clock, calendar, alarms
        self._saving = ThreadPoolExecutor(1, thread_name_prefix="rules")
        self._looked_s: float | None = None
        self._saved_s = float("-inf")
        self._began: dict[str, bool] = {}
        memory = _read(path)
        self._away_since: datetime | None = memory.saved_at if memory is not None else None
        self._states = {rule.name: _state(rule, memory) for rule in site.rules}

    def succeed(self, before: SiteRules) -> None:
        """Go on with what rules of the same names know, under another configuration."""
        self._saving, self._looked_s, self._away_since = before._saving, before._looked_s, before._away_since
        self._states |= {name: state for name, state in before._states.items() if name in self._states}
        for rule in before._rules:
            if rule.name not in self._states:
                self._alarms.clear(rule.kind, rule.point, self._clock.now())

    def wishes(self, image: ProcessImage, now_s: float, expires_at: float) -> Sequence[Setpoint]:
        """See `seams.Wants`."""
        if not self._rules:
            return ()
        now = self._now(image.time, now_s, lease_s=expires_at - now_s)
        wanted, began = [], {}
        for rule in self._rules:
            decision = KINDS[rule.kind].decide(image, self._states[rule.name], now, rule)
            self._states[rule.name] = decision.state
            self._alarms.set(rule.kind, rule.point, decision.alarm, image.time)
            source = f"{SOURCES[rule.rank]}:{rule.name}"
            wanted += [
                Setpoint(wish.point, wish.value, rule.rank, source, wish.reason, expires_at) for wish in decision.wishes
            ]
            began[rule.name] = bool(decision.wishes)
        if began != self._began or now_s - self._saved_s >= SAVE_EVERY_S:
            self._began, self._saved_s = began, now_s
            self._save(image.time)
        return wanted

    def _now(self, time: datetime, now_s: float, lease_s: float) -> Now:
        """What has passed since the last look, with the time away in it as soon as the clock tells it."""
        trusted = self._calendar.doubt is None
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        watched_s = passed_s if passed_s <= lease_s else 0.0
        if trusted and self._away_since is not None:
            passed_s += max(0.0, (time - self._away_since) / timedelta(seconds=1))
            self._away_since = None
        self._looked_s = now_s
        return Now(time, self._timezone, passed_s, watched_s, trusted)

    def _save(self, time: datetime) -> None:
        """Write what must be known again; not with a time that is wrong, since the time away is counted from it."""
        kept = {
            rule.name: self._states[rule.name].model_dump(mode="json")
            for rule in self._rules
            if KINDS[rule.kind].remembers
        }
        if not kept or self._calendar.doubt is not None:
            return
        text = _Memory(saved_at=time, states=kept).model_dump_json()
        self._saving.submit(_write, self._path, text)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        log.warning("%s: what the rules remember cannot be written: %s", path, error)


def _read(path: Path) -> _Memory | None:
    try:
        return _Memory.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s: what the rules remembered cannot be read: %s", path, error)
        return None


def _state(rule: RuleSection, memory: _Memory | None) -> State:
    """What a rule remembers; as if it were new when there is nothing, or nothing that can be read."""
    kind, kept = KINDS[rule.kind].state, None if memory is None else memory.states.get(rule.name)
    try:
        return kind() if kept is None else kind.model_validate(kept)
    except ValidationError as error:
        log.warning("what %s remembered cannot be read: %s", rule.name, error)
        return kind()
