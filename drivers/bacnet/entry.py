"""BACnet/IP: checks what a site file says about a link and its devices; the driver itself is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.options import checked
from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError

from .options import Address, DeviceOptions, LinkOptions, ProfileOptions


class BacnetFactory:
    """Checks a site's BACnet options and makes its drivers."""

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the options of a link and its devices, one line each."""
        problems: list[str] = []
        options = checked(LinkOptions, link.options, f"connections.{link.id}", problems)
        instances: dict[int, str] = {}
        for device in devices:
            own = checked(DeviceOptions, device.options, f"devices.{device.id}", problems)
            problems += _profile_problems(device)
            if own is None:
                continue
            if options is not None and not (own.host or options.host):
                problems.append(f"connections.{link.id}.host: missing; say where device {device.id} is")
            twin = instances.setdefault(own.device, device.id)
            if twin != device.id:
                problems.append(f"devices.{device.id}.device: {own.device} is already the instance of {twin}")
        return problems

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A driver for the link, not yet connected. Raises ConfigError with what `check` finds."""
        problems = self.check(link, devices)
        if problems:
            raise ConfigError(problems)
        from .driver import BacnetDriver

        return BacnetDriver(link.id, LinkOptions.model_validate(dict(link.options)), devices, clock)


def _profile_problems(device: Device) -> list[str]:
    profile = device.profile
    where = f"devices.{device.id}.profile: {profile.profile}: "
    problems: list[str] = []
    if profile.protocol != "bacnet":
        return [f"{where}protocol: is {profile.protocol}, which this connection does not speak"]
    checked(ProfileOptions, profile.options, "options", problems)
    for name, spec in profile.points.items():
        checked(Address, spec.address, f"points.{name}.address", problems)
    return [where + problem for problem in problems]


factory = BacnetFactory()
