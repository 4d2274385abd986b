"""Ending the daemon's loops: once cancelled is not always enough, and nothing may keep the hand-back from coming."""

from __future__ import annotations

import asyncio

import pytest

from energyctl.daemon import loops


async def loop(swallows: int) -> None:
    """Runs for ever, and swallows that many cancellations, as a library may."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if swallows == 0:
                raise
            swallows -= 1


@pytest.mark.parametrize("swallows", [0, 1, 3])
async def test_a_swallowed_cancellation_is_repeated(monkeypatch, swallows):
    monkeypatch.setattr(loops, "CANCEL_AGAIN_S", 0.01)
    tasks = [asyncio.create_task(loop(swallows)), asyncio.create_task(loop(0))]
    await asyncio.sleep(0)
    await asyncio.wait_for(loops.end(tasks), 5)
    assert all(task.cancelled() for task in tasks)


async def test_what_never_ends_is_named_and_left(monkeypatch, caplog):
    monkeypatch.setattr(loops, "CANCEL_AGAIN_S", 0.01)
    stubborn = asyncio.create_task(loop(100), name="poll meter")
    await asyncio.sleep(0)
    await asyncio.wait_for(loops.end([stubborn]), 5)
    assert "these would not end: poll meter" in caplog.text
    while not stubborn.done():
        stubborn.cancel()
        await asyncio.sleep(0)
