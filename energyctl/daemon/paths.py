"""Where a site's daemon keeps its files: historian and journal, control socket, lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 107
"""Of a Unix socket's name."""


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
    def site_file(self) -> Path:
        """The path of the site file of the last start."""
        return self.root / "site.file"

    @property
    def estop(self) -> Path:
        """There while the emergency stop stands."""
        return self.root / "estop"

    @property
    def overrides(self) -> Path:
        """What people have set by hand."""
        return self.root / "overrides.json"

    @property
    def starts(self) -> Path:
        """Starts that have not come to an orderly end."""
        return self.root / "starts.json"

    @property
    def alarms(self) -> Path:
        """The alarms that stood at last, and what watchers remember."""
        return self.root / "alarms.json"

    @property
    def commissioned(self) -> Path:
        """The folder of the records of commissioning, and the key that signs them."""
        return self.root / "commissioned"

    @property
    def config(self) -> Path:
        """The folder of accepted configurations."""
        return self.root / "config"

    @property
    def pins(self) -> Path:
        """What the devices said of themselves when they were accepted."""
        return self.root / "pins.json"

    @property
    def rules(self) -> Path:
        """What the site's rules remember."""
        return self.root / "rules.json"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that may run."""
        return self.root / "daemon.lock"


@contextmanager
def address(path: Path) -> Iterator[str]:
    """A name for a Unix socket that the kernel takes whatever its folder is called: it allows 107 bytes.

    Good for one bind or connect, while the context lasts.
    """
    if len(os.fsencode(path)) <= MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


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
