"""What a write that reached a device was for: a command, a hand-back, or neither, told from the profile and the journal.

A command of a controlled point is its steps: the value that an intent in the journal names, the lease, constants. A hand-back
gives up a slot, or puts back what was found before the first write.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec, StepValue
from energyctl.core.records import JournalEntry, JournalKind
from hil.device import WriteRecord
from hil.events import Happened

from .evidence import Evidence


class For(StrEnum):
    """What a write is for."""

    COMMAND = "command"
    HAND_BACK = "hand-back"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ledger:
    """Looks writes up."""

    evidence: Evidence

    @cached_property
    def wholes(self) -> Mapping[str, tuple[str, StepValue]]:
        """By point, the controlled point that it is a step of and what the step sets; controlled points themselves too."""
        found: dict[str, tuple[str, StepValue]] = {}
        for device in self.evidence.site.devices.values():
            for name, spec in device.profile.points.items():
                for step in spec.command:
                    found[f"{device.id}.{step.set}"] = (f"{device.id}.{name}", step.to)
        for device in self.evidence.site.devices.values():
            for name, spec in device.profile.points.items():
                if spec.access is Access.READ_WRITE:
                    found.setdefault(f"{device.id}.{name}", (f"{device.id}.{name}", "value"))
        return found

    @cached_property
    def controlled(self) -> list[str]:
        """The points that are wanted for themselves and not as a step of another one's command."""
        return [point for point, (whole, _) in self.wholes.items() if point == whole]

    def spec(self, point: str) -> PointSpec | None:
        """A point's spec; None for what is no point."""
        device, _, name = point.partition(".")
        found = self.evidence.site.devices.get(device)
        return None if found is None else found.profile.points.get(name)

    def same(self, point: str, a: float, b: float) -> bool:
        """Whether two values are one as far as the wire carries them."""
        spec = self.spec(point)
        tolerance = spec.tolerance if spec is not None and spec.tolerance is not None else 1e-3
        return abs(a - b) <= max(tolerance, 1e-4 * abs(b)) + 1e-9

    def intended(self, point: str, value: float | None, time: datetime) -> bool:
        """Whether the journal has an intent for a controlled point (with that value) no later than `time`, and recent."""
        intents = self._entries.get((point, JournalKind.INTENT), [])
        first = bisect_left(intents, time - timedelta(seconds=self.evidence.lease_s), key=_time)
        last = bisect_right(intents, time + timedelta(seconds=self.evidence.slack_s), key=_time)
        return any(value is None or self._is(point, entry.value, value) for entry in intents[first:last])

    def found(self, point: str, time: datetime) -> float | None:
        """What was there before our first write, by the journal; None when it does not say."""
        slack = timedelta(seconds=self.evidence.slack_s)
        owned = [e for e in self._entries.get((point, JournalKind.OWN), ()) if e.time <= time + slack]
        return owned[-1].value if owned else None

    def purpose(self, write: WriteRecord) -> For:
        """What a write of ours is for."""
        point = f"{write.device}.{write.point}"
        whole, to = self.wholes.get(point, (point, "value"))
        if write.value is None:
            return For.HAND_BACK if self._owned(whole, write.time) else For.UNKNOWN
        found = self.found(point, write.time)
        restores = found is not None and self.same(point, write.value, found)
        if restores and self._released(point, write.time):
            return For.HAND_BACK
        if self._step(point, whole, to, write):
            return For.COMMAND
        return For.HAND_BACK if restores else For.UNKNOWN

    def given_back(self, point: str, until: datetime) -> bool:
        """Whether the last that a device was told of a controlled point, by then, is a hand-back."""
        ours = [w for w in self.evidence.ours() if w.accepted and w.time <= until]
        lasting = [w for w in ours if self._tells(f"{w.device}.{w.point}", point)]
        return bool(lasting) and self.purpose(lasting[-1]) is For.HAND_BACK

    def restarts(self) -> list[datetime]:
        """When a daemon started; it knows nothing of what an earlier one wrote."""
        return [e.time for e in self.evidence.events if e.kind is Happened.DAEMON and e.text == "started"]

    def _tells(self, part: str, point: str) -> bool:
        """Whether writes of this part show who commands: the switch among a command's constants, else the point itself."""
        spec, device = self.spec(point), point.partition(".")[0]
        constants = [f"{device}.{step.set}" for step in spec.command if not isinstance(step.to, str)] if spec else []
        switches = [name for name in constants if (own := self.spec(name)) is not None and own.kind == "bool"]
        return part == next(iter([*switches, *constants, point]))

    def _step(self, point: str, whole: str, to: StepValue, write: WriteRecord) -> bool:
        assert write.value is not None
        if to == "value":
            return self.intended(whole, write.value, write.time)
        spec = self.spec(point)
        wanted = self.evidence.lease_s if to == "lease" else 0.0 if spec is None else spec.canonical(float(to))
        return self.same(point, write.value, wanted) and self.intended(whole, None, write.time)

    def _owned(self, point: str, time: datetime) -> bool:
        slack = timedelta(seconds=self.evidence.slack_s)
        return any(e.time <= time + slack for e in self._entries.get((point, JournalKind.OWN), ()))

    def _released(self, point: str, time: datetime) -> bool:
        """Whether the journal has the point handed back at `time`."""
        slack_s = self.evidence.slack_s
        released = self._entries.get((point, JournalKind.RELEASED), ())
        return any(abs((entry.time - time).total_seconds()) <= slack_s for entry in released)

    def _is(self, point: str, intended: float | None, value: float) -> bool:
        return intended is not None and self.same(point, value, intended)

    @cached_property
    def _entries(self) -> Mapping[tuple[str, JournalKind], list[JournalEntry]]:
        found: dict[tuple[str, JournalKind], list[JournalEntry]] = {}
        for entry in self.evidence.journal:
            found.setdefault((entry.point, entry.kind), []).append(entry)
        return found


def _time(entry: JournalEntry) -> datetime:
    return entry.time
