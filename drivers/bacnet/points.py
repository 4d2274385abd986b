"""A point as BACnet knows it, and what its properties mean as a Sample; pure.

status-flags decide how far a value is trusted: `fault` makes it bad; `out of service` (somebody set it by hand) and
`overridden` (it no longer follows what it measures) make it uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from energyctl.core.points import Access, Quality, Sample
from energyctl.core.profile import PointSpec

from . import apdu
from .apdu import Failed, Ref
from .tags import Value, encode

FAULT, OVERRIDDEN, OUT_OF_SERVICE = 1, 2, 3
"""Bits of status-flags (clause 12.2); bit 0, in-alarm, says nothing about the value."""

Found = Mapping[Ref, list[Value] | Failed]


class Target:
    """A point's object, the properties we use of it, and how its value is written."""

    def __init__(self, point: str, spec: PointSpec) -> None:
        kind = str(spec.address["object"])
        self.point, self.spec = point, spec
        self.object = apdu.object_id(kind)
        self.kind = apdu.OBJECT_TYPES[kind.partition(",")[0]][1]
        self.value = Ref(self.object, apdu.PRESENT_VALUE)
        self.flags = Ref(self.object, apdu.STATUS_FLAGS)
        self.slots = Ref(self.object, apdu.PRIORITY_ARRAY)

    def slot(self, priority: int) -> Ref:
        """One slot of the priority array."""
        return Ref(self.object, apdu.PRIORITY_ARRAY, priority)

    def encode(self, value: float) -> bytes:
        """A canonical value as the device takes it. Raises ValueError saying why the point does not take it."""
        if self.spec.access is not Access.READ_WRITE:
            raise ValueError("read-only")
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return encode(self.spec.device_value(value), self.kind)

    def as_found(self, found: list[Value] | Failed) -> bytes | None:
        """What was read, encoded to be written again; None when it is neither a number nor Null."""
        if isinstance(found, Failed) or not found:
            return None
        value = number(found[0])
        return encode(value, self.kind) if value is not None or found[0] is None else None

    def sample(self, now: datetime, value: Value, flags: Value = None) -> Sample:
        """A present-value with the object's status-flags as a Sample."""
        raw = number(value)
        set_flags = flags if isinstance(flags, tuple) else ()
        if _is_set(set_flags, FAULT):
            return Sample.bad(self.point, now, "the device reports a fault")
        if raw is None or not math.isfinite(raw):
            return Sample.bad(self.point, now, "no value" if raw is None else "not a finite number")
        canonical = self.spec.canonical(raw)
        for bit, reason in ((OUT_OF_SERVICE, "out of service"), (OVERRIDDEN, "overridden at the device")):
            if _is_set(set_flags, bit):
                return Sample(self.point, now, canonical, Quality.UNCERTAIN, reason)
        return Sample(self.point, now, canonical)


def first(found: list[Value] | Failed | None) -> Value:
    """The value of a property that has one; None for an error or an empty list."""
    return found[0] if isinstance(found, list) and found else None


def number(value: Value) -> float | None:
    """A value as a number; None for anything that is none."""
    return float(value) if isinstance(value, bool | int | float) else None


def _is_set(flags: tuple[bool, ...], bit: int) -> bool:
    return len(flags) > bit and flags[bit]
