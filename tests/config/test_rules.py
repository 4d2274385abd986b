"""The section rules: what is right, and one mistake a row."""

from __future__ import annotations

import re

import pytest

from energyctl.config import load_site
from energyctl.config.rules import KINDS, Frost, HeatWave, TrimRespond
from energyctl.control import rules
from energyctl.control.alarm_kinds import KINDS as ALARMS
from energyctl.core.errors import ConfigError

TRIM = (
    "kind: trim-respond, setpoint: heatpump.zone1_setpoint, start: 20 °C, min: 18 °C, max: 25 °C, trim: -0.1 K,"
    " respond: 0.2 K, most: 0.5 K, requests: [{zone: hall, importance: 2}]"
)


@pytest.fixture
def with_rules(site_dir, town_hall):
    def make(*lines: str):
        path = site_dir / "site.yaml"
        path.write_text(town_hall + "\nrules:\n" + "".join(f"  - {{{line}}}\n" for line in lines), "utf-8")
        return path

    return make


def test_every_kind_of_the_site_file_is_one_that_decides_and_its_alarm_is_known():
    assert KINDS.keys() == rules.KINDS.keys()
    assert {kind for kind in KINDS if kind != "trim-respond"} <= ALARMS.keys()


def test_a_site_without_rules_has_none(spoil):
    assert load_site(spoil()).rules == ()


def test_a_zone_stands_for_its_points(with_rules):
    frost, wave, trim = load_site(
        with_rules(
            "kind: frost, zone: office, to: 16 °C", "kind: heat-wave, zone: hall, outdoor: heatpump.outdoor_temp", TRIM
        )
    ).rules
    assert isinstance(frost, Frost) and isinstance(wave, HeatWave) and isinstance(trim, TrimRespond)
    assert (frost.temp, frost.setpoint, frost.below, frost.until) == (
        "heatpump.zone1_temp",
        "heatpump.zone1_setpoint",
        5.0,
        8.0,
    )
    assert (wave.temp, wave.setpoint, wave.days) == ("heatpump.zone2_temp", "heatpump.zone2_setpoint", 2)
    assert [(one.temp, one.importance) for one in trim.requests] == [("heatpump.zone2_temp", 2)]
    assert [rule.name for rule in (frost, wave)] == ["frost heatpump.zone1_setpoint", "heat-wave heatpump.zone2_temp"]


MISTAKES = [
    ("kind: frst, zone: office", "rules[0].kind", "did you mean 'frost'"),
    ("zone: office", "rules[0]", "a rule with a kind"),
    ("kind: frost, zone: ofice", "rules[0]", "did you mean 'office'"),
    ("kind: frost, zone: office", "rules[0].to", "12 °C cannot be set"),
    ("kind: frost, zone: office, to: 16", "rules[0].to", "a number without a unit"),
    ("kind: frost, zone: office, to: 16 °C, below: 7.5 °C", "rules[0]", "at least 1 K less than until"),
    ("kind: frost, zone: office, to: 16 °C, unil: 9 °C", "rules[0].unil", "did you mean 'until'"),
    ("kind: frost, temp: meter.power, setpoint: heatpump.zone1_setpoint, to: 16 °C", "rules[0].temp", "is in kW"),
    ("kind: frost, temp: heatpump.zone1_temp, setpoint: heatpump.zone1_temp", "rules[0].setpoint", "is read-only"),
    (
        "kind: frost, temp: heatpump.zone9_temp, setpoint: heatpump.zone1_setpoint, to: 16 °C",
        "rules[0].temp",
        "no such point",
    ),
    ("kind: legionella, zone: office, to: 62 °C", "rules[0].to", "is limited to 15 °C to 30 °C"),
    ("kind: legionella, zone: office, reach: 50 °C", "rules[0]", "at least 55 °C"),
    ("kind: legionella, zone: office, to: 60 °C", "rules[0]", "to must be above reach"),
    ("kind: legionella, zone: office, every: 1 d", "rules[0]", "every 2 d to 31 d"),
    ("kind: legionella, zone: office, hours: at night", "rules[0].hours", "is not like"),
    ("kind: heat-wave, zone: office, outdoor: heatpump.outdoor_temp, days: 0", "rules[0].days", "at least 1"),
    (
        "kind: heat-wave, zone: office, outdoor: heatpump.outdoor_temp, vent: meter.power",
        "rules[0].vent",
        "but no unit",
    ),
    (TRIM.replace("0.2 K", "-0.2 K"), "rules[0]", "opposite signs"),
    (TRIM.replace("most: 0.5", "most: 0.1"), "rules[0]", "be no smaller"),
    (TRIM.replace("start: 20", "start: 17"), "rules[0]", "between min and max"),
    (TRIM.replace("max: 25", "max: 31"), "rules[0].max", "31 °C cannot be set"),
    (TRIM.replace("zone: hall", "zone: hal"), "rules[0].requests[0]", "did you mean 'hall'"),
]


@pytest.mark.parametrize(("rule", "path", "words"), MISTAKES, ids=[f"{words}" for _, _, words in MISTAKES])
def test_mistakes(with_rules, rule, path, words):
    with pytest.raises(ConfigError) as caught:
        load_site(with_rules(rule))
    lines = [line for line in str(caught.value).splitlines() if f": {path}: " in line]
    assert any(words in line for line in lines), str(caught.value)
    assert all(re.search(r"site\.yaml:\d+: ", line) for line in lines)


def test_two_of_a_kind_for_a_point_are_one_too_many(with_rules):
    with pytest.raises(ConfigError, match=r"another frost rule for heatpump\.zone1_setpoint"):
        load_site(with_rules("kind: frost, zone: office, to: 16 °C", "kind: frost, zone: office, to: 17 °C"))


def test_what_a_rule_commands_must_have_a_watchdog_or_be_accepted_without(with_rules):
    text = with_rules("kind: frost, zone: office, to: 16 °C").read_text()
    path = with_rules()
    path.write_text(text.replace("accept_no_watchdog: [heatpump, airhandler]", "accept_no_watchdog: [airhandler]"))
    with pytest.raises(ConfigError, match=r"heatpump\.zone1_setpoint.*no watchdog"):
        load_site(path)


@pytest.mark.parametrize("text", ["rules: {a: 1}", "rules: frost", "rules: [3]", "rules:\n  - [1]"])
def test_what_is_no_list_of_rules(site_dir, town_hall, text):
    path = site_dir / "site.yaml"
    path.write_text(f"{town_hall}\n{text}\n", "utf-8")
    with pytest.raises(ConfigError, match="rules"):
        load_site(path)


@pytest.mark.parametrize("line", ["clock_step: 0 s", "clock_settle: 2 d"])
def test_how_a_clock_is_judged_has_limits(spoil, line):
    with pytest.raises(ConfigError, match="1 s to 1 d"):
        load_site(spoil("  lease: 60 s", f"  {line}\n  lease: 60 s"))
