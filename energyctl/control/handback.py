"""Handing devices back: what is ours is released the way the device and its profile allow, and that is verified.

A BACnet point is relinquished in our slot. Elsewhere every point that our command touched gets back the value found there
before our first write, in the reverse order of the command, so that an enable goes off before its limit moves. A point whose
old value could not be read cannot be restored; a device with a timer of its own then reverts by itself, and the report says
so. The same code serves a graceful stop, the end of a wish, `energyctl handback` after a crash, and the next start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from energyctl.core.driver import Device, Driver, ShowsPriority, Written
from energyctl.core.errors import EnergyctlError
from energyctl.core.points import Command, Write

VERIFY_EXEMPT = "lease"
"""Timers count down, so a restored timer is not compared."""


@dataclass(frozen=True, slots=True)
class Group:
    """A controlled point of a device and every point a command for it touches, by name."""

    device: str
    name: str
    touched: tuple[str, ...]

    @property
    def point(self) -> str:
        """Full id of the controlled point."""
        return f"{self.device}.{self.name}"

    @property
    def points(self) -> tuple[str, ...]:
        """Full ids of all touched points, in the order they are written."""
        return tuple(f"{self.device}.{name}" for name in self.touched)


@dataclass(frozen=True, slots=True)
class HandedBack:
    """How handing back one group went; `ok` means released and verified."""

    group: Group
    ok: bool
    detail: str


def group_of(device: Device, name: str) -> Group:
    """The group of a controlled point."""
    return Group(device.id, name, tuple(device.profile.touched(name)))


def groups(device: Device, owned: Iterable[str]) -> list[Group]:
    """Owned points (full ids) of a device as groups: commands whose points are all owned first, then what is left."""
    names = {point.partition(".")[2] for point in owned if point.partition(".")[0] == device.id}
    found: list[Group] = []
    for name, spec in device.profile.points.items():
        touched = device.profile.touched(name)
        if spec.command and name in names and names.issuperset(touched):
            found.append(group_of(device, name))
            names -= set(touched)
    return found + [Group(device.id, name, (name,)) for name in device.profile.points if name in names]


async def hand_back(device: Device, driver: Driver, group: Group, found: Mapping[str, float | None]) -> HandedBack:
    """Release one group and verify it. `found` holds the values before our first write, by full id. Never raises: what
    went wrong is in the result.
    """
    try:
        if device.profile.points[group.name].release == "relinquish":
            return await _relinquish(driver, group)
        return await _restore(device, driver, group, found)
    except Exception as error:  # noqa: BLE001 - whatever one driver raises, the other devices are still to be handed back
        if not isinstance(error, EnergyctlError):
            error = EnergyctlError(f"the driver failed: {type(error).__name__}: {error}")
        reverts = device.profile.watchdog.kind == "reversion"
        return HandedBack(group, False, f"{error}" + ("; its own timer will end our command" if reverts else ""))


async def _relinquish(driver: Driver, group: Group) -> HandedBack:
    result = await driver.relinquish(group.point)
    if not isinstance(result, Written):
        return HandedBack(group, False, f"relinquish: {result.reason}")
    if isinstance(driver, ShowsPriority):
        slots = await driver.priorities(group.point)
        if driver.our_priority in slots:
            return HandedBack(group, False, f"slot {driver.our_priority} still holds {slots[driver.our_priority]:g}")
    return HandedBack(group, True, "relinquished")


async def _restore(device: Device, driver: Driver, group: Group, found: Mapping[str, float | None]) -> HandedBack:
    known = {point: value for point in group.points if (value := found.get(point)) is not None}
    if not known:
        return HandedBack(group, False, "what was there before could not be read, so nothing can be restored")
    steps = tuple(Write(point, known[point]) for point in reversed(group.points) if point in known)
    result = await driver.write(Command(device.id, steps))
    if not isinstance(result, Written):
        return HandedBack(group, False, f"restoring {result.point}: {result.reason}")
    wrong = await _differing(device, driver, group, known)
    if wrong:
        return HandedBack(group, False, "not restored: " + ", ".join(wrong))
    return HandedBack(group, True, "restored " + ", ".join(f"{step.point}={step.value:g}" for step in steps))


async def _differing(device: Device, driver: Driver, group: Group, known: Mapping[str, float]) -> Sequence[str]:
    timers = {step.set for step in device.profile.points[group.name].command if step.to == VERIFY_EXEMPT}
    points = [point for point in group.points if point in known and point.partition(".")[2] not in timers]
    samples = await driver.read(points)
    return [
        f"{sample.point} is {sample.value} instead of {known[sample.point]:g}"
        for sample in samples
        if sample.value is None or abs(sample.value - known[sample.point]) > device.points[sample.point].tolerance
    ]
