"""Scenario files: what they say, what is wrong with them in words, and what they mean on a site."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from energyctl.core.errors import ConfigError
from hil.scenario import DEFAULT_DAY, NotApplicable, example, fitted, load, patched, saved, shipped, site_of

TOWN_HALL = Path("sites/larissa/town-hall.yaml").resolve()


def written(tmp_path: Path, text: str, name: str = "here.yaml") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    return list(caught.value.problems)


def test_an_empty_scenario_is_a_plain_winter_day_of_any_site(tmp_path):
    scenario = load(written(tmp_path, "about: nothing happens\n"))
    assert (scenario.name, scenario.day, scenario.site, scenario.mode) == ("here", DEFAULT_DAY, None, "lockstep")
    assert scenario.start("Europe/Athens") == datetime(2026, 1, 13, 22, 0, tzinfo=UTC)
    assert scenario.end("Europe/Athens") == datetime(2026, 1, 14, 22, 0, tzinfo=UTC)


def test_everything_a_scenario_can_say(tmp_path):
    scenario = load(
        written(
            tmp_path,
            """
name: a meter that is dead for ten minutes
about: the grid limit must hold without the meter
site: town-hall
patch: {site: {mode: control}}
day: 2026-07-01
start: "06:30"
lasts: 40 min
step: 10 s
strategy: rules
seed: 7
outside: {temp_min: -3 °C}
plant: {battery: {initial_soc: 0.5}}
events:
  - {at: 5 min, for: 10 min, fault: silent, on: "@meter", name: meter-dead}
  - {at: 20 min, fault: silent, on: storage}
  - {at: 25 min, fault: silent, on: charger}
