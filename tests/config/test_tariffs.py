"""What energy costs per step, against prices worked out by hand; both days on which Greek clocks change."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energyctl.config.problems import Report
from energyctl.config.tariffs import KINDS, Files, parse_months
from energyctl.config.yaml_source import parse_yaml
from energyctl.core.errors import ConfigError
from energyctl.core.tariff import Tariff
from energyctl.core.timeline import Horizon

ATHENS = ZoneInfo("Europe/Athens")
QUARTER = 900

Make = Callable[..., Tariff]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(**section: Any) -> Tariff:
        report = Report(parse_yaml("tariff: {}", "site.yaml"))
        spec = report.validate(("tariff",), KINDS[section["kind"]], section)
        tariff = spec.tariff(Files(report, tmp_path, "Europe/Athens")) if spec else None
        report.raise_if_any()
        assert tariff is not None
        return tariff

    return made


def day(year: int, month: int, number: int, step_s: int = QUARTER) -> Horizon:
    """The whole site-local day, however long it is."""
    start = datetime(year, month, number, tzinfo=ATHENS).astimezone(UTC)
    end = datetime(year, month, number + 1, tzinfo=ATHENS).astimezone(UTC)
    return Horizon(start, step_s, int((end - start).total_seconds()) // step_s)


def csv(path: Path, start: datetime, step_s: int, values: list[float], column: str = "price_eur_per_mwh") -> Path:
    times = (start + timedelta(seconds=step_s * index) for index in range(len(values)))
    rows = [f"{time:%Y-%m-%dT%H:%MZ},{value}" for time, value in zip(times, values, strict=True)]
    path.write_text("\n".join([f"time_utc,{column}", *rows]) + "\n")
    return path


def test_flat(make: Make) -> None:
    tariff = make(kind="flat", import_price="0.2 EUR/kWh", export_price="65 EUR/MWh", carbon="265 g/kWh")
    rates = tariff.rates(Horizon(datetime(2026, 1, 12, tzinfo=UTC), QUARTER, 3))
    assert rates.import_price == (0.2, 0.2, 0.2)
    assert rates.export_price == pytest.approx((0.065, 0.065, 0.065))
    assert rates.carbon == pytest.approx((0.265, 0.265, 0.265))
    assert rates.guessed == (False, False, False)
    assert rates.demand_price == 0.0


def test_demand_charge(make: Make) -> None:
    tariff = make(kind="flat", import_price="0.2 EUR/kWh", demand_charge="4.6 EUR/kW")
    assert tariff.rates(day(2026, 1, 12)).demand_price == 4.6


DUAL_ZONE = {
    "kind": "time-of-use",
    "import_price": "0.2 EUR/kWh",
    "bands": [
        {"hours": "02:00-05:00; 12:00-15:00", "months": "Nov-Mar", "import_price": "0.1 EUR/kWh"},
        {"hours": "02:00-04:00; 11:00-15:00", "months": "Apr-Oct", "import_price": "0.1 EUR/kWh"},
        {"hours": "Mo-Fr 18:00-23:00", "import_price": "0.4 EUR/kWh"},
    ],
}


@pytest.mark.parametrize(
    ("date", "steps", "cheap", "dear"),
    [
        pytest.param((2026, 1, 14), 96, 24, 20, id="winter Wednesday: 3 h + 3 h cheap, 5 h dear"),
        pytest.param((2026, 1, 17), 96, 24, 0, id="winter Saturday: no peak"),
        pytest.param((2026, 7, 15), 96, 24, 20, id="summer Wednesday: 2 h + 4 h cheap"),
        pytest.param((2026, 3, 29), 92, 20, 0, id="clocks forward: 03:00-04:00 does not exist, so 1 h less is cheap"),
        pytest.param((2026, 10, 25), 100, 28, 0, id="clocks back: 03:00-04:00 comes twice, so 1 h more is cheap"),
    ],
)
def test_time_of_use_by_local_time(make: Make, date: tuple[int, int, int], steps: int, cheap: int, dear: int) -> None:
    horizon = day(*date)
    prices = [round(price, 9) for price in make(**DUAL_ZONE).rates(horizon).import_price]
    assert horizon.steps == len(prices) == steps
    assert (prices.count(0.1), prices.count(0.4)) == (cheap, dear)


def test_the_first_band_that_covers_counts_and_a_step_takes_its_share_of_each(make: Make) -> None:
    bands = [
        {"hours": "07:00-07:20", "import_price": "0.9 EUR/kWh"},
        {"hours": "06:00-08:00", "import_price": "0.3 EUR/kWh"},
    ]
    tariff = make(kind="time-of-use", import_price="0.1 EUR/kWh", bands=bands)
    start = datetime(2026, 1, 14, 4, 30, tzinfo=UTC)  # 06:30 in Athens
    prices = tariff.rates(Horizon(start, 1800, 4)).import_price
    # 06:30-07:00: 0.3; 07:00-07:30: two thirds at 0.9, one at 0.3; 07:30-08:00: 0.3; after: 0.1
    assert prices == pytest.approx((0.3, 0.7, 0.3, 0.1))


@pytest.mark.parametrize(
    ("text", "months"), [("Nov-Feb", {11, 12, 1, 2}), ("Aug", {8}), ("Jan-Dec", set(range(1, 13))), ("Mar-Mar", {3})]
)
def test_months(text: str, months: set[int]) -> None:
    assert parse_months(text) == months


def test_day_ahead_adds_charges_and_pays_the_market_price(make: Make, tmp_path: Path) -> None:
    csv(tmp_path / "p.csv", datetime(2026, 1, 12, tzinfo=UTC), QUARTER, [100.0, -20.0, 0.0, 400.0])
    tariff = make(
        kind="day-ahead",
        file="p.csv",
        import_factor=1.06,
        import_adder="0.075 EUR/kWh",
        export_factor=0.9,
        export_adder="-5 EUR/MWh",
    )
    rates = tariff.rates(Horizon(datetime(2026, 1, 12, tzinfo=UTC), QUARTER, 4))
    # 1.06 * 0.1 + 0.075 = 0.181; 1.06 * -0.02 + 0.075 = 0.0538; 0.9 * 0.1 - 0.005 = 0.085; 0.9 * -0.02 - 0.005 = -0.023
    assert rates.import_price == pytest.approx((0.181, 0.0538, 0.075, 0.499))
    assert rates.export_price == pytest.approx((0.085, -0.023, -0.005, 0.355))
    assert rates.guessed == (False,) * 4


@pytest.mark.parametrize(
    ("step_s", "horizon_s", "values", "expected"),
    [
        pytest.param(3600, QUARTER, [100, 200], (0.1,) * 4 + (0.2,) * 4, id="hourly prices, quarters asked"),
        pytest.param(1800, QUARTER, [100, 200], (0.1, 0.1, 0.2, 0.2), id="half hours"),
        pytest.param(QUARTER, 3600, [100, 200, 300, 400], (0.25,), id="quarters, an hour asked: their mean"),
    ],
)
def test_market_intervals(
    make: Make, tmp_path: Path, step_s: int, horizon_s: int, values: list[float], expected: tuple[float, ...]
) -> None:
    start = datetime(2026, 1, 12, tzinfo=UTC)
    csv(tmp_path / "p.csv", start, step_s, values)
    rates = make(kind="day-ahead", file="p.csv").rates(Horizon(start, horizon_s, len(expected)))
    assert rates.import_price == pytest.approx(expected)


@pytest.mark.parametrize(("date", "steps"), [((2026, 3, 29), 92), ((2026, 10, 25), 100)])
def test_day_ahead_on_the_days_clocks_change(
    make: Make, tmp_path: Path, date: tuple[int, int, int], steps: int
) -> None:
    horizon = day(*date)
    values = [float(number) for number in range(steps)]
    csv(tmp_path / "p.csv", horizon.start, QUARTER, values)
    rates = make(kind="day-ahead", file="p.csv").rates(horizon)
    assert rates.import_price == pytest.approx([value / 1000 for value in values])
    assert not any(rates.guessed)


def test_beyond_what_is_published_like_days_stand_in(make: Make, tmp_path: Path) -> None:
    """Thursday to Saturday are known, each at its own price and dearer at 20:00; Sunday, Monday, Tuesday are asked."""
    start = datetime(2026, 1, 15, tzinfo=ATHENS).astimezone(UTC)
    values = [{0: 50.0, 1: 60.0, 2: 70.0}[hour // 24] + (100.0 if hour % 24 == 20 else 0.0) for hour in range(72)]
    csv(tmp_path / "p.csv", start, 3600, values)
    tariff = make(kind="day-ahead", file="p.csv")
    rates = tariff.rates(Horizon(start + timedelta(hours=71), 3600, 1 + 72))
    assert rates.guessed == (False,) + (True,) * 72
    assert rates.import_price[0] == pytest.approx(0.07)
    sunday, monday, tuesday = (rates.import_price[1 + 24 * n : 25 + 24 * n] for n in range(3))
    assert sunday == pytest.approx([0.17 if hour == 20 else 0.07 for hour in range(24)]), "as Saturday"
    assert monday == pytest.approx([0.16 if hour == 20 else 0.06 for hour in range(24)]), "as Friday"
    assert tuesday == monday


def test_the_same_time_is_the_same_local_time_when_clocks_change(make: Make, tmp_path: Path) -> None:
    start = datetime(2026, 3, 28, tzinfo=ATHENS).astimezone(UTC)  # Saturday; Sunday the clocks go forward
    csv(tmp_path / "p.csv", start, 3600, [100.0 + hour for hour in range(24)])
    prices = make(kind="day-ahead", file="p.csv").rates(day(2026, 3, 29, 3600)).import_price
    assert len(prices) == 23
    assert prices[0] == pytest.approx(0.100), "00:00 as on Saturday"
    assert prices[22] == pytest.approx(0.123), "23:00 as on Saturday, though it is 22 h after midnight"


def test_with_no_like_day_the_mean_stands_in(make: Make, tmp_path: Path) -> None:
    start = datetime(2026, 1, 17, tzinfo=ATHENS).astimezone(UTC)  # a Saturday alone
    csv(tmp_path / "p.csv", start, 3600, [10.0] * 12 + [30.0] * 12)
    rates = make(kind="day-ahead", file="p.csv").rates(day(2026, 1, 19, 3600))
    assert rates.import_price == pytest.approx((0.02,) * 24)
    assert all(rates.guessed)
    before = make(kind="day-ahead", file="p.csv").rates(day(2026, 1, 10, 3600))
    assert before.import_price == pytest.approx((0.02,) * 24)


def test_carbon_from_a_file_and_its_guesses_are_told_apart_from_those_of_prices(make: Make, tmp_path: Path) -> None:
    start = datetime(2026, 1, 12, tzinfo=UTC)
    csv(tmp_path / "c.csv", start, 3600, [0.2, 0.3], "carbon_kg_per_kwh")
    rates = make(kind="flat", import_price="0.2 EUR/kWh", carbon="c.csv").rates(Horizon(start, 1800, 5))
    assert rates.carbon == pytest.approx((0.2, 0.2, 0.3, 0.3, 0.25))
    assert rates.guessed_carbon == (False, False, False, False, True)
    assert not any(rates.guessed), "prices are known"


def test_a_new_file_is_noticed_and_a_broken_one_is_not_believed(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = datetime(2026, 1, 12, tzinfo=UTC)
    horizon = Horizon(start, QUARTER, 2)
    path = csv(tmp_path / "p.csv", start, QUARTER, [100.0, 100.0])
    tariff = make(kind="day-ahead", file="p.csv")
    csv(path, start, QUARTER, [200.0, 200.0, 200.0])
    assert tariff.rates(horizon).import_price == pytest.approx((0.2, 0.2))
    path.write_text("time_utc,price_eur_per_mwh\n2026-01-12T00:00Z,oops\n")
    os.utime(path, (1, 1))
    assert tariff.rates(horizon).import_price == pytest.approx((0.2, 0.2))
    assert tariff.rates(horizon).import_price == pytest.approx((0.2, 0.2))
    assert caplog.text.count("keeping the values") == 1
    path.unlink()
    assert tariff.rates(horizon).import_price == pytest.approx((0.2, 0.2))


def rows(*lines: str) -> str:
    return "\n".join(["time_utc,price_eur_per_mwh", *(f"2026-01-12T{line}" for line in lines)])


BAD_FILES = {
    "gap": (rows("00:00Z,1", "00:15Z,1", "01:00Z,1"), 4, "a gap: 2026-01-12T00:30Z to 2026-01-12T01:00Z is missing"),
    "not sorted": (rows("00:15Z,1", "00:30Z,1", "00:00Z,1"), 4, "2026-01-12T00:00Z comes after 2026-01-12T00:30Z"),
    "same time twice": (rows("00:00Z,1", "00:15Z,1", "00:15Z,1"), 4, "2026-01-12T00:15Z is here twice"),
    "off the grid": (rows("00:00Z,1", "00:15Z,1", "00:37Z,1"), 4, "2026-01-12T00:37Z is not on the file's 15 min grid"),
    "wrong interval": (rows("00:00Z,1", "00:20Z,1"), 2, "rows are 1200 s apart; they must be 15, 30 or 60 min apart"),
    "comma": (rows("00:00Z,1", '00:15Z,"1,5"'), 3, "'1,5': must be a number (a point, not a comma"),
    "nan": (rows("00:00Z,1", "00:15Z,nan"), 3, "'nan': must be a number"),
    "nan in the middle": (rows("00:00Z,1", "00:15Z,nan", "00:30Z,1"), 3, "'nan': must be a number"),
    "absurd": (rows("00:00Z,1", "00:15Z,9000"), 3, "'9000': outside -0.5 to 4 EUR/kWh; is the unit right?"),
    "no time": (rows("00:00Z,1", "25:15Z,1"), 3, "'2026-01-12T25:15Z': must be a time like"),
    "too few cells": (rows("00:00Z,1", "00:15Z"), 3, "has 1 cells, too few"),
    "wrong unit": ("time_utc,price_usd_per_mwh\n2026-01-12T00:00Z,1\n", 1, "did you mean 'price_eur_per_mwh'?"),
    "no time column": ("time,price_eur_per_mwh\n2026-01-12T00:00Z,1\n", 1, "no column 'time_utc'"),
    "empty": ("", None, "is empty"),
    "one row": (rows("00:00Z,1"), None, "needs at least two rows"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_price_files_with_mistakes(make: Make, tmp_path: Path, name: str) -> None:
    text, line, words = BAD_FILES[name]
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ConfigError) as caught:
        make(kind="day-ahead", file="p.csv")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{tmp_path / 'p.csv'}:" + (f"{line}: " if line else " "))
    assert words in caught.value.problems[0]


def test_every_mistake_of_a_file_is_told_up_to_a_point(make: Make, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(rows("00:00Z,x", "00:15Z,1", "00:30Z,1", "01:15Z,1", "01:00Z,1"))
    with pytest.raises(ConfigError) as caught:
        make(kind="day-ahead", file="p.csv")
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["2", "5", "6"]
    (tmp_path / "p.csv").write_text(rows(*["00:00Z,x"] * 1000))
    with pytest.raises(ConfigError) as caught:
        make(kind="day-ahead", file="p.csv")
    assert len(caught.value.problems) == 21


def test_remarks_kwh_and_other_offsets_are_read(make: Make, tmp_path: Path) -> None:
    text = "# synthetic\ntime_utc,price_eur_per_kwh\n2026-01-12T02:00+02:00,0.1\n\n2026-01-12T00:15,0.2\n"
    (tmp_path / "p.csv").write_text(text)
    rates = make(kind="day-ahead", file="p.csv").rates(Horizon(datetime(2026, 1, 12, tzinfo=UTC), QUARTER, 2))
    assert rates.import_price == pytest.approx((0.1, 0.2))
