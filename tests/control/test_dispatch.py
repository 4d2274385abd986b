"""Dispatch against a driver with a log of its own: order of journal and wire, read-back, two tries, hand-back."""

from __future__ import annotations

import pytest

from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import HOLD_OFF_S, Dispatcher
from energyctl.control.leases import Action, ActionKind, Effect
from energyctl.core.clock import LiveClock
from energyctl.core.errors import StoreError
from energyctl.core.points import ProcessImage, Rank, Sample, Setpoint
from energyctl.core.records import JournalKind, Owned


class Rig:
    def __init__(self, driver, devices):
        self.driver, self.events, self.taken = driver, driver.log, []
        self.alarms = Alarms()
        self.full_disk = False
        self.dispatcher = Dispatcher(
            LiveClock(), devices, {"bat": driver, "hp": driver}, 60.0, self._commit, self.taken.extend, self.alarms
        )

    async def _commit(self, entries):
        if self.full_disk:
            raise StoreError("no space left on device")
        self.events.extend((entry.kind.value, entry.point, entry.value) for entry in entries)

    async def do(self, kind, point, value):
        wish = Setpoint(point, value, Rank.OPTIMIZER, "plan", "because", 1e9)
        self.dispatcher.submit([Action(kind, wish)], 1)
        await self.dispatcher.settle()
        return self.dispatcher.outcomes()


@pytest.fixture
def rig(driver, devices):
    return Rig(driver, devices)


async def test_ownership_is_on_disk_before_the_first_write_and_timer_goes_first(rig):
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert rig.events == [
        ("own", "bat.timer", 0.0), ("own", "bat.set", 7.0), ("own", "bat.enable", 0.0),
        ("bat.timer", 60.0), ("bat.set", 12.0), ("bat.enable", 1.0),
    ]  # fmt: skip
    assert [(e.kind, e.value) for e in outcomes] == [(JournalKind.WRITTEN, 12.0)]
    assert rig.dispatcher.held["bat.set"].effect is Effect.EFFECTIVE


