"""A daemon put together for one configuration: controller, planner, handlers, and their loops, on the ground that goes on.

Order of stopping: no new wishes, hand every device back and verify it, commit the outcome, close. A device that is absent
delays nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from energyctl.config.site import Site
from energyctl.control.handback import HandedBack
from energyctl.core.errors import StoreError
from energyctl.core.records import Owned
from energyctl.core.timeline import floor_time
from energyctl.planning.history import DAYS, STEP_S, History
from energyctl.planning.requests import needed_points
from energyctl.planning.worker import PlannerProcess

from .alarm_desk import AlarmDesk
from .commissioning import Commissioning
from .cycle import Controller
from .estopping import obey
from .ground import Ground
from .handlers import Handlers
from .handling_alarms import AlarmHandlers
from .handling_people import People
from .handling_shadow import ShadowHandlers
from .jobs import Planning, jobs, run_job
from .joining import Place, joined
from .notify import patience
from .returning import GONE, OFF
from .server import Handler
from .webhook import WebhookSender

log = logging.getLogger(__name__)

STOP_WITHIN_S = 20.0
NOT_DRAINED = 10
"""Exit code of a daemon that was drained and could not hand everything back; it is not to be started again for that."""


class Daemon:
    """The parts that belong to one configuration. Putting it together changes nothing; `begin` makes it the one in force."""

    def __init__(self, site: Site, ground: Ground, place: Place, history: History) -> None:
        clock, alarms = ground.clock, ground.alarms
        period_s, stop = ground.period_s(site), ground.stop
        rules_only = ground.rules_only or site.mode == "off"
        self.site, self.place, self._ground = site, place, ground
        self._clock, self._alarms, self._store = clock, alarms, ground.store
        self._acquisition, self._dispatcher = ground.acquisition, ground.dispatcher
        self._history = history
        seams = joined(place)
        self._desk = AlarmDesk(alarms, clock, ground.paths.alarms, seams.watches)
        seams.watches.append(self._desk)
        self._desk.restore()
        self._webhook = None if site.webhook is None else WebhookSender(site.webhook, site.id, alarms, clock)
        self.controller = Controller(
            site,
            clock,
            self._acquisition,
            self._dispatcher,
            self._store,
            self._history,
            alarms,
            ground.notifier,
            period_s,
            ground.lease_s(site),
            rules_only,
            seams,
        )
        self._process = None if rules_only else PlannerProcess(site.planner.use)
        self._planning = (
            Planning(
                site, clock, self.controller, self._history, alarms, self._process, place.trust, self._load_history
            )
            if self._process
            else None
        )
        self._people = People(
            site,
            clock,
            self.controller,
            self._dispatcher,
            alarms,
            place.overrides,
            place.estop,
            place.drain,
            stop,
            period_s,
        )
        self.handlers = Handlers(
            site,
            clock,
            self._acquisition,
            self._dispatcher,
            self.controller,
            self._planning,
            self._store,
            alarms,
            stop,
            place.estop,
            self._people,
        )

        self._commissioning = Commissioning(
            site,
            clock,
            self.controller,
            self._dispatcher,
            alarms,
            place.trials,
            place.records,
            place.identities,
            period_s,
        )

    @property
    def table(self) -> Mapping[str, Handler]:
        """All that can be asked for over the control socket."""
        alarms = AlarmHandlers(self._alarms, self._desk, self._store, lambda: self.controller.cycle)
        shadow = ShadowHandlers(self.site, self.controller)
        others = (self._people, alarms, self._commissioning, shadow)
        return {**self.handlers.table(), **{name: do for one in others for name, do in one.table().items()}}

    def adopt(self, owned: Sequence[Owned]) -> None:
        """What could not be handed back at the start (its device is absent) is, as soon as its device answers."""
        for item in owned:
            if text := self._out_of_reach(item.point):
                self._alarms.raise_("not-released", item.point, text, self._clock.now())
        self._dispatcher.adopt([item for item in owned if not self._out_of_reach(item.point)])

    def _out_of_reach(self, point: str) -> str:
        """Why nothing can be handed back at a point by this daemon; "" when it can."""
        if point not in self.site.points:
            return GONE
        return OFF if self.site.modes[point.partition(".")[0]] == "off" else ""

    async def start_planner(self) -> None:
        """Have the planner ready where time waits for it. Raises PlanError."""
        if self._process is not None and self._clock.virtual:
            await self._process.start()

    async def history_for(self, site: Site) -> History:
        """What the past has to say for another configuration."""
        if set(needed_points(site)) == set(self._history.points):
            return self._history
        return await load_history(site, self._ground)

    def begin(self) -> None:
        """Be the configuration in force: hear the alarms, bar the writes, run the loops."""
        self._alarms.on_change = self.controller.note
        self._alarms.announce = None if self._webhook is None else self._webhook.announce
        self._dispatcher.barred = self.place.estop.barred
        period_s, loops = self._ground.period_s(self.site), self._ground.loops
        own = {
            "cycle": self.controller.run,
            "estop": lambda: obey(self.place.estop, self._dispatcher, self._clock, period_s),
            "alarms": self._desk.run,
        }
        if self._webhook is not None:
            own["webhook"] = self._webhook.run
        for job in jobs(self.site, self._planning, self._store, self.place.trust):
            own[job.name] = lambda j=job: run_job(j, self._clock)  # type: ignore[misc]
        for name, loop in own.items():
            loops.start(name, loop)
        self._loops = tuple(own)
        self._ground.notifier.send("READY=1", *patience(period_s), f"STATUS=controlling {self.site.id}")
        log.info("%s: running, mode %s", self.site.id, self.site.mode)

    async def cease(self) -> None:
        """Be in force no more; what is held goes on being held."""
        await self._ground.loops.end(self._loops)

    async def close(self) -> None:
        """Close what is this configuration's alone, after `cease`."""
        await self._desk.close()
        if self._webhook is not None:
            await self._webhook.close()
        if self._process is not None:
            self._process.kill()

    async def hand_back(self) -> int:
        """Hand everything back, for the end. Returns the exit code."""
        results = await self._hand_back()
        if self._ground.loops.failed or not all(result.ok for result in results):
            return NOT_DRAINED if self.place.drain.by else 1
        return 0

    async def load_plan(self) -> None:
        """A plan made before a restart guides on until there is a new one, if the ladder finds it young enough."""
        with suppress(StoreError):
            plan = await self._store.call(lambda store: store.last_plan())
            if plan is not None and plan.issued_at <= self._clock.now():
                self.controller.new_plan(plan)

    async def _load_history(self) -> None:
        await fill(self._history, self._ground)

    async def _hand_back(self) -> list[HandedBack]:
        """Release everything, within a bounded time; what is not released stays in the journal for `handback`."""
        log.info("stopping: handing back %d points", len(self._dispatcher.held))
        try:
            results = await asyncio.wait_for(self._dispatcher.release_all(), STOP_WITHIN_S)
        except TimeoutError:
            log.error("handing back took longer than %g s; run 'energyctl handback'", STOP_WITHIN_S)
            results = []
            self._ground.loops.failed = True
        for result in results:
            log.log(logging.INFO if result.ok else logging.ERROR, "hand back %s: %s", result.group.point, result.detail)
        await self.controller.flush()
        await self._check_recorded(results)
        return results

    async def _check_recorded(self, results: Sequence[HandedBack]) -> None:
        """A hand-back that is not on disk (it is full) would be done again at the next start; say so."""
        with suppress(StoreError):
            left = {item.point for item in await self._store.call(lambda store: store.owned())}
            done = [result.group.point for result in results if result.ok and left.intersection(result.group.points)]
            if not done:
                return
        log.error("handed back, but that could not be written down, so the next start does it again")
        self._ground.loops.failed = True


async def load_history(site: Site, ground: Ground) -> History:
    """The stored means of the points that a site's plans are made from."""
    history = History(needed_points(site))
    await fill(history, ground)
    return history


async def fill(history: History, ground: Ground) -> None:
    """Load the stored means of a history's points."""
    start = floor_time(ground.clock.now() - timedelta(days=DAYS), STEP_S)
    steps = DAYS * 24 * 3600 // STEP_S
    for point in history.points:
        series = await ground.store.call(lambda store, p=point: store.means(p, start, STEP_S, steps))  # type: ignore[misc]
        history.load(point, series)
