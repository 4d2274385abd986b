"""What the daemon does by the calendar: plan, and keep the historian in size.

The jobs are APScheduler triggers, asked for their next time with our own Clock, because APScheduler's scheduler reads the
wall clock: so lockstep and live fire the same jobs. A job that failed is logged and tried again at its next time; one that
is still running is not started twice. Times that were missed (the job took long, the clock was set) are not made up for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.core.clock import Clock, Turn
from energyctl.core.errors import EnergyctlError, PlanError
from energyctl.core.timeline import Horizon
from energyctl.planning.history import History
from energyctl.planning.requests import request
from energyctl.planning.worker import PlannerProcess

from .clock_trust import ClockTrust
from .cycle import Controller
from .storing import StoreThread

log = logging.getLogger(__name__)

RETENTION = timedelta(days=396)
"""How long raw samples and the journal are kept: thirteen months."""
TRIM_ROWS = 5000
"""Deleted at a time, so that the cycle's commits come in between."""
EARLY = timedelta(seconds=5)
"""How far the wall clock may lag behind the sleep that should have reached a job's time."""
FIRST_PLAN_WITHIN_S = 30.0
"""The first plan waits this long for every device to answer or fail to."""


class Trigger(Protocol):
    """The part of an APScheduler trigger that is used."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None: ...


@dataclass(frozen=True)
class Job:
    """Something to do whenever a trigger says so."""

    name: str
    trigger: Trigger
    work: Callable[[], Awaitable[None]]
    first: Callable[[], Awaitable[None]] | None = None
    """What is done once at the start, before the trigger counts."""


async def run_job(job: Job, clock: Clock) -> None:
    """Do a job at its times, for ever."""
    with clock.busy():
        if job.first is not None:
            await clock.sleep_until(clock.monotonic(), Turn.JOBS)
            await _once(job.name, job.first)
        previous: datetime | None = None
        while True:
            now = clock.now()
            previous = job.trigger.get_next_fire_time(None, _after(previous, now) + timedelta(microseconds=1))
            if previous is None:
                return
            await clock.sleep_until(clock.monotonic() + (previous - now).total_seconds(), Turn.JOBS)
            await _once(job.name, job.work)


def _after(previous: datetime | None, now: datetime) -> datetime:
    """The instant that the next time must be later than: a sleep that ended a little early does not count twice."""
    early = previous is not None and timedelta(0) < previous - now < EARLY
    return previous if previous is not None and early else now


async def _once(name: str, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except EnergyctlError as error:
        log.error("%s: %s", name, error)


class Planning:
    """Asks the planner's process for plans and hands them to the controller."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        controller: Controller,
        history: History,
        alarms: Alarms,
        process: PlannerProcess,
        trust: ClockTrust,
        remember: Callable[[], Awaitable[None]],
    ) -> None:
        """`remember` reads the history that plans are made from again, once the clock says which part of it that is."""
        self._site, self._clock, self._controller = site, clock, controller
        self._history, self._alarms, self._process = history, alarms, process
        self._trust, self._remember, self._strayed = trust, remember, False
        self._one = asyncio.Lock()
        self.made = 0
        self.failed = 0

    async def first(self) -> None:
        """The first plan, once there is something to plan from."""
        last = self._clock.monotonic() + FIRST_PLAN_WITHIN_S
        while not self._controller.informed and self._clock.monotonic() < last:
            await self._clock.sleep_until(self._clock.monotonic() + 0.2, Turn.JOBS)
        await self.replan()

    async def replan(self) -> None:
        """Ask for a plan now. A failure is an alarm, counted, and leaves the last plan in place.

        None is made while the clock is not trusted: it would be one for another time.
        """
        async with self._one:
            if self._trust.doubt is not None:
                self._strayed = True
                return
            if self._strayed:
                await self._remember()
                self._strayed = False
            controller = self._controller
            wanted = request(self._site, controller.image, self._history, controller.plan, live=not self._clock.virtual)
            try:
                controller.new_plan(await self._process.plan(wanted))
            except PlanError as error:
                self.failed += 1
                self._alarms.raise_("no-plan", "planner", str(error), self._clock.now())
                return
            self.made += 1
            now = self._clock.now()
            self._alarms.set("price-missing", "tariff", stand_ins("price", wanted.rates.guessed, wanted.horizon), now)
            text = stand_ins("carbon intensity", wanted.rates.guessed_carbon, wanted.horizon)
            self._alarms.set("carbon-missing", "tariff", text, now)
            self._alarms.clear("no-plan", "planner", now)


def stand_ins(what: str, guessed: Sequence[bool], horizon: Horizon) -> str | None:
    """Which steps have to do with the value of a like day, in words; None when there are none."""
    if not any(guessed):
        return None
    first = horizon.time(list(guessed).index(True))
    return (
        f"no {what} is known for {sum(guessed)} of {horizon.steps} steps, the first {first:%Y-%m-%d %H:%M} UTC; "
        "a like day's stands in: is the tariff's file up to date?"
    )


def plan_trigger(every_s: float) -> Trigger:
    """Fires at every full `every_s` (a whole number of minutes that divides an hour, or a whole number of hours)."""
    minutes = int(every_s // 60)
    if minutes < 60:
        return CronTrigger(minute=f"*/{minutes}", timezone=UTC)  # type: ignore[no-any-return]
    return CronTrigger(hour=f"*/{minutes // 60}", minute=0, timezone=UTC)  # type: ignore[no-any-return]


def jobs(site: Site, planning: Planning | None, store: StoreThread, trust: ClockTrust) -> list[Job]:
    """All calendar jobs of a daemon."""

    async def trim() -> None:
        now = trust.trims_by
        if now is None:
            return
        before = now - RETENTION
        while await store.call(lambda s: s.compact(before, most=TRIM_ROWS)):
            pass

    found = [Job("trim historian", CronTrigger(hour=0, minute=10, timezone=UTC), trim)]
    if planning is not None:
        found.append(Job("plan", plan_trigger(site.planner.every_s), planning.replan, planning.first))
    return found
