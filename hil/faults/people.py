"""Other hands on the devices: a second controller that writes too, an operator who overrides, a switch on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Protocol, runtime_checkable

from pydantic import Field

from energyctl.config import Site
from energyctl.config.problems import did_you_mean
from energyctl.core.points import Access, Write
from energyctl.core.profile import Profile
from energyctl.core.units import Seconds, parse_quantity
from hil.device import SimDevice, WriteRejected

from .base import Bench, Fault, Target, kind
from .claims import Undo, all_of

OPERATOR = 8
"""BACnet's slot for manual operation (clause 19.2.1)."""
SECOND = 9
RIVAL = "rival"
LOCAL = "local"


@runtime_checkable
class HasSlots(Protocol):
    """A server whose points have a priority array."""

    device: SimDevice

    def command(self, point: str, value: float | None, slot: int, via: str) -> None:
        """Put a canonical value into a slot of a point, None to give the slot up. Raises WriteRejected."""
        ...


class Commanding(Fault):
    """Base of faults that write a value to a point, with all the steps that the point's command has."""

    target: ClassVar[Target] = "point"
    writable: ClassVar[bool] = True

    value: str | float | bool
    """With its unit ("5 kW"), or one of the point's choices."""

    def check(self, site: Site) -> None:
        super().check(site)
        self.number(site)

    def number(self, site: Site) -> float:
        """The value in the point's canonical unit. Raises ConfigError."""
        return number_of(self, site, self.on, self.value)

    def steps(self, bench: Bench, lease_s: float) -> Sequence[Write]:
        """The writes of a command of the value."""
        device, name = self.points(bench)[0]
        return device.profile.command(device.id, name, self.number(bench.site), lease_s).steps


def number_of(fault: Fault, site: Site, point_id: str, value: str | float | bool) -> float:
    """A value for a point as a person wrote it, in the point's canonical unit. Raises ConfigError."""
    point = site.points[point_id]
    if isinstance(value, bool) or (point.kind == "bool" and str(value).lower() in ("on", "off", "true", "false")):
        return float(str(value).lower() in ("on", "true"))
    if isinstance(value, str) and value in point.choices:
        return float(point.choices[value])
    try:
        return parse_quantity(value, point.unit)
    except ValueError as error:
        meant = did_you_mean(value, point.choices) if point.choices else f": {error}"
        raise fault.wrong("value", f"'{value}' is no value of {point_id}{meant}") from None


def _slots_of(bench: Bench, device: SimDevice) -> HasSlots | None:
    servers = (server for server in bench.twin.servers if isinstance(server, HasSlots))
    return next((server for server in servers if server.device is device), None)


def _write(bench: Bench, writes: Sequence[Write], slot: int, via: str) -> None:
    """As another client of the device. What the device refuses is in its log."""
    for write in writes:
        device, _, name = write.point.partition(".")
        target = bench.world.devices[device]
        server = _slots_of(bench, target)
        try:
            if server is None:
                target.write_beside(name, write.value, via=via)
            else:
                server.command(name, write.value, slot, f"{via} prio {slot}")
        except WriteRejected:
            return


def _give_up(bench: Bench, writes: Sequence[Write], slot: int, via: str) -> None:
    for write in writes:
        device, _, name = write.point.partition(".")
        server = _slots_of(bench, bench.world.devices[device])
        if server is not None:
            server.command(name, None, slot, f"{via} relinquish prio {slot}")


@kind
class SecondMaster(Commanding):
    """Another controller."""

    kind: ClassVar[str] = "second-master"
    about: ClassVar[str] = (
        "Another controller writes a value again and again: value: 5 kW, every: 10 s (BACnet: priority: 9)."
    )

    every: Annotated[Seconds, Field(gt=0)] = 10.0
    """The first time at once."""
    priority: Annotated[int, Field(ge=1, le=16)] = SECOND
    """The slot it writes on BACnet, and gives up when it ends."""

    def begin(self, bench: Bench) -> Undo:
        writes = self.steps(bench, 3 * self.every)
        stop = bench.every(self.every, lambda: _write(bench, writes, self.priority, RIVAL))
        return all_of([lambda: _give_up(bench, writes, self.priority, RIVAL), stop])


@kind
class OperatorOverride(Commanding):
    """A person who knows better."""

    kind: ClassVar[str] = "operator-override"
    about: ClassVar[str] = (
        "An operator sets a value and keeps it: in BACnet's slot 8, elsewhere on the device, which no longer obeys."
    )

    def begin(self, bench: Bench) -> Undo:
        device, writes = self.device(bench), self.steps(bench, 0.0)
        if _slots_of(bench, device) is not None:
            _write(bench, writes, OPERATOR, RIVAL)
            return lambda: _give_up(bench, writes, OPERATOR, RIVAL)
        _write(bench, writes, OPERATOR, LOCAL)
        names = [write.point.partition(".")[2] for write in writes]
        return _deaf(bench, device, names)


@kind
class LocalSwitch(Fault):
    """Hand instead of automatic."""

    kind: ClassVar[str] = "local-switch"
    about: ClassVar[str] = "A switch on the device is set to local: it goes its own way and carries no write out."
    target: ClassVar[Target] = "device"

    def check(self, site: Site) -> None:
        super().check(site)
        if not _writable(site.devices[self.on].profile):
            raise self.wrong("on", f"'{self.on}' has no point that may be written")

    def begin(self, bench: Bench) -> Undo:
        device = self.device(bench)
        names = _writable(device.profile)
        for name in names:
            device.lapse(name)
        return _deaf(bench, device, names)


def _writable(profile: Profile) -> list[str]:
    return [name for name, spec in profile.points.items() if spec.access is Access.READ_WRITE]


def _deaf(bench: Bench, device: SimDevice, names: Sequence[str]) -> Undo:
    """Carry no write out; when it ends the device is its own master again until the next one."""

    def released() -> None:
        for name in names:
            if name not in device.ail.deaf:
                device.lapse(name)

    return all_of([released, *(bench.claims.member(device.ail.deaf, name) for name in names)])