tags: [comms]
""",
        )
    )
    assert (scenario.name, scenario.day, scenario.step, scenario.seed) == (
        "a meter that is dead for ten minutes",
        date(2026, 7, 1),
        10.0,
        7,
    )
    assert scenario.start("Europe/Athens") == datetime(2026, 7, 1, 3, 30, tzinfo=UTC)
    assert (scenario.end("UTC") - scenario.start("UTC")).total_seconds() == 2400
    assert [(e.name, e.at_s, e.for_s, e.fault.kind, e.fault.on) for e in scenario.events] == [
        ("meter-dead", 300.0, 600.0, "silent", "@meter"),
        ("silent", 1200.0, None, "silent", "storage"),
        ("silent-2", 1500.0, None, "silent", "charger"),
    ]
    assert site_of(scenario) == TOWN_HALL


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- 5", r":1: must be 'key: value' lines"),
        ("events: [{fault: silent, on: @meter}]", r":1: a text that begins with '@' needs quotes"),
        ("nam: x", r":1: nam: unknown key 'nam'; did you mean 'name'\?"),
        ("lasts: 30", r":1: lasts: '30': a number without a unit; write '30 s'"),
        ("lasts: 200 h", r":1: lasts: '200 h': must be at most 345600"),
        ("lasts: 0 s", r":1: lasts: '0 s': must be more than 0"),
        ("day: 2026-13-01", r":1: day: '2026-13-01': must be a date like 2026-01-14"),
        ("start: 7:30", r":1: start: '7:30': must be a time like \"07:30\""),
        ("mode: lockstp", r":1: mode: 'lockstp': must be 'lockstep' or 'live'; did you mean 'lockstep'\?"),
        ("seed: -1", r":1: seed: '-1': must be at least 0"),
        ("seed: '1'", r":1: seed: '1': must be a whole number"),
        ("seed: 1\nseed: 2", r":2: seed: 'seed' is here twice; first on line 1"),
        ("outside: {temp_min: -3}", r":1: outside.temp_min: '-3': a number without a unit; write '-3 °C'"),
        ("site: nowhere.yaml", r":1: site: no site file 'nowhere.yaml', seen from /"),
        ("site: town-hal", r":1: site: no example site 'town-hal'; did you mean 'town-hall'\?"),
        ("mode: live", r":1: a live run takes as long as it lasts, 86400 s; write e.g. 'lasts: 2 min'"),
        ("events:\n  - {at: 5 min, on: meter}", r":2: events\[0\]: needs one of 'fault: KIND' and 'do: KIND'"),
        ("events:\n  - {at: 5, fault: silent, on: m}", r":2: events\[0\].at: '5': a number without a unit"),
        ("events:\n  - {fault: silnt, on: m}", r":2: events\[0\].fault: .*silnt.*did you mean 'silent'\?"),
        ("events:\n  - {fault: silent, on: m, off: 1}", r":2: events\[0\].fault: .*off"),
        (
            "lasts: 1 h\nevents:\n- {at: 2 h, fault: silent, on: m}",
            r"'silent' is at 7200 s, but the scenario lasts 3600 s",
        ),
        (
            "events:\n- {fault: silent, on: m, name: a}\n- {fault: silent, on: n, name: a}",
            r":1: events: two events are called 'a'; give each a 'name:' of its own",
        ),
        ("expect: [grid improt never above 60 kW]", r":1: expect\[0\]: .*no such sentence; closest are "),
        (
            "events:\n- {fault: silent, on: m, name: dead}\nexpect:\n- the daemon is alive within 5 s of ded",
            r":4: expect\[0\]: ",
        ),
        ("waive: {grd-limit: because}", r":1: waive.grd-limit: no such standard check"),
    ],
)
def test_a_mistake_is_named_with_file_line_field_and_what_would_be_right(tmp_path, line, said):
    found = problems(tmp_path, line + "\n")
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path}/here.yaml:")
    assert re.search(said, found[0]), found[0]


def test_mistakes_are_told_all_at_once(tmp_path):
    assert len(problems(tmp_path, "lasts: 1\nseed: x\nday: today\n")) == 3


def test_a_name_that_nobody_ships_is_told_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no scenario 'town-hall-autumn'; did you mean 'town-hall-"):
        load("town-hall-autumn")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_loads_and_fits_its_site(tmp_path, name):
    scenario = load(name)
    site = site_of(scenario)
    assert scenario.about
    if site is not None:
        site = patched(site, scenario.patch, tmp_path)
        assert not isinstance(fitted(scenario, load_site(site)), NotApplicable)


@pytest.mark.parametrize(
    ("alias", "means"),
    [
        ("@meter", "meter"),
        ("@meter.power", "meter.power"),
        ("@battery", "storage"),
        ("@battery.soc", "storage.soc"),
        ("@battery#", "battery"),
        ("@ev.limit", "charger.current_limit"),
        ("@heat-pump", "heatpump"),
        ("@zone.temp", "heatpump.zone1_temp"),
    ],
)
def test_an_alias_is_the_sites_own_thing_of_that_kind(tmp_path, alias, means):
    scenario = load(written(tmp_path, "about: x")).model_copy(update={"expect": (f"x {alias} never y, {alias}.",)})
    found = fitted(scenario, load_site(TOWN_HALL))
    assert not isinstance(found, NotApplicable)
    assert found.expect == (f"x {means} never y, {means}.",)


def test_keys_of_the_plant_are_parts(tmp_path):
    scenario = load(written(tmp_path, 'plant: {"@battery": {a: 1}, "@ev#": {b: 2}, roof: {c: 3}}'))
    found = fitted(scenario, load_site(TOWN_HALL))
    assert not isinstance(found, NotApplicable)
    assert found.plant == {"battery": {"a": 1}, "car": {"b": 2}, "roof": {"c": 3}}


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ('events: [{fault: silent, on: "@boiler"}]', "the site has no boiler"),
        ('plant: {"@pool": {temp: 1}}', "the site has no pool"),
        ('events: [{fault: stuck, on: "@battery.volume"}]', "its battery 'battery' has no point bound as 'volume'"),
        ('events: [{fault: silent, on: "@base-load"}]', "its base-load has no device"),
    ],
)
def test_what_a_site_lacks_makes_a_scenario_not_applicable(tmp_path, text, lacks):
    assert fitted(load(written(tmp_path, text)), load_site(TOWN_HALL)) == NotApplicable(lacks)


def test_an_id_that_is_written_out_and_wrong_is_a_mistake(tmp_path):
    scenario = load(written(tmp_path, "events: [{fault: silent, on: storag, name: dead}]"))
    with pytest.raises(ConfigError, match=r"^event 'dead': .*'storag'.*did you mean 'storage'\?"):
        fitted(scenario, load_site(TOWN_HALL))


def test_a_patch_merges_and_null_takes_away(tmp_path):
    patch = {"grid": {"import_limit": "30 kW"}, "resources": {"car": None}, "site": {"mode": "monitor"}}
    site = load_site(patched(TOWN_HALL, patch, tmp_path))
    assert (site.limits.import_kw, site.mode) == (30.0, "monitor")
    assert "car" not in {resource.id for resource in site.resources}
    assert site.limits.export_kw == load_site(TOWN_HALL).limits.export_kw


def test_mistakes_of_a_patch_are_told_as_such_and_others_are_not(tmp_path):
    with pytest.raises(ConfigError, match=r"^with the scenario's patch: .*grid.import_limit: '30': a number without"):
        patched(TOWN_HALL, {"grid": {"import_limit": 30}}, tmp_path)
    broken = written(tmp_path, TOWN_HALL.read_text().replace("import_limit: ", "import_limit: -"), "broken.yaml")
    with pytest.raises(ConfigError) as caught:
        patched(broken, {"site": {"mode": "off"}}, tmp_path / "out")
    assert not any(problem.startswith("with the") for problem in caught.value.problems)


def test_what_is_saved_is_what_ran_and_can_be_run_again_from_anywhere(tmp_path):
    scenario = load("town-hall-winter")
    copy = saved(scenario, tmp_path / "deep" / "copy.yaml", TOWN_HALL, seed=99)
    again = load(copy)
    assert (again.seed, again.name, again.day) == (99, scenario.name, scenario.day)
    assert site_of(again) == example("town-hall")
    measured = YAML(typ="safe").load(copy.read_text())["outside"]["measured"]
    assert Path(measured).is_absolute()
    assert Path(measured).is_file()
