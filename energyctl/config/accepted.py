"""The configurations a site has run with: a numbered record each, the newest of which is in force.

A folder holds `versions/NUMBER.json` and, under its hash, the copy that a version is of (see `snapshot`). The record is written
last and at once, so that whenever a process or the machine dies, there is the old configuration or the new one. The last
`KEPT` are kept.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from energyctl.core.errors import ConfigError, StoreError
from energyctl.core.files import write_whole

from .loader import load_site
from .site import Site
from .snapshot import SITE, Snapshot

log = logging.getLogger(__name__)

KEPT = 20


class Version(BaseModel):
    """An accepted configuration: what, when, who, and how it came about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    hash: str
    time: AwareDatetime
    who: str
    how: str
    file: str
    """The site file it was read from."""
    epochs: Mapping[str, int] = {}
    """By device: the version since which it is the device it is; what it said of itself before counts no more."""
    left_aside: str | None = None
    """After a rollback: the hash of what the site file says, which a start does not take without being told to."""


class Accepted:
    """The accepted configurations in a folder. Methods that write raise StoreError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def _records(self) -> Path:
        return self.folder / "versions"

    def versions(self) -> list[Version]:
        """All that are kept, oldest first; one whose record or copy is damaged is left out."""
        found = []
        for path in self._records.glob("*.json"):
            try:
                version = Version.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                log.error("%s: cannot be read: %s", path, error)
                continue
            if (self.folder / version.hash / SITE).exists():
                found.append(version)
        return sorted(found, key=lambda version: version.number)

    def current(self) -> Version | None:
        """The one in force; None before the first."""
        return next(reversed(self.versions()), None)

    def numbered(self, number: int) -> Version:
        """A version by its number. Raises ConfigError."""
        versions = self.versions()
        for version in versions:
            if version.number == number:
                return version
        there = ", ".join(str(version.number) for version in versions) or "none"
        raise ConfigError(f"no accepted configuration has the number {number}; there is {there}")

    def path(self, version: Version) -> Path:
        """The copy of a version's site file."""
        return self.folder / version.hash / SITE

    def load(self, version: Version, *, resolve_secrets: bool = False) -> Site:
        """The site of a version. Raises ConfigError, for a secret that is gone, say."""
        return load_site(self.path(version), resolve_secrets=resolve_secrets)

    def sites(self) -> list[Callable[[], Site]]:
        """The site of every version, newest first; each is loaded, with its secrets, when it is called for."""
        return [partial(self.load, version, resolve_secrets=True) for version in reversed(self.versions())]

    def write(self, snapshot: Snapshot) -> Path:
        """Keep a copy that is not in force yet; gives its site file."""
        try:
            return snapshot.write(self.folder)
        except OSError as error:
            raise StoreError(f"{self.folder}: the configuration cannot be kept: {error.strerror or error}") from error

    def accept(self, version: Version) -> None:
        """Put a version in force, on disk when this returns; its copy is there already."""
        try:
            self._records.mkdir(parents=True, exist_ok=True)
            write_whole(self._records / f"{version.number:06d}.json", version.model_dump_json(indent=1))
        except OSError as error:
            raise StoreError(
                f"{self.folder}: the configuration cannot be accepted: {error.strerror or error}"
            ) from error
        self._tidy()

    def _tidy(self) -> None:
        versions = self.versions()
        for version in versions[:-KEPT]:
            with suppress(OSError):
                (self._records / f"{version.number:06d}.json").unlink()
        used = {version.hash for version in versions[-KEPT:]} | {self._records.name}
        for path in self.folder.iterdir():
            if path.name not in used and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def next_version(
    versions: Sequence[Version], draft: Version, replaced: Mapping[str, object] | Sequence[str] = ()
) -> Version:
    """`draft` with the number that follows and the epochs that hold from it on; `replaced` devices begin a new one."""
    last = versions[-1] if versions else None
    number = last.number + 1 if last else 1
    epochs = {**(last.epochs if last else {}), **dict.fromkeys(replaced, number)}
    return draft.model_copy(update={"number": number, "epochs": epochs})
