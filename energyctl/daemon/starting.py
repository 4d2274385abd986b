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
from functools import partial
from pathlib import Path

from energyctl.config.accepted import Accepted, Version, next_version
from energyctl.config.change import Change, compare
from energyctl.config.site import Site
from energyctl.config.snapshot import Snapshot, take
from energyctl.core.errors import ConfigError, StoreError

log = logging.getLogger(__name__)

START = "start"
EVERY = "*"
MANY = 3


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


def choose(
    file: Path,
    accepted: Accepted,
    replace: Collection[str],
    who: str,
    now: datetime,
    *,
    how: str = START,
    resolve_secrets: bool = True,
) -> Choice:
    """What to start with. Raises ConfigError when there is nothing to start with.

    With another `how` than START somebody asks for this file now: also one that was left aside by a rollback is taken.
    """
    load = partial(_load, accepted=accepted, resolve_secrets=resolve_secrets)
    current = accepted.current()

    def unchanged(why: str) -> Choice:
        assert current is not None
        return Choice(accepted.load(current, resolve_secrets=resolve_secrets), current, False, untaken=why)

    try:
        snapshot = take(file)
        if current is None:
            site = load(snapshot)
            return Choice(site, draft(accepted, snapshot, who, how, now), True)
        if snapshot.hash == current.hash:
            return Choice(load(snapshot), current, False)
        if snapshot.hash == current.left_aside and how == START:
            return unchanged(f"number {current.number} was gone back to instead")
        new = load(snapshot)
    except (ConfigError, StoreError) as error:
        if current is None:
            raise
        return unchanged(str(error))
    return _succeed(accepted, current, snapshot, new, replace, who, how, now, resolve_secrets)


def _succeed(
    accepted: Accepted,
    current: Version,
    snapshot: Snapshot,
    new: Site,
    replace: Collection[str],
    who: str,
    how: str,
    now: datetime,
    resolve_secrets: bool,
) -> Choice:
    try:
        before = accepted.load(current, resolve_secrets=resolve_secrets)
    except ConfigError as error:
        log.warning("number %d cannot be read any more, the site file takes its place: %s", current.number, error)
        return Choice(new, draft(accepted, snapshot, who, how, now, set(replace) - {EVERY}), True)
    if before.id != new.id:
        return Choice(new, draft(accepted, snapshot, who, how, now, new.devices), True)
    change = compare(before, new)
    try:
        replaced = consent(change, replace)
    except ConfigError as error:
        return Choice(before, current, False, untaken=str(error))
    version = draft(accepted, snapshot, who, how, now, replaced)
    return Choice(new, version, True, before, change)


def draft(
    accepted: Accepted, snapshot: Snapshot, who: str, how: str, now: datetime, replaced: Collection[str] = ()
) -> Version:
    """The version that a configuration becomes when it is accepted."""
    blank = Version(number=0, hash=snapshot.hash, time=now, who=who, how=how, file=str(snapshot.source.resolve()))
    return next_version(accepted.versions(), blank, sorted(replaced))


def consent(change: Change, replace: Collection[str]) -> frozenset[str]:
    """The ids that mean another device from now on; in `replace`, "*" is whatever the change brings.

    Raises ConfigError naming every id that means another device, and has not been said to.
    """
    told = {*replace, *(change.replaced if EVERY in replace else ())} - {EVERY}
    if change.replaced.keys() - told:
        unsaid = [f"{n}: another device behind the same id: {t}" for n, t in change.replaced.items() if n not in told]
        names = [EVERY] if len(change.replaced) > MANY else change.replaced
        say = " ".join(f"--replace '{name}'" if name == EVERY else f"--replace {name}" for name in names)
        raise ConfigError([*unsaid, f"if that is meant: energyctl config apply SITE {say}"])
    return frozenset(told)


def _load(snapshot: Snapshot, accepted: Accepted, resolve_secrets: bool) -> Site:
    accepted.write(snapshot)
    return snapshot.load(accepted.folder, resolve_secrets=resolve_secrets)
