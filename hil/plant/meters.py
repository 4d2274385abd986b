"""A tree of meters: each reads what is wired to it directly, parts and other meters, and with those what hangs on them.

A part hangs on one meter only, so that what the meters at the top do not see is what the grid's meter sees beyond them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ConfigDict, with_config


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class MeterParams:
    """A meter that is not the grid's, and how it counts."""

    sees: tuple[str, ...] | None = None
    """Parts and meters that are wired to it; None: the base load."""
    per_phase: bool = False
    """Each phase is read as its parts are wired and counts for itself; else what all three come to is counted."""
    rollover_kwh: float = 1_000_000.0
    """Where its counters start again from 0."""


@dataclass(frozen=True, slots=True)
class MeterTree:
    """What is wired to each meter, by name: other meters and parts.

    Raises ValueError for what hangs on two meters, and for a meter below itself.
    """

    sees: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        owner: dict[str, str] = {}
        for meter, seen in self.sees.items():
            for name in seen:
                if name in owner:
                    raise ValueError(f"{meter}.sees: '{name}' hangs on '{owner[name]}' already")
                owner[name] = meter
        for meter in self.sees:
            above = {meter}
            at = owner.get(meter)
            while at is not None:
                if at in above:
                    raise ValueError(f"{at}.sees: '{at}' hangs below itself")
                above.add(at)
                at = owner.get(at)

    def parts(self, meter: str) -> tuple[str, ...]:
        """All parts that a meter reads, with those of the meters below it."""
        found = (self.parts(name) if name in self.sees else (name,) for name in self.sees[meter])
        return tuple(part for parts in found for part in parts)
