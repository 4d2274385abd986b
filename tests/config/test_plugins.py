"""Names to code, through entry points: found when used, imported once, never two under one name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from energyctl.config import load_driver, load_planner, load_profiles, load_resource, plugins
from energyctl.config.profiles import ProfileFiles
from energyctl.core.errors import ConfigError


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """Entry points of this test alone."""
    registered: list[EntryPoint] = []
    monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in registered if p.group == group])
    caches = (plugins.installed, plugins._load, plugins.load_profiles)
    for cache in caches:
        cache.cache_clear()
    yield registered
    for cache in caches:
        cache.cache_clear()


def test_what_is_registered_is_found_and_loaded(points: list[EntryPoint]) -> None:
    points.append(EntryPoint("gas", "json:loads", plugins.RESOURCES))
    points.append(EntryPoint("gas", "json:dumps", plugins.DRIVERS))
    points.append(EntryPoint("gas", "json:load", plugins.PLANNERS))
    import json

    assert load_resource("gas") is json.loads
    assert load_driver("gas") is json.dumps
    assert load_planner("gas") is json.load


def test_one_name_twice_is_an_error_that_names_both(points: list[EntryPoint]) -> None:
    points += [EntryPoint("gas", value, plugins.DRIVERS) for value in ("one.mod:factory", "other.mod:factory")]
    with pytest.raises(ConfigError, match=r"'gas' is registered twice, by one.mod.* and other.mod"):
        load_driver("gas")


def test_the_same_entry_seen_twice_is_no_error(points: list[EntryPoint]) -> None:
    points += [EntryPoint("gas", "json:loads", plugins.DRIVERS)] * 2
    assert list(plugins.installed(plugins.DRIVERS)) == ["gas"]


def test_an_unknown_name_lists_what_there_is(points: list[EntryPoint]) -> None:
    points += [EntryPoint(name, "json:loads", plugins.DRIVERS) for name in ("modbus", "bacnet")]
    with pytest.raises(ConfigError, match=r"unknown name 'mobus' among the drivers; did you mean 'modbus'\?"):
        load_driver("mobus")
    with pytest.raises(ConfigError, match="unknown name 'knx' among the drivers; installed: bacnet, modbus"):
        load_driver("knx")


@pytest.mark.parametrize(("value", "words"), [("no.such.module:x", "No module named 'no'"), ("json:nope", "nope")])
def test_what_cannot_be_imported_says_so(points: list[EntryPoint], value: str, words: str) -> None:
    points.append(EntryPoint("gas", value, plugins.DRIVERS))
    with pytest.raises(ConfigError, match=f"'gas' .* cannot be loaded: .*{words}"):
        load_driver("gas")


@pytest.mark.parametrize("protocol", ["modbus", "bacnet", "opcua", "memory"])
def test_the_built_in_drivers_come_the_same_way(protocol: str) -> None:
    factory = load_driver(protocol)
    assert callable(factory.check)
    assert callable(factory.open)


@pytest.mark.parametrize("kind", ["base-load", "battery", "deferrable", "ev", "heat-pump", "pv", "zone"])
def test_the_built_in_resources_know_their_kind(kind: str) -> None:
    model = load_resource(kind)
    assert model.model_fields["kind"].default == kind  # type: ignore[attr-defined]


def test_the_built_in_profiles() -> None:
    profiles = load_profiles()
    names = {"eastron/sdm630@1", "sunspec/pv-inverter@1", "sunspec/battery@1"}
    names |= {"generic/heat-pump-2zone@1", "generic/ahu@1", "generic/ev-charger@1"}
    assert names <= set(profiles)
    for name in profiles:
        assert profiles[name].profile == name
        assert profiles[name] is profiles[name]


def test_one_profile_in_two_files_and_a_file_without_a_name(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("profile: x/y@1\n")
    with pytest.raises(ConfigError, match=r"b.yaml: profile 'x/y@1' is also in .*a.yaml"):
        ProfileFiles(sorted(tmp_path.iterdir()))
    (tmp_path / "b.yaml").write_text("vendor: x\n")
    with pytest.raises(ConfigError, match=r"b.yaml:1: profile: is missing"):
        ProfileFiles(sorted(tmp_path.iterdir()))


def test_a_profile_with_mistakes_names_each(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "profile: x/y@1\nvendor: X\nmodel: Y\nkind: meter\nprotocl: modbus\n"
        "points:\n  power: {unit: kW, acess: rw}\n  soc: {unit: percent}\n"
    )
    with pytest.raises(ConfigError) as caught:
        ProfileFiles([file])["x/y@1"]
    problems = [problem.removeprefix(f"{file}:") for problem in caught.value.problems]
    assert problems[:2] == [
        "5: protocl: unknown key 'protocl'; did you mean 'protocol'?",
        "7: points.power.acess: unknown key 'acess'; did you mean 'access'?",
    ]
    assert problems[2].startswith("8: points.soc.unit: 'percent': unknown unit 'percent'; known: 1, %, W, kW")


def test_looking_names_up_imports_no_driver_and_no_solver() -> None:
    code = (
        "import sys; from energyctl.config import plugins, load_profiles\n"
        "plugins.installed(plugins.DRIVERS), plugins.installed(plugins.PLANNERS), list(load_profiles())\n"
        "print([m for m in sys.modules if m in ('scipy', 'numpy', 'pymodbus', 'asyncua', 'bacpypes3', 'drivers.modbus')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
