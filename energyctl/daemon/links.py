"""The open connections of a site: a driver per connection that has a device which is not switched off.

When the site changes, the drivers of connections that stay as they are, with the same devices, stay too. A connection that
changes is closed before the new one is opened, because both may need the same port; when that cannot be opened, the old
ones are opened again, and the error is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from energyctl.config.plugins import load_driver
from energyctl.config.site import Site
from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError, EnergyctlError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connection and all devices on it."""

    link: Link
    devices: Sequence[Device]

    def driver(self, clock: Clock) -> Driver:
        """A driver for it, not connected yet. Raises ConfigError."""
        return load_driver(self.link.protocol).open(self.link, self.devices, clock)


class Links:
    """Owns the drivers. `drivers` is by device id, and always the same mapping."""

    def __init__(self, clock: Clock, on_change: Callable[[set[Driver]], None] = lambda drivers: None) -> None:
        self._clock, self._on_change = clock, on_change
        self._open: dict[str, tuple[Wanted, Driver]] = {}
        self.drivers: dict[str, Driver] = {}

    async def open(self, site: Site) -> None:
        """Open what a site needs and close what it does not. Raises EnergyctlError; then all is as before."""
        wanted = connections(site)
        fresh = {name: one.driver(self._clock) for name, one in wanted.items() if self._is_new(name, one)}
        closing = {name: one for name, (one, _) in self._open.items() if name in fresh or name not in wanted}
        for name in closing:
            await self._close(name)
        try:
            for name, driver in fresh.items():
                await self._enter(wanted[name], driver)
        except (EnergyctlError, OSError) as error:
            await self._reopen(fresh, closing)
            raise ConfigError(f"a connection cannot be opened: {error}") from error
        finally:
            self._sort()

    async def close(self) -> None:
        """Close everything."""
        for name in list(self._open):
            await self._close(name)
        self._sort()

    def _is_new(self, name: str, wanted: Wanted) -> bool:
        return name not in self._open or self._open[name][0] != wanted

    async def _enter(self, wanted: Wanted, driver: Driver) -> None:
        self._open[wanted.link.id] = (wanted, await driver.__aenter__())

    async def _close(self, name: str) -> None:
        _, driver = self._open.pop(name)
        try:
            await driver.__aexit__(None, None, None)
        except (EnergyctlError, OSError) as error:
            log.warning("closing connection %s: %s", name, error)

    async def _reopen(self, fresh: Mapping[str, Driver], closed: Mapping[str, Wanted]) -> None:
        for name in fresh:
            if name in self._open:
                await self._close(name)
        for wanted in closed.values():
            await self._enter(wanted, wanted.driver(self._clock))

    def _sort(self) -> None:
        self.drivers.clear()
        for wanted, driver in self._open.values():
            self.drivers.update({device.id: driver for device in wanted.devices})
        self._on_change(set(self.drivers.values()))


def connections(site: Site) -> dict[str, Wanted]:
    """The connections a site needs, by id: those with at least one device that is not switched off."""
    behind = {link.id: [d for d in site.devices.values() if site.link_of[d.id] == link.id] for link in site.links}
    return {
        link.id: Wanted(link, behind[link.id])
        for link in site.links
        if any(site.modes[device.id] != "off" for device in behind[link.id])
    }
