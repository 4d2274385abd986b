"""init and config: the site file from nothing to checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TOWN_HALL = Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml"


def test_init_writes_a_site_file_that_is_right(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("init").out == "site.yaml written. Put your devices in, then: energyctl config validate site.yaml\n"
    result = cli("config", "validate", "site.yaml")
    assert (result.code, result.err) == (0, "")
    assert result.out == "site.yaml: right. My building: 3 devices, 28 points, 3 resources\n"
    assert cli("init", "other.yaml", "--json").json == {"written": "other.yaml"}


def test_init_never_overwrites(cli, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    result = cli("init", path)
    assert (result.code, result.err) == (2, f"{path}: exists already and is left as it is; name another file\n")
    assert path.read_text() == "precious"
    assert cli("init", tmp_path / "no" / "such" / "x.yaml").code == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("profile: eastron/sdm630@1", "profle: eastron/sdm630@1", 23, ["devices.meter.profile", "is missing"]),
        ("import_limit: 60 kW", "import_limit: 60", 30, ["60", "kW"]),
        ("soc: storage.soc", "soc: storage.sok", 42, ["storage.sok", "storage.soc"]),
    ],
)
def test_validate_names_file_line_and_what_would_be_right(cli, site, old, new, line, words):
    text = site.read_text(encoding="utf-8")
    assert old in text
    site.write_text(text.replace(old, new), encoding="utf-8")
    result = cli("config", "validate", site)
    assert (result.code, result.out) == (2, "")
    found = next(one for one in result.err.splitlines() if f"{site}:{line}:" in one)
    assert all(word in found for word in words)
    as_json = cli("config", "validate", site, "--json")
    assert (as_json.code, as_json.json) == (2, {"ok": False, "problems": result.err.splitlines()})


def test_validate_reports_all_mistakes(cli, site):
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("unit: 1}", "unti: 1}").replace("60 kWh", "60 kw"), encoding="utf-8")
    assert len(cli("config", "validate", site).err.splitlines()) >= 2


def test_validate_json(cli, site):
    assert cli("config", "validate", site, "--json").json == {
        "ok": True,
        "site": "my-building",
        "devices": 3,
        "points": 28,
        "resources": 3,
    }


def test_a_site_file_that_is_not_there(cli, tmp_path):
    result = cli("config", "validate", tmp_path / "none.yaml")
    assert result.code == 2
    assert "none.yaml" in result.err and "Traceback" not in result.err


def test_show(cli):
    shown = cli("config", "show", TOWN_HALL, "--json").json
    assert (shown["id"], shown["import_limit_kw"], shown["bacnet_priority"]) == ("larissa-town-hall", 60.0, 10)
    assert {"device": "storage", "profile": "sunspec/battery@1", "connection": "plant-room"} in shown["devices"]
    battery = next(r for r in shown["resources"] if r["resource"] == "battery")
    assert battery["writes"] == ["storage.power_setpoint"]
    assert {"point": "heatpump.zone1_setpoint", "minimum": 15.0, "maximum": 30.0} in shown["point_limits"]
    table = cli("config", "show", TOWN_HALL).out
    assert "sunspec/battery@1" in table and "storage.power_setpoint" in table


def test_schema_is_a_json_schema(cli):
    schema = json.loads(cli("config", "schema").out)
    assert {"site", "connections", "devices", "grid", "resources", "tariff"} <= set(schema["properties"])
