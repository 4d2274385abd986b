"""Where a site's daemon keeps its files: historian and journal, control socket, lock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StatePaths:
    """The files in a state directory."""

    root: Path

    @property
    def store(self) -> Path:
        """Historian and journal."""
        return self.root / "energyctl.sqlite"

    @property
    def socket(self) -> Path:
        """Control socket of a running daemon."""
        return self.root / "control.sock"

    @property
    def owner(self) -> Path:
        """The id of the site that these files are of."""
        return self.root / "site.id"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that may run."""
        return self.root / "daemon.lock"


def state_dir(site_id: str, override: Path | None = None) -> StatePaths:
    """The state directory of a site: `override`, systemd's $STATE_DIRECTORY, or ~/.local/state/energyctl/<site>."""
    if override is not None:
        return StatePaths(override)
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return StatePaths(Path(given.partition(":")[0]))
    home = os.environ.get("XDG_STATE_HOME")
    base = Path(home) if home else Path.home() / ".local" / "state"
    return StatePaths(base / "energyctl" / site_id)
