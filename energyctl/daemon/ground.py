"""What goes on while the configuration changes: time, store, alarms, connections, polls, and what is held on the devices."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from energyctl.config.change import link_of
from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.leases import lease_s
from energyctl.core.clock import Clock
from energyctl.field.acquire import Acquisition
from energyctl.field.quality import plausible_spans
from energyctl.store import Batch, Store

from .cycle import point_limits
from .links import Links
from .loops import Loops
from .notify import Notifier
from .paths import StatePaths
from .remembering import wear_of
from .storing import StoreThread


@dataclass(frozen=True)
class Ground:
    """The parts of a daemon that outlive a configuration. `step_s` is the simulated site's control period, if it has one."""

    clock: Clock
    paths: StatePaths
    store: StoreThread
    alarms: Alarms
    notifier: Notifier
    acquisition: Acquisition
    dispatcher: Dispatcher
    links: Links
    loops: Loops
    stop: Callable[[], None]
    rules_only: bool
    step_s: float | None

    @classmethod
    def of(
        cls,
        site: Site,
        clock: Clock,
        store: Store,
        paths: StatePaths,
        links: Links,
        stop: Callable[[], None],
        rules_only: bool,
        step_s: float | None,
    ) -> Ground:
        """The ground for a site to begin with."""
        period_s = step_s or site.period_s
        alarms = Alarms(monotonic=clock.monotonic)
        keeper = StoreThread(store, clock, alarms)
        acquisition = Acquisition(clock, period_s, plausible_spans(site))
        dispatcher = Dispatcher(
            clock,
            site.devices,
            links.drivers,
            lease_s(site.safety.lease_s, period_s),
            lambda entries: keeper.commit(Batch(journal=tuple(entries))),
            acquisition.take,
            alarms,
            wear_of(site, clock, store),
            lambda pasts: keeper.commit(Batch(pasts=tuple(pasts))),
        )
        loops, notifier = Loops(clock, stop), Notifier()
        return cls(
            clock, paths, keeper, alarms, notifier, acquisition, dispatcher, links, loops, stop, rules_only, step_s
        )

    def period_s(self, site: Site) -> float:
        """The control period [s]."""
        return self.step_s or site.period_s

    def lease_s(self, site: Site) -> float:
        """How long a setpoint lives without a completed cycle [s]."""
        return lease_s(site.safety.lease_s, self.period_s(site))

    def refit(self, site: Site) -> None:
        """The site is another one from now on."""
        self.acquisition.refit(self.period_s(site), plausible_spans(site))
        self.dispatcher.refit(site.devices, self.lease_s(site))
        self.dispatcher.wear.refit(site.devices, point_limits(site))

    def poll(self, site: Site, devices: Collection[str]) -> None:
        """Begin to poll devices that are known and not switched off."""
        for name in devices:
            if site.modes[name] != "off":
                subscribe = bool(link_of(site, name).options.get("subscribe", False))
                self._poll(site, name, subscribe)

    def _poll(self, site: Site, name: str, subscribe: bool) -> None:
        device, driver, jitter = site.devices[name], self.links.drivers[name], not self.clock.virtual
        self.loops.start(poll_name(name), lambda: self.acquisition.poll(device, driver, subscribe, jitter=jitter))


def poll_name(device: str) -> str:
    """The name of a device's poll among the loops."""
    return f"poll {device}"
