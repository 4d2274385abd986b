"""Which scenarios run on which sites: what a person who types names means.

With a site, the shipped scenarios that are for any site or made for this one; without one, those that are made for a site
of their own. Names and files of scenarios narrow it down, tags as well: one of them must be the scenario's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from energyctl.config.yaml_source import read_yaml
from energyctl.core.errors import ConfigError
from hil.scenario import Scenario, load, shipped, site_of

from .runner import Case


def is_site(argument: str) -> bool:
    """Whether an argument is a site file, and not a scenario. Raises ConfigError for a file that is no YAML."""
    path = Path(argument)
    if not path.is_file():
        return False
    data = read_yaml(path).data
    return isinstance(data, dict) and isinstance(data.get("site"), dict)


def select(arguments: Sequence[str], tags: Sequence[str] = ()) -> list[Case]:
    """The cases of `[SITE...] [SCENARIO...]`. Raises ConfigError with all that is wrong with any of the files."""
    sites = [Path(argument) for argument in arguments if is_site(argument)]
    names = [argument for argument in arguments if not is_site(argument)]
    problems: list[str] = []
    scenarios = _loaded(names or shipped(), problems)
    if not sites and not names:
        scenarios = [one for one in scenarios if one.site is not None]
    if tags:
        scenarios = [one for one in scenarios if set(tags) & set(one.tags)]
    cases = [
        Case(site, one)
        for one in scenarios
        for site in sites or _own(one, problems)
        if names or not sites or _is_for(one, site)
    ]
    if problems:
        raise ConfigError(problems)
    return cases


def seeded(cases: Sequence[Case], seed: int | None, repeat: int) -> list[Case]:
    """Every case `repeat` times, with seeds counting up from `seed`, or from the scenario's own."""
    if seed is None and repeat == 1:
        return list(cases)
    return [
        Case(case.site, case.scenario, (case.scenario.seed if seed is None else seed) + number)
        for case in cases
        for number in range(repeat)
    ]


def _loaded(names: Sequence[str], problems: list[str]) -> list[Scenario]:
    found = []
    for name in names:
        try:
            found.append(load(name))
        except ConfigError as error:
            problems += error.problems
    return found


def _is_for(scenario: Scenario, site: Path) -> bool:
    """Whether a scenario is for any site, or for this one."""
    own = site_of(scenario)
    return own is None or own.resolve() == site.resolve()


def _own(scenario: Scenario, problems: list[str]) -> list[Path]:
    site = site_of(scenario)
    if site is None:
        problems.append(
            f"scenario '{scenario.name}' is for any site; say which: energyctl hil test SITE {scenario.name}"
        )
    return [] if site is None else [site]
