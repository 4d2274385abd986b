"""Parts with next to no physics: the base load, a switched load, a meter of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from .base import Moment, Part, Wires

BASE = "base"
"""The part that is everything which has no meter of its own."""


class BaseLoad(Part):
    """What nobody controls."""

    turn = 0

    def __init__(self) -> None:
        super().__init__(BASE, {})

    def prepare(self, now: Moment) -> None:
        self.power_kw = now.base_kw

    def step(self, now: Moment) -> None:
        self.power_kw = now.base_kw


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class SwitchedParams:
    """What it draws while it is on [kW]."""

    draws_kw: float = 1.0


class Switched(Part):
    """A load that is on while its switch is; left alone it is off."""

    def __init__(self, part_id: str, wires: Wires, params: SwitchedParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.on = False

    def step(self, now: Moment) -> None:
        self.on = bool(self.told("switch", now.time, 0.0))
        self.power_kw = self.params.draws_kw if self.on else 0.0

    def states(self) -> dict[str, float]:
        return {"on": float(self.on)}


class Meter(Part):
    """A meter that sees other parts; it draws nothing itself. The grid meter sees them all."""

    turn = 9
    electric = False
    shares = (0.36, 0.33, 0.31)

    def __init__(self, part_id: str, seen: Sequence[Part]) -> None:
        super().__init__(part_id, {})
        self.seen = tuple(seen)

    def prepare(self, now: Moment) -> None:
        self.step(now)

    def step(self, now: Moment) -> None:
        self.power_kw = sum(part.power_kw for part in self.seen)

    def condition(self) -> tuple[str, ...]:
        return ("ok", "normal", "on", "running")
