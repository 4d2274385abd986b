"""A simulated device: what it shows, what it was told, and a log of everything it was told.

Physics reads what was commanded from `values` and shows readings with `set`; servers carry wire writes in with `write`
and `relinquish`. A write that the device cannot take (unknown point, read-only, out of range, not a choice) is refused
and logged as refused. The log is what tests believe; nothing else in the bench may edit it.

`values` is the truth; servers show `reading`, which is the truth as the device's ailments distort it.

While a point is commanded (BACnet: any slot of its priority array is in use) `set` changes what the device would do by
itself, `defaults`, and leaves the effective value alone. Where a protocol has no such thing a point is never commanded:
the last write and the device's own doing overwrite each other, as in the real thing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NoReturn

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec, Profile

from .ailments import Ailments
from .units import bounds

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One write that reached a device: virtual time, canonical value (None: relinquished), over what, and its fate."""

    time: datetime
    device: str
    point: str
    value: float | None
    via: str
    accepted: bool = True
    reason: str = ""


RejectKind = Literal["address", "access", "type", "value"]


class WriteRejected(Exception):
    """The device does not take this value; `kind` tells servers which of their protocol's refusals fits."""

    def __init__(self, point: str, reason: str, kind: RejectKind) -> None:
        self.point, self.reason, self.kind = point, reason, kind
        super().__init__(f"{point}: {reason}")


class SimDevice:
    """A device by its profile; `values` holds every point by name [canonical unit, consumption positive]."""

    def __init__(self, device_id: str, profile: Profile, values: Mapping[str, float] | None = None) -> None:
        self.id = device_id
        self.profile = profile
        self.time = EPOCH
        """Virtual time; whoever moves the world sets it."""
        self.values: dict[str, float] = {name: _initial(spec) for name, spec in profile.points.items()}
        self.defaults: dict[str, float] = dict(self.values)
        self.log: list[WriteRecord] = []
        self.written: dict[str, datetime] = {}
        """Virtual time of the last accepted write per point; reversion timers count from it."""
        self.online = True
        """False: unplugged; servers no longer answer for it as its protocol would have it."""
        self.guard: Callable[[str, float], str] | None = None
        """Asked before a write is taken; a text refuses it with that reason. For injected faults."""
        self.ail = Ailments()
        """What is wrong with it now."""
        self.boots = 0
        """How often it has restarted; a server that keeps state of its own (slots, sessions) drops it when this moves on."""
        self._commanded: set[str] = set()
        self._changed: set[str] = set(self.values)
        self._unwell: set[str] = set()
        for name, value in (values or {}).items():
            self.set(name, value)

    def set(self, name: str, value: float) -> None:
        """The device's own doing: a reading, or its own choice of a point that is not commanded now [canonical]."""
        self.defaults[name] = value
        if name not in self._commanded and self.values[name] != value:
            self.values[name] = value
            self._changed.add(name)

    def reading(self, name: str) -> float:
        """What the device shows of a point now [canonical]: the truth, or what its ailments make of it."""
        value = self.values[name]
        for distort in self.ail.distorted.get(name, ()):
            value = distort(value, self.time)
        return value

    def reboot(self) -> None:
        """Restart: what was written to points kept in RAM, who commands them and running timers are lost."""
        self.boots += 1
        self._commanded.clear()
        for name, spec in self.profile.points.items():
            if spec.access is Access.READ_WRITE and spec.memory == "ram":
                self.lapse(name)

    def lapse(self, name: str) -> None:
        """The device forgets what was written to a point, and who commands it, and goes its own way."""
        self._commanded.discard(name)
        self.written.pop(name, None)
        if self.values[name] != self.defaults[name]:
            self.values[name] = self.defaults[name]
            self._changed.add(name)

    def write_beside(self, name: str, value: float, *, via: str) -> None:
        """A write that did not come through the device's server, which learns of it with the next push. As `write`."""
        self.write(name, value, via=via)
        self._changed.add(name)

    def write(self, name: str, value: float, *, via: str = "", effective: float | None = None) -> None:
        """Take a value from the wire and log it. Raises WriteRejected, which is logged too.

        `effective` (BACnet) is what holds after the write when slots compete: the point counts as commanded from now on.
        """
        refusal = self._refusal(name, value)
        if refusal:
            self.refuse(name, value, via=via, reason=refusal[0], kind=refusal[1])
        self._record(name, value, via)
        if name in self.ail.deaf:
            return
        if effective is not None:
            self._commanded.add(name)
        held = value if effective is None else effective
        for take in self.ail.takes.get(name, ()):
            held = take(held)
        self.values[name] = held
        self.written[name] = self.time

    def relinquish(self, name: str, *, via: str = "", effective: float | None = None) -> None:
        """A slot was given up: `effective` is what another slot still commands, None hands the point to the device."""
        if effective is None:
            self._commanded.discard(name)
        self.values[name] = self.defaults[name] if effective is None else effective
        self._record(name, None, via)

    def refuse(self, name: str, value: float | None, *, via: str, reason: str, kind: RejectKind) -> NoReturn:
        """Log a write that was not taken and raise WriteRejected."""
        self._record(name, value, via, reason)
        raise WriteRejected(name, reason, kind)

    def commanded(self, name: str) -> bool:
        """Whether somebody on the wire holds the point now (protocols that know such a thing)."""
        return name in self._commanded

    def take_changes(self) -> dict[str, float]:
        """The readings that the device's own doing changed since the last call; the server that pushes asks once a step.

        Distorted points are always among them: drift moves without the truth moving.
        """
        unwell = self.ail.distorted.keys() | self.ail.raw.keys() | self._unwell
        self._unwell = set(self.ail.distorted.keys() | self.ail.raw.keys())
        changed = {name: self.reading(name) for name in self.values if name in self._changed or name in unwell}
        self._changed.clear()
        return changed

    def _refusal(self, name: str, value: float) -> tuple[str, RejectKind] | None:
        spec = self.profile.points.get(name)
        if spec is None:
            return "no such point", "address"
        if spec.access is not Access.READ_WRITE:
            return "read-only", "access"
        reason = _unfit(spec, value) or (self.guard(name, value) if self.guard else "")
        return (reason, "value") if reason else None

    def _record(self, name: str, value: float | None, via: str, reason: str = "") -> None:
        self.log.append(WriteRecord(self.time, self.id, name, value, via, not reason, reason))


def _unfit(spec: PointSpec, value: float) -> str:
    if not math.isfinite(value):
        return "not a finite number"
    if spec.kind == "bool" and value not in (0.0, 1.0):
        return "neither 0 nor 1"
    if spec.kind == "enum" and spec.choices and value not in spec.choices.values():
        return f"not one of {sorted(spec.choices.values())}"
    low, high = bounds(spec)
    slack = 1e-6 * max(1.0, abs(value))
    return "" if low - slack <= value <= high + slack else f"outside {low:g} to {high:g}"


def _initial(spec: PointSpec) -> float:
    if spec.kind == "enum" and spec.choices:
        return float(min(spec.choices.values()))
    low, high = bounds(spec)
    return min(max(0.0, low), high)
