"""Modbus: checks what a site file says about a link and its devices; the driver itself is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Sequence

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError

from .options import LinkOptions, check


class ModbusFactory:
    """Checks a site's Modbus options and makes its drivers."""

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the options of a link and its devices, or with their profiles' addresses, one line each."""
        return check(link, devices)

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A driver for the link, not yet connected. Raises ConfigError with what `check` finds."""
        if problems := self.check(link, devices):
            raise ConfigError(problems)
        from .driver import ModbusDriver
        from .tcp import Connection
        from .unit import Unit

        options = LinkOptions.model_validate(dict(link.options))
        return ModbusDriver(Connection(options), {device.id: Unit.of(device) for device in devices}, clock)


factory = ModbusFactory()
