"""The seam between the daemon and whoever makes plans (entry points in the group `energyctl.planners`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .plan import Plan
from .resources import Resource, SiteView
from .tariff import RateTable
from .timeline import Forecast, Horizon, Series

RESERVE = 0.05
"""Share of the connection's limits that plans and tracking leave free, for what happens between two plans or cycles."""


@dataclass(frozen=True, slots=True)
class GridLimits:
    """What may flow at the connection [kW], both as positive numbers; kept unless a plan names the relaxation."""

    import_kw: float
    export_kw: float


@dataclass(frozen=True, slots=True)
class Goals:
    """What the plan weighs: energy cost at 1, CO2 at `co2_price` [EUR/kg]; steadiness at `change_price` [EUR/kW]."""

    co2_price: float = 0.0
    change_price: float = 0.002


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """When to stop. Nodes and gap, not seconds, so that two runs give one plan; seconds are a last resort, live only."""

    gap: float = 0.005
    accept_gap: float = 0.05
    node_limit: int = 2000
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """All a planner gets; picklable. `values` holds good measured values by point; `history` 15-min means by point."""

    issued_at: datetime
    horizon: Horizon
    site: SiteView
    resources: tuple[Resource, ...]
    values: Mapping[str, float]
    history: Mapping[str, Series]
    rates: RateTable
    limits: GridLimits
    goals: Goals = Goals()
    settings: SolverSettings = SolverSettings()
    given: Mapping[str, Forecast] = field(default_factory=dict)
    """Forecasts to use as they are, by point; the planner makes the others."""
    previous: Plan | None = None


class Planner(Protocol):
    """Makes a plan or raises PlanError saying why not. Pure apart from the time it takes."""

    def plan(self, request: PlanRequest) -> Plan: ...
