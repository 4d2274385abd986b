"""What is due at which virtual instant, in order: (time, rank, order of asking). Whoever moves the world stops at each."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

Action = Callable[[], Any]
"""May return an awaitable, which is then awaited."""


class Rank(IntEnum):
    """Who goes first at the same instant: what ends, what standing faults do, what begins."""

    END = 0
    ACT = 1
    BEGIN = 2


class Agenda:
    """A queue of actions; it has no clock of its own."""

    def __init__(self) -> None:
        self._queue: list[tuple[datetime, Rank, int, Action]] = []
        self._order = itertools.count()
        self._cancelled: set[int] = set()

    @property
    def next(self) -> datetime | None:
        """When something is due; None when nothing is."""
        self._clean()
        return self._queue[0][0] if self._queue else None

    def at(self, time: datetime, action: Action, rank: Rank = Rank.ACT) -> Callable[[], None]:
        """Have `action` done at `time`. Returns how to cancel it."""
        number = next(self._order)
        self._push(time, rank, number, action)
        return lambda: self._cancelled.add(number)

    def after(self, time: datetime, seconds: float, action: Action) -> Callable[[], None]:
        """Have `action` done so many seconds after `time`. Returns how to cancel it."""
        return self.at(time + timedelta(seconds=seconds), action)

    def repeat(self, start: datetime, seconds: float, action: Action) -> Callable[[], None]:
        """Have `action` done at `start` and then every so many seconds. Returns how to stop it."""
        number = next(self._order)

        def again(time: datetime) -> Any:
            following = time + timedelta(seconds=seconds)
            self._push(following, Rank.ACT, number, lambda: again(following))
            return action()

        self._push(start, Rank.ACT, number, lambda: again(start))
        return lambda: self._cancelled.add(number)

    def take(self, now: datetime) -> Action | None:
        """The next action that is due at `now`; it is gone from the queue."""
        self._clean()
        if not self._queue or self._queue[0][0] > now:
            return None
        return heapq.heappop(self._queue)[3]

    def _push(self, time: datetime, rank: Rank, number: int, action: Action) -> None:
        heapq.heappush(self._queue, (time, rank, number, action))

    def _clean(self) -> None:
        while self._queue and self._queue[0][2] in self._cancelled:
            heapq.heappop(self._queue)
