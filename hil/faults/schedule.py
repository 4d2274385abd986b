"""Begins and ends faults and stimuli: those of a scenario at their instants, others when somebody asks.

`go` moves the world and never steps past an instant at which something is due: it steps there, does it, and goes on. What
began and ended is in the world's log, with every parameter. At one instant ends come before begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol

from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError
from hil.events import EventLog, Happened
from hil.world import move

from .agenda import Rank
from .base import Bench, Fault
from .claims import Undo


class Planned(Protocol):
    """A fault or stimulus of a scenario; times in seconds from the start, `for_s` None: as its kind lasts."""

    @property
    def at_s(self) -> float: ...
    @property
    def for_s(self) -> float | None: ...
    @property
    def name(self) -> str: ...
    @property
    def fault(self) -> Fault: ...


@dataclass(frozen=True)
class Standing:
    """A fault that has begun and not ended."""

    name: str
    fault: Fault
    since: datetime
    until: datetime | None
    undo: Undo


class Schedule:
    """What goes wrong when. Raises ConfigError at once for a planned fault that the site cannot have."""

    def __init__(self, planned: Iterable[Planned], bench: Bench, log: EventLog) -> None:
        self.bench, self._log = bench, log
        self.standing: dict[str, Standing] = {}
        self.plan(planned)

    def plan(self, planned: Iterable[Planned]) -> None:
        """What is to be done, counted from now. Raises ConfigError for what the site cannot have."""
        planned = list(planned)
        self.check(planned)
        start = self.bench.world.time
        for one in planned:
            due = start + timedelta(seconds=one.at_s)
            self.bench.agenda.at(due, partial(self._begin, one.name, one.fault, one.for_s), Rank.BEGIN)

    def check(self, planned: Iterable[Planned]) -> None:
        """Raises ConfigError naming everything that the site cannot have."""
        problems = [problem for one in planned for problem in _problems(one, self.bench)]
        if problems:
            raise ConfigError(problems)

    @property
    def next_due(self) -> datetime | None:
        """When something is due next; None when nothing is."""
        return self.bench.agenda.next

    async def go(self, to: datetime, step_s: float) -> None:
        """Move the world to `to` in steps of at most `step_s`, doing everything that is due on the way and at `to`."""
        world = self.bench.world
        move(world, world.time, step_s)
        await self.catch_up()
        while world.time < to:
            move(world, min(to, self.next_due or to), step_s)
            await self.catch_up()

    async def catch_up(self) -> None:
        """Do what is due now."""
        while (action := self.bench.agenda.take(self.bench.world.time)) is not None:
            await _done(action())

    async def begin(self, fault: Fault, name: str = "", for_s: float | None = None) -> str:
        """Do it now. Returns its name, the kind when none is given, made unique. Raises ConfigError."""
        if name in self.standing:
            raise ConfigError(f"'{name}' stands already; end it first, or give another name")
        if fault.needs == "start":
            raise ConfigError(f"{fault.kind}: is possible from the start of a scenario only")
        _check(fault, for_s, self.bench)
        name = name or self._unique(fault.kind)
        await self._begin(name, fault, for_s)
        await self.catch_up()
        return name

    async def end(self, name: str) -> None:
        """Take it back now. Raises ConfigError when nothing of that name stands."""
        if name not in self.standing:
            raise ConfigError(f"nothing called '{name}' stands{did_you_mean(name, self.standing, 'there is')}")
        await self._end(name)

    async def close(self) -> None:
        """Take back all that stands, the last first; that is no part of the run, so nothing is written down."""
        for standing in reversed(self.standing.values()):
            await _done(standing.undo())
        self.standing.clear()

    async def _begin(self, name: str, fault: Fault, for_s: float | None) -> None:
        now, lasts = self.bench.world.time, fault.lasts_s if for_s is None else for_s
        text = f"{fault.kind} on {fault.on}" if fault.on else fault.kind
        undo: Undo | None = await _done(fault.begin(self.bench.of(name)))
        self._log.add(now, Happened.BEGAN, name, text, **fault.parameters(), for_s=lasts)
        if not lasts and lasts is not None:
            self._log.add(now, Happened.ENDED, name)
            return
        until = None if lasts is None else now + timedelta(seconds=lasts)
        own = self.standing[name] = Standing(name, fault, now, until, undo or (lambda: None))
        if until is not None:
            self.bench.agenda.at(until, lambda: self._end(name) if self.standing.get(name) is own else None, Rank.END)

    async def _end(self, name: str) -> None:
        standing = self.standing.pop(name)
        await _done(standing.undo())
        self._log.add(self.bench.world.time, Happened.ENDED, name)

    def _unique(self, kind: str) -> str:
        used = {event.subject for event in self._log.events if event.kind is Happened.BEGAN}
        names = (kind if number == 1 else f"{kind}-{number}" for number in range(1, len(used) + 2))
        return next(name for name in names if name not in used)


def _problems(one: Planned, bench: Bench) -> list[str]:
    try:
        _check(one.fault, one.for_s, bench)
    except ConfigError as error:
        return [f"event '{one.name}': {problem}" for problem in error.problems]
    return []


def _check(fault: Fault, for_s: float | None, bench: Bench) -> None:
    mode = "lockstep" if bench.lockstep else "live"
    if fault.needs in ("lockstep", "live") and fault.needs != mode:
        raise ConfigError(f"{fault.kind}: is possible in a {fault.needs} run only, and this is a {mode} one")
    if for_s is not None and fault.lasts_s == 0:
        raise fault.wrong("for", "it happens once; leave 'for' out")
    fault.check(bench.site)


async def _done(result: Any) -> Any:
    return await result if isawaitable(result) else result
