"""Finds drivers, planners, resource kinds and profiles by name, through entry points; the built-in ones come no other way.

Rule: a name is looked up when a site uses it, its module is imported then and only once. Two packages that claim one
name are an error at once, whichever would have been found first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any, cast

from energyctl.core.driver import DriverFactory
from energyctl.core.errors import ConfigError
from energyctl.core.planner import Planner
from energyctl.core.profile import Profile
from energyctl.core.resources import Resource

from .problems import did_you_mean
from .profiles import ProfileFiles

DRIVERS = "energyctl.drivers"
PLANNERS = "energyctl.planners"
RESOURCES = "energyctl.resources"
PROFILES = "energyctl.profiles"


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name. Raises ConfigError when two packages register one name."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            owners = " and ".join(sorted(f"{p.value} ({p.dist.name if p.dist else '?'})" for p in (other, point)))
            raise ConfigError(f"{group}: '{point.name}' is registered twice, by {owners}; uninstall one")
    return found


@cache
def _load(group: str, name: str) -> Any:
    points = installed(group)
    if name not in points:
        what = group.rpartition(".")[2]
        raise ConfigError(f"unknown name '{name}' among the {what}{did_you_mean(name, points, 'installed')}")
    try:
        return points[name].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{group}: '{name}' ({points[name].value}) cannot be loaded: {exc}") from exc


def load_driver(protocol: str) -> DriverFactory:
    """The driver factory of a protocol. Raises ConfigError when there is none or it cannot be imported."""
    return cast(DriverFactory, _load(DRIVERS, protocol))


def load_planner(name: str) -> Planner:
    """A planner by name. Raises ConfigError when there is none or it cannot be imported."""
    return cast(Planner, _load(PLANNERS, name))


def load_resource(kind: str) -> type[Resource]:
    """The class of a resource kind. Raises ConfigError when there is none or it cannot be imported."""
    return cast("type[Resource]", _load(RESOURCES, kind))


@cache
def load_profiles() -> Mapping[str, Profile]:
    """Every installed device profile by its name; a profile is read and validated when it is first asked for.

    Raises ConfigError when two files carry one name, and on access for a profile with mistakes.
    """
    return ProfileFiles(file for name in installed(PROFILES) for file in _yaml_files(name))


def _yaml_files(name: str) -> list[Any]:
    package = _load(PROFILES, name)
    return sorted((file for file in files(package).iterdir() if file.name.endswith(".yaml")), key=lambda f: f.name)
