"""Letting go at once, beside a running cycle: whatever is being left alone, busy or away."""

from __future__ import annotations

import asyncio

import pytest

from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.leases import Action, ActionKind, Effect
from energyctl.core.clock import LiveClock
from energyctl.core.points import Rank, Setpoint


class Rig:
    """Two devices on one driver; a write to the battery can be held up, and a commit can have a side effect."""

    def __init__(self, driver, devices):
        self.driver, self.alarms, self.on_commit = driver, Alarms(), lambda: None
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.dispatcher = Dispatcher(
            LiveClock(), devices, {"bat": driver, "hp": driver}, 60.0, self._commit, lambda _: None, self.alarms
        )
        write = driver.write

        async def slow(command):
            if command.device == "bat":
                await self.go_on.wait()
            return await write(command)

        driver.write = slow

    async def _commit(self, entries):
        self.on_commit()

    def begin(self, *wanted):
        wishes = [Setpoint(point, value, Rank.OPTIMIZER, "plan", "because", 1e9) for point, value in wanted]
        self.dispatcher.submit([Action(ActionKind.WRITE, wish) for wish in wishes], 1)

    async def hold(self, *wanted):
        self.begin(*wanted)
        await self.dispatcher.settle()


@pytest.fixture
def rig(driver, devices):
    return Rig(driver, devices)


async def test_everything_that_is_held_is_handed_back(rig):
    await rig.hold(("bat.set", 12.0), ("hp.set", 21.0))
    assert await rig.dispatcher.let_go(5.0) == []
    values = rig.driver.values
    assert (values["bat.set"], values["bat.enable"], values["bat.timer"], values["hp.set"]) == (7.0, 0.0, 0.0, 19.0)


async def test_also_what_is_left_alone_after_two_tries(rig):
    rig.driver.ignored = {"bat.set"}
    for _ in range(2):
        await rig.hold(("bat.set", 12.0))
    assert rig.dispatcher.held["bat.set"].effect is Effect.HELD_OFF
    assert await rig.dispatcher.let_go(5.0) == []
    assert rig.driver.values["bat.enable"] == 0.0


async def test_a_device_that_is_busy_is_waited_for_and_keeps_no_other_waiting(rig):
    rig.go_on.clear()
    rig.begin(("bat.set", 12.0), ("hp.set", 21.0))
    await asyncio.sleep(0.01)
    letting_go = asyncio.create_task(rig.dispatcher.let_go(5.0))
    await asyncio.sleep(0.01)
    assert rig.driver.values["hp.set"] == 19.0 and not letting_go.done()
    rig.go_on.set()
    assert await letting_go == []
    assert (rig.driver.values["bat.set"], rig.driver.values["bat.enable"]) == (7.0, 0.0)


async def test_what_takes_too_long_is_named_and_left_to_the_cycles(rig):
    await rig.hold(("bat.set", 12.0), ("hp.set", 21.0))
    rig.go_on.clear()
    assert await rig.dispatcher.let_go(0.05) == ["bat.set"]
    rig.go_on.set()
    await rig.dispatcher.settle()
    assert rig.dispatcher.held == {}


async def test_a_device_that_is_away_stays_held_with_an_alarm(rig):
    await rig.hold(("bat.set", 12.0))
    rig.driver.dead = True
    assert await rig.dispatcher.let_go(5.0) == ["bat.set"]
    assert [alarm.name for alarm in rig.alarms.standing] == ["not-released"]


async def test_what_is_barred_after_it_was_decided_does_not_reach_the_wire(rig):
    def press():
        rig.dispatcher.barred = lambda point: "emergency stop"

    rig.on_commit = press  # while it is being written down that the point is ours
    await rig.hold(("bat.set", 12.0))
    assert rig.driver.log == []
    assert await rig.dispatcher.let_go(5.0) == []
    assert rig.driver.values["bat.set"] == 7.0 and 12.0 not in [value for _, value in rig.driver.log]