async def test_what_is_ours_already_is_not_taken_over_again(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.events.clear()
    await rig.do(ActionKind.REFRESH, "bat.set", 12.0)
    assert rig.events == [("bat.timer", 60.0), ("bat.set", 12.0), ("bat.enable", 1.0)]


async def test_what_cannot_be_journaled_is_not_written(rig):
    rig.full_disk = True
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert rig.events == []
    assert [e.kind for e in outcomes] == [JournalKind.FAILED]


async def test_two_tries_without_effect_are_an_alarm_and_then_peace(rig):
    rig.driver.ignored = {"bat.set"}
    first = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert first[0].detail == "wrote 12, read back 7 kW"
    assert rig.dispatcher.held["bat.set"].effect is Effect.UNCONFIRMED and not rig.alarms.standing
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    holding = rig.dispatcher.held["bat.set"]
    assert holding.effect is Effect.HELD_OFF
    assert holding.hold_until == pytest.approx(holding.written_at + HOLD_OFF_S, abs=1)
    assert [(a.name, a.subject) for a in rig.alarms.standing] == [("not-effective", "bat.set")]
    assert "bat.set" in rig.dispatcher.on_hold()


async def test_another_value_every_time_is_no_new_start(rig):
    rig.driver.ignored = {"bat.set"}
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    await rig.do(ActionKind.WRITE, "bat.set", 13.0)
    assert rig.dispatcher.held["bat.set"].effect is Effect.HELD_OFF
    assert [a.name for a in rig.alarms.standing] == ["not-effective"]


async def test_a_value_that_takes_effect_clears_the_alarm(rig):
    rig.driver.ignored = {"bat.set"}
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.driver.ignored = set()
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert rig.alarms.standing == [] and rig.dispatcher.held["bat.set"].effect is Effect.EFFECTIVE


def image(rig):
    """What a poll of everything shows now."""
    now = rig.dispatcher._clock.now()
    return ProcessImage(now, 1, {p: Sample(p, now, v) for p, v in rig.driver.values.items()})


async def test_what_others_change_is_noticed_written_once_more_and_then_left_to_them(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.dispatcher.compare(image(rig))
    assert rig.alarms.standing == []

    rig.driver.values["bat.set"] = 20.0
    rig.dispatcher.compare(image(rig))
    assert rig.dispatcher.held["bat.set"].effect is Effect.UNCONFIRMED
    assert [(a.name, a.text) for a in rig.alarms.standing] == [
        ("overruled", "wrote 12, now shows 20 kW: somebody else has changed it, or the device has restarted")
    ]
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert rig.alarms.standing, "it may happen again: the alarm stands"

    rig.driver.values["bat.set"] = 20.0
    rig.dispatcher.compare(image(rig))
    holding = rig.dispatcher.held["bat.set"]
    assert holding.effect is Effect.HELD_OFF
    assert holding.hold_until == pytest.approx(holding.written_at + HOLD_OFF_S, abs=1)


async def test_what_others_changed_is_not_written_over_without_a_look(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.driver.values["bat.set"] = 20.0
    rig.events.clear()
    await rig.do(ActionKind.WRITE, "bat.set", 13.0)
    assert rig.events == [] and [a.name for a in rig.alarms.standing] == ["overruled"]
    await rig.do(ActionKind.WRITE, "bat.set", 13.0)
    assert ("bat.set", 13.0) in rig.events


async def test_a_command_that_somebody_switches_off_is_overruled(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.driver.values["bat.enable"] = 0.0
    rig.dispatcher.compare(image(rig))
    assert rig.alarms.standing[0].text.startswith("bat.enable: wrote 1, now shows 0")


async def test_a_timer_that_counts_down_and_a_value_that_cannot_be_seen_are_nobodys_doing(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.driver.values |= {"bat.timer": 17.0, "bat.set": None}
    rig.dispatcher.compare(image(rig))
    assert rig.dispatcher.held["bat.set"].effect is Effect.EFFECTIVE and rig.alarms.standing == []


async def test_an_enable_that_does_not_take_is_not_in_effect(rig):
    rig.driver.ignored = {"bat.enable"}
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert outcomes[0].detail == "bat.enable: wrote 1, read back 0"


@pytest.mark.parametrize("theirs", [19.0, 22.0])
async def test_while_a_higher_priority_commands_nothing_is_written_whatever_its_value(rig, theirs):
    rig.driver.slots = {"hp.set": {8: theirs}}
    outcomes = await rig.do(ActionKind.WRITE, "hp.set", 22.0)
    assert outcomes[0].detail == f"not written: priority 8 commands {theirs:g}"
    assert rig.events == [] and rig.dispatcher.held == {}
    assert rig.dispatcher.on_hold()["hp.set"].startswith(f"hp.set: priority 8 commands {theirs:g}")
    assert [(a.name, a.subject) for a in rig.alarms.standing] == [("overridden", "hp.set")]


async def test_what_is_held_waits_while_a_person_has_the_point_and_goes_on_after(rig):
    await rig.do(ActionKind.WRITE, "hp.set", 22.0)
    rig.driver.slots["hp.set"][8] = 25.0
    rig.events.clear()
    await rig.do(ActionKind.WRITE, "hp.set", 23.0)
    assert rig.events == [] and rig.dispatcher.held["hp.set"].effect is Effect.HELD_OFF
    del rig.driver.slots["hp.set"][8]
    await rig.do(ActionKind.WRITE, "hp.set", 23.0)
    assert rig.events == [("hp.set", 23.0)]
    assert rig.dispatcher.held["hp.set"].effect is Effect.EFFECTIVE and rig.alarms.standing == []


async def test_a_refusal_of_the_device_keeps_its_words(rig):
    rig.driver.refused = {"bat.set": "illegal data value"}
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert (outcomes[0].kind, outcomes[0].detail) == (JournalKind.REFUSED, "bat.set: illegal data value")


async def test_release_restores_in_reverse_order_what_was_found(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.events.clear()
    outcomes = await rig.do(ActionKind.RELEASE, "bat.set", 12.0)
    assert rig.events == [("bat.enable", 0.0), ("bat.set", 7.0), ("bat.timer", 0.0)]
    assert {(e.kind, e.point) for e in outcomes} == {
        (JournalKind.RELEASED, "bat.enable"), (JournalKind.RELEASED, "bat.set"), (JournalKind.RELEASED, "bat.timer"),
    }  # fmt: skip
    assert rig.dispatcher.held == {}


async def test_release_relinquishes_where_the_protocol_can_and_checks_the_slot(rig):
    await rig.do(ActionKind.WRITE, "hp.set", 22.0)
    rig.events.clear()
    await rig.do(ActionKind.RELEASE, "hp.set", 22.0)
    assert rig.events == [("hp.set", None)] and rig.driver.slots["hp.set"] == {}


async def test_a_release_that_fails_stays_ours_and_alarms(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.driver.dead = True
    outcomes = await rig.do(ActionKind.RELEASE, "bat.set", 12.0)
    assert outcomes[0].detail == "bat: connection refused; its own timer will end our command"
    assert "bat.set" in rig.dispatcher.held and rig.alarms.standing[0].name == "not-released"
    rig.driver.dead = False
    results = await rig.dispatcher.release_all()
    assert [r.ok for r in results] == [True] and rig.driver.values["bat.enable"] == 0.0
    assert rig.alarms.standing == []


async def test_a_dead_device_costs_a_failed_outcome_not_the_loop(rig):
    rig.driver.dead = True
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert [(e.kind, e.detail) for e in outcomes] == [(JournalKind.FAILED, "bat: connection refused")]
    assert rig.dispatcher.held == {}


async def test_what_could_not_be_restored_is_not_written(rig):
    read = rig.driver.read

    async def unreadable(points):
        samples = await read(points)
        return [Sample.bad(s.point, s.time, "sensor fault") if s.point == "bat.set" else s for s in samples]

    rig.driver.read = unreadable
    outcomes = await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    assert rig.events == [] and "could not be handed back" in outcomes[0].detail
    assert rig.dispatcher.held == {}


async def test_a_point_released_and_taken_again_at_once_is_ours_on_disk(rig):
    """The cycle has not committed the release yet when the next write takes the point over."""
    await rig.do(ActionKind.WRITE, "hp.set", 22.0)
    wish = Setpoint("hp.set", 22.0, Rank.OPTIMIZER, "plan", "because", 1e9)
    rig.dispatcher.submit([Action(ActionKind.RELEASE, wish)], 2)
    await rig.dispatcher.settle()
    rig.events.clear()
    rig.dispatcher.submit([Action(ActionKind.WRITE, wish)], 3)
    await rig.dispatcher.settle()
    assert rig.events == [("released", "hp.set", 19.0), ("own", "hp.set", 19.0), ("hp.set", 22.0)]
    assert [entry.kind for entry in rig.dispatcher.outcomes()] == [JournalKind.WRITTEN]


async def test_what_an_earlier_run_left_is_handed_back_when_the_device_is_there(rig, devices):
    now = rig.driver.clock.now()
    rig.driver.values.update({"bat.set": 12.0, "bat.enable": 1.0})
    rig.dispatcher.adopt([Owned("bat.timer", 0.0, now), Owned("bat.set", 7.0, now), Owned("bat.enable", 0.0, now)])
    assert list(rig.dispatcher.held) == ["bat.set"] and "bat.set" in rig.dispatcher.on_hold()
    # a wish for it meanwhile does not make our own leftover the state to restore
    await rig.do(ActionKind.WRITE, "bat.set", 9.0)
    assert [r.ok for r in await rig.dispatcher.release_all()] == [True]
    assert (rig.driver.values["bat.set"], rig.driver.values["bat.enable"]) == (7.0, 0.0)


async def test_what_a_lost_device_held_is_doubted(rig):
    await rig.do(ActionKind.WRITE, "bat.set", 12.0)
    rig.dispatcher.doubt({"hp"})
    assert rig.dispatcher.held["bat.set"].effect is Effect.EFFECTIVE
    rig.dispatcher.doubt({"bat"})
    assert rig.dispatcher.held["bat.set"].effect is Effect.UNCONFIRMED
