"""Which site a command means, durations, and values as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energyctl.cli.values import parse_value, show_value
from energyctl.cli.where import find
from energyctl.config.snapshot import site_id
from energyctl.core.durations import parse_duration, words
from energyctl.core.errors import ConfigError
from energyctl.core.points import Point


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1 d", 86400), ("0.5 h", 1800), ("15 min", 900)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "h", "10 parsecs", "-5m", "10m please", "0s", "nan s", "1e9x"])
def test_what_is_no_duration(text):
    with pytest.raises(ConfigError, match=r"write e\.g\."):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (300, "5 min"), (7500, "2 h 5 min"), (7200, "2 h"), (400000, "4 d")],
)
def test_ages(seconds, text):
    assert words(timedelta(seconds=seconds)) == text


POWER = Point(id="storage.power_setpoint", unit="kW")
SOC = Point(id="storage.soc", unit="1")
TEMP = Point(id="heatpump.zone1_setpoint", unit="°C")
SWITCH = Point(id="airhandler.flush", kind="bool")
MODE = Point(id="heatpump.mode", kind="enum", choices={"heat": 1, "cool": 2})


@pytest.mark.parametrize(
    ("text", "point", "value"),
    [
        ("12 kW", POWER, 12.0),
        ("-500 W", POWER, -0.5),
        ("12kW", POWER, 12.0),
        ("45 %", SOC, 0.45),
        ("0.45", SOC, 0.45),
        ("21 °C", TEMP, 21.0),
        ("70 °F", TEMP, pytest.approx(21.1111, abs=1e-4)),
        ("on", SWITCH, 1.0),
        ("OFF", SWITCH, 0.0),
        ("cool", MODE, 2.0),
    ],
)
def test_values(text, point, value):
    assert parse_value(text, point) == value


@pytest.mark.parametrize(
    ("text", "point", "right"),
    [
        ("12", POWER, "kW"),
        ("12 °C", POWER, "kW"),
        ("warm", TEMP, "°C"),
        ("nan kW", POWER, "kW"),
        ("2", SWITCH, "on or off"),
        ("warm", MODE, "heat, cool"),
    ],
)
def test_what_is_no_value(text, point, right):
    with pytest.raises(ConfigError) as error:
        parse_value(text, point)
    assert point.id in str(error.value) and text in str(error.value) and right in str(error.value)


@pytest.mark.parametrize(
    ("value", "point", "text"),
    [
        (None, POWER, "-"),
        (None, SWITCH, "-"),
        (12.0, POWER, "12 kW"),
        (-0.04567, POWER, "-0.046 kW"),
        (123456.78, POWER, "123456.8 kW"),
        (0.0, POWER, "0 kW"),
        (0.456, SOC, "45.6 %"),
        (1.0, SWITCH, "on"),
        (0.0, SWITCH, "off"),
        (2.0, MODE, "cool"),
        (7.0, MODE, "7"),
    ],
)
def test_shown_values(value, point, text):
    assert show_value(value, point) == text


def test_state_says_it(tmp_path):
    assert find(None, tmp_path).paths.root == tmp_path


def test_the_site_file_says_it_by_its_id(site, home):
    assert find(site, None).paths.root == home / "energyctl" / "my-building"
    assert site_id(site) == "my-building"


def test_the_only_site_known(home):
    for name, files in (("hall", ["energyctl.sqlite"]), ("empty", [])):
        folder = home / "energyctl" / name
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).touch()
    assert find(None, None).paths.root == home / "energyctl" / "hall"


def test_none_or_several_sites(home):
    with pytest.raises(ConfigError, match=r"Write --site FILE or set ENERGYCTL_SITE \(none has run here yet\)"):
        find(None, None)
    for name in ("hall", "school"):
        (home / "energyctl" / name).mkdir(parents=True)
        (home / "energyctl" / name / "energyctl.sqlite").touch()
    with pytest.raises(ConfigError, match=r"there are 2: hall, school"):
        find(None, None)


def test_from_the_environment(cli, site, home):
    result = cli("point", "get", "--site", site)
    assert result.code == 8
    assert f"no answer at {home / 'energyctl' / 'my-building' / 'control.sock'}" in result.err


def test_a_site_file_without_an_id(cli, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("site: {name: x}\n")
    result = cli("status", "--site", path)
    assert (result.code, result.err) == (2, f"{path}: site.id is missing; see 'energyctl config validate {path}'\n")
