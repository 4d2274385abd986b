"""Parts with next to no physics: the base load, a switched load, a meter of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from hil.plant.meters import MeterParams

from .base import Moment, Part, Phases, Wires

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
    """A meter that sees other parts; it draws nothing itself. The grid meter sees them all.

    `per_phase` its phases are those of its parts, else shares of the sum.
    """

    turn = 9
    electric = False
    shares = (0.36, 0.33, 0.31)

    def __init__(self, part_id: str, params: MeterParams, seen: Sequence[Part]) -> None:
        super().__init__(part_id, {})
        self.params, self.seen = params, tuple(seen)

    def prepare(self, now: Moment) -> None:
        self.step(now)

    def step(self, now: Moment) -> None:
        self.power_kw = sum(part.power_kw for part in self.seen)

    @property
    def phases_kw(self) -> Phases:
        if not self.params.per_phase:
            return super().phases_kw
        wired = [part.phases_kw for part in self.seen]
        return sum(kw[0] for kw in wired), sum(kw[1] for kw in wired), sum(kw[2] for kw in wired)

    def count(self, hours: float) -> None:
        for power_kw in self.phases_kw if self.params.per_phase else (self.power_kw,):
            self._counted(power_kw, hours)

    def counter(self, kwh: float) -> float:
        return kwh % self.params.rollover_kwh

    def condition(self) -> tuple[str, ...]:
        return ("ok", "normal", "on", "running")
