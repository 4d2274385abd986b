"""Which scenarios run on which sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from energyctl.core.errors import ConfigError
from hil.scenario import load, loading
from hil.testing.runner import Case, _folders
from hil.testing.selection import seeded, select

TOWN_HALL = str(Path("sites/larissa/town-hall.yaml").resolve())
LIBRARY = {
    "calm": "about: nothing\ntags: [smoke]",
    "dead": 'about: x\nseed: 4\ntags: [comms, smoke]\nevents: [{fault: silent, on: "@meter"}]',
    "ours": "about: y\nsite: town-hall\ntags: [comms]",
}


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    for name, text in LIBRARY.items():
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(loading, "SCENARIOS", folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "tags", "chosen"),
    [
        ([TOWN_HALL], [], ["calm", "dead", "ours"]),
        ([], [], ["ours"]),
        ([TOWN_HALL], ["comms"], ["dead", "ours"]),
        ([TOWN_HALL], ["comms", "smoke"], ["calm", "dead", "ours"]),
        ([TOWN_HALL], ["none"], []),
        ([TOWN_HALL, "dead"], [], ["dead"]),
        (["dead", TOWN_HALL, "ours"], [], ["dead", "ours"]),
        (["ours"], [], ["ours"]),
    ],
)
def test_what_is_typed_is_what_runs(library, arguments, tags, chosen):
    cases = select(arguments, tags)
    assert [case.scenario.name for case in cases] == chosen
    assert {case.site.resolve() for case in cases} <= {Path(TOWN_HALL)}


def test_what_is_made_for_one_site_is_not_run_on_another(library, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(Path(TOWN_HALL).read_text())
    assert [case.scenario.name for case in select([str(other)])] == ["calm", "dead"]


def test_a_file_beside_me_is_a_scenario_by_what_is_in_it(library, tmp_path):
    (tmp_path / "mine.yaml").write_text("site: town-hall\nabout: mine")
    assert [case.label for case in select([str(tmp_path / "mine.yaml")])] == ["mine"]


def test_all_mistakes_are_told_at_once(library):
    (library / "bad.yaml").write_text("seed: x")
    with pytest.raises(ConfigError) as caught:
        select(["bad", "calm", "nowhere"])
    text = str(caught.value)
    assert "bad.yaml:1: seed: 'x'" in text
    assert "'calm' is for any site; say which: energyctl hil test SITE calm" in text
    assert "no scenario 'nowhere'" in text


def test_seeds_count_up(library):
    cases = [Case(Path(TOWN_HALL), load("dead"))]
    assert [case.seed for case in seeded(cases, None, 1)] == [None]
    assert [case.seed for case in seeded(cases, 9, 1)] == [9]
    assert [case.seed for case in seeded(cases, None, 3)] == [4, 5, 6]
    assert [case.label for case in seeded(cases, 9, 2)] == ["dead, seed 9", "dead, seed 10"]


def test_every_case_has_a_folder_of_its_own(library, tmp_path):
    dead = load("dead")
    odd = dead.model_copy(update={"name": "../a b"})
    cases = [Case(Path("a.yaml"), dead), Case(Path("b.yaml"), dead), Case(Path("a.yaml"), odd)]
    names = [folder.relative_to(tmp_path).as_posix() for folder in _folders(cases, tmp_path)]
    assert names == ["dead", "dead-2", "..-a-b"]
