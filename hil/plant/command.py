"""Who decides a writable point of a simulated device now: somebody on the wire, or the device itself.

The profile alone says how:
- a point with a command is in force while every constant of its steps stands and the timer that the command carries (its
  lease step, or the profile's reversion timer) has not run out since the last write of any of the command's points; a
  timer of 0 never runs out. When it has, the device switches the command's enable off, or, where the command has none, puts
  the point back to its own default;
- a point that is handed back by relinquishing is in force while anybody holds a slot of it;
- any other point keeps the last value written, until a restart. It counts as released when that is the value found before.
"""

from __future__ import annotations

from datetime import datetime

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec, Profile
from hil.device import SimDevice
from hil.events import EventLog, Happened

_SAME = 1e-3


class Control:
    """A writable point of a device; what becomes of its command goes to `log`."""

    def __init__(self, device: SimDevice, name: str, log: EventLog) -> None:
        profile = device.profile
        spec = profile.points[name]
        self.device, self.name = device, name
        self._log, self._spec = log, spec
        self._constants = _constants(profile, spec)
        self._enable = _enable(profile, spec)
        self._timer = _timer(profile, spec)
        self._touched = tuple(profile.touched(name))
        self._same = 1.01 * max(_SAME, spec.tolerance or 0.0)
        self._by_slot = spec.release == "relinquish"
        self._holds = False
        self._boots = device.boots

    def holds(self, now: datetime) -> bool:
        """Whether the point is commanded at `now`. Carries out what the device does when its timer runs out."""
        rebooted, self._boots = self.device.boots != self._boots, self.device.boots
        if rebooted and self._holds and self._spec.memory == "ram":
            self._local(now, "reboot")
        enabled = self._enabled()
        lapsed = enabled and self._run_out(now)
        if lapsed:
            self._revert()
        if enabled and not lapsed and not self._holds:
            self._holds = True
            value = self.device.values[self.name]
            self._log.add(now, Happened.COMMANDED, f"{self.device.id}.{self.name}", f"told {value:g}", value=value)
        elif self._holds and (lapsed or not enabled):
            self._local(now, "lapsed" if lapsed or self._forgotten() else "released")
        return self._holds

    def value(self, now: datetime, own: float) -> float:
        """What the device goes by: the command in force, or its `own` choice, which the point shows where it can."""
        holds = self.holds(now)
        if self._by_slot or not (holds or self._constants):
            self.device.set(self.name, own)
        return self.device.values[self.name] if holds else own

    def command(self, now: datetime) -> float | None:
        """The commanded value; None when nobody commands it, which a point that was once written plainly never is again."""
        plain = not (self._by_slot or self._constants or self._timer)
        if self.holds(now) or (plain and self.name in self.device.written):
            return self.device.values[self.name]
        return None

    def _local(self, now: datetime, why: str) -> None:
        self._holds = False
        self._log.add(now, Happened.LOCAL, f"{self.device.id}.{self.name}", f"its own master again: {why}", why=why)

    def _enabled(self) -> bool:
        device = self.device
        if self._by_slot and not device.commanded(self.name):
            return False
        if self._by_slot or self._constants:
            return all(abs(device.values[name] - value) <= _SAME for name, value in self._constants)
        return self.name in device.written and abs(device.values[self.name] - device.defaults[self.name]) > self._same

    def _forgotten(self) -> bool:
        """Whether the device dropped by itself what had been written."""
        names = [name for name, _ in self._constants] or [self.name]
        return any(name not in self.device.written for name in names)

    def _run_out(self, now: datetime) -> bool:
        seconds = self.device.values[self._timer] if self._timer else 0.0
        if seconds <= 0:
            return False
        writes = [self.device.written[name] for name in self._touched if name in self.device.written]
        return bool(writes) and (now - max(writes)).total_seconds() >= seconds

    def _revert(self) -> None:
        if self._enable is None:
            self.device.set(self.name, self.device.defaults[self.name])
        else:
            self.device.set(self._enable, _off(self.device.profile.points[self._enable]))


def controls(device: SimDevice, log: EventLog) -> dict[str, Control]:
    """A Control for every writable point of a device that is not a mere step of another one's command, by name."""
    points = device.profile.points
    helpers = {step.set for name, spec in points.items() for step in spec.command if step.set != name}
    writable = [name for name, spec in points.items() if spec.access is Access.READ_WRITE and name not in helpers]
    return {name: Control(device, name, log) for name in writable}


def _constants(profile: Profile, spec: PointSpec) -> tuple[tuple[str, float], ...]:
    steps = [(step.set, step.to) for step in spec.command if not isinstance(step.to, str)]
    return tuple((name, profile.points[name].canonical(value)) for name, value in steps)


def _enable(profile: Profile, spec: PointSpec) -> str | None:
    """The switch among a command's constants; where none is a switch, the first of them."""
    names = [step.set for step in spec.command if not isinstance(step.to, str)]
    switches = [name for name in names if profile.points[name].kind == "bool"]
    return next(iter(switches or names), None)


def _timer(profile: Profile, spec: PointSpec) -> str | None:
    leases = [step.set for step in spec.command if step.to == "lease"]
    if spec.command and not leases and profile.watchdog.kind == "reversion":
        return profile.watchdog.point
    return next(iter(leases), None)


def _off(spec: PointSpec) -> float:
    return float(min(spec.choices.values())) if spec.kind == "enum" and spec.choices else 0.0
