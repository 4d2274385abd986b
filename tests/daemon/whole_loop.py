"""The control cycle with everything behind it down to a store on disk, and a driver with a log of its own, in virtual time.

What is wanted comes from the test; the driver's log is the oracle: (seconds, point, value), None for a claim given up.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from energyctl.config.site import Safety
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.seams import Seams
from energyctl.core.driver import Device, Link, Written
from energyctl.core.planner import GridLimits
from energyctl.core.points import ProcessImage, Rank, Sample, Setpoint
from energyctl.core.profile import Profile
from energyctl.daemon.cycle import Controller
from energyctl.daemon.remembering import wear_of
from energyctl.daemon.returning import return_owned
from energyctl.store import Batch, Store
from tests.control.conftest import INVERTER, THERMOSTAT, LogDriver

START = datetime(2026, 1, 15, tzinfo=UTC)
BOILER = {
    "profile": "test/boiler@1",
    "vendor": "t",
    "model": "t",
    "kind": "boiler",
    "protocol": "log",
    "watchdog": {"kind": "reversion", "point": "timer"},
    "points": {
        "run": {"access": "rw", "kind": "bool"},
        "timer": {"unit": "s", "access": "rw"},
        "set": {
            "unit": "°C",
            "access": "rw",
            "memory": "flash",
            "minimum": 20,
            "maximum": 80,
            "command": [{"set": "timer", "to": "lease"}, {"set": "set", "to": "value"}],
        },
    },
}
FOUND = {
    "bat.power": 0.0, "bat.timer": 0.0, "bat.enable": 0.0, "bat.set": 7.0, "hp.set": 19.0,
    "boiler.run": 0.0, "boiler.timer": 0.0, "boiler.set": 50.0,
}  # fmt: skip


class Time:
    """A clock that a test moves; `reboot` begins a new run of the machine."""

    virtual = False

    def __init__(self):
        self.seconds, self.wall = 10_000.0, START

    def monotonic(self):
        return self.seconds

    def now(self):
        return self.wall

    def move(self, seconds):
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    def busy(self):
        return nullcontext()

    async def sleep_until(self, due, turn=None):
        pass


class Devices(LogDriver):
    """The devices; `log` has the time of every write."""

    def __init__(self, clock):
        super().__init__(clock)
        self.values = dict(FOUND)
        self.plain, self.log = self.log, []

    async def write(self, command):
        self.plain.clear()
        before, self.log = self.log, self.plain
        try:
            return await super().write(command)
        finally:
            self.log = before + [(self.clock.monotonic(), *entry) for entry in self.plain]

    async def relinquish(self, point):
        self.slots.get(point, {}).pop(10, None)
        self.values[point] = FOUND[point]
        self.log.append((self.clock.monotonic(), point, None))
        return Written()

    def writes(self, point):
        return [(at, value) for at, name, value in self.log if name == point]


class Acquisition:
    """An image of what the devices show at this very moment."""

    settled = True

    def __init__(self, driver):
        self._driver, self.states, self.taken = driver, {}, []

    def image(self, cycle):
        now = self._driver.clock.now()
        return ProcessImage(now, cycle, {p: Sample(p, now, v) for p, v in self._driver.values.items()})

    def blocked(self):
        return {}

    def fresh(self):
        return ()

    def take(self, samples):
        self.taken.extend(samples)


class Keeper:
    """A store without a thread."""

    def __init__(self, store):
        self._store = store

    async def commit(self, batch):
        self._store.commit(batch)


def site(**safety):
    """A site with these safety rules."""
    profiles = {"bat": INVERTER, "hp": THERMOSTAT, "boiler": BOILER}
    devices = {name: Device(name, Profile.model_validate(profile)) for name, profile in profiles.items()}
    return SimpleNamespace(
        id="t",
        mode="control",
        modes=dict.fromkeys(devices, "control"),
        devices=devices,
        links=(Link("l", "log"),),
        link_of=dict.fromkeys(devices, "l"),
        points={point: one for device in devices.values() for point, one in device.points.items()},
        resources=(),
        meter="bat.power",
        limits=GridLimits(100.0, 100.0),
        planner=SimpleNamespace(every_s=900.0),
        view=None,
        timezone="Europe/Athens",
        safety=Safety(accept_no_watchdog=("hp",), **safety),
    )


class Loop:
    """A daemon's life: `wants` is by point; `kill` forgets everything but devices and store, `again` starts anew."""

    def __init__(self, path, period_s=1.0, **safety):
        self.clock, self.site, self.period_s = Time(), site(**safety), period_s
        self.driver = Devices(self.clock)
        self.store = Store.open(path)
        self.wants, self.bans, self.rank = {}, [], Rank.OPTIMIZER
        self.start()

    def start(self):
        self.alarms, keeper, acquisition = (
            Alarms(monotonic=self.clock.monotonic),
            Keeper(self.store),
            Acquisition(self.driver),
        )

        async def journal(entries):
            self.store.commit(Batch(journal=tuple(entries)))

        async def keep(pasts):
            self.store.commit(Batch(pasts=tuple(pasts)))

        drivers = dict.fromkeys(self.site.devices, self.driver)
        self.dispatcher = Dispatcher(
            self.clock, self.site.devices, drivers, 60.0, journal, acquisition.take, self.alarms,
            wear_of(self.site, self.clock, self.store), keep,
        )  # fmt: skip
        silent = SimpleNamespace(add=lambda image: None, send=lambda *words: None)
        seams = Seams(wants=[self], bans=self.bans)
        self.controller = Controller(
            self.site, self.clock, acquisition, self.dispatcher, keeper, silent, self.alarms, silent,
            self.period_s, 60.0, True, seams,
        )  # fmt: skip

    def wishes(self, image, now_s, expires_at):
        return [Setpoint(p, v, self.rank, "test", "because", expires_at) for p, v in self.wants.items()]

    async def cycles(self, count=1):
        for _ in range(count):
            await self.controller.step()
            await self.dispatcher.settle()
            self.clock.move(self.period_s)

    async def again(self):
        """A new daemon after a kill: hand back what the old one left, then go on."""
        results = await return_owned(self.site, self.store, self.clock, {"l": self.driver})
        self.start()
        self.dispatcher.adopt(self.store.owned())
        return results

    def journal(self, kind):
        return [entry for entry in self.store.journal(limit=100_000) if entry.kind == kind]
