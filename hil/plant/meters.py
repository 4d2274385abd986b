"""A tree of meters: each reads, phase by phase, what hangs on it directly plus what the meters below it read.

Power is positive when it is imported. A meter counts imported and exported energy apart, and neither ever runs backwards:
phases are added up first and the sum is counted one way or the other, or each phase is counted by itself (`per_phase`), as
the meter is made. What it shows of a counter starts again from 0 at `rollover_kwh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ConfigDict, with_config

Phases = tuple[float, float, float]
EVEN: Phases = (1 / 3, 1 / 3, 1 / 3)
NOTHING: Phases = (0.0, 0.0, 0.0)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class MeterParams:
    """A meter: the meter above it (None: the grid), the parts wired to it and to no meter below it."""

    parent: str | None = None
    parts: tuple[str, ...] = ()
    per_phase: bool = False
    rollover_kwh: float = 1_000_000.0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class MeterTree:
    """Meters by name. `phases` are the shares of single parts' power on each phase; the others are even.

    Raises ValueError for a meter above that is not there or hangs below, and for a part on two meters.
    """

    meters: Mapping[str, MeterParams]
    phases: Mapping[str, Phases] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, meter in self.meters.items():
            if meter.parent is not None and meter.parent not in self.meters:
                raise ValueError(f"meters.{name}.parent: there is no meter '{meter.parent}'")
            if name in self._above(name):
                raise ValueError(f"meters.{name}.parent: '{name}' hangs below itself")
        owner: dict[str, str] = {}
        for name, meter in self.meters.items():
            for part in meter.parts:
                if owner.setdefault(part, name) != name:
                    raise ValueError(f"meters.{name}.parts: '{part}' hangs on '{owner[part]}' already")
        for part, shares in self.phases.items():
            if abs(sum(shares) - 1) > 1e-9:
                raise ValueError(f"phases.{part}: {shares} must add up to 1")

    def _above(self, name: str) -> list[str]:
        """The meters above one, up to the grid or to where it goes round."""
        above: list[str] = []
        at = self.meters[name].parent
        while at is not None and at in self.meters and at not in above:
            above.append(at)
            at = self.meters[at].parent
        return above


@dataclass(frozen=True, slots=True)
class Counters:
    """Energy counted since the meter was made [kWh], without rollover."""

    imported_kwh: float = 0.0
    exported_kwh: float = 0.0


def readings(tree: MeterTree, powers_kw: Mapping[str, float]) -> dict[str, Phases]:
    """Power per phase [kW] at every meter, of the parts' powers; a part that is not there draws nothing."""
    read: dict[str, Phases] = {}
    for name in _leaves_first(tree):
        own = [_spread(powers_kw.get(part, 0.0), tree.phases.get(part, EVEN)) for part in tree.meters[name].parts]
        below = [read[child] for child, meter in tree.meters.items() if meter.parent == name]
        read[name] = _sum([*own, *below])
    return read


def count(params: MeterParams, counters: Counters, phases_kw: Phases, hours: float) -> Counters:
    """The counters after a step at constant power."""
    powers = phases_kw if params.per_phase else (sum(phases_kw),)
    return Counters(
        counters.imported_kwh + sum(max(0.0, power) for power in powers) * hours,
        counters.exported_kwh + sum(max(0.0, -power) for power in powers) * hours,
    )


def shown(params: MeterParams, counters: Counters) -> Counters:
    """What the meter shows of its counters."""
    return Counters(counters.imported_kwh % params.rollover_kwh, counters.exported_kwh % params.rollover_kwh)


def _leaves_first(tree: MeterTree) -> list[str]:
    order: list[str] = []
    while len(order) < len(tree.meters):
        waiting = {meter.parent for name, meter in tree.meters.items() if name not in order}
        order += [name for name in tree.meters if name not in order and name not in waiting]
    return order


def _spread(power_kw: float, shares: Phases) -> Phases:
    return power_kw * shares[0], power_kw * shares[1], power_kw * shares[2]


def _sum(phases: Sequence[Phases]) -> Phases:
    return sum(p[0] for p in phases), sum(p[1] for p in phases), sum(p[2] for p in phases)
