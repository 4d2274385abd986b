"""Which configuration a daemon starts with.

The site file proposes, what was accepted last runs. At a start the site file is taken when it is right and every device id
still means the device it meant; somebody who edits it and starts the daemon again need do no more. Otherwise the accepted
configuration runs on, and an alarm says why: a building is not left alone for a slip in a file. Only where nothing has been
accepted yet is a site file that is wrong an error.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from energyctl.config.accepted import Accepted, Version, next_version
from energyctl.config.change import Change, compare
from energyctl.config.site import Site
from energyctl.config.snapshot import Snapshot, take
from energyctl.core.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """The site to run, and the version that it is. With `before` it takes the place of that site's configuration."""

    site: Site
    version: Version
    is_new: bool
    before: Site | None = None
    change: Change | None = None
    untaken: str = ""
    """Why the site file was not taken; "" when it was."""


def choose(file: Path, accepted: Accepted, replace: Collection[str], who: str, now: datetime) -> Choice:
    """What to start with. Raises ConfigError when there is nothing to start with."""
    current = accepted.current()
    try:
        snapshot = take(file)
        if current is None:
            site = _load(snapshot, accepted)
            return Choice(site, draft(accepted, snapshot, who, "first start", now), True)
        if snapshot.hash == current.hash:
            return Choice(_load(snapshot, accepted), current, False)
        if snapshot.hash == current.left_aside:
            return _unchanged(accepted, current, f"number {current.number} was gone back to instead")
        new = _load(snapshot, accepted)
    except ConfigError as error:
        if current is None:
            raise
        return _unchanged(accepted, current, str(error))
    return _succeed(accepted, current, snapshot, new, replace, who, now)


def _succeed(
    accepted: Accepted,
    current: Version,
    snapshot: Snapshot,
    new: Site,
    replace: Collection[str],
    who: str,
    now: datetime,
) -> Choice:
    try:
        before = accepted.load(current, resolve_secrets=True)
    except ConfigError as error:
        log.warning("number %d cannot be read any more, the site file takes its place: %s", current.number, error)
        return Choice(new, draft(accepted, snapshot, who, "start", now, replace), True)
    if before.id != new.id:
        return Choice(new, draft(accepted, snapshot, who, "start", now, new.devices), True)
    change = compare(before, new)
    try:
        consent(change, replace)
    except ConfigError as error:
        return Choice(before, current, False, untaken=str(error))
    version = draft(accepted, snapshot, who, "start", now, {*replace, *change.replaced})
    return Choice(new, version, True, before, change)


def draft(
    accepted: Accepted, snapshot: Snapshot, who: str, how: str, now: datetime, replaced: Collection[str] = ()
) -> Version:
    """The version that a configuration becomes when it is accepted."""
    blank = Version(number=0, hash=snapshot.hash, time=now, who=who, how=how, file=str(snapshot.source.resolve()))
    return next_version(accepted.versions(), blank, sorted(replaced))


def consent(change: Change, replace: Collection[str]) -> None:
    """Raises ConfigError naming every id that means another device, and has not been said to."""
    missing = [f"{name}: another device behind the same id: {text}" for name, text in change.replaced.items()]
    unsaid = [line for line, name in zip(missing, change.replaced, strict=True) if name not in replace]
    if unsaid:
        say = " ".join(f"--replace {name}" for name in change.replaced)
        raise ConfigError([*unsaid, f"if that is meant: energyctl config apply SITE {say}"])


def _unchanged(accepted: Accepted, current: Version, why: str) -> Choice:
    return Choice(accepted.load(current, resolve_secrets=True), current, False, untaken=why)


def _load(snapshot: Snapshot, accepted: Accepted) -> Site:
    accepted.write(snapshot)
    return snapshot.load(accepted.folder, resolve_secrets=True)
