"""What a driver is: the owner of one link, asked to read and write points of the devices behind it.

Rules every driver keeps (the contract tests in tests/drivers hold them):
- `read` gives exactly one Sample per point asked for, in that order, in canonical units. Trouble with one point is a bad
  Sample with a reason; a device that cannot be reached or does not answer raises LinkError or LinkTimeout.
- after a timeout nothing that arrives late is ever taken for an answer.
- `write` carries out a Command's steps in order. If the device refuses one, those already done are undone, last first,
  to the values read before the first step; if it does not answer one, that one as well, as far as it can be reached.
- one link is used by one caller at a time; a driver serialises what must be serialised and may be called concurrently.
- nothing is retried inside a driver: retry, back-off and quarantine are the acquisition's, in one place.
- no library error, type or handle crosses this boundary.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from .clock import Clock
from .points import Command, Point, Sample
from .profile import Profile

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a site as a driver sees it: its profile, its address on the link, and its points by full id."""

    id: str
    profile: Profile
    options: Mapping[str, Scalar] = field(default_factory=dict)
    """What the site file says besides profile and link, e.g. {"unit": 3} or {"device": 1100}."""

    @property
    def points(self) -> Mapping[str, Point]:
        """The device's points keyed by full id ("bat.soc")."""
        return self.profile.points_of(self.id)


@dataclass(frozen=True, slots=True)
class Link:
    """A connection of a site: protocol and the options that protocol's own model validates. Secrets are resolved."""

    id: str
    protocol: str
    options: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """All steps were acknowledged by the device. Whether they took effect is for read-back to say."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The device said no at `point`; everything done before it was undone."""

    point: str
    reason: str


@dataclass(frozen=True, slots=True)
class Partial:
    """The command broke off at `point` and not all could be undone; `stuck` lists the points left changed or unknown."""

    point: str
    reason: str
    stuck: tuple[str, ...]


WriteResult = Written | Refused | Partial


class Driver(Protocol):
    """The owner of one link. Entering opens it (an unreachable device does not raise here), leaving closes it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def read(self, points: Sequence[str]) -> list[Sample]:
        """Read points of one device. Raises LinkError, LinkTimeout, GarbledError."""
        ...

    async def write(self, command: Command) -> WriteResult:
        """Carry out a Command. Raises LinkError or LinkTimeout when the outcome is unknown."""
        ...

    async def relinquish(self, point: str) -> WriteResult:
        """Give up our claim on a point where the protocol has such a thing (a BACnet priority slot).

        Refused when it has none: the caller then restores the value found before the first write.
        """
        ...


@runtime_checkable
class Subscribes(Protocol):
    """A driver that can be told of changes instead of polling. Polling goes on, slower, to notice a silent death."""

    async def subscribe(self, points: Sequence[str], sink: Callable[[Sample], None]) -> None:
        """From now on call `sink` with every change of these points of one device; survives reconnects."""
        ...

    @property
    def received(self) -> Mapping[str, int]:
        """Notifications taken in so far per device id; lockstep waits for this to reach what was sent."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Something that answered a search: where, and what it says it is."""

    options: Mapping[str, Scalar]
    identity: str


@runtime_checkable
class Discovers(Protocol):
    """A driver that can search its link for devices."""

    def discover(self) -> AsyncIterator[Found]: ...


@runtime_checkable
class Identifies(Protocol):
    """A driver that can ask a device who it is."""

    async def identify(self, device: str) -> str:
        """The device's own words (vendor, model, firmware), joined by spaces. Raises LinkError, LinkTimeout."""
        ...


@runtime_checkable
class ShowsPriority(Protocol):
    """A driver that can tell which priority slot commands a point now."""

    @property
    def our_priority(self) -> int:
        """The slot this driver writes."""
        ...

    async def priorities(self, point: str) -> Mapping[int, float]:
        """The slots of the point's priority array that hold a value, in canonical units."""
        ...


class DriverFactory(Protocol):
    """What an entry point in the group `energyctl.drivers` names (by protocol): checks options, then makes a Driver.

    Importing the module must be cheap enough for `check`; the protocol library is imported in `open`.
    """

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the link's options, the devices' options or their profiles' addresses, one line each.

        A line starts with the path inside the site file, e.g. "connections.gw1.port: ..." or "devices.pv.unit: ...".
        """
        ...

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A Driver for the link, not yet connected. Raises ConfigError where `check` finds problems."""
        ...
