"""Modbus: checks what a site file says about a link and its devices; the driver itself is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError

from .options import RtuOptions, TcpOptions, check, link_options

if TYPE_CHECKING:
    from .connection import Wire


class ModbusFactory:
    """Checks a site's Modbus options and makes its drivers."""

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the options of a link and its devices, or with their profiles' addresses, one line each."""
        return check(link, devices)

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A driver for the link, not yet connected. Raises ConfigError with what `check` finds."""
        if problems := self.check(link, devices):
            raise ConfigError(problems)
        from .connection import Connection
        from .driver import ModbusDriver
        from .unit import Unit

        options = link_options(link, [])
        assert options is not None
        units = {device.id: Unit.of(device) for device in devices}
        return ModbusDriver(Connection(_wire(options), options.timeout, options.gap), units, clock)


def _wire(options: TcpOptions | RtuOptions) -> Wire:
    if isinstance(options, RtuOptions):
        from .rtu import RtuWire

        return RtuWire(options)
    from .tcp import TcpWire

    return TcpWire(options)


factory = ModbusFactory()
