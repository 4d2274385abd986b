"""Calendar jobs on a virtual clock: at their times, and none made up for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from energyctl.core.clock import LockstepClock, Turn
from energyctl.daemon.jobs import Job, plan_trigger, run_job

START = datetime(2026, 1, 15, 10, 7, tzinfo=UTC)


class JumpingClock(LockstepClock):
    """A virtual clock whose wall time can be set, as NTP does."""

    jump = timedelta(0)

    def now(self):
        return super().now() + self.jump


async def fired(hours, work=None):
    async def advance(to):
        pass

    clock, times = JumpingClock(START, advance), []

    async def once():
        times.append(clock.now())
        if work is not None:
            await work(clock, len(times))

    tasks = [asyncio.create_task(run_job(Job("plan", plan_trigger(900), once), clock))]
    tasks.append(asyncio.create_task(clock.drive()))
    with clock.busy():
        await clock.sleep_until(hours * 3600.0, Turn.JOBS)
    for task in tasks:
        task.cancel()
    return [f"{time:%H:%M}" for time in times]


async def test_every_full_quarter():
    assert await fired(1) == ["10:15", "10:30", "10:45", "11:00"]


async def test_times_missed_by_a_job_that_took_long_are_skipped():
    async def work(clock, number):
        if number == 1:
            await clock.sleep_until(clock.monotonic() + 50 * 60)

    assert await fired(1.5, work) == ["10:15", "11:15", "11:30"]


async def test_a_clock_that_was_set_does_not_bring_a_storm_of_jobs():
    async def work(clock, number):
        if number == 1:
            clock.jump = timedelta(days=365)

    assert await fired(1, work) == ["10:15", "10:30", "10:45", "11:00"]
