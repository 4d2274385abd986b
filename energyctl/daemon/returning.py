"""Handing back what a daemon that is gone has left on the devices, from the journal alone.

`energyctl handback`, the supervising parent, systemd's ExecStopPost and every start come here. It holds the daemon's lock,
so that it never works against a living daemon. What could not be handed back stays owned, for the next try.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from energyctl.config import load_site
from energyctl.config.accepted import Accepted
from energyctl.config.plugins import load_driver
from energyctl.config.site import Site
from energyctl.config.snapshot import site_id
from energyctl.control.handback import Group, HandedBack, groups, hand_back
from energyctl.core.clock import Clock, LiveClock
from energyctl.core.driver import Driver
from energyctl.core.errors import AlreadyRunning, ConfigError, EnergyctlError, StoreError
from energyctl.core.records import JournalEntry, JournalKind, Owned
from energyctl.store import Batch, Store

from .paths import StatePaths, state_dir
from .remembering import wear_of

log = logging.getLogger(__name__)

OFF = "its device is switched off in the site file; run 'energyctl handback' once it answers"
GONE = "the site file no longer has this point; run 'energyctl handback' with one that has, or release it by hand"


@contextmanager
def one_daemon(paths: StatePaths) -> Iterator[None]:
    """Hold the site's lock. Raises EnergyctlError when another daemon has it, StoreError when it cannot be made."""
    with _lock_file(paths) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another energyctl daemon is running for this site (lock {paths.lock})") from None
        yield


def _lock_file(paths: StatePaths) -> IO[str]:
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        return paths.lock.open("w")
    except OSError as error:
        raise StoreError(
            f"{paths.root}: no state can be kept there: {error.strerror}; name a folder with --state"
        ) from error


def claim(paths: StatePaths, site: str, store: Store) -> None:
    """Make a state folder this site's. Raises ConfigError while another site's points in it are still to be handed back.

    With this site's drivers they would be written to the wrong devices, or to none.
    """
    with suppress(OSError):
        other = paths.owner.read_text(encoding="utf-8", errors="replace").strip()
        if other and other != site:
            if store.owned():
                raise ConfigError(
                    f"{paths.root}: belongs to site '{other}', whose devices are still to be handed back: "
                    "run 'energyctl handback' with its site file first, or name another folder with --state"
                )
            log.warning("%s was site '%s' until now; its history is taken for this site's", paths.root, other)
    with suppress(OSError):
        paths.owner.write_text(site, encoding="utf-8")


def remember(paths: StatePaths, site_path: Path) -> None:
    """Which site file the daemon runs with, so that an emergency stop needs not be told when it is dead."""
    with suppress(OSError):
        paths.site_file.write_text(str(site_path.resolve()), encoding="utf-8")


def remembered(paths: StatePaths) -> Path | None:
    """The site file of the last start; None when that is not known."""
    with suppress(OSError):
        return Path(paths.site_file.read_text(encoding="utf-8"))
    return None


def located(site_path: Path, state: Path | None) -> StatePaths:
    """Where the state of a site file's site is. Raises ConfigError.

    A file that cannot be read matters only when nothing else says where that is, or nothing has been accepted there.
    """
    try:
        return state_dir(site_id(site_path), state)
    except ConfigError:
        told = state_dir("", state)
        if Accepted(told.config).current() is None:
            raise
        return told


def _readable_id(site_path: Path) -> str:
    try:
        return site_id(site_path)
    except ConfigError:
        return ""


async def handback(site_path: Path, state: Path | None = None) -> list[HandedBack]:
    """Release everything the journal says is still ours, with the drivers of the configuration that was in force.

    The site file says which site it is; it counts for more only where no configuration has been accepted yet.
    """
    paths = located(site_path, state)
    if not paths.store.exists():
        return []
    with one_daemon(paths), Store.open(paths.store) as store:
        if name := _readable_id(site_path):
            claim(paths, name, store)
        accepted = Accepted(paths.config)
        known: list[Callable[[], Site]] = [*accepted.sites(), partial(load_site, site_path, resolve_secrets=True)]
        return await return_owned(known[0](), store, LiveClock(), {}, known[1:])


async def return_owned(
    site: Site, store: Store, clock: Clock, opened: dict[str, Driver], others: Sequence[Callable[[], Site]] = ()
) -> list[HandedBack]:
    """Release the journal's owned points; drivers in `opened` (by link) are used, others opened for the purpose.

    What the site does not have is released by the first of `others` that has it.
    """
    owned = store.owned()
    results = await _return_of(site, [item for item in owned if item.point in site.points], store, clock, opened)
    left = [item for item in owned if item.point not in site.points]
    for load in others:
        if not left:
            break
        try:
            other = load()
        except ConfigError as error:
            log.warning("a configuration of before cannot be read: %s", error)
            continue
        results += await _return_of(other, [item for item in left if item.point in other.points], store, clock, {})
        left = [item for item in left if item.point not in other.points]
    for item in left:
        name = Group(*item.point.partition(".")[::2], (item.point.partition(".")[2],))
        log.error("hand back %s: %s", item.point, GONE)
        results.append(HandedBack(name, False, GONE))
    return results


async def _return_of(
    site: Site, owned: Sequence[Owned], store: Store, clock: Clock, opened: dict[str, Driver]
) -> list[HandedBack]:
    results: list[HandedBack] = []
    for link in site.links:
        devices = [device for device in site.devices.values() if site.link_of[device.id] == link.id]
        mine = [item for item in owned if item.point.partition(".")[0] in {device.id for device in devices}]
        if not mine:
            continue
        driver = opened.get(link.id)
        if driver is not None:
            results += await _return_on(driver, site, mine, store, clock)
        else:
            try:
                async with load_driver(link.protocol).open(link, devices, clock) as own:
                    results += await _return_on(own, site, mine, store, clock)
            except EnergyctlError as error:
                log.error("hand back over %s: %s", link.id, error)
                points = [item.point for item in mine]
                results += [HandedBack(g, False, str(error)) for device in devices for g in groups(device, points)]
    return results


async def _return_on(driver: Driver, site: Site, owned: list[Owned], store: Store, clock: Clock) -> list[HandedBack]:
    found, ours = {item.point: item.found for item in owned}, {item.point: item.ours for item in owned}
    wear = wear_of(site, clock, store)
    results = []
    for device in site.devices.values():
        for group in groups(device, found):
            result = await hand_back(device, driver, group, found, ours.get(group.point, ()))
            wear.handed_back(result, device)
            results.append(result)
            log.log(logging.INFO if result.ok else logging.ERROR, "hand back %s: %s", group.point, result.detail)
            kind = JournalKind.RELEASED if result.ok else JournalKind.FAILED
            points = group.points if result.ok else (group.point,)
            entries = [
                JournalEntry(0, clock.now(), kind, point, found.get(point), reason="hand-back", detail=result.detail)
                for point in points
            ]
            try:
                store.commit(Batch(journal=tuple(entries), pasts=wear.unsaved()))
            except StoreError as error:  # the next device must be handed back all the same; this one is once more later
                log.error("%s", error)
    return results
