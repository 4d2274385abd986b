"""Keeps a running daemon's configuration: says what another one would change, takes it, goes back to one of before.

A configuration is read once, into a copy; what is checked is that copy, and it is what runs. One that is not right, that
means another device by an id without having been told to, or whose devices cannot be handed back or connections opened,
leaves the one in force as it is, and who asked is told why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from energyctl.config.accepted import Accepted, Version
from energyctl.config.change import Change, compare
from energyctl.config.problems import did_you_mean
from energyctl.config.site import Mode, Site
from energyctl.config.snapshot import Snapshot, take
from energyctl.core.errors import ConfigError, EnergyctlError
from energyctl.core.points import ProcessImage
from energyctl.core.records import JournalEntry, JournalKind

from .asking import ask_identities
from .planning_change import planned, with_identities
from .server import Handler
from .starting import EVERY, Choice, consent, draft
from .succession import NotHandedBack, Succession

log = logging.getLogger(__name__)

ALARM = "config-not-taken"
SUBJECT = "site file"


class Reloader:
    """Answers what is asked about configurations, and watches that the site file and the one in force agree."""

    def __init__(
        self, succession: Succession, accepted: Accepted, choice: Choice, file: Path, at_most: Mode = "control"
    ) -> None:
        self._succession, self._accepted, self._file, self._at_most = succession, accepted, file.resolve(), at_most
        self._site, self._version = choice.site, choice.version
        self._untaken = choice.untaken
        self._ground = succession.ground
        self._tasks: set[asyncio.Task[None]] = set()
        if self._untaken:
            log.error("%s", self._text())

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {
            "config": self.config,
            "config-plan": self.plan,
            "config-apply": self.apply,
            "config-rollback": self.rollback,
        }

    def look(self, image: ProcessImage, now_s: float) -> None:
        """The alarm that the site file was not taken."""
        self._ground.alarms.set(ALARM, SUBJECT, self._text() if self._untaken else None, image.time)

    def again(self) -> None:
        """Take the site file again (SIGHUP); what comes of it is in the log, and an alarm where it fails."""
        task = asyncio.create_task(self._again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration in force, the site file of its copy, and all that are kept."""
        versions = await asyncio.to_thread(self._accepted.versions)
        return {
            "number": self._version.number,
            "file": str(self._accepted.path(self._version)),
            "untaken": self._untaken,
            "versions": [version.model_dump(mode="json") for version in versions],
        }

    async def plan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the site file in "file" would change; with "online" the devices concerned are asked who they are."""
        snapshot = await self._read(request)
        held = tuple(self._ground.dispatcher.held)
        site, document = await asyncio.to_thread(planned, snapshot, self._site, held)
        self._same_site(site)
        document |= {"same": snapshot.hash == self._version.hash, "number": self._version.number}
        if not request.get("online"):
            return document
        known = self._succession.daemon.place.pinned
        answers = await ask_identities(
            site, {*document["new"], *document["replaced"], *document["reconnected"]}, self._ground.clock
        )
        return with_identities(document, answers, {name: known.expected(name) for name in site.devices})

    async def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Put the site file in "file" in force; "replace" and "abandon" are device ids. Raises EnergyctlError."""
        async with self._succession.one:
            snapshot = await self._read(request)
            replace = _names(request, "replace")
            if snapshot.hash == self._version.hash and not replace:
                self._untaken = ""
                return self._result(None, 0)
            await asyncio.to_thread(self._accepted.write, snapshot)
            site = await asyncio.to_thread(snapshot.load, self._accepted.folder, resolve_secrets=True)
            how = str(request.get("how") or "apply")
            version = draft(self._accepted, snapshot, str(request["user"]), how, self._ground.clock.now())
            return await self._put(site, version, replace, _names(request, "abandon"))

    async def rollback(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Go back to configuration number "to", or to the one before the one in force. Raises EnergyctlError."""
        async with self._succession.one:
            target = await asyncio.to_thread(self._target, request.get("to"))
            site = await asyncio.to_thread(self._accepted.load, target, resolve_secrets=True)
            aside = await asyncio.to_thread(_hash_of, self._file)
            last = self._accepted.versions()[-1]
            version = target.model_copy(
                update={
                    "number": last.number + 1,
                    "time": self._ground.clock.now(),
                    "who": str(request["user"]),
                    "how": f"rollback to {target.number}",
                    "epochs": last.epochs,
                    "left_aside": None if aside == target.hash else aside,
                }
            )
            return await self._put(site, version, _names(request, "replace"), _names(request, "abandon"))

    def _target(self, number: int | None) -> Version:
        if number is not None:
            return self._accepted.numbered(int(number))
        before = [version for version in self._accepted.versions() if version.hash != self._version.hash]
        if not before:
            raise ConfigError("no other configuration has been accepted yet")
        return before[-1]

    async def _put(
        self, site: Site, version: Version, replace: Collection[str], abandon: Collection[str]
    ) -> dict[str, Any]:
        """Put a site in force that has been read and is right."""
        self._same_site(site)
        self._check_names(site, {*replace, *abandon} - {EVERY})
        if by := self._succession.daemon.place.drain.by:
            raise ConfigError(f"the daemon is being drained by {by} and will end")
        change = compare(self._site, site)
        epochs = {**version.epochs, **dict.fromkeys(consent(change, replace), version.number)}
        version = version.model_copy(update={"epochs": epochs})
        missed = self._succession.daemon.controller.missed

        async def commit() -> None:
            await asyncio.to_thread(self._accepted.accept, version)

        try:
            await self._succession.replace(site.at_most(self._at_most), change, epochs, abandon, commit)
        except NotHandedBack as error:
            devices = dict.fromkeys(point.partition(".")[0] for point in error.points)
            say = " ".join(f"--abandon {name}" for name in devices)
            raise NotHandedBack(error.points, f"; to leave it as it is: energyctl config apply SITE {say}") from error
        self._site, self._version, self._untaken = site, version, ""
        controller = self._succession.daemon.controller
        text = f"configuration number {version.number} in force: {version.how} by {version.who}"
        controller.record(JournalEntry(0, self._ground.clock.now(), JournalKind.NOTE, "site", detail=text))
        log.info("%s", text)
        return self._result(change, controller.missed - missed)

    def _result(self, change: Change | None, missed: int) -> dict[str, Any]:
        return {
            "number": self._version.number,
            "changed": change is not None,
            "handed_back": list(change.left) if change else [],
            "reconnected": list(change.reconnected) if change else [],
            "new": list(change.new) if change else [],
            "missed_cycles": missed,
            "file": str(self._accepted.path(self._version)),
            "left_aside": self._version.left_aside is not None,
        }

    async def _again(self) -> None:
        try:
            await self.apply({"file": str(self._file), "user": "SIGHUP", "how": "SIGHUP"})
        except EnergyctlError as error:
            self._untaken = str(error)
            log.error("%s", self._text())

    async def _read(self, request: Mapping[str, Any]) -> Snapshot:
        return await asyncio.to_thread(take, Path(str(request.get("file") or self._file)))

    def _same_site(self, site: Site) -> None:
        if site.id != self._site.id:
            raise ConfigError(
                f"site.id: '{site.id}': this daemon controls '{self._site.id}'; another site has a daemon of its own"
            )

    def _check_names(self, site: Site, names: Collection[str]) -> None:
        known = {*self._site.devices, *site.devices}
        for name in sorted(names):
            if name not in known:
                raise ConfigError(f"no device '{name}'{did_you_mean(name, known)}")

    def _text(self) -> str:
        return (
            f"{self._file} was not taken; configuration number {self._version.number} of "
            f"{self._version.time:%Y-%m-%d %H:%M} UTC is in force: {self._untaken}"
        )


def _names(request: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = request.get(key) or ()
    if not isinstance(names, list | tuple):
        raise ConfigError(f'"{key}" must be a list of device ids')
    return tuple(str(name) for name in names)


def _hash_of(file: Path) -> str | None:
    try:
        return take(file).hash
    except ConfigError:
        return None
