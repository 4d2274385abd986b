"""What a run came to: series by the minute or the quarter hour, the bill, comfort, and what was left in the stores.

Rule for comparing strategies: the cost of a day is its bill plus what it takes to bring the stores back to where they began,
at one stated price, the mean import price of the following night (until the first car leaves): a battery kWh costs that
price through its best one-way efficiency, a kWh missing from a car, there or gone, just that price.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from energyctl.accounting import Bill, Stock, bill, discomfort_kh, self_consumption, stock_value
from energyctl.config import Site
from energyctl.core.comfort import Comfort
from energyctl.core.errors import EnergyctlError
from energyctl.core.plan import Plan
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, Series, mean
from energyctl.resources.zone import Zone

from .foresight import STEP_S, best_efficiency, car_needs
from .plant import TraceRow
from .scenario import Scenario

POWERS = ("base_kw", "hp_kw", "ev_kw", "ahu_kw", "battery_kw", "pv_kw")
_NIGHT_S = 7.5 * 3600
_OVER_KW = 0.1
"""A limit counts as broken beyond this, the meter's own uncertainty [kW]."""


@dataclass(frozen=True)
class Day:
    """A scenario of a site with what it takes to judge a run of it."""

    scenario: Scenario
    site: Site
    rates: RateTable
    stock_price_eur: float
    comforts: tuple[Comfort, ...]
    """Per zone, in the order of the heat pump's zones."""

    @classmethod
    def of(cls, scenario: Scenario, site: Site) -> Day:
        """Prices from the site's tariff, comfort from its zones. Raises EnergyctlError when it has no two zones."""
        start, end = scenario.start(site.timezone), scenario.end(site.timezone)
        rates = site.tariff.rates(Horizon(start, STEP_S, int(scenario.hours * 3600 // STEP_S)))
        night = site.tariff.rates(Horizon(end, STEP_S, int(_NIGHT_S // STEP_S)))
        zones = sorted((r for r in site.resources if isinstance(r, Zone)), key=lambda zone: zone.temp)
        if len(zones) != 2:
            raise EnergyctlError(f"{site.path}: the simulated building has two zones, the site has {len(zones)}")
        comforts = tuple(site.view.comfort[zone.comfort] for zone in zones)
        return cls(scenario, site, rates, mean(night.import_price), comforts)


@dataclass(frozen=True)
class Outcome:
    """A strategy's day. `series` holds powers [kW], "grid_kw", "soc", "zone1_c", "zone2_c", by name."""

    strategy: str
    series: Mapping[str, Series]
    bill: Bill
    stock_eur: float
    self_consumption: float | None
    discomfort_kh: tuple[float, ...]
    comfort_eur: float
    """The discomfort at the site's own price for it; in no other figure."""
    over_limit_min: float
    over_limit_kw: float
    car_unserved_kwh: float
    airing_min: float

    @property
    def cost_eur(self) -> float:
        """The bill and the stores."""
        return self.bill.total_eur + self.stock_eur

    def figures(self) -> dict[str, Any]:
        """As plain figures, rounded."""
        return {
            "strategy": self.strategy,
            "cost_eur": round(self.cost_eur, 2),
            "bill_eur": round(self.bill.total_eur, 2),
            "stores_eur": round(self.stock_eur, 2),
            "co2_kg": round(self.bill.co2_kg, 1),
            "peak_kw": round(self.bill.peak_kw, 1),
            "self_consumption": None if self.self_consumption is None else round(self.self_consumption, 4),
            "discomfort_kh": round(sum(self.discomfort_kh), 2),
            "comfort_eur": round(self.comfort_eur, 2),
            "discomfort_kh_by_zone": [round(value, 2) for value in self.discomfort_kh],
            "over_limit_min": round(self.over_limit_min, 1),
            "over_limit_kw": round(self.over_limit_kw, 2),
            "car_unserved_kwh": round(self.car_unserved_kwh, 2),
            "airing_min": round(self.airing_min, 1),
            "imported_kwh": round(self.bill.imported_kwh, 1),
            "exported_kwh": round(self.bill.exported_kwh, 1),
        }


def read_trace(file: Path) -> list[TraceRow]:
    """The rows of a trace.json."""
    rows = json.loads(file.read_text())
    return [TraceRow(**{**row, "time": datetime.fromisoformat(row["time"])}) for row in rows]


def of_trace(strategy: str, rows: Sequence[TraceRow], day: Day) -> Outcome:
    """What a simulated run came to. Raises EnergyctlError when it is empty or broke off."""
    minutes = int(day.scenario.hours * 60)
    if len(rows) < minutes:
        raise EnergyctlError(f"{strategy}: the run broke off after {len(rows)} of {minutes} minutes")
    rows = rows[:minutes]

    def series(name: str) -> Series:
        return Series(rows[0].time, 60, tuple(float(getattr(row, name)) for row in rows))

    named = {name: series(name) for name in (*POWERS, "grid_kw", "soc", "zone1_c", "zone2_c")}
    last = rows[-1]
    after = Stock(last.battery_kwh, last.ev_missing_kwh + last.ev_unserved_kwh)
    return _outcome(strategy, named, after, last.ev_unserved_kwh, sum(row.flush for row in rows), day)


def of_plan(strategy: str, plan: Plan, day: Day) -> Outcome:
    """What the plan of one who knew everything comes to."""
    horizon, plant = plan.horizon, day.scenario.plant

    def series(values: Sequence[float]) -> Series:
        return Series(horizon.start, horizon.step_s, tuple(values))

    def total(*names: str) -> Series:
        rows = [plan.power_kw[name] for name in plan.power_kw if name.startswith(names)]
        return series([sum(step) for step in zip(*rows, strict=True)] if rows else [0.0] * horizon.steps)

    pump = series([power + plant.heat_pump.standby_kw for power in plan.power_kw["heating"]])
    base = series([power - plant.heat_pump.standby_kw for power in plan.power_kw["base"]])
    energy = [state[0] for state in plan.states["battery"]]
    missing = sum(needs - plan.states[name][-1][0] for name, needs in car_needs(day.scenario, day.site).items())
    named = {
        "base_kw": base,
        "hp_kw": pump,
        "ev_kw": total("car"),
        "ahu_kw": total("airing"),
        "battery_kw": total("battery"),
        "pv_kw": total("roof"),
        "grid_kw": series(plan.grid_kw),
        "soc": series([kwh / plant.battery.capacity_kwh for kwh in energy[1:]]),
        "zone1_c": series(_midway([state[0] for state in plan.states["zone1"]])),
        "zone2_c": series(_midway([state[0] for state in plan.states["zone2"]])),
    }
    airing = sum(power > 0 for power in _values(named["ahu_kw"])) * horizon.step_s / 60
    return _outcome(strategy, named, Stock(energy[-1], missing), 0.0, airing, day)


def _midway(ends: Sequence[float]) -> list[float]:
    return [(before + after) / 2 for before, after in pairwise(ends)]


def _values(series: Series) -> list[float]:
    return [value or 0.0 for value in series.values]


def _outcome(
    strategy: str, series: Mapping[str, Series], after: Stock, unserved_kwh: float, airing_min: float, day: Day
) -> Outcome:
    grid, limits, battery = series["grid_kw"], day.site.limits, day.scenario.plant.battery
    roof = [-power for power in _values(series["pv_kw"])]
    consumers = [_values(series[name]) for name in ("base_kw", "hp_kw", "ev_kw", "ahu_kw")]
    consumers.append([max(0.0, power) for power in _values(series["battery_kw"])])
    used = [sum(step) for step in zip(*consumers, strict=True)]
    over = [max(power - limits.import_kw, -power - limits.export_kw) for power in _values(grid)]
    zones = list(enumerate(day.comforts, 1))
    cold = tuple(discomfort_kh(series[f"zone{n}_c"], comfort, day.site.timezone) for n, comfort in zones)
    before = Stock(battery.initial_soc * battery.capacity_kwh)
    return Outcome(
        strategy=strategy,
        series=series,
        bill=bill(grid, day.rates),
        stock_eur=stock_value(before, after, day.stock_price_eur, best_efficiency(battery)),
        self_consumption=self_consumption(roof, used),
        discomfort_kh=cold,
        comfort_eur=sum(kh * comfort.price for kh, comfort in zip(cold, day.comforts, strict=True)),
        over_limit_min=sum(kw > _OVER_KW for kw in over) * grid.step_s / 60,
        over_limit_kw=max(0.0, *over),
        car_unserved_kwh=unserved_kwh,
        airing_min=airing_min,
    )
