"""OPC UA: checks what a site file says about a server and its devices; the driver itself is loaded when it is opened."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.options import checked
from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError
from energyctl.core.points import Access

from .options import Address, DeviceOptions, LinkOptions, ProfileOptions
from .points import TYPES


class OpcuaFactory:
    """Checks a site's OPC UA options and makes its drivers."""

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the options of a link and its devices, one line each."""
        problems: list[str] = []
        checked(LinkOptions, link.options, f"connections.{link.id}", problems)
        seen: dict[tuple[str, str], str] = {}
        for device in devices:
            options = checked(DeviceOptions, device.options, f"devices.{device.id}", problems)
            problems += _profile_problems(device)
            if options is not None:
                twin = seen.setdefault((device.profile.profile, options.prefix), device.id)
                if twin != device.id:
                    problems.append(
                        f"devices.{device.id}.prefix: the same nodes as {twin}; tell them apart with a prefix"
                    )
        return problems

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A driver for the link, not yet connected. Raises ConfigError with what `check` finds."""
        problems = self.check(link, devices)
        if problems:
            raise ConfigError(problems)
        from .driver import OpcuaDriver

        return OpcuaDriver(link.id, LinkOptions.model_validate(dict(link.options)), devices, clock)


def _profile_problems(device: Device) -> list[str]:
    profile = device.profile
    where = f"devices.{device.id}.profile: {profile.profile}: "
    if profile.protocol != "opcua":
        return [f"{where}protocol: is {profile.protocol}, which this connection does not speak"]
    problems: list[str] = []
    checked(ProfileOptions, profile.options, "options", problems)
    for name, spec in profile.points.items():
        address = checked(Address, spec.address, f"points.{name}.address", problems)
        if address is not None and address.type == "String":
            problems.append(f"points.{name}.address.type: a point is a number; text can only say who a device is")
        if spec.access is Access.READ_WRITE and "type" not in spec.address:
            problems.append(
                f"points.{name}.address.type: missing; a written point must say which of {', '.join(TYPES)}"
            )
    if profile.identity is not None and profile.identity.address:
        checked(Address, profile.identity.address, "identity.address", problems)
    return [where + problem for problem in problems]


factory = OpcuaFactory()
