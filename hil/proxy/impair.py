"""What a bad line does to what is sent over it, as pure decisions: a `Lane` takes units and says which go out when.

A unit is what is lost, doubled or moved as a whole: a datagram, a frame, a chunk (see `framing`). Units leave in the order
they came, whatever the delays, unless `reorder` holds one back: it then goes right behind the next unit that is not held
back itself. So with several delays in a row the later unit waits for the earlier one; jitter never reorders, it only makes
the spacing uneven.

For one unit the settings apply in this order: blackhole, loss, rate limit, delay with jitter and lateness, reorder,
duplicate. A unit's luck is drawn with the same number of draws whatever the settings are, so that the n-th unit of a lane has
the same luck in every run with the same seed.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, get_args

from energyctl.core.errors import ConfigError

Direction = Literal["both", "to_device", "to_client"]
Way = Literal["to_device", "to_client"]

SHARES = ("loss", "duplicate", "reorder", "late")
TIMES = ("delay_s", "jitter_s", "late_s", "reorder_within_s")


@dataclass
class Impairment:
    """The settings of a line, changed at any time and obeyed from the next unit on; a fresh one does nothing.

    Setting a field to what it cannot be raises ConfigError.
    """

    delay_s: float = 0.0
    """Every unit comes this much later [s]."""
    jitter_s: float = 0.0
    """And up to this much more, evenly distributed from 0 [s]."""
    loss: float = 0.0
    """Share of units that never arrive (0..1), each by its own luck."""
    duplicate: float = 0.0
    """Share of units that arrive twice, the copy right behind the first."""
    reorder: float = 0.0
    """Share of units that are held back until the next one has gone."""
    reorder_within_s: float = 1.0
    """A unit that is held back goes after this long even when no other came [s]."""
    late: float = 0.0
    """Share of the units to the client that come `late_s` later; what is behind them waits, as behind a slow answer."""
    late_s: float = 0.0
    """How much later those come [s], on top of the delay."""
    rate: float = math.inf
    """Bytes per second that all connections of the line together carry each way."""
    blackhole: bool = False
    """Nothing arrives any more. Connections stay, new ones are taken, and ends of connections are still passed on."""
    half_open: bool = False
    """TCP: a connection that is made or used now is dead for good, and neither side is told."""
    refuse: bool = False
    """TCP: nobody listens; a new connection is refused. Those that are open stay."""
    direction: Direction = "both"
    """Which way all but `half_open`, `refuse` and `late` apply; the other way is a good line."""

    def __setattr__(self, name: str, value: Any) -> None:
        self.set({name: value})

    def set(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change several fields at once. Returns what they were before. Raises ConfigError and then changes none."""
        problems = [
            f"{name}: {value!r} {problem}" for name, value in settings.items() if (problem := _problem(name, value))
        ]
        if problems:
            raise ConfigError(problems)
        before = {name: getattr(self, name) for name in settings}
        self.__dict__.update(settings)
        for told in self._watchers():
            told()
        return before

    def watch(self, told: Callable[[], None]) -> None:
        """Call `told` after every change."""
        self._watchers().append(told)

    def toward(self, way: Way) -> Impairment:
        """What holds for units that go this way."""
        return self if self.direction in ("both", way) else GOOD

    def _watchers(self) -> list[Callable[[], None]]:
        watchers: list[Callable[[], None]] = self.__dict__.setdefault("_told", [])
        return watchers


def _problem(name: str, value: Any) -> str:
    if name in SHARES:
        return "" if _number(value) and 0 <= value <= 1 else "is not a share from 0 to 1"
    if name in TIMES:
        return "" if _number(value) and 0 <= value < math.inf else "is not a time in seconds, 0 or more"
    if name == "rate":
        return "" if _number(value) and value > 0 else "is not a number of bytes per second above 0"
    if name == "direction":
        return "" if value in get_args(Direction) else f"is not one of {', '.join(get_args(Direction))}"
    if name in Impairment.__dataclass_fields__:
        return "" if isinstance(value, bool) else "is neither true nor false"
    return f"is for no setting; there are {', '.join(Impairment.__dataclass_fields__)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


GOOD = Impairment()


