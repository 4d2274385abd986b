"""The in-memory double: devices that live in this process, for tests and for trying a site file without hardware.

It takes any profile, whatever its protocol, and keeps every rule of a driver. A device shows what it was given, as options
of the device ({"power": "5 kW", "soc": 0.4}) or by `MemoryDevice.show`; a point that was given nothing has a bad sample
until it is written. Points whose profile releases them by relinquishing keep a priority array: what was shown is their
default. Failures are armed on the device and last until they are disarmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import TracebackType
from typing import Annotated, Self
from weakref import WeakValueDictionary

from pydantic import Field

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Link, Partial, Refused, Scalar, WriteResult, Written
from energyctl.core.errors import ConfigError, LinkError, LinkTimeout
from energyctl.core.points import Access, Command, Point, Sample, Write
from energyctl.core.units import parse_quantity

from .options import Options, Seconds, checked


class LinkOptions(Options):
    """An imaginary link."""

    transport: str = ""
    timeout: Annotated[Seconds, Field(ge=0.02, le=60)] = 1.0
    priority: Annotated[int, Field(ge=1, le=16)] = 10
    """The slot of a priority array that is written."""


@dataclass
class Failures:
    """What is wrong with a device now."""

    down: bool = False
    """It cannot be reached."""
    mute: bool = False
    """It takes requests, carries them out and does not answer."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Points whose reading is refused, and why."""
    unwritable: dict[str, int] = field(default_factory=dict)
    """Points that take so many more writes and then refuse."""


class MemoryDevice:
    """A device: what it shows by full point id [canonical], what it received, what is wrong with it."""

    def __init__(self, device: Device, shown: Mapping[str, float]) -> None:
        self.device = device
        self.shown = dict(shown)
        self.slots: dict[str, dict[int, float]] = {}
        self.received: list[Write] = []
        """Every write carried out, in order; a relinquish is not listed."""
        self.failures = Failures()
        self.on_write: list[Callable[[Write], str | None]] = []
        """Called before a write is carried out; one that answers with a reason refuses it."""

    def show(self, point: str, value: float) -> None:
        """Let the device show a value [canonical] of its own; a slot in use still hides it."""
        self.shown[point] = value

    def value(self, point: str) -> float | None:
        """What the device holds: the lowest slot in use, else what it was given or written."""
        slots = self.slots.get(point)
        return slots[min(slots)] if slots else self.shown.get(point)

    def commandable(self, point: str) -> bool:
        """Whether the point keeps a priority array."""
        return self.device.profile.points[point.partition(".")[2]].release == "relinquish"

    def take(self, write: Write, priority: int) -> str | None:
        """Carry out a write, or say why not."""
        left = self.failures.unwritable.get(write.point)
        if left is not None:
            self.failures.unwritable[write.point] = left - 1
            if left <= 0:
                return "refused on purpose"
        for hook in self.on_write:
            if reason := hook(write):
                return reason
        if self.commandable(write.point):
            self.slots.setdefault(write.point, {})[priority] = write.value
        else:
            self.shown[write.point] = write.value
        self.received.append(write)
        return None

    def put_back(self, point: str, before: tuple[float | None, float | None], priority: int) -> bool:
        """Undo a write: `before` is the slot's content and the plain value found; False where the device refuses."""
        slot, plain = before
        if self.commandable(point) and slot is None:
            self.slots[point].pop(priority, None)
            return True
        value = slot if self.commandable(point) else plain
        if value is None:
            del self.shown[point]
            return True
        return self.take(Write(point, value), priority) is None


