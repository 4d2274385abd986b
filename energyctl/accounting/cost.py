"""What energy cost: a bill from power at the connection and a rate table, and the worth of what is left in stores.

Every interval of the power series is billed by itself: what flows in is bought, what flows out is sold, and nothing is
netted between intervals (simultaneous net billing). CO2 counts import alone, at the carbon of the grid then (location
based). The peak is the highest 15-min mean import; only what exceeds the month's earlier peak costs a demand charge.
Formulas: cost = sum(import price x imported - export price x exported), the usual definitions of ISO 50001 reporting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Series, resample

PEAK_S = 900


@dataclass(frozen=True, slots=True)
class Bill:
    """Energy [kWh] and money over a span; `export_eur` is what was earned, a positive number."""

    imported_kwh: float
    exported_kwh: float
    import_eur: float
    export_eur: float
    demand_eur: float
    co2_kg: float
    peak_kw: float
    unknown_h: float
    """Hours without a value; they are in no other figure."""

    @property
    def total_eur(self) -> float:
        """What is to be paid."""
        return self.import_eur - self.export_eur + self.demand_eur


def bill(grid_kw: Series, rates: RateTable) -> Bill:
    """The bill for power at the connection [kW, import positive]; intervals outside the rate table count as unknown.

    The series' step must divide the rate table's, so that every interval has one price.
    """
    if rates.horizon.step_s % grid_kw.step_s:
        raise ValueError(f"intervals of {grid_kw.step_s} s do not fit into prices of {rates.horizon.step_s} s")
    hours = grid_kw.step_s / 3600
    imported = exported = bought = sold = co2 = unknown = 0.0
    for time, power in _intervals(grid_kw):
        step = rates.horizon.index(time)
        if power is None or step is None:
            unknown += hours
            continue
        energy_in, energy_out = max(0.0, power) * hours, max(0.0, -power) * hours
        imported, exported = imported + energy_in, exported + energy_out
        bought += energy_in * rates.import_price[step]
        sold += energy_out * rates.export_price[step]
        co2 += energy_in * rates.carbon[step]
    peak = peak_kw(grid_kw)
    demand = rates.demand_price * max(0.0, peak - rates.peak_so_far_kw)
    return Bill(imported, exported, bought, sold, demand, co2, peak, unknown)


def peak_kw(grid_kw: Series) -> float:
    """The highest mean import [kW] over 15 clock minutes; 0 when nothing was imported."""
    steps = max(1, -(-len(grid_kw.values) * grid_kw.step_s // PEAK_S))
    step_s = max(PEAK_S, grid_kw.step_s)
    means = resample(_intervals(grid_kw), grid_kw.start, step_s, steps)
    return max((value for value in means.values if value is not None and value > 0), default=0.0)


def _intervals(series: Series) -> Sequence[tuple[datetime, float | None]]:
    step = timedelta(seconds=series.step_s)
    return [(series.start + step * k, value) for k, value in enumerate(series.values)]


@dataclass(frozen=True, slots=True)
class Stock:
    """What stores hold at an instant [kWh]: in the battery, and still missing from cars (there or gone)."""

    battery_kwh: float = 0.0
    car_missing_kwh: float = 0.0


def stock_value(before: Stock, after: Stock, price_eur: float, charge_efficiency: float = 1.0) -> float:
    """What it costs [EUR] to bring the stores back to where they were, at one stated price [EUR/kWh]; negative is a gain.

    A battery kWh costs `price / charge_efficiency` to put back. A car's missing energy only counts at the end: at the
    start it is the same for every strategy that is compared, and so is the car's visit.
    """
    battery = (before.battery_kwh - after.battery_kwh) / charge_efficiency
    return price_eur * (battery + after.car_missing_kwh)
