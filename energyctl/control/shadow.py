"""The shadow: what would be written to devices in mode shadow, decided like the real thing and told instead of done.

Rule: a wish that only the mode keeps from the wire is decided by the same gate, and what is to be done about it by the same
leases, as if everything written had taken effect at once. So dead bands, least intervals and steps show as they would be; a
refreshed lease is not told. What a device would have refused, or somebody else have changed, nobody can know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from energyctl.config.site import Site
from energyctl.core.points import ProcessImage, Setpoint
from energyctl.core.records import JournalEntry, JournalKind

from .gate import GateState, LastWrite, decide, is_on
from .leases import Action, ActionKind, Effect, Holding, reconcile, renew
from .modes import RULE


@dataclass(frozen=True, slots=True)
class Would:
    """What a point would have been set to last (None: handed back), when, for whom and why."""

    point: str
    value: float | None
    time: datetime
    source: str
    reason: str


class Shadow:
    """What would be held on the devices in mode shadow, and how often they would have been written to."""

    def __init__(self, site: Site, lease_s: float) -> None:
        self._site, self._lease_s = site, lease_s
        self.devices = frozenset(device for device, mode in site.modes.items() if mode == "shadow")
        self.held: dict[str, Holding] = {}
        self.last: dict[str, Would] = {}
        """By point, the newest."""
        self.count = 0

    def covers(self, point: str) -> bool:
        """Whether a point is on a device in mode shadow."""
        return point.partition(".")[0] in self.devices

    def decide(
        self, wishes: Iterable[Setpoint], state: GateState, image: ProcessImage, now_s: float
    ) -> list[JournalEntry]:
        """What this cycle would do, as lines for the journal. `wishes` are the winners of every point."""
        if not self.devices:
            return []
        pretended = self._pretended(state)
        wanted = {}
        for wish in wishes:
            if self.covers(wish.point):
                held = self.held.get(wish.point)
                found, _ = decide(wish, pretended, held.setpoint if held else None, now_s)
                if found is not None:
                    wanted[wish.point] = found
        actions = reconcile(self.held, wanted, self._site.points, {}, self._lease_s, now_s, state.blocked)
        for action in actions:
            self._take(action, image.time, now_s)
        self.held = renew(self.held, self._lease_s, now_s)
        return [_entry(action, image) for action in actions]

    def _pretended(self, state: GateState) -> GateState:
        """The gate's state, if nothing but the mode stood between us and these devices."""
        points = self._site.points
        last: Mapping[str, LastWrite] = {
            point: LastWrite(
                held.setpoint.value, held.changed_at, is_on(points[point], held.setpoint.value), held.changed_at
            )
            for point, held in self.held.items()
        }
        bans = [ban for ban in state.bans if ban.rule != RULE]
        return replace(state, bans=bans, last={**state.last, **last})

    def _take(self, action: Action, time: datetime, now_s: float) -> None:
        wish, released = action.setpoint, action.kind is ActionKind.RELEASE
        self.count += 1
        self.last[wish.point] = Would(wish.point, None if released else wish.value, time, wish.source, wish.reason)
        if released:
            del self.held[wish.point]
        else:
            self.held[wish.point] = Holding(wish, now_s + self._lease_s, now_s, now_s, Effect.EFFECTIVE)


def _entry(action: Action, image: ProcessImage) -> JournalEntry:
    wish, released = action.setpoint, action.kind is ActionKind.RELEASE
    return JournalEntry(
        image.cycle,
        image.time,
        JournalKind.WOULD,
        wish.point,
        None if released else wish.value,
        wish.rank.name.lower(),
        wish.source,
        wish.reason,
        "hand back" if released else "write",
    )
