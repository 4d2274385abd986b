"""A device on a driver that keeps an independent log of what reached it, and does what a test tells it to."""

from __future__ import annotations

import pytest

from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Refused, Written
from energyctl.core.errors import LinkError
from energyctl.core.points import Sample
from energyctl.core.profile import Profile

INVERTER = {
    "profile": "test/battery@1",
    "vendor": "t",
    "model": "t",
    "kind": "battery",
    "protocol": "log",
    "watchdog": {"kind": "reversion", "point": "timer"},
    "points": {
        "power": {"unit": "kW"},
        "timer": {"unit": "s", "access": "rw"},
        "enable": {"access": "rw", "kind": "bool"},
        "set": {
            "unit": "kW",
            "access": "rw",
            "minimum": -30,
            "maximum": 30,
            "command": [{"set": "timer", "to": "lease"}, {"set": "set", "to": "value"}, {"set": "enable", "to": 1}],
        },
    },
}
THERMOSTAT = {
    "profile": "test/thermostat@1",
    "vendor": "t",
    "model": "t",
    "kind": "thermostat",
    "protocol": "log",
    "points": {"set": {"unit": "°C", "access": "rw", "release": "relinquish", "tolerance": 0.01}},
}


class LogDriver:
    """Keeps values and a log of writes; can be told to ignore, refuse or be dead."""

    our_priority = 10

    def __init__(self, clock):
        self.clock = clock
        self.values = {"bat.power": 0.0, "bat.timer": 0.0, "bat.enable": 0.0, "bat.set": 7.0, "hp.set": 19.0}
        self.slots = {}
        self.log = []
        self.ignored, self.refused, self.dead = set(), {}, False

    async def read(self, points):
        self._alive()
        now = self.clock.now()
        return [Sample(point, now, self.values[point]) for point in points]

    async def write(self, command):
        self._alive()
        for step in command.steps:
            if step.point in self.refused:
                return Refused(step.point, self.refused[step.point])
            self.log.append((step.point, step.value))
            if step.point not in self.ignored:
                self.values[step.point] = step.value
                self.slots.setdefault(step.point, {})[10] = step.value
        return Written()

    async def relinquish(self, point):
        self._alive()
        self.log.append((point, None))
        self.slots.get(point, {}).pop(10, None)
        self.values[point] = 19.0
        return Written()

    async def priorities(self, point):
        return self.slots.get(point, {})

    def _alive(self):
        if self.dead:
            raise LinkError("bat", "connection refused")


@pytest.fixture
def driver():
    return LogDriver(LiveClock())


@pytest.fixture
def devices():
    return {
        "bat": Device("bat", Profile.model_validate(INVERTER)),
        "hp": Device("hp", Profile.model_validate(THERMOSTAT)),
    }
