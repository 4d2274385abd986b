"""Copies of site files: they mean the same for ever, hold no secret, and are whole or absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from energyctl.config.accepted import KEPT, Accepted, Version, next_version
from energyctl.config.change import compare, differences
from energyctl.config.snapshot import take
from energyctl.core.errors import ConfigError

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"


@pytest.fixture
def site_file(tmp_path):
    """The town hall with its files, in a folder of its own."""
    for folder in ("measured", "prices"):
        (tmp_path / folder).mkdir()
        for file in (LARISSA / folder).glob("*.csv"):
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "site.yaml"
    path.write_text((LARISSA / "town-hall.yaml").read_text())
    return path


def edited(path, change):
    yaml = YAML()
    data = yaml.load(path.read_text())
    change(data)
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


def test_a_copy_means_what_the_original_meant_whatever_becomes_of_it(site_file, tmp_path):
    original = load_site(site_file)
    snapshot = take(site_file)
    assert sorted(snapshot.origins.values()) == ["measured/base_load_history.csv"]
    copy = snapshot.write(tmp_path / "copies")
    for file in (tmp_path / "measured" / "base_load_history.csv", site_file):
        file.write_text("gone")
    site = load_site(copy)
    assert (site.devices, site.links, site.limits) == (original.devices, original.links, original.limits)
    assert site.resources == original.resources and site.tariff == original.tariff


def test_the_hash_is_of_everything_that_is_said(site_file):
    first = take(site_file).hash
    assert take(site_file).hash == first
    prices, load = (site_file.parent / name for name in ("prices/greek_profile.csv", "measured/base_load_history.csv"))
    prices.write_text(prices.read_text() + "\n# one more line\n")
    assert take(site_file).hash == first, "prices are data: they change every day, and are read again when they do"
    load.write_text(load.read_text() + "\n# one more line\n")
    assert take(site_file).hash != first


def test_mistakes_are_told_in_terms_of_the_original(site_file, tmp_path):
    (site_file.parent / "measured" / "base_load_history.csv").write_text("nonsense\n")
    site_file.write_text(site_file.read_text().replace("kind: battery", "kind: batery"))
    with pytest.raises(ConfigError) as error:
        take(site_file).load(tmp_path / "copies")
    text = str(error.value)
    assert f"{site_file}:" in text and "base_load_history.csv" in text and "copies" not in text


def test_a_secret_is_not_copied(site_file, tmp_path):
    (tmp_path / "password.txt").write_text("swordfish")
    edited(site_file, lambda d: d.update(secrets={"gate": {"file": "password.txt"}}))
    snapshot = take(site_file)
    copy = snapshot.write(tmp_path / "copies")
    assert str(tmp_path / "password.txt") in snapshot.text
    assert all(b"swordfish" not in path.read_bytes() for path in copy.parent.rglob("*") if path.is_file())


def test_prices_are_read_from_where_they_are(site_file, tmp_path):
    site = load_site(take(site_file).write(tmp_path / "copies"))
    assert site.tariff == load_site(site_file).tariff


def test_a_word_that_is_also_a_file_is_left_alone(site_file):
    (site_file.parent / "town.hall").write_text("x")
    edited(site_file, lambda d: d["site"].update(name="town.hall"))
    assert "town.hall" not in str(take(site_file).files)


def version(snapshot, **more):
    blank = {
        "number": 0,
        "hash": snapshot.hash,
        "time": "2026-01-14T06:00:00Z",
        "who": "ada",
        "how": "apply",
        "file": "x",
    }
    return Version.model_validate(blank | more)


def test_the_last_twenty_are_kept_and_the_copies_they_name(site_file, tmp_path):
    accepted = Accepted(tmp_path / "config")
    assert accepted.current() is None
    for limit in range(50, 50 + KEPT + 3):
        edited(site_file, lambda d, kw=limit: d["grid"].update(import_limit=f"{kw} kW"))
        snapshot = take(site_file)
        accepted.write(snapshot)
        accepted.accept(next_version(accepted.versions(), version(snapshot), ["meter"] if limit == 60 else []))
    numbers = [one.number for one in accepted.versions()]
    assert numbers == list(range(4, KEPT + 4))
    assert len([path for path in accepted.folder.iterdir() if path.name != "versions"]) == KEPT
    assert accepted.load(accepted.current()).limits.import_kw == 50 + KEPT + 2
    assert accepted.current().epochs == {"meter": 11} and accepted.numbered(10).epochs == {}
    with pytest.raises(ConfigError, match="no accepted configuration has the number 3"):
        accepted.numbered(3)


def test_a_damaged_record_is_passed_over(site_file, tmp_path):
    accepted, snapshot = Accepted(tmp_path / "config"), take(site_file)
    accepted.write(snapshot)
    accepted.accept(next_version([], version(snapshot)))
    (accepted.folder / "versions" / "000002.json").write_text('{"number": 2, "has')
    (accepted.folder / "versions" / "000003.json").write_text(json.dumps({"number": 3}))
    assert accepted.current().number == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["grid"].update(import_limit="41 kW"), {}),
        (lambda d: d["devices"]["meter"].update(unit=77), {"meter": "unit 1 -> 77"}),
        (lambda d: d["connections"]["plant-room"].update(timeout="7 s"), {}),
        (lambda d: d["connections"]["plant-room"].update(port=1502), {"meter": "port"}),
        (
            lambda d: (
                d["devices"]["meter"].update(unit=d["devices"]["inverter"]["unit"])
                or d["devices"]["inverter"].update(unit=1)
            ),
            {"meter": "'meter' and 'inverter' have changed places", "inverter": "have changed places"},
        ),
    ],
)
def test_who_is_another_device(site_file, change, expected):
    old = load_site(site_file)
    new = load_site(edited(site_file, change))
    found = compare(old, new).replaced
    for name, words in expected.items():
        assert words in found[name]
    assert bool(found) == bool(expected)
    assert compare(old, old).kept == tuple(sorted(old.devices))


def test_a_renamed_connection_reconnects_and_replaces_nobody(site_file):
    old = load_site(site_file)

    def rename(data):
        data["connections"]["cellar"] = data["connections"].pop("plant-room")
        for device in data["devices"].values():
            if device["via"] == "plant-room":
                device["via"] = "cellar"

    new = load_site(edited(site_file, rename))
    change = compare(old, new)
    moved = tuple(sorted(name for name, link in old.link_of.items() if link == "plant-room"))
    assert (change.replaced, change.gone, change.new, change.reconnected) == ({}, (), (), moved)


def test_differences_name_path_old_and_new(site_file):
    old = take(site_file).data
    edited(site_file, lambda d: d["grid"].update(import_limit="41 kW"))
    load_file = site_file.parent / "measured" / "base_load_history.csv"
    load_file.write_text(load_file.read_text() + "# more\n")
    lines = [str(line) for line in differences(old, take(site_file).data)]
    assert any(line.startswith("  grid.import_limit: ") and line.endswith(" -> 41 kW") for line in lines)
    assert any("base_load_history.csv (content " in line for line in lines) and len(lines) == 2
