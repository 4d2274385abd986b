"""The town hall's resources, images of its points, and plans with given rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from energyctl.core.comfort import Comfort
from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance
from energyctl.core.points import ProcessImage, Quality, Sample
from energyctl.core.resources import Outlook, Resource, SiteView
from energyctl.core.timeline import Forecast, Horizon, flat
from energyctl.resources.base_load import BaseLoad
from energyctl.resources.battery import Battery
from energyctl.resources.deferrable import Deferrable
from energyctl.resources.ev import Ev
from energyctl.resources.heat_pump import HeatPump
from energyctl.resources.pv import Pv
from energyctl.resources.zone import Zone

SITE = Path(__file__).resolve().parents[2] / "sites/larissa/town-hall.yaml"
KINDS = {kind.model_fields["kind"].default: kind for kind in (BaseLoad, Battery, Deferrable, Ev, HeatPump, Pv, Zone)}
TUESDAY = datetime(2019, 1, 22, tzinfo=UTC)


class Bench:
    """Makes what the methods of a resource are asked with. `values` in an image are good samples, None a bad one."""

    def __init__(self) -> None:
        document = YAML(typ="safe").load(SITE)
        written = document["resources"]
        context = {"resources": written, "base_dir": SITE.parent}
        self.resources: dict[str, Resource] = {
            name: KINDS[fields["kind"]].model_validate({"id": name} | fields, context=context)
            for name, fields in written.items()
        }
        comfort = {name: Comfort.model_validate(fields) for name, fields in document["comfort"].items()}
        self.site = SiteView("Europe/Athens", 39.64, 22.42, comfort)

    def __getitem__(self, name: str) -> Any:
        return self.resources[name]

    def image(self, time: datetime = TUESDAY, **values: float | None) -> ProcessImage:
        """Points are written with two underscores for the dot: storage__soc=0.5."""
        samples = {}
        for name, value in values.items():
            point = name.replace("__", ".")
            quality = Quality.BAD if value is None else Quality.GOOD
            samples[point] = Sample(point, time, value, quality)
        return ProcessImage(time, 1, samples)

    def horizon(self, steps: int, start: datetime = TUESDAY, step_s: int = 900) -> Horizon:
        return Horizon(start, step_s, steps)

    def outlook(
        self,
        horizon: Horizon,
        values: Mapping[str, float],
        forecasts: Mapping[str, float | tuple[float, ...]] | None = None,
        price: float = 0.1,
    ) -> Outlook:
        made: dict[str, Forecast] = {}
        for point, value in (forecasts or {}).items():
            unit = "°C" if "temp" in point else "kW"
            if isinstance(value, tuple):
                made[point] = Forecast(point, horizon, value, unit, horizon.start, "test")
            else:
                made[point] = flat(point, horizon, value, unit, horizon.start, "test")
        return Outlook(horizon, values, made, (price,) * horizon.steps, self.site)

    def plan(
        self,
        horizon: Horizon,
        power: Mapping[str, tuple[float, ...]] | None = None,
        thermal: Mapping[str, tuple[float, ...]] | None = None,
        states: Mapping[str, tuple[tuple[float, ...], ...]] | None = None,
        forecasts: Mapping[str, Forecast] | None = None,
        price: float = 0.1,
    ) -> Plan:
        return Plan(
            issued_at=horizon.start,
            horizon=horizon,
            status=PlanStatus.OPTIMAL,
            power_kw=power or {},
            thermal_kw=thermal or {},
            states=states or {},
            grid_kw=(0.0,) * horizon.steps,
            import_price=(price,) * horizon.steps,
            export_price=(0.0,) * horizon.steps,
            cost=CostSplit(),
            provenance=Provenance("test"),
            forecasts=forecasts or {},
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()
