"""Hourly measurements become minutes without losing a kWh."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from energyctl.core.errors import ConfigError
from hil.measured import joined, read, spread

T0 = datetime(2019, 1, 22, tzinfo=UTC)
HEADER = "time_utc,load_kw,temp_c,rel_humidity_pct,ghi_w_m2\n"


def write(path: Path, rows: list[str]) -> Path:
    file = path / "day.csv"
    file.write_text("# a remark\n" + HEADER + "".join(f"{row}\n" for row in rows))
    return file


def hours(count: int) -> list[str]:
    return [f"{T0 + timedelta(hours=h):%Y-%m-%dT%H:%MZ},{10 + h},{h - 5},80,{20 * h}" for h in range(count)]


@pytest.mark.parametrize(
    "means", [(5.0, 5.0, 5.0), (0.0, 0.0, 30.0, 100.0, 20.0, 0.0), (1.0, 100.0, 1.0), (7.0, 3.0, 9.0, 2.0)]
)
def test_minutes_keep_every_hours_mean_and_are_never_negative(means: tuple[float, ...]) -> None:
    minutes = spread(means)
    for hour, mean in enumerate(means):
        assert sum(minutes[60 * hour : 60 * hour + 60]) / 60 == pytest.approx(mean, abs=1e-12)
    assert min(minutes) >= 0
    jumps = [abs(b - a) for a, b in pairwise(minutes)]
    assert max(jumps) <= 2 * max(means) / 30  # straight lines over half an hour, no steps at the full hour


def test_readings_are_joined_by_straight_lines() -> None:
    minutes = joined((0.0, 6.0, 3.0))
    assert minutes[30] == pytest.approx(3.0)
    assert minutes[60] == pytest.approx(6.0)
    assert minutes[80] == pytest.approx(5.0)
    assert minutes[179] == pytest.approx(3.0)


def test_flicker_keeps_every_hours_energy_and_depends_on_the_seed_alone(tmp_path: Path) -> None:
    file = write(tmp_path, hours(48))
    found = read(file, T0, 1, 0.1, 0.3)
    for hour in range(48):
        assert sum(found.load_kw[60 * hour : 60 * hour + 60]) / 60 == pytest.approx(10 + hour)
        assert sum(found.ghi_w_m2[60 * hour : 60 * hour + 60]) / 60 == pytest.approx(20 * hour)
    assert found == read(file, T0, 1, 0.1, 0.3)
    assert found.load_kw != read(file, T0, 2, 0.1, 0.3).load_kw


@pytest.mark.parametrize(
    ("hour", "same_as"), [(0, 0), (30, 30), (47, 47), (48, 24), (24 * 9 + 5, 24 + 5), (-1, 47), (-24 * 3, 24)]
)
def test_beyond_its_ends_the_scenarios_day_repeats(tmp_path: Path, hour: int, same_as: int) -> None:
    found = read(write(tmp_path, hours(48)), T0 + timedelta(hours=24), 1, 0.0, 0.0)
    assert found.minute(T0 + timedelta(hours=hour)) == same_as * 60


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (hours(23), "holds 23 hours"),
        ([*hours(20), *hours(30)[21:]], r"day.csv:23: 2019-01-22T21:00Z does not follow"),
        ([*hours(24), "2019-01-23T00:00Z,,0,80,0"], "day.csv:27: load_kw must be a number"),
        ([*hours(24), "2019-01-23T00:00Z,nan,0,80,0"], "load_kw nan is not plausible"),
        ([*hours(24), "2019-01-23T00:00Z,5,0,80,-3"], "ghi_w_m2 -3 is not plausible"),
        ([*hours(24), "yesterday,5,0,80,3"], "time_utc must be like"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(write(tmp_path, rows), T0, 1, 0.0, 0.0)


def test_a_day_that_is_not_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not hold the 24 hours from 2019-01-22T01:00Z"):
        read(write(tmp_path, hours(24)), T0 + timedelta(hours=1), 1, 0.0, 0.0)
