"""Which site a command is about, and where its daemon's files are.

--state FOLDER says it directly, --site FILE by the id in that file (nothing else in it has to be right for this). Without
either, there must be just one site that has ever run here.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from energyctl.core.errors import ConfigError
from energyctl.daemon.paths import StatePaths, state_dir

SiteOption = Annotated[
    Path | None,
    typer.Option("--site", envvar="ENERGYCTL_SITE", help="Site file.", metavar="FILE", show_envvar=False),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="ENERGYCTL_STATE",
        help="Folder of store and control socket.",
        metavar="FOLDER",
        show_envvar=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_SYSTEM = Path("/var/lib/energyctl")
"""Where the systemd unit keeps a folder per site."""


@dataclass(frozen=True, slots=True)
class Where:
    """A site's files, and its site file when we were told."""

    paths: StatePaths
    site: Path | None = None


def find(site: Path | None, state: Path | None) -> Where:
    """The site that these options mean. Raises ConfigError saying what to write when that is not clear."""
    if state is not None:
        return Where(StatePaths(state), site)
    if site is not None:
        from energyctl.config.snapshot import site_id

        return Where(state_dir(site_id(site)), site)
    if os.environ.get("STATE_DIRECTORY"):
        return Where(state_dir("site"))
    known = known_sites()
    if len(known) == 1:
        return Where(StatePaths(known[0]))
    found = f"there are {len(known)}: {', '.join(path.name for path in known)}" if known else "none has run here yet"
    raise ConfigError(f"which site? Write --site FILE or set ENERGYCTL_SITE ({found})")


def known_sites() -> list[Path]:
    """State folders of the sites that have run on this machine, by this user or as a service."""
    found: list[Path] = []
    for folder in (state_dir("any").root.parent, _SYSTEM):
        with contextlib.suppress(OSError):  # absent, or not ours to look into
            found += [path for path in folder.iterdir() if StatePaths(path).store.exists()]
    return sorted(found)
