"""The in-memory double keeps the driver contract, takes any profile, and can be armed to fail."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from drivers.memory import MemoryDevice, MemoryDriver, factory, opened
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Link, Partial, Refused, ShowsPriority, Written
from energyctl.core.errors import ConfigError, LinkTimeout
from energyctl.core.points import Command, Quality, Write
from energyctl.core.profile import Profile
from tests.drivers.contract import DriverContract


def profile(release: str) -> Profile:
    return Profile.model_validate(
        {
            "profile": "acme/thing@1",
            "vendor": "Acme",
            "model": "Thing",
            "kind": "thing",
            "protocol": "bacnet",
            "points": {
                "power": {"unit": "W"},
                "temp": {"unit": "°C"},
                "on": {"kind": "bool"},
                "setpoint": {"unit": "°C", "access": "rw", "release": release},
                "mode": {"kind": "enum", "access": "rw", "release": release},
                "timer": {"unit": "s", "access": "rw", "release": release},
            },
        }
    )


@dataclass
class MemoryRig:
    driver: MemoryDriver
    relinquishes: bool
    thing: MemoryDevice
    device: str = "t"
    timeout_s: float = 0.1
    known: dict[str, float] = field(default_factory=lambda: {"t.power": -4.2, "t.temp": 21.5, "t.on": 1.0})
    refusable: str = "t.temp"
    read_only: str = "t.power"
    writable: tuple[str, float] = ("t.setpoint", 22.5)
    command: Command = field(
        default_factory=lambda: Command("t", (Write("t.timer", 60.0), Write("t.setpoint", 19.0), Write("t.mode", 2.0)))
    )
    identity: str = "Acme Thing"
    neighbour: dict[str, float] = field(default_factory=lambda: {"n.power": 3.0})

    def received(self) -> Sequence[tuple[str, float]]:
        return [(write.point, write.value) for write in self.thing.received]

    def shown(self, point: str) -> float:
        value = self.thing.value(point)
        assert value is not None
        return value

    async def refuse_read(self, point: str) -> None:
        self.thing.failures.unreadable[point] = "refused on purpose"

    async def refuse_write(self, point: str, after: int = 0) -> None:
        self.thing.failures.unwritable[point] = after

    async def mute(self) -> None:
        self.thing.failures.mute = True

    answer_late = mute

    async def stop(self) -> None:
        self.thing.failures.down = True

    async def start(self) -> None:
        self.thing.failures.down = False

    async def heal(self) -> None:
        self.thing.failures.mute = False
        self.thing.failures.unreadable.clear()
        self.thing.failures.unwritable.clear()


def a_driver(release: str = "restore", **options: str | float) -> MemoryDriver:
    given = {
        "power": "-4200 W",
        "temp": "21.5 °C",
        "on": True,
        "setpoint": 20.0,
        "mode": 1,
        "timer": "5 min",
        **options,
    }
    devices = [Device("t", profile(release), given), Device("n", profile(release), {"power": 3.0, "unit": 3})]
    driver = factory.open(Link("mem", "memory", {"timeout": 0.1}), devices, LiveClock())
    assert isinstance(driver, MemoryDriver)
    return driver


class _Contract(DriverContract):
    release: str

    @pytest.fixture
    async def rig(self) -> AsyncIterator[MemoryRig]:
        async with a_driver(self.release) as driver:
            yield MemoryRig(driver, self.release == "relinquish", driver.devices["t"])


class TestRestoring(_Contract):
    release = "restore"


class TestRelinquishing(_Contract):
    release = "relinquish"

    async def test_what_cannot_be_undone_is_said_to_be_stuck(self, rig: MemoryRig) -> None:  # type: ignore[override]
        """An empty slot is emptied again by relinquishing, which cannot be refused; a slot in use is written back."""
        await rig.driver.write(Command("t", (Write("t.timer", 30.0),)))
        await rig.refuse_write("t.timer", after=1)
        await rig.refuse_write("t.mode")
        assert await rig.driver.write(rig.command) == Partial("t.mode", "refused on purpose", ("t.timer",))
        assert (rig.shown("t.timer"), rig.shown("t.setpoint"), rig.shown("t.mode")) == (60.0, 20.0, 1.0)


async def test_a_point_that_was_given_nothing_is_bad() -> None:
    (sample,) = await a_driver().read(["n.temp"])
    assert (sample.quality, sample.value, sample.reason) == (Quality.BAD, None, "no value was given")


async def test_the_priority_array_shows_the_lowest_slot() -> None:
    driver = a_driver("relinquish")
    assert isinstance(driver, ShowsPriority)
    await driver.write(Command("t", (Write("t.setpoint", 22.0),)))
    driver.devices["t"].slots["t.setpoint"][8] = 18.0
    assert await driver.priorities("t.setpoint") == {8: 18.0, 10: 22.0}
    assert driver.devices["t"].value("t.setpoint") == 18.0
    assert await driver.relinquish("t.setpoint") == Written()
    assert await driver.priorities("t.setpoint") == {8: 18.0}


async def test_a_write_hook_sees_and_refuses() -> None:
    driver = a_driver()
    device = driver.devices["t"]
    device.on_write.append(lambda write: "too hot" if write.value > 30 else None)
    assert await driver.write(Command("t", (Write("t.setpoint", 31.0),))) == Refused("t.setpoint", "too hot")
    assert await driver.write(Command("t", (Write("t.setpoint", 29.0),))) == Written()
    assert device.received == [Write("t.setpoint", 29.0)]


async def test_a_write_that_is_not_answered_was_carried_out_all_the_same() -> None:
    driver = a_driver()
    driver.devices["t"].failures.mute = True
    with pytest.raises(LinkTimeout):
        await driver.write(Command("t", (Write("t.setpoint", 25.0),)))
    assert driver.devices["t"].value("t.setpoint") == 25.0


@pytest.mark.parametrize(
    ("link", "device", "problem"),
    [
        ({"timeout": "1 kW"}, {}, "connections.mem.timeout: unit 'kW' does not fit here"),
        ({"timeot": 1.0}, {}, "connections.mem.timeot: unknown option; did you mean 'timeout'?"),
        ({"priority": 17}, {}, "connections.mem.priority: input should be less than or equal to 16, not 17"),
        ({}, {"power": "5"}, "devices.t.power: a number without a unit; write '5 kW'"),
        ({}, {"temp": "5 kW"}, "devices.t.temp: unit 'kW' does not fit here; write °C"),
    ],
)
def test_wrong_options_are_named(link: dict[str, str], device: dict[str, str], problem: str) -> None:
    one = Link("mem", "memory", link)
    devices = [Device("t", profile("restore"), device)]
    (line,) = factory.check(one, devices)
    assert line.startswith(problem)
    with pytest.raises(ConfigError) as error:
        factory.open(one, devices, LiveClock())
    assert error.value.problems == (line,)


def test_the_driver_in_use_is_found_by_its_link() -> None:
    driver = a_driver()
    assert opened["mem"] is driver
    del driver
    gc.collect()
    assert "mem" not in opened
