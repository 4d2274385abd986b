"""Handing devices back: what is ours is released the way the device and its profile allow, and that is verified.

A BACnet point is relinquished in our slot. Elsewhere every point that our command touched gets back the value found there
before our first write, in the reverse order of the command, so that an enable goes off before its limit moves. A point that
shows neither our value nor what was found is somebody else's by now and left as it is; one that is kept in flash and shows
what was found already is not written again. A point whose old value could not be read cannot be restored; a device with a
timer of its own then reverts by itself, and the report says so. A device that is not the one its profile describes is not
touched. The same code serves a graceful stop, the end of a wish, `energyctl handback` after a crash, and the next start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from energyctl.core.driver import Device, Driver, Identifies, ShowsPriority, Written
from energyctl.core.errors import DeviceRefused, EnergyctlError
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
    written: tuple[Write, ...] = ()
    """What was put back."""
    left: str = ""
    """What was not put back because somebody else has set it, in words."""


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


async def hand_back(
    device: Device, driver: Driver, group: Group, found: Mapping[str, float | None], ours: Collection[float] = ()
) -> HandedBack:
    """Release one group and verify it. `found` holds the values before our first write, by full id; `ours` is what we may have
    left at the controlled point, empty when that is not known. Never raises: what went wrong is in the result.
    """
    try:
        if stranger := await _stranger(device, driver):
            return HandedBack(group, False, f"not touched: {stranger}")
        if device.profile.points[group.name].release == "relinquish":
            return await _relinquish(driver, group)
        return await _restore(device, driver, group, found, ours)
    except Exception as error:  # noqa: BLE001 - whatever one driver raises, the other devices are still to be handed back
        if not isinstance(error, EnergyctlError):
            error = EnergyctlError(f"the driver failed: {type(error).__name__}: {error}")
        reverts = device.profile.watchdog.kind == "reversion"
        return HandedBack(group, False, f"{error}" + ("; its own timer will end our command" if reverts else ""))


async def _stranger(device: Device, driver: Driver) -> str:
    """Why a device is not the one that is meant; "" when it is, or when its profile does not say."""
    probe = device.profile.identity
    if probe is None or not isinstance(driver, Identifies):
        return ""
    try:
        said = await driver.identify(device.id)
    except DeviceRefused as error:
        return f"{device.id} does not say who it is: {error}"
    return "" if probe.fits(said) else f"{device.id} says it is '{said}', the profile expects '{probe.contains}'"


async def _relinquish(driver: Driver, group: Group) -> HandedBack:
    result = await driver.relinquish(group.point)
    if not isinstance(result, Written):
        return HandedBack(group, False, f"relinquish: {result.reason}")
    if isinstance(driver, ShowsPriority):
        slots = await driver.priorities(group.point)
        if driver.our_priority in slots:
            return HandedBack(group, False, f"slot {driver.our_priority} still holds {slots[driver.our_priority]:g}")
    return HandedBack(group, True, "relinquished")


async def _restore(
    device: Device, driver: Driver, group: Group, found: Mapping[str, float | None], ours: Collection[float]
) -> HandedBack:
    known = {point: value for point in group.points if (value := found.get(point)) is not None}
    if not known:
        return HandedBack(group, False, "what was there before could not be read, so nothing can be restored")
    timers = {f"{device.id}.{s.set}" for s in device.profile.points[group.name].command if s.to == VERIFY_EXEMPT}
    shown = await _shown(driver, [point for point in known if point not in timers])
    left = _somebody_elses(device, group, known, ours, shown)
    due = {
        point: value for point, value in known.items() if point not in left and not _rests(device, point, value, shown)
    }
    steps = tuple(Write(point, due[point]) for point in reversed(group.points) if point in due)
    if steps:
        result = await driver.write(Command(device.id, steps))
        if not isinstance(result, Written):
            return HandedBack(group, False, f"restoring {result.point}: {result.reason}")
    after = await _shown(driver, [step.point for step in reversed(steps) if step.point not in timers])
    wrong = [
        f"{point} is {value} instead of {known[point]:g}"
        for point, value in after.items()
        if not _is(device, point, value, known[point])
    ]
    if wrong:
        return HandedBack(group, False, "not restored: " + ", ".join(wrong), steps)
    restored = "restored " + ", ".join(f"{step.point}={step.value:g}" for step in steps)
    if not left:
        return HandedBack(group, True, restored if steps else "shows what was found already", steps)
    words = "released, not restored: " + ", ".join(left.values())
    return HandedBack(group, True, f"{words}; {restored}" if steps else words, steps, words)


async def _shown(driver: Driver, points: Sequence[str]) -> dict[str, float | None]:
    return {sample.point: sample.value for sample in await driver.read(points)} if points else {}


def _somebody_elses(
    device: Device,
    group: Group,
    known: Mapping[str, float],
    ours: Collection[float],
    shown: Mapping[str, float | None],
) -> dict[str, str]:
    """The points that show neither our value nor what was found, in words by point."""
    left = {}
    for point, value in shown.items():
        mine = {device.profile.settled(group.name, our)[point.partition(".")[2]] for our in ours}
        if mine and value is not None and not any(_is(device, point, value, one) for one in (*mine, known[point])):
            unit = device.points[point].unit
            told = " or ".join(f"{one:g}" for one in sorted(mine))
            left[point] = f"{point} shows {value:g} {unit}".rstrip() + (
                f", which is neither ours ({told}) nor what was found ({known[point]:g}), so somebody else has set it"
            )
    return left


def _rests(device: Device, point: str, value: float, shown: Mapping[str, float | None]) -> bool:
    """Whether a point in flash shows what it should already."""
    in_flash = device.profile.points[point.partition(".")[2]].memory == "flash"
    return in_flash and point in shown and _is(device, point, shown[point], value)


def _is(device: Device, point: str, shown: float | None, value: float) -> bool:
    return shown is not None and abs(shown - value) <= device.points[point].tolerance
