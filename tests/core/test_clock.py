"""Lockstep time: moves only when nobody is busy, wakes in order, and is the same every time."""

import asyncio
from datetime import UTC, datetime

from energyctl.core.clock import LockstepClock, Turn

START = datetime(2026, 1, 15, tzinfo=UTC)


async def trace_of(noise: bool) -> list[tuple[str, float]]:
    trace: list[tuple[str, float]] = []

    async def advance(to: datetime) -> None:
        trace.append(("world", (to - START).total_seconds()))
        await asyncio.sleep(0.001 if noise else 0)

    clock = LockstepClock(START, advance)

    async def loop(name: str, period: float, turn: Turn, work: int) -> None:
        with clock.busy():
            due = 0.0
            while True:
                await clock.sleep_until(due, turn)
                for _ in range(work if noise else 1):
                    await asyncio.sleep(0)
                trace.append((name, clock.monotonic()))
                due += period

    tasks = [
        asyncio.create_task(loop("cycle", 60, Turn.CYCLE, 1)),
        asyncio.create_task(loop("slow link", 60, Turn.INPUT, 7)),
        asyncio.create_task(loop("plan", 120, Turn.JOBS, 3)),
    ]
    driver = asyncio.create_task(clock.drive())
    while clock.monotonic() < 300:
        await asyncio.sleep(0)
    for task in (*tasks, driver):
        task.cancel()
    return trace[:15]


async def test_input_then_cycle_then_jobs_then_time_moves():
    assert await trace_of(noise=False) == [
        ("slow link", 0.0), ("cycle", 0.0), ("plan", 0.0),
        ("world", 60.0), ("slow link", 60.0), ("cycle", 60.0),
        ("world", 120.0), ("slow link", 120.0), ("cycle", 120.0), ("plan", 120.0),
        ("world", 180.0), ("slow link", 180.0), ("cycle", 180.0),
        ("world", 240.0), ("slow link", 240.0),
    ]  # fmt: skip


async def test_how_long_the_work_takes_changes_nothing():
    assert await trace_of(noise=False) == await trace_of(noise=True)


async def test_time_waits_for_whoever_is_busy():
    moved: list[datetime] = []

    async def advance(to: datetime) -> None:
        moved.append(to)

    clock = LockstepClock(START, advance)

    async def sleeper() -> None:
        with clock.busy():
            await clock.sleep_until(60.0)

    task, driver = asyncio.create_task(sleeper()), asyncio.create_task(clock.drive())
    with clock.busy():
        await asyncio.sleep(0.02)
        assert moved == []
    await task
    assert len(moved) == 1 and clock.monotonic() == 60.0
    driver.cancel()


async def test_a_cancelled_sleeper_leaves_the_clock_able_to_move():
    async def advance(to: datetime) -> None:
        pass

    clock = LockstepClock(START, advance)

    async def sleeper(due: float) -> None:
        with clock.busy():
            await clock.sleep_until(due)

    first, second = asyncio.create_task(sleeper(60.0)), asyncio.create_task(sleeper(120.0))
    await asyncio.sleep(0)
    first.cancel()
    driver = asyncio.create_task(clock.drive())
    await asyncio.wait_for(second, 1)
    assert clock.monotonic() == 120.0
    driver.cancel()


async def test_time_does_not_stop_at_the_instant_of_a_cancelled_sleeper():
    moved: list[float] = []

    async def advance(to: datetime) -> None:
        moved.append((to - START).total_seconds())

    clock = LockstepClock(START, advance)

    async def sleeper(due: float) -> None:
        with clock.busy():
            await clock.sleep_until(due)

    first, second = asyncio.create_task(sleeper(60.0)), asyncio.create_task(sleeper(120.0))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    driver = asyncio.create_task(clock.drive())
    await asyncio.wait_for(second, 1)
    assert moved == [120.0]
    driver.cancel()
