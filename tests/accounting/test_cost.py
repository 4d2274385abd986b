"""Bills and stocks against sums done by hand."""

from datetime import UTC, datetime

import pytest

from energyctl.accounting import Stock, bill, peak_kw, stock_value
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, Series

T0 = datetime(2019, 1, 22, 8, tzinfo=UTC)
QUARTERS = RateTable(
    horizon=Horizon(T0, 900, 4),
    import_price=(0.20, 0.30, 0.40, 0.10),
    export_price=(0.10, 0.12, 0.14, 0.05),
    carbon=(0.25, 0.50, 0.30, 0.20),
)


def series(step_s: int, *values: float | None) -> Series:
    return Series(T0, step_s, values)


def test_a_bill_of_four_quarters() -> None:
    # 10 kW, 20 kW, -8 kW, 4 kW for 0.25 h each: 2.5 and 5 and 1 kWh in, 2 kWh out
    found = bill(series(900, 10.0, 20.0, -8.0, 4.0), QUARTERS)
    assert found.imported_kwh == pytest.approx(8.5)
    assert found.exported_kwh == pytest.approx(2.0)
    assert found.import_eur == pytest.approx(0.50 + 1.50 + 0.10)
    assert found.export_eur == pytest.approx(0.28)
    assert found.total_eur == pytest.approx(1.82)
    assert found.co2_kg == pytest.approx(0.625 + 2.5 + 0.2)
    assert found.peak_kw == pytest.approx(20.0)


def test_nothing_is_netted_between_the_minutes_of_a_quarter() -> None:
    # 3 x 5 min: 12 kW in, 12 kW out, 0: 1 kWh bought at 0.20, 1 kWh sold at 0.10; net zero would cost nothing
    found = bill(series(300, 12.0, -12.0, 0.0), QUARTERS)
    assert found.total_eur == pytest.approx(0.20 - 0.10)
    assert found.peak_kw == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("so_far", "charge"),
    [(0.0, 4.6 * 20.0), (15.0, 4.6 * 5.0), (25.0, 0.0)],
)
def test_only_a_new_peak_costs_a_demand_charge(so_far: float, charge: float) -> None:
    horizon, prices = Horizon(T0, 900, 2), (0.0, 0.0)
    rates = RateTable(horizon, prices, prices, prices, demand_price=4.6, peak_so_far_kw=so_far)
    assert bill(series(900, 20.0, 10.0), rates).demand_eur == pytest.approx(charge)


def test_intervals_without_a_value_or_a_price_are_told_not_guessed() -> None:
    found = bill(series(900, 10.0, None, 0.0, 0.0, 10.0), QUARTERS)  # the fifth is after the last price
    assert found.unknown_h == pytest.approx(0.5)
    assert found.imported_kwh == pytest.approx(2.5)


def test_intervals_longer_than_a_price_are_refused() -> None:
    with pytest.raises(ValueError, match="3600 s do not fit into prices of 900 s"):
        bill(series(3600, 10.0), QUARTERS)


@pytest.mark.parametrize(
    ("step_s", "values", "peak"),
    [
        (300, (30.0, 0.0, 0.0, 12.0, 12.0, 12.0), 12.0),  # means 10 and 12, though a single value was 30
        (900, (-5.0, -1.0), 0.0),
        (3600, (7.0, 9.0), 9.0),
        (60, (6.0,) * 15 + (3.0,) * 5, 6.0),
    ],
)
def test_the_peak_is_a_mean_over_a_quarter_of_an_hour(step_s: int, values: tuple[float, ...], peak: float) -> None:
    assert peak_kw(series(step_s, *values)) == pytest.approx(peak)


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (Stock(30.0), Stock(20.0), 0.2 * 10 / 0.8),  # 10 kWh to put back, of every kWh bought 0.8 arrives
        (Stock(20.0), Stock(30.0), -0.2 * 10 / 0.8),
        (Stock(20.0, 34.0), Stock(20.0, 15.0), 0.2 * 15),
    ],
)
def test_what_is_left_in_stores_is_valued(before: Stock, after: Stock, value: float) -> None:
    assert stock_value(before, after, 0.2, charge_efficiency=0.8) == pytest.approx(value)
