"""The composition root: starts a daemon, runs it until told to stop, and says how it went.

Order of starting: lock, configuration (see `starting`), store, drivers, hand back what a dead predecessor left, then the
composition and its loops (see `composition`, `succession`), and the socket. A loop that fails for a reason nobody foresaw
is logged and started again; if it keeps failing the daemon ends with an error, having handed back, and whoever supervises it
decides. SIGHUP takes the site file again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from energyctl.config import load_site
from energyctl.config.accepted import Accepted
from energyctl.config.site import MODES, Mode
from energyctl.core.clock import Clock, LiveClock
from energyctl.core.errors import ConfigError, EnergyctlError, StoreError
from energyctl.core.people import user_name
from energyctl.store import Store

from .composition import Daemon, load_history
from .ground import Ground
from .joining import Place
from .links import Links
from .lockstep import Lockstep, SiteClock
from .reload import Reloader
from .returning import claim, located, one_daemon, remember, return_owned
from .server import ControlServer
from .starting import Choice, choose
from .succession import Succession
from .supervise import STOP_SIGNALS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to run: see `energyctl run --help`."""

    site: Path
    state: Path | None = None
    lockstep: Path | None = None
    strategy: str = "plan"
    stop_on_eof: bool = False
    at_most: Mode = "control"
    """No device goes further than this, whatever the site file says."""
    replace: tuple[str, ...] = ()
    """Device ids that mean another device from now on."""


async def run(options: Options) -> int:
    """Run a daemon until it is told to stop. Returns the exit code. Raises EnergyctlError when it cannot start."""
    paths = located(options.site, options.state)
    accepted = Accepted(paths.config)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_stopped_by_signals(stop, options.stop_on_eof))
        if not paths.root.exists():
            load_site(options.site, resolve_secrets=True)  # a first start with a wrong file leaves nothing behind
        stack.enter_context(one_daemon(paths))
        lockstep = Lockstep(stop.set) if options.lockstep else None
        if lockstep is not None and options.lockstep is not None:
            await lockstep.connect(options.lockstep)
            stack.callback(lockstep.close)
        clock = LiveClock() if lockstep is None else SiteClock(lockstep)
        choice = choose(options.site, accepted, options.replace, user_name(os.getuid()), clock.now())
        store = Store.open(paths.store)
        if store.opened_note:
            log.error("%s", store.opened_note)
        claim(paths, choice.site.id, store)
        remember(paths, options.site)
        choice = await _take_office(choice, accepted, store, clock)
        site = choice.site.at_most(options.at_most)
        links = Links(clock, lockstep.fence if lockstep is not None else lambda drivers: None)
        stack.push_async_callback(links.close)
        await links.open(site)
        by_link = {site.link_of[device]: driver for device, driver in links.drivers.items()}
        await return_owned(site, store, clock, by_link, accepted.sites())
        step_s = lockstep.step_s if lockstep else None
        ground = Ground.of(site, clock, store, paths, links, stop.set, options.strategy == "rules", step_s)
        states, epochs = ground.acquisition.states, choice.version.epochs
        identities, newest = ground.acquisition.identities, store.newest()
        place = Place.of(site, clock, ground.alarms, paths, identities, newest, states, epochs)
        daemon = Daemon(site, ground, place, await load_history(site, ground))
        daemon.adopt(store.owned())
        succession = Succession(ground, daemon, ControlServer(paths.socket, {}))
        reloader = Reloader(succession, accepted, choice, options.site, options.at_most)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.again)
        return await succession.run(stop, reloader)


async def _take_office(choice: Choice, accepted: Accepted, store: Store, clock: Clock) -> Choice:
    """Accept what was chosen, after what the configuration before it left on devices that leave has been handed back."""
    if not choice.is_new:
        return choice
    before = choice.before
    if before is None or choice.change is None:
        accepted.accept(choice.version)
        return choice
    await return_owned(before, store, clock, {}, accepted.sites())
    held = {item.point.partition(".")[0] for item in store.owned()}
    stuck = ", ".join(sorted(held.intersection(choice.change.replaced)))
    try:
        if stuck:
            raise ConfigError(
                f"{stuck}: becomes another device, and what is held of the one before cannot be handed back"
            )
        accepted.accept(choice.version)
    except (ConfigError, StoreError) as error:
        current = accepted.current()
        assert current is not None
        return Choice(before, current, False, untaken=str(error))
    log.info("configuration number %d accepted (%s)", choice.version.number, choice.version.how)
    return choice


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
    parser.add_argument("--at-most", choices=MODES, default="control", help="no device goes further than this mode")
    parser.add_argument("--replace", action="append", default=[], metavar="ID", help="this id means another device now")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when standard input closes")
    given = vars(parser.parse_args(arguments))
    return Options(**{**given, "replace": tuple(given["replace"])})


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
