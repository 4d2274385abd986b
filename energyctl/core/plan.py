"""A plan: what every resource should do over a horizon, what it costs, how it came about, what had to give.

A fallback is a plan of the same type with another `origin`; nothing downstream needs to know the difference except to
show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .timeline import Forecast, Horizon


class PlanStatus(StrEnum):
    """How good the answer is, apart from why the solver stopped."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    """An incumbent within the accepted gap, or the relaxation rounded; see Provenance.termination."""


@dataclass(frozen=True, slots=True)
class CostSplit:
    """Expected over the horizon [EUR]; `co2_kg` is not money, `co2_eur` is its weight in the objective."""

    energy_import: float = 0.0
    energy_export: float = 0.0
    demand: float = 0.0
    wear: float = 0.0
    co2_eur: float = 0.0
    slack: float = 0.0
    terminal: float = 0.0
    co2_kg: float = 0.0

    @property
    def total(self) -> float:
        """What the optimizer minimised."""
        return (
            self.energy_import
            + self.energy_export
            + self.demand
            + self.wear
            + self.co2_eur
            + self.slack
            + self.terminal
        )


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A wish that could not be met: what, in which steps, by how much at worst [unit]."""

    what: str
    first_step: int
    last_step: int
    worst: float
    unit: str
    cost_eur: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the plan came about. CPU times are those of the planner process."""

    planner: str
    solver: str = ""
    termination: str = ""
    gap: float = 0.0
    rows: int = 0
    columns: int = 0
    integers: int = 0
    forecast_ms: float = 0.0
    build_ms: float = 0.0
    solve_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Values per resource id. `power_kw[id]` (steps,) is electric, consuming positive.

    `thermal_kw[id]` (steps,) is what a storage takes from a converter's bus; `states[id]` (steps + 1, n) starts with the
    measured state. `grid_kw` (steps,) is the power at the connection, import positive.
    """

    issued_at: datetime
    horizon: Horizon
    status: PlanStatus
    power_kw: Mapping[str, tuple[float, ...]]
    thermal_kw: Mapping[str, tuple[float, ...]]
    states: Mapping[str, tuple[tuple[float, ...], ...]]
    grid_kw: tuple[float, ...]
    import_price: tuple[float, ...]
    export_price: tuple[float, ...]
    cost: CostSplit
    provenance: Provenance
    relaxed: tuple[Relaxation, ...] = ()
    marginal_price: tuple[float, ...] = ()
    """What one more kWh of load in a step would cost [EUR/kWh]; () where the solver gives none."""
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)

    def step_at(self, time: datetime) -> int | None:
        """The plan's step that covers `time`, or None when the plan does not."""
        return self.horizon.index(time)
