"""Keeps what must survive a restart: the standing alarms with their acknowledgements, and what watchers remember.

It is written to one file, whole and on a thread of its own, soon after something has changed; an acknowledgement is answered
only once it is on disk. A file that cannot be read is put aside and said so, and the site is controlled all the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from energyctl.control.alarms import Alarm, Alarms
from energyctl.core.clock import Clock
from energyctl.core.errors import StoreError
from energyctl.core.files import write_whole
from energyctl.core.points import ProcessImage

log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""A file that could not be written is written again after this long [s]."""


@runtime_checkable
class Remembers(Protocol):
    """A watcher with a memory that is worth keeping over a restart."""

    memory_name: str
    memory_changes: int
    """Counts its changes."""

    def memory(self) -> Any:
        """What it remembers, fit for JSON."""
        ...

    def recall(self, memory: Any) -> None:
        """Take over what an earlier run remembered. Raises KeyError, TypeError or ValueError for anything else."""
        ...


class AlarmDesk:
    """Watches the alarms of a daemon: gives them time in every cycle, and keeps them on disk."""

    def __init__(self, alarms: Alarms, clock: Clock, path: Path, watchers: Sequence[object]) -> None:
        self._alarms, self._clock, self._path = alarms, clock, path
        self._remembering = [watcher for watcher in watchers if isinstance(watcher, Remembers)]
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._saved = self._version()

    def look(self, image: ProcessImage, now_s: float) -> None:
        """One cycle has passed."""
        self._alarms.tick(image.time)
        if self._version() != self._saved:
            self._changed.set()

    def restore(self) -> None:
        """Take over what an earlier run left."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            alarms = [Alarm.from_json(item) for item in data["alarms"]]
            for watcher in self._remembering:
                if watcher.memory_name in data["memory"]:
                    watcher.recall(data["memory"][watcher.memory_name])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s: cannot be read, so alarms of an earlier run are not known: %s", self._path, error)
            self._put_aside()
            return
        self._alarms.restore(alarms, self._clock.now())
        log.info("%d alarms stood when the last run ended", len(alarms))

    async def run(self) -> None:
        """Write the file whenever something has changed, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.save()
            except StoreError as error:
                log.error("%s", error)
                await asyncio.sleep(AGAIN_S)
                self._changed.set()

    async def close(self) -> None:
        """Write what stands at the end; a disk that refuses is logged."""
        try:
            await self.save()
        except StoreError as error:
            log.error("%s", error)

    async def save(self) -> None:
        """Write what is known now. Raises StoreError."""
        async with self._writing:
            version, text = self._version(), json.dumps(self._state(), indent=1)
            try:
                await asyncio.to_thread(_write, self._path, text)
            except OSError as error:
                raise StoreError(f"{self._path}: cannot be written: {error.strerror or error}") from error
            self._saved = version

    async def acknowledge(self, name: str, subject: str, by: str, note: str) -> Alarm:
        """Acknowledge an alarm, on disk when this returns. Raises ConfigError when it does not stand, and StoreError."""
        alarm = self._alarms.acknowledge(name, subject, by, note, self._clock.now())
        await self.save()
        return alarm

    def _version(self) -> tuple[int, ...]:
        return (self._alarms.changes, *(watcher.memory_changes for watcher in self._remembering))

    def _state(self) -> Mapping[str, Any]:
        return {
            "alarms": [alarm.as_json() for alarm in self._alarms.standing],
            "memory": {watcher.memory_name: watcher.memory() for watcher in self._remembering},
        }

    def _put_aside(self) -> None:
        try:
            self._path.replace(self._path.with_suffix(".corrupt"))
        except OSError as error:
            log.error("%s: cannot be put aside: %s", self._path, error)


_ONE = threading.Lock()
"""While one configuration follows another both may want to write."""


def _write(path: Path, text: str) -> None:
    with _ONE:
        write_whole(path, text)
