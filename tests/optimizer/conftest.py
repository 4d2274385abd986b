"""Plans of hand-made flexibility: a resource that says just what it is told to, and requests with short horizons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import Flexibility
from energyctl.core.plan import Plan
from energyctl.core.planner import Goals, GridLimits, PlanRequest, SolverSettings
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon

START = datetime(2019, 1, 22, tzinfo=UTC)
WIDE = GridLimits(100.0, 100.0)
USUAL = SolverSettings()


@dataclass(frozen=True)
class Told:
    """A resource with the flexibility it was given, or the trouble it was given."""

    flexibilities: tuple[Flexibility, ...] = ()
    needed: tuple[Need, ...] = ()
    trouble: str = ""
    seen: dict[str, float] = field(default_factory=dict, compare=False)
    id: str = "told"
    kind: str = "told"
    power: str | None = None

    def bindings(self) -> Sequence[Binding]:
        return ()

    def needs(self) -> Sequence[Need]:
        return self.needed

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        self.seen.update(outlook.values)
        if self.trouble:
            raise PlanError(self.trouble)
        return self.flexibilities

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()


RequestOf = Callable[..., PlanRequest]


@pytest.fixture
def request_of() -> RequestOf:
    """A request over `len(prices)` steps of one hour (or `step_s`), export at `export`, wide limits."""

    def make(
        *flexibilities: Flexibility,
        prices: Sequence[float],
        export: Sequence[float] | float = 0.0,
        carbon: Sequence[float] | float = 0.0,
        limits: GridLimits = WIDE,
        co2_price: float = 0.0,
        demand_price: float = 0.0,
        peak_so_far_kw: float = 0.0,
        step_s: int = 3600,
        start: datetime = START,
        previous: Plan | None = None,
        resources: tuple[Any, ...] = (),
        values: Mapping[str, float] | None = None,
        history: Mapping[str, Any] | None = None,
        settings: SolverSettings = USUAL,
        goals: Goals | None = None,
    ) -> PlanRequest:
        steps = len(prices)
        horizon = Horizon(start, step_s, steps)
        rows = [(row,) * steps if isinstance(row, float) else tuple(row) for row in (export, carbon)]
        return PlanRequest(
            issued_at=start,
            horizon=horizon,
            site=SiteView("Europe/Athens", 39.64, 22.42),
            resources=(Told(flexibilities), *resources) if flexibilities else resources,
            values=values or {},
            history=history or {},
            rates=RateTable(horizon, tuple(prices), rows[0], rows[1], (), demand_price, peak_so_far_kw),
            limits=limits,
            goals=goals or Goals(co2_price=co2_price),
            settings=settings,
            previous=previous,
        )

    return make


@pytest.fixture
def told() -> type[Told]:
    return Told
