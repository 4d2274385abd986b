"""Where the sites of scenarios are: beside the scenario, or among the examples that ship."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError

from .model import Scenario


def examples() -> dict[str, Path]:
    """The example sites by name: in a checkout beside the packages, in an installed wheel inside `energyctl`."""
    checkout = Path(__file__).parents[2] / "sites"
    installed = Path(str(resources.files("energyctl"))) / "sites"
    folder = checkout if checkout.is_dir() else installed
    return {file.stem: file for file in sorted(folder.glob("*/*.yaml"))}


def example(name: str) -> Path:
    """The site file of an example that ships. Raises ConfigError naming those there are."""
    known = examples()
    if name not in known:
        raise ConfigError(f"no example site '{name}'{did_you_mean(name, known, 'there are')}")
    return known[name]


def site_of(scenario: Scenario) -> Path | None:
    """The site file a scenario is made for, None when it is for any. Raises ConfigError when it is not there."""
    if scenario.site is None:
        return None
    beside = scenario.file.parent / scenario.site
    if beside.is_file():
        return beside
    if "/" not in scenario.site and not beside.suffix:
        return example(scenario.site)
    raise ConfigError(f"no site file '{scenario.site}', seen from {scenario.file.parent.absolute()}")
