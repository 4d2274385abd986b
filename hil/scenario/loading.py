"""Reads a scenario file and gives a `Scenario`, or every mistake in it at once, each with file, line and what would be right."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from energyctl.config.problems import Report, did_you_mean
from energyctl.config.yaml_source import read_yaml
from energyctl.core.errors import ConfigError

from .model import Scenario
from .sites import site_of

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def load(name: str | Path) -> Scenario:
    """A scenario by file, or by the name of one that ships ("town-hall-winter"). Raises ConfigError."""
    path = _file(name)
    report = Report(read_yaml(path))
    data = report.document.data
    if not isinstance(data, dict):
        report.add((), "must be 'key: value' lines, like 'name: the meter is dead for ten minutes'")
        report.raise_if_any()
    scenario = report.validate((), Scenario, {"name": path.stem.removesuffix(".hil"), **data})
    if scenario is not None:
        scenario._file = path
        report.attempt(("site",), lambda: site_of(scenario))
        _check_words(scenario, report)
    report.raise_if_any()
    assert scenario is not None
    return scenario


def shipped() -> list[str]:
    """The names of the scenarios that ship."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def _file(name: str | Path) -> Path:
    path = Path(name)
    if path.suffix or path.exists():
        return path
    path = SCENARIOS / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"no scenario '{name}'{did_you_mean(name, shipped(), 'there are')}, or give a file")
    return path


def _check_words(scenario: Scenario, report: Report) -> None:
    """What is written in words: sentences that can be judged, events that they count from, checks that exist."""
    if scenario.expect:
        _check_sentences(scenario, report)
    if scenario.waive:
        from hil.testing.standard import CHECKS

        for check in scenario.waive:
            if check not in CHECKS:
                report.add(("waive", check), f"no such standard check{did_you_mean(check, CHECKS)}")


def _check_sentences(scenario: Scenario, report: Report) -> None:
    from hil.testing.expect import parse

    names = [event.name for event in scenario.events]
    for index, sentence in enumerate(scenario.expect):
        expectation = report.attempt(("expect", index), partial(parse, sentence))
        for anchor in expectation.anchors if expectation is not None else ():
            if anchor not in names:
                report.add(
                    ("expect", index), f"no event is called '{anchor}'{did_you_mean(anchor, names, 'there are')}"
                )
