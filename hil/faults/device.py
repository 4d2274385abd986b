"""Devices that restart, change their address or their firmware, and do something else than they were told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from energyctl.config import Site
from energyctl.config.problems import did_you_mean
from energyctl.core.units import Ratio, Seconds
from hil.device import SimDevice

from .base import Bench, Fault, Target, kind
from .claims import Undo, all_of
from .readings import change_of

REBOOT_S = 30.0


@kind
class Reboot(Fault):
    """A restart."""

    kind: ClassVar[str] = "reboot"
    about: ClassVar[str] = (
        "The device restarts: offline for 30 s (for: says otherwise), then all that RAM held is lost."
    )
    target: ClassVar[Target] = "device"
    swallows: ClassVar[bool] = True

    @property
    def lasts_s(self) -> float | None:
        return REBOOT_S

    def begin(self, bench: Bench) -> Undo:
        device = self.device(bench)
        return all_of([device.reboot, bench.claims.attribute(device, "online", False)])


@kind
class FirmwareSwap(Fault):
    """Another firmware."""

    kind: ClassVar[str] = "firmware-swap"
    about: ClassVar[str] = (
        "A new firmware has every register (object instance, numeric node id) so much further on: by: 2."
    )
    target: ClassVar[Target] = "device"

    by: int = 1
    """Registers, instances or ids."""

    def begin(self, bench: Bench) -> Undo:
        return bench.claims.attribute(self.device(bench).ail, "moved_by", self.by)


@kind
class AddressSwap(Fault):
    """Two devices mixed up."""

    kind: ClassVar[str] = "address-swap"
    about: ClassVar[str] = "Two devices answer at each other's address: on: meter, other: storage."
    target: ClassVar[Target] = "device"

    other: str
    """A device of the same protocol; on OPC UA also of the same profile."""

    def check(self, site: Site) -> None:
        super().check(site)
        own = site.devices[self.on].profile
        alike = [
            device.id
            for device in site.devices.values()
            if device.profile.protocol == own.protocol
            and device.id != self.on
            and (own.protocol != "opcua" or device.profile == own)
        ]
        if self.other not in alike:
            problem = f"'{self.other}': no other device that could have the address of '{self.on}'"
            raise self.wrong("other", problem + did_you_mean(self.other, alike, "there are"))

    def begin(self, bench: Bench) -> Undo:
        seats = [("seat", self.on), ("seat", self.other)]
        if any(map(bench.claims.taken, seats)):
            raise self.wrong("on", f"'{self.on}' or '{self.other}' is at another's address already; end that first")
        bench.twin.swap(self.on, self.other)
        claims = [bench.claims.lay(seat, self.on, lambda _: None) for seat in seats]
        return all_of([lambda: bench.twin.swap(self.on, self.other), *claims])


class OnWrites(Fault):
    """Base of devices that are deaf or of another opinion; `on` is a point that may be written."""

    target: ClassVar[Target] = "point"
    writable: ClassVar[bool] = True

    def taking(self, bench: Bench, device: SimDevice, name: str) -> Callable[[float], float]:
        """What the device makes of a value written to it [canonical]."""
        raise NotImplementedError

    def begin(self, bench: Bench) -> Undo:
        device, name = self.points(bench)[0]

        def apply(takings: Sequence[Callable[[float], float]]) -> None:
            device.ail.takes[name] = list(takings)

        return bench.claims.lay((device.id, name, "takes"), self.taking(bench, device, name), apply)


@kind
class Deaf(Fault):
    """Writes that do nothing."""

    kind: ClassVar[str] = "deaf"
    about: ClassVar[str] = "Writes to the point are acknowledged and not carried out."
    target: ClassVar[Target] = "point"
    writable: ClassVar[bool] = True

    def begin(self, bench: Bench) -> Undo:
        device, name = self.points(bench)[0]
        return bench.claims.member(device.ail.deaf, name)


@kind
class Clamped(OnWrites):
    """Less than was asked."""

    kind: ClassVar[str] = "clamped"
    about: ClassVar[str] = "The device takes less than is written: share: 50 % of it, or at_most: 5 kW either way."

    share: Annotated[Ratio, Field(ge=0, lt=1)] | None = None
    """Of what is written; this or `at_most`."""
    at_most: str | None = None
    """With its unit, such as 5 kW; this or `share`."""

    @model_validator(mode="after")
    def _one(self) -> Clamped:
        if (self.share is None) == (self.at_most is None):
            raise ValueError("give either 'share: 50 %' or 'at_most: 5 kW'")
        return self

    def check(self, site: Site) -> None:
        super().check(site)
        self._most(site)

    def taking(self, bench: Bench, device: SimDevice, name: str) -> Callable[[float], float]:
        most, share = self._most(bench.site), self.share
        if share is not None:
            return lambda value: value * share
        return lambda value: max(-most, min(most, value))

    def _most(self, site: Site) -> float:
        return 0.0 if self.at_most is None else change_of(self, "at_most", self.at_most, site.points[self.on].unit)


@kind
class Reverts(OnWrites):
    """A short memory."""

    kind: ClassVar[str] = "reverts"
    about: ClassVar[str] = "The device takes a write and goes back to its own value after: 30 s."

    after: Annotated[Seconds, Field(gt=0)]
    """From the first write since it last went back."""

    def taking(self, bench: Bench, device: SimDevice, name: str) -> Callable[[float], float]:
        pending = False

        def lapse() -> None:
            nonlocal pending
            pending = False
            device.lapse(name)

        def take(value: float) -> float:
            nonlocal pending
            if not pending:
                pending = True
                bench.agenda.after(device.time, self.after, lapse)
            return value

        return take
