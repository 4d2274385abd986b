"""What is wrong with a simulated device, for its servers to act out. A healthy device has an empty one of these.

Faults (see `hil.faults`) change it, servers and `SimDevice.reading` consult it, and nobody else needs to know. Distortions
work on what is shown, never on what is true: the physics goes on underneath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

Distortion = Callable[[float, datetime], float]
"""What a sensor makes of the canonical value at a virtual time; the same arguments always give the same reading."""


@dataclass
class Ailments:
    """Every field is one way to be unwell; several may hold at once."""

    silent: bool = False
    """Requests arrive and are never answered."""
    exception: int | None = None
    """Every request for the device's points is answered with this Modbus exception code, or its protocol's nearest error."""
    refused: set[str] = field(default_factory=set)
    """Points whose reads and writes are answered with an error, while the others work."""
    distorted: dict[str, list[Distortion]] = field(default_factory=dict)
    """By point, applied in order."""
    raw: dict[str, float] = field(default_factory=dict)
    """By point: the number on the wire, whatever the value is: register contents before scale and offset (Modbus, as an
    unsigned pattern), the device's own number elsewhere. For sentinels."""
    swapped_words: bool = False
    """Values of two and more registers come with their words in the other order."""
    moved_by: int = 0
    """Every register (object instance, numeric node id) is this much further on, as after a change of firmware."""
    deaf: set[str] = field(default_factory=set)
    """Points that acknowledge a write and do not take it."""
    takes: dict[str, list[Callable[[float], float]]] = field(default_factory=dict)
    """By point: what the device makes of a value that is written to it [canonical], in order."""
