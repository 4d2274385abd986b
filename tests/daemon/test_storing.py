"""The store's thread: what is handed over is committed whoever goes, and looking back keeps nobody waiting."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from energyctl.control.alarms import Alarms
from energyctl.core.clock import LiveClock
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.daemon.storing import StoreThread
from energyctl.store import Batch, Store

NOW = datetime(2026, 1, 15, tzinfo=UTC)
BATCH = Batch(journal=(JournalEntry(1, NOW, JournalKind.RELEASED, "bat.set", 7.0),))


@pytest.fixture
async def store(tmp_path):
    thread = StoreThread(Store.open(tmp_path / "s.sqlite"), LiveClock(), Alarms())
    yield thread
    await thread.close()


async def test_a_commit_outlives_whoever_waits_for_it(store):
    gate = threading.Event()
    blocking = asyncio.create_task(store.call(lambda _: gate.wait(5)))
    await asyncio.sleep(0.02)
    committing = asyncio.create_task(store.commit(BATCH))
    await asyncio.sleep(0.02)
    committing.cancel()
    gate.set()
    await blocking
    assert [entry.point for entry in await store.call(lambda s: s.journal())] == ["bat.set"]


async def test_a_long_look_back_delays_no_commit(store):
    await store.commit(BATCH)
    gate = threading.Event()
    looking = asyncio.create_task(store.look(lambda s: (gate.wait(5), s.journal())[1]))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(store.commit(BATCH), 1)
    gate.set()
    assert len(await looking) == 2
