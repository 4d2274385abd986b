"""Copies of what a run is made of: the site file with a scenario's patch, the scenario file with what the caller wants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from energyctl.config import load_site
from energyctl.core.errors import ConfigError
from hil.rewrite import merge, rewritten

from .model import Scenario


def patched(site: Path, patch: Mapping[str, Any], out: Path) -> Path:
    """Write `site` with `patch` merged over it into the folder `out`, and check it as a whole. Returns the file.

    Raises ConfigError, which says that it was the patch, when the site is all right without it.
    """
    target = rewritten(site, out / site.name, lambda data: merge(data, patch), [site.resolve().parent])
    try:
        load_site(target)
    except ConfigError as error:
        load_site(site)
        raise ConfigError([f"with the scenario's patch: {problem}" for problem in error.problems]) from error
    return target


def saved(scenario: Scenario, target: Path, site: Path, **other: str | int) -> Path:
    """Write the scenario's file to `target`, with `other` values where given, so that it is what really ran.

    Names of files in it, which are seen from its own folder or from that of its site, become absolute.
    """
    ran = {"name": scenario.name, "site": str(site.resolve())}
    folders = [scenario.file.resolve().parent, site.resolve().parent]
    return rewritten(scenario.file, target, lambda data: merge(data, {**ran, **other}), folders)
