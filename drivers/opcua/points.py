"""A point as an OPC UA node, and what a DataValue means as a Sample; pure, without the OPC UA library.

The server's StatusCode is the quality: Bad carries no value, Uncertain carries one that is not to be relied on. A server's
timestamps are not trusted; a Sample's time is when it was taken in.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from energyctl.core.points import Access, Quality, Sample
from energyctl.core.profile import PointSpec

TYPES: dict[str, tuple[float, float] | None] = {
    "Boolean": (0, 1),
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
    "Float": None,
    "Double": None,
}
"""Variant types that hold a number, and the whole numbers they hold; None for floats."""


@dataclass(frozen=True, slots=True)
class NodeName:
    """A node as a profile names it: namespace URI and identifier."""

    namespace: str
    identifier: str | int


class Target:
    """A point's node, and how its value is written."""

    def __init__(self, point: str, device: str, spec: PointSpec, prefix: str) -> None:
        self.point, self.device, self.spec = point, device, spec
        self.type = str(spec.address.get("type", "Double"))
        self.node = node_name(spec.address, prefix)

    def typed(self, value: float) -> bool | int | float:
        """A canonical value as the node takes it. Raises ValueError saying why the point does not take it."""
        if self.spec.access is not Access.READ_WRITE:
            raise ValueError("read-only")
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        own = self.spec.device_value(value)
        span = TYPES[self.type]
        if span is None:
            return _single(own) if self.type == "Float" else own
        whole = round(own)
        if not span[0] <= whole <= span[1] or (self.type == "Boolean" and whole != own):
            raise ValueError(f"{own:g} does not fit {self.type}")
        return bool(whole) if self.type == "Boolean" else whole

    def sample(self, now: datetime, data: Any) -> Sample:
        """A DataValue (a value, a status) as a Sample."""
        status = data.StatusCode
        name = "" if status is None or status.is_good() else str(status.name)
        if status is not None and status.is_bad():
            return Sample.bad(self.point, now, name)
        raw = data.Value.Value if data.Value is not None else None
        if raw is None:
            return Sample.bad(self.point, now, name or "no value")
        if not isinstance(raw, bool | int | float):
            return Sample.bad(self.point, now, f"a {type(raw).__name__}, not a number")
        if not math.isfinite(raw):
            return Sample.bad(self.point, now, "not a finite number")
        quality = Quality.UNCERTAIN if name else Quality.GOOD
        return Sample(self.point, now, self.spec.canonical(float(raw)), quality, name)


def node_name(address: dict[str, Any], prefix: str) -> NodeName:
    """The node of an address block."""
    identifier = address["id"]
    return NodeName(address["ns"], f"{prefix}{identifier}" if isinstance(identifier, str) else identifier)


def _single(value: float) -> float:
    try:
        struct.pack("f", value)
    except OverflowError as exc:
        raise ValueError(f"{value:g} does not fit Float") from exc
    return value
