"""BACnet/IP: what a site file may say about a BACnet link and its devices, checked here; the driver itself is loaded late.

A device is addressed by host and port (its own, or those of its connection) and must be the device instance the site file
names. Points are the present-value of an object. We write in one slot of the priority array, the connection's `priority`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError

from . import bacnet_apdu as apdu
from .options import Options, Seconds, checked

Host = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _object(text: str) -> str:
    apdu.object_id(text)
    return text


class LinkOptions(Options):
    """A connection: where its devices are, and how we show up on the network."""

    transport: Literal["ip"] = "ip"
    host: Host | None = None
    port: Port = 47808
    timeout: Seconds = Field(3.0, ge=0.02, le=60)
    """How long to wait for an answer [s]; nothing is asked twice."""
    priority: int = Field(10, ge=9, le=16)
    """The slot we write; 1 to 8 belong to the building."""
    local_address: Host = "0.0.0.0"
    local_port: int = Field(0, ge=0, le=65535)
    """Our own UDP port; 0 takes a free one."""
    cov_lifetime: Seconds = Field(300.0, ge=1, le=86400)
    """How long a subscription lives in the device [s]; it is renewed at half of that."""


class DeviceOptions(Options):
    """A device: its instance number, and its own address where it is not its connection's."""

    device: int = Field(ge=0, le=4194302)
    host: Host | None = None
    port: Port | None = None


class Address(Options):
    """Where a point is: the present-value of an object, "analog-value,1"."""

    object: Annotated[str, AfterValidator(_object)]


class ProfileOptions(Options):
    """What a device type can take."""

    max_properties: int = Field(20, ge=2, le=200)
    """The most properties one read may ask for; small devices on slow wires take fewer."""
    status_flags: bool = True
    """Read status-flags beside every value, so that a faulty sensor is seen; false for devices without them."""


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
        from .bacnet_driver import BacnetDriver

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
