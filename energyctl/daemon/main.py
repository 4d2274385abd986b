"""The composition root: puts a daemon together from a site, runs it until told to stop, and takes it apart again.

Order of starting: lock, store, drivers, hand back what a dead predecessor left, then polling, cycle, jobs and socket.
Order of stopping: no new wishes, hand every device back and verify it, commit the outcome, close. A device that is absent
delays nothing. A loop that fails for a reason nobody foresaw is logged and started again; if it keeps failing the daemon
ends with an error, having handed back, and whoever supervises it decides.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from energyctl.config import load_site
from energyctl.config.plugins import load_driver
from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.handback import HandedBack
from energyctl.control.leases import lease_s
from energyctl.core.clock import Clock, LiveClock, LockstepClock
from energyctl.core.driver import Driver
from energyctl.core.errors import EnergyctlError, StoreError
from energyctl.core.records import Owned
from energyctl.core.timeline import floor_time
from energyctl.field.acquire import Acquisition
from energyctl.field.quality import plausible_spans
from energyctl.planning.history import DAYS, STEP_S, History
from energyctl.planning.requests import needed_points
from energyctl.planning.worker import PlannerProcess
from energyctl.store import Batch, Store

from .cycle import Controller
from .handlers import Handlers
from .jobs import Planning, jobs, run_job
from .joining import Place, joined
from .lockstep import Lockstep, SiteClock
from .notify import Notifier, patience
from .paths import StatePaths, state_dir
from .returning import GONE, claim, one_daemon, return_owned
from .server import ControlServer
from .storing import StoreThread
from .supervise import STOP_SIGNALS

log = logging.getLogger(__name__)

FAILURES_ALLOWED = 3
FORGIVEN_AFTER_S = 3600.0
"""A loop that has run for so long starts with a clean record."""
STOP_WITHIN_S = 20.0
CANCEL_AGAIN_S = 0.5
CANCEL_TRIES = 10


@dataclass(frozen=True)
class Options:
    """How to run: see `energyctl run --help`."""

    site: Path
    state: Path | None = None
    lockstep: Path | None = None
    strategy: str = "plan"
    stop_on_eof: bool = False


async def run(options: Options) -> int:
    """Run a daemon until it is told to stop. Returns the exit code. Raises EnergyctlError when it cannot start."""
    site = load_site(options.site, resolve_secrets=True)
    paths = state_dir(site.id, options.state)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_stopped_by_signals(stop, options.stop_on_eof))
        stack.enter_context(one_daemon(paths))
        store = Store.open(paths.store)
        if store.opened_note:
            log.error("%s", store.opened_note)
        claim(paths, site, store)
        lockstep = Lockstep(stop.set) if options.lockstep else None
        if lockstep is not None and options.lockstep is not None:
            await lockstep.connect(options.lockstep)
            stack.callback(lockstep.close)
        clock = LiveClock() if lockstep is None else SiteClock(lockstep)
        drivers = await _open_drivers(site, clock, stack)
        if lockstep is not None:
            lockstep.fence(set(drivers.values()))
        by_link = {site.link_of[device]: driver for device, driver in drivers.items()}
        await return_owned(site, store, clock, by_link)
        daemon = Daemon(
            site, clock, drivers, store, paths, options, lockstep.step_s if lockstep else site.period_s, stop.set
        )
        daemon.adopt(store.owned())
        return await daemon.run(stop, ControlServer(paths.socket, daemon.handlers.table()))


async def _open_drivers(site: Site, clock: Clock, stack: AsyncExitStack) -> dict[str, Driver]:
    """A driver per link, by device id."""
    drivers = {}
    for link in site.links:
        devices = [device for device in site.devices.values() if site.link_of[device.id] == link.id]
        if devices:
            driver = await stack.enter_async_context(load_driver(link.protocol).open(link, devices, clock))
            drivers.update({device.id: driver for device in devices})
    return drivers


class Daemon:
    """A daemon put together; `run` runs it."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        drivers: dict[str, Driver],
        store: Store,
        paths: StatePaths,
        options: Options,
        period_s: float,
        stop: Callable[[], None],
    ) -> None:
        self._site, self._clock, self._drivers = site, clock, drivers
        self._stop, self._period_s = stop, period_s
        self._failed = False
        rules_only = options.strategy == "rules"
        lease = lease_s(site.safety.lease_s, period_s)
        self._alarms = alarms = Alarms()
        self._acquisition = Acquisition(clock, period_s, plausible_spans(site))
        self._store = StoreThread(store, clock, alarms)
        self._history = History(needed_points(site))
        self._notifier = Notifier()
        self._dispatcher = Dispatcher(
            clock,
            site.devices,
            drivers,
            lease,
            lambda entries: self._store.commit(Batch(journal=tuple(entries))),
            self._acquisition.take,
            alarms,
        )
        self.controller = Controller(
            site,
            clock,
            self._acquisition,
            self._dispatcher,
            self._store,
            self._history,
            alarms,
            self._notifier,
            period_s,
            lease,
            rules_only,
            joined(Place(site, clock, alarms, paths)),
        )
        alarms.on_change = self.controller.note
        self._process = None if rules_only else PlannerProcess(site.planner.use)
        self._planning = (
            Planning(site, clock, self.controller, self._history, alarms, self._process) if self._process else None
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
            period_s,
        )

    def adopt(self, owned: Sequence[Owned]) -> None:
        """What could not be handed back at the start (its device is absent) is, as soon as its device answers."""
        self._dispatcher.adopt([item for item in owned if item.point in self._site.points])
        for item in owned:
            if item.point not in self._site.points:
                self._alarms.raise_("not-released", item.point, GONE, self._clock.now())

    async def run(self, stop: asyncio.Event, server: ControlServer) -> int:
        """Run until `stop` is set, then hand everything back. Returns the exit code."""
        await self._load_history()
        await self._load_plan()
        if self._process is not None and self._clock.virtual:
            await self._process.start()
        await server.start()
        tasks = self._start()
        gc.freeze()  # what start-up made stays for good: collections need not look at it again
        self._notifier.send("READY=1", *patience(self._period_s), f"STATUS=controlling {self._site.id}")
        log.info("%s: running, mode %s", self._site.id, self._site.mode)
        try:
            await stop.wait()
        finally:
            self._notifier.send("STOPPING=1")
            await end(tasks)
            results = await self._hand_back()
            await server.stop()
            if self._process is not None:
                self._process.kill()
            await self._store.close()
        return 1 if self._failed or any(not result.ok for result in results) else 0

    def _start(self) -> list[asyncio.Task[None]]:
        live = not self._clock.virtual
        loops: dict[str, Callable[[], Awaitable[None]]] = {}
        for device in self._site.devices.values():
            self._acquisition.add(device)
            link = next(link for link in self._site.links if link.id == self._site.link_of[device.id])
            subscribe = bool(link.options.get("subscribe", False))
            loops[f"poll {device.id}"] = lambda d=device, s=subscribe: self._acquisition.poll(  # type: ignore[misc]
                d, self._drivers[d.id], s, jitter=live
            )
        loops["cycle"] = self.controller.run
        for job in jobs(self._site, self._clock, self._planning, self._store):
            loops[job.name] = lambda j=job: run_job(j, self._clock)  # type: ignore[misc]
        tasks = [asyncio.create_task(self._supervise(name, loop), name=name) for name, loop in loops.items()]
        if isinstance(self._clock, LockstepClock):
            tasks.append(asyncio.create_task(self._drive(self._clock), name="lockstep"))
        return tasks

    async def _supervise(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Start a loop again when it fails; when that happens a few times in a row, stop the daemon."""
        failures = 0
        while failures < FAILURES_ALLOWED:
            begun = self._clock.monotonic()
            try:
                await loop()
                return
            except Exception:
                failures = 1 if self._clock.monotonic() - begun > FORGIVEN_AFTER_S else failures + 1
                log.exception("%s failed (%d of %d)", name, failures, FAILURES_ALLOWED)
        self._failed = True
        self._stop()

    async def _drive(self, clock: LockstepClock) -> None:
        try:
            await clock.drive()
        except Exception as error:
            log.error("%s", error, exc_info=not isinstance(error, EnergyctlError))
            self._failed = True
            self._stop()

    async def _load_plan(self) -> None:
        """A plan made before a restart guides on until there is a new one, if the ladder finds it young enough."""
        with suppress(StoreError):
            plan = await self._store.call(lambda store: store.last_plan())
            if plan is not None and plan.issued_at <= self._clock.now():
                self.controller.new_plan(plan)

    async def _load_history(self) -> None:
        start = floor_time(self._clock.now() - timedelta(days=DAYS), STEP_S)
        steps = DAYS * 24 * 3600 // STEP_S
        for point in self._history.points:
            series = await self._store.call(lambda store, p=point: store.means(p, start, STEP_S, steps))  # type: ignore[misc]
            self._history.load(point, series)

    async def _hand_back(self) -> list[HandedBack]:
        """Release everything, within a bounded time; what is not released stays in the journal for `handback`."""
        log.info("stopping: handing back %d points", len(self._dispatcher.held))
        try:
            results = await asyncio.wait_for(self._dispatcher.release_all(), STOP_WITHIN_S)
        except TimeoutError:
            log.error("handing back took longer than %g s; run 'energyctl handback'", STOP_WITHIN_S)
            results = []
            self._failed = True
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
        self._failed = True


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended, for a bounded time: hand-back must come, whatever a loop does.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which libraries use, can swallow a cancellation that comes
    as its work completes.
    """
    for _ in range(CANCEL_TRIES):
        pending = [task for task in tasks if not task.done()]
        if not pending:
            return
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    left = [task.get_name() for task in tasks if not task.done()]
    if left:
        log.error("these would not end: %s", ", ".join(left))


@contextmanager
def _stopped_by_signals(stop: asyncio.Event, stop_on_eof: bool) -> Iterator[None]:
    """SIGINT, SIGTERM and the end of standard input set `stop`; what came while the parent had them blocked counts.

    When all is taken apart they are ignored: one more Ctrl-C must not turn a stop into a crash.
    """
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if stop_on_eof:
        with suppress(PermissionError):  # a file or /dev/null cannot be waited for, and never closes
            loop.add_reader(sys.stdin.fileno(), _ended, loop, stop)
    try:
        yield
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def _ended(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    loop.remove_reader(sys.stdin.fileno())  # a closed pipe stays readable, which would keep the loop spinning
    stop.set()


def parse(arguments: Sequence[str]) -> Options:
    """Options from the daemon's own command line; `energyctl run` is what people use."""
    parser = argparse.ArgumentParser(prog="python -m energyctl.daemon", description="Run the daemon in this process.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--state", type=Path, help="directory for historian, journal and socket")
    parser.add_argument("--lockstep", type=Path, help="socket of a simulated site that keeps the time")
    parser.add_argument("--strategy", choices=("plan", "rules"), default="plan")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when standard input closes")
    return Options(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of `python -m energyctl.daemon`."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s"
    )
    logging.Formatter.converter = time.gmtime
    for noisy in ("asyncua", "pymodbus", "bacpypes3", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    try:
        return asyncio.run(run(parse(sys.argv[1:] if arguments is None else arguments)))
    except EnergyctlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