@dataclass
class Tally:
    """Units that went one way.

    `seen + duplicated == delivered + lost + swallowed + dropped` once nothing is under way.
    """

    seen: int = 0
    delivered: int = 0
    """Copies included."""
    lost: int = 0
    swallowed: int = 0
    """By a blackhole or a dead connection."""
    duplicated: int = 0
    reordered: int = 0
    """Held back and passed by another unit."""
    late: int = 0
    dropped: int = 0
    """Under way when their connection ended."""


@dataclass
class Counts:
    """What a proxy has counted since it started."""

    to_device: Tally = field(default_factory=Tally)
    to_client: Tally = field(default_factory=Tally)
    connections: int = 0
    """TCP connections taken, or UDP clients heard of."""
    refused: int = 0
    """Connections ended at once: the device behind did not take them."""
    reset: int = 0
    """Connections ended by `reset`."""


@dataclass
class Track:
    """One way of a whole line: what its lanes share."""

    way: Way
    impair: Impairment
    tally: Tally
    free_at: float = 0.0
    """When the bytes that the rate limit lets through have gone [s, the caller's clock]."""


@dataclass(frozen=True, slots=True)
class _Luck:
    loss: float
    jitter: float
    late: float
    reorder: float
    duplicate: float


class Lane:
    """The units of one connection that go one way. No clock: the caller says when it is [s]."""

    def __init__(self, track: Track, random: Random) -> None:
        self._track, self._random = track, random
        self._queue: list[tuple[float, int, bytes]] = []
        self._held: list[tuple[float, tuple[bytes, ...]]] = []
        self._number = 0
        self._last = -math.inf

    @property
    def next_at(self) -> float:
        """When the next unit goes out; infinite when none is under way."""
        queued = self._queue[0][0] if self._queue else math.inf
        return min(queued, self._expiry())

    def put(self, unit: bytes, now: float) -> None:
        """A unit has come."""
        track, tally = self._track, self._track.tally
        impair, luck = track.impair.toward(track.way), self._luck()
        tally.seen += 1
        if impair.blackhole:
            tally.swallowed += 1
        elif luck.loss < impair.loss:
            tally.lost += 1
        else:
            due = self._carried(len(unit), impair.rate, now) + impair.delay_s + impair.jitter_s * luck.jitter
            self._place(unit, due + self._lateness(luck), impair, luck)

    def take(self, now: float) -> list[bytes]:
        """The units that go out now, in order."""
        while self._held and self._expiry() <= now:
            expiry = self._expiry()
            self._push(expiry, self._held.pop(0)[1])
        out = []
        while self._queue and self._queue[0][0] <= now:
            out.append(heapq.heappop(self._queue)[2])
        return out

    def drop(self) -> None:
        """The connection has ended: what is under way will never arrive."""
        self._track.tally.dropped += len(self._queue) + sum(len(units) for _, units in self._held)
        self._queue.clear()
        self._held.clear()

    def _luck(self) -> _Luck:
        draw = self._random.random
        return _Luck(draw(), draw(), draw(), draw(), draw())

    def _carried(self, size: int, rate: float, now: float) -> float:
        if rate == math.inf:
            return now
        self._track.free_at = max(now, self._track.free_at) + size / rate
        return self._track.free_at

    def _lateness(self, luck: _Luck) -> float:
        impair = self._track.impair
        if self._track.way == "to_device" or luck.late >= impair.late:
            return 0.0
        self._track.tally.late += 1
        return impair.late_s

    def _place(self, unit: bytes, due: float, impair: Impairment, luck: _Luck) -> None:
        twice = luck.duplicate < impair.duplicate
        self._track.tally.duplicated += twice
        units = (unit, unit) if twice else (unit,)
        if luck.reorder < impair.reorder:
            self._held.append((due, units))
            return
        self._last = max(due, self._last)
        self._push(self._last, units)
        for own, held in self._held:
            self._push(max(own, self._last), held)
        self._track.tally.reordered += len(self._held)
        self._held.clear()

    def _push(self, when: float, units: tuple[bytes, ...]) -> None:
        for unit in units:
            self._number += 1
            heapq.heappush(self._queue, (when, self._number, unit))

    def _expiry(self) -> float:
        return self._held[0][0] + self._track.impair.reorder_within_s if self._held else math.inf