class MemoryDriver:
    """The owner of an imaginary link."""

    def __init__(self, options: LinkOptions, devices: Mapping[str, MemoryDevice], clock: Clock) -> None:
        self.devices = devices
        self._options = options
        self._clock = clock
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def our_priority(self) -> int:
        """The slot of a priority array that is written."""
        return self._options.priority

    async def read(self, points: Sequence[str]) -> list[Sample]:
        """Read points of one device. Raises LinkError, LinkTimeout."""
        if not points:
            return []
        device = self._device_of(points[0])
        await self._reach(device)
        await self._answer(device)
        return [self._sample(device, point) for point in points]

    async def write(self, command: Command) -> WriteResult:
        """Carry out a Command. Raises LinkError or LinkTimeout when the outcome is unknown."""
        device = self.devices[command.device]
        for step in command.steps:
            if reason := _unfit(device.device.points[step.point], step.value):
                return Refused(step.point, reason)
        await self._reach(device)
        async with self._lock:
            result = self._carry_out(device, command.steps)
        await self._answer(device)
        return result

    async def relinquish(self, point: str) -> WriteResult:
        """Empty our slot of a point that keeps a priority array; Refused for another."""
        device = self._device_of(point)
        await self._reach(device)
        if not device.commandable(point):
            return Refused(point, "it has nothing to relinquish; restore the value found before")
        device.slots.get(point, {}).pop(self.our_priority, None)
        await self._answer(device)
        return Written()

    async def priorities(self, point: str) -> Mapping[int, float]:
        """The slots in use of a point's priority array."""
        device = self._device_of(point)
        await self._reach(device)
        await self._answer(device)
        return dict(device.slots.get(point, {}))

    async def identify(self, device: str) -> str:
        """What the profile expects to hear, so that a site file can be tried."""
        await self._reach(self.devices[device])
        await self._answer(self.devices[device])
        profile = self.devices[device].device.profile
        return profile.identity.contains if profile.identity else f"{profile.vendor} {profile.model}"

    def _device_of(self, point: str) -> MemoryDevice:
        return self.devices[point.partition(".")[0]]

    async def _reach(self, device: MemoryDevice) -> None:
        await asyncio.sleep(0)
        if device.failures.down:
            raise LinkError(device.device.id, "down on purpose")

    async def _answer(self, device: MemoryDevice) -> None:
        if device.failures.mute:
            await asyncio.sleep(self._options.timeout)
            raise LinkTimeout(device.device.id, f"no answer within {self._options.timeout:g} s, on purpose")

    def _sample(self, device: MemoryDevice, point: str) -> Sample:
        now, value = self._clock.now(), device.value(point)
        if reason := device.failures.unreadable.get(point):
            return Sample.bad(point, now, reason)
        return Sample.bad(point, now, "no value was given") if value is None else Sample(point, now, value)

    def _carry_out(self, device: MemoryDevice, steps: Sequence[Write]) -> WriteResult:
        found = {step.point: self._found(device, step.point) for step in steps}
        for at, step in enumerate(steps):
            if reason := device.take(step, self.our_priority):
                undo = [done.point for done in reversed(steps[:at])]
                stuck = tuple(p for p in undo if not device.put_back(p, found[p], self.our_priority))
                return Partial(step.point, reason, stuck) if stuck else Refused(step.point, reason)
        return Written()

    def _found(self, device: MemoryDevice, point: str) -> tuple[float | None, float | None]:
        return device.slots.get(point, {}).get(self.our_priority), device.shown.get(point)


def _unfit(point: Point, value: float) -> str | None:
    """Why a value may not be written to a point, None when it may."""
    if point.access is not Access.READ_WRITE:
        return "it can only be read"
    return None if isfinite(value) else f"{value} is not a finite number"


opened: WeakValueDictionary[str, MemoryDriver] = WeakValueDictionary()
"""The drivers in use by link id, so that whoever arms failures finds the one that a daemon opened."""


class MemoryFactory:
    """Checks options and makes doubles; addresses are left to the protocol that they are written for."""

    def check(self, link: Link, devices: Sequence[Device]) -> Sequence[str]:
        """Problems with the link's options or the values given to devices, one line each."""
        problems: list[str] = []
        checked(LinkOptions, link.options, f"connections.{link.id}", problems)
        for device in devices:
            _given(device, problems)
        return problems

    def open(self, link: Link, devices: Sequence[Device], clock: Clock) -> Driver:
        """A Driver for the link. Raises ConfigError where `check` finds problems."""
        problems: list[str] = []
        options = checked(LinkOptions, link.options, f"connections.{link.id}", problems)
        given = {device.id: MemoryDevice(device, _given(device, problems)) for device in devices}
        if problems or options is None:
            raise ConfigError(problems)
        driver = opened[link.id] = MemoryDriver(options, given, clock)
        return driver


def _given(device: Device, problems: list[str]) -> dict[str, float]:
    """The values that a device's options give to its points; options that name no point belong to its real protocol."""
    given: dict[str, float] = {}
    for point in device.points.values():
        if point.name in device.options:
            try:
                given[point.id] = _value(device.options[point.name], point.unit)
            except ValueError as error:
                problems.append(f"devices.{device.id}.{point.name}: {error}")
    return given


def _value(written: Scalar, unit: str) -> float:
    """A bare number is canonical; a text must carry its unit."""
    return parse_quantity(written, unit) if isinstance(written, str) else float(written)


factory = MemoryFactory()
