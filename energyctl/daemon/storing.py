"""The store on a thread of its own: a slow disk delays a commit, never the event loop.

A failed commit is not silent: the samples lost with it are counted, and the alarm "store-failing" stands until a commit
succeeds again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from energyctl.control.alarms import Alarms
from energyctl.core.clock import Clock
from energyctl.core.errors import StoreError
from energyctl.store import Batch, Store

T = TypeVar("T")


class StoreThread:
    """Runs every call of a Store on one thread, in order."""

    def __init__(self, store: Store, clock: Clock, alarms: Alarms) -> None:
        self._store = store
        self._clock = clock
        self._alarms = alarms
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self.lost_samples = 0
        self.sequence = 0

    async def commit(self, batch: Batch) -> None:
        """One transaction. Raises StoreError after counting the samples lost with it."""
        if not (batch.samples or batch.journal or batch.plan or batch.pasts):
            return
        try:
            # shielded: who is stopped while waiting has handed over its journal, which must not be lost with it
            self.sequence = await asyncio.shield(self.call(lambda store: store.commit(batch)))
        except StoreError as error:
            self.lost_samples += len(batch.samples)
            self._alarms.raise_("store-failing", "store", str(error), self._clock.now())
            raise
        self._alarms.clear("store-failing", "store", self._clock.now())

    async def call(self, work: Callable[[Store], T]) -> T:
        """Run `work` with the store on its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._store)

    async def look(self, question: Callable[[Store], T]) -> T:
        """Ask on a connection and a thread of its own: however long a look back takes, no commit waits for it."""

        def ask() -> T:
            with Store.open(self._store.path, read_only=True) as reader:
                return question(reader)

        return await asyncio.get_running_loop().run_in_executor(None, ask)

    async def close(self) -> None:
        """Close the store after everything before it is done."""
        await self.call(lambda store: store.close())
        self._thread.shutdown()
