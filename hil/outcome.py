"""What a run came to: series by the minute or the quarter hour, the bill, comfort, and what was left in the stores.

Rule for comparing strategies: the cost of a day is its bill plus what it takes to bring the stores back to where they began,
at one stated price, the mean import price of the following night (until the first car leaves): a battery kWh costs that
price through its best one-way efficiency, a kWh missing from a car, there or gone, just that price.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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

from .foresight import STEP_S, Truth, best_efficiency, car_needs
from .plant import Plant, build
from .plant.parts import AirHandler, Charger, HeatPump, Part, Roof, Store, Switched
from .scenario import Scenario
from .world import Row

SORTS: Mapping[str, tuple[type[Part], ...]] = {
    "hp_kw": (HeatPump,),
    "ev_kw": (Charger,),
    "ahu_kw": (AirHandler, Switched),
    "battery_kw": (Store,),
    "pv_kw": (Roof,),
}
POWERS = ("base_kw", *SORTS)
"""Sums of the parts of a sort; "base_kw" is all that is of no other."""
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
    comforts: Mapping[str, Comfort]
    """By zone, in the site file's order."""
    plant: Plant
    """The world as it is before the first step."""

    @classmethod
    def of(cls, scenario: Scenario, site: Site) -> Day:
        """Prices from the site's tariff, comfort from its zones. Raises EnergyctlError."""
        start, end = scenario.start(site.timezone), scenario.end(site.timezone)
        rates = site.tariff.rates(Horizon(start, STEP_S, int(scenario.lasts // STEP_S)))
        night = site.tariff.rates(Horizon(end, STEP_S, int(_NIGHT_S // STEP_S)))
        zones = [resource for resource in site.resources if isinstance(resource, Zone)]
        comforts = {zone.id: site.view.comfort[zone.comfort] for zone in zones}
        return cls(scenario, site, rates, mean(night.import_price), comforts, build(site, scenario))

    def sort(self, part: str) -> str:
        """Which of POWERS a part counts for."""
        found = self.plant.parts.get(part)
        return next((sort for sort, kinds in SORTS.items() if isinstance(found, kinds)), "base_kw")

    @property
    def stores(self) -> list[Store]:
        """The batteries."""
        return self.plant.of_kind(Store)


@dataclass(frozen=True)
class Outcome:
    """A strategy's day. `series` holds powers by sort [kW], "grid_kw", "soc" of all batteries, "<zone>.air_c", by name."""

    strategy: str
    series: Mapping[str, Series]
    bill: Bill
    stock_eur: float
    self_consumption: float | None
    discomfort_kh: tuple[float, ...]
    """By zone."""
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


def read_trace(file: Path) -> list[Row]:
    """The rows of a trace.json."""
    rows = json.loads(file.read_text())
    return [Row(**{**row, "time": datetime.fromisoformat(row["time"])}) for row in rows]


def of_trace(strategy: str, rows: Sequence[Row], day: Day) -> Outcome:
    """What a simulated run came to. Raises EnergyctlError when it is empty or broke off."""
    step_s = round(rows[0].seconds) if rows else 60
    count = int(day.scenario.lasts // step_s)
    if len(rows) < count:
        done, whole = len(rows) * step_s // 60, count * step_s // 60
        raise EnergyctlError(f"{strategy}: the run broke off after {done} of {whole} minutes")
    rows = rows[:count]

    def series(value: Callable[[Row], float]) -> Series:
        return Series(rows[0].time, step_s, tuple(value(row) for row in rows))

    by_sort = {sort: [part for part in rows[0].powers_kw if day.sort(part) == sort] for sort in POWERS}
    named = {sort: series(_sum(parts)) for sort, parts in by_sort.items()}
    named |= {"grid_kw": series(lambda row: row.grid_kw), "soc": series(lambda row: _soc(row, day))}
    named |= {f"{zone}.air_c": series(_state(f"{zone}.air_c")) for zone in day.comforts}
    last, chargers = rows[-1].states, [charger.id for charger in day.plant.of_kind(Charger)]
    unserved = sum(last[f"{car}.unserved_kwh"] for car in chargers)
    missing = sum(last[f"{car}.missing_kwh"] for car in chargers) + unserved
    left = {store.id: last[f"{store.id}.energy_kwh"] for store in day.stores}
    airs = [f"{air.id}.on" for air in day.plant.of_kind(AirHandler)]
    airing = sum(any(row.states[air] for air in airs) for row in rows) * step_s / 60
    return _outcome(strategy, named, left, missing, unserved, airing, day)


def _sum(parts: Sequence[str]) -> Callable[[Row], float]:
    return lambda row: sum(row.powers_kw[part] for part in parts)


def _state(name: str) -> Callable[[Row], float]:
    return lambda row: row.states[name]


def _soc(row: Row, day: Day) -> float:
    return _share({store.id: row.states[f"{store.id}.energy_kwh"] for store in day.stores}, day)


def _share(energy_kwh: Mapping[str, float], day: Day) -> float:
    """Charge of all batteries, 0..1; 0 without any."""
    capacity = sum(store.params.capacity_kwh for store in day.stores)
    return sum(energy_kwh.values()) / capacity if capacity else 0.0


def of_plan(strategy: str, plan: Plan, day: Day) -> Outcome:
    """What the plan of one who knew everything comes to."""
    horizon = plan.horizon
    standby = sum(pump.params.standby_kw for pump in day.plant.of_kind(HeatPump))

    def series(values: Sequence[float]) -> Series:
        return Series(horizon.start, horizon.step_s, tuple(values))

    def total(sort: str) -> list[float]:
        rows = [row for name, row in plan.power_kw.items() if day.sort(name.partition(":")[0]) == sort]
        return [sum(step) for step in zip(*rows, strict=True)] if rows else [0.0] * horizon.steps

    named = {sort: series(total(sort)) for sort in POWERS}
    named["base_kw"] = series([power - standby for power in _values(named["base_kw"])])
    named["hp_kw"] = series([power + standby for power in _values(named["hp_kw"])])
    energy = {store.id: [state[0] for state in plan.states[store.id]] for store in day.stores}
    missing = sum(
        needs - plan.states[name][-1][0] for name, needs in car_needs(Truth.of(day.scenario, day.site)).items()
    )
    ends = [_share({name: kwh[step + 1] for name, kwh in energy.items()}, day) for step in range(horizon.steps)]
    named |= {"grid_kw": series(plan.grid_kw), "soc": series(ends)}
    named |= {f"{zone}.air_c": series(_midway([state[0] for state in plan.states[zone]])) for zone in day.comforts}
    airing = sum(power > 0 for power in _values(named["ahu_kw"])) * horizon.step_s / 60
    left = {name: kwh[-1] for name, kwh in energy.items()}
    return _outcome(strategy, named, left, missing, 0.0, airing, day)


def _midway(ends: Sequence[float]) -> list[float]:
    return [(before + after) / 2 for before, after in pairwise(ends)]


def _values(series: Series) -> list[float]:
    return [value or 0.0 for value in series.values]


def _outcome(
    strategy: str,
    series: Mapping[str, Series],
    left_kwh: Mapping[str, float],
    missing_kwh: float,
    unserved_kwh: float,
    airing_min: float,
    day: Day,
) -> Outcome:
    """`left_kwh` is in each battery at the end, `missing_kwh` from cars, there or gone."""
    grid, limits = series["grid_kw"], day.site.limits
    roof = [-power for power in _values(series["pv_kw"])]
    consumers = [_values(series[name]) for name in ("base_kw", "hp_kw", "ev_kw", "ahu_kw")]
    consumers.append([max(0.0, power) for power in _values(series["battery_kw"])])
    used = [sum(step) for step in zip(*consumers, strict=True)]
    over = [max(power - limits.import_kw, -power - limits.export_kw) for power in _values(grid)]
    cold = {
        zone: discomfort_kh(series[f"{zone}.air_c"], comfort, day.site.timezone)
        for zone, comfort in day.comforts.items()
    }
    return Outcome(
        strategy=strategy,
        series=series,
        bill=bill(grid, day.rates),
        stock_eur=_stores_eur(left_kwh, missing_kwh, day),
        self_consumption=self_consumption(roof, used),
        discomfort_kh=tuple(cold.values()),
        comfort_eur=sum(kh * day.comforts[zone].price for zone, kh in cold.items()),
        over_limit_min=sum(kw > _OVER_KW for kw in over) * grid.step_s / 60,
        over_limit_kw=max(0.0, *over),
        car_unserved_kwh=unserved_kwh,
        airing_min=airing_min,
    )


def _stores_eur(left_kwh: Mapping[str, float], missing_kwh: float, day: Day) -> float:
    """What it costs to bring every battery back to where it began, and the cars to what they need."""
    price, cars = day.stock_price_eur, Stock(0.0, missing_kwh)
    total = stock_value(Stock(0.0), cars, price)
    for store in day.stores:
        before = Stock(store.params.initial_soc * store.params.capacity_kwh)
        total += stock_value(before, Stock(left_kwh[store.id]), price, best_efficiency(store.params))
    return total
