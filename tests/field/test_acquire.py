"""Polling: what is due when, what a dead device costs, who may be written to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from energyctl.core.clock import LockstepClock
from energyctl.core.driver import Device
from energyctl.core.errors import LinkTimeout
from energyctl.core.points import Quality, Sample
from energyctl.core.profile import Profile
from energyctl.field.acquire import Acquisition, Schedule, back_off, poll_periods

START = datetime(2026, 1, 15, tzinfo=UTC)


def device(name="meter", identity=None, frozen_after_s=None):
    return Device(
        name,
        Profile.model_validate(
            {
                "profile": "test/meter@1", "vendor": "t", "model": "t", "kind": "meter", "protocol": "x", "identity": identity,
                "points": {"power": {"unit": "kW", "frozen_after_s": frozen_after_s}, "energy": {"unit": "kWh", "poll": "slow"}},
            }
        ),
    )  # fmt: skip


class Meter:
    def __init__(self, clock):
        self.clock, self.asked, self.dead, self.name = clock, [], False, "Acme M1"

    async def read(self, points):
        self.asked.append((self.clock.monotonic(), tuple(p.partition(".")[2] for p in points)))
        if self.dead:
            raise LinkTimeout("meter", "no answer within 1 s")
        return [Sample(point, self.clock.now(), 1.0) for point in points]

    async def identify(self, device):
        return self.name


class Bench:
    def __init__(self, period_s=1.0, identity=None, frozen_after_s=None, spans=None):
        async def advance(to):
            pass

        self.clock = LockstepClock(START, advance)
        self.acquisition = Acquisition(self.clock, period_s, spans)
        self.device, self.meter = device(identity=identity, frozen_after_s=frozen_after_s), Meter(self.clock)
        self.acquisition.add(self.device)

    async def until(self, seconds, at=None):
        async def script():
            with self.clock.busy():
                for when, change in sorted((at or {}).items()):
                    await self.clock.sleep_until(when - 0.5)
                    change()
                await self.clock.sleep_until(seconds - 0.25)

        tasks = [asyncio.create_task(self.acquisition.poll(self.device, self.meter, jitter=False))]
        tasks.append(asyncio.create_task(self.clock.drive()))
        await script()
        for task in tasks:
            task.cancel()


def test_slow_points_are_polled_every_15_periods_and_a_minute_at_most():
    assert poll_periods(device(), 1.0) == {"meter.power": 1.0, "meter.energy": 60.0}
    assert poll_periods(device(), 60.0) == {"meter.power": 60.0, "meter.energy": 900.0}


def test_missed_polls_are_skipped():
    schedule = Schedule({"a": 1.0})
    schedule.read(["a"], 0.0)
    assert schedule.next == 1.0
    schedule.read(["a"], 7.3)
    assert schedule.next == pytest.approx(8.3)


async def test_all_that_is_due_is_read_in_one_go():
    bench = Bench()
    await bench.until(3)
    assert bench.meter.asked == [(0.0, ("power", "energy")), (1.0, ("power",)), (2.0, ("power",))]


async def test_a_dead_device_is_asked_ever_less_and_comes_back():
    bench = Bench()
    bench.meter.dead = True
    await bench.until(40, {30: lambda: setattr(bench.meter, "dead", False)})
    times = [time for time, _ in bench.meter.asked]
    assert times[:5] == [0.0, 2.0, 6.0, 14.0, 24.0]  # waits of 2, 4, 8 and then 10 s at most
    assert times[5] == 34.0 and times[6] == 35.0  # answered: back to the normal pace
    assert bench.acquisition.blocked() == {}


async def test_a_device_that_was_away_is_asked_for_everything_when_it_is_back():
    bench = Bench()
    await bench.until(
        8, {2: lambda: setattr(bench.meter, "dead", True), 4: lambda: setattr(bench.meter, "dead", False)}
    )
    # all its points went bad with it, so none may wait for the next slow poll
    assert bench.acquisition.image(1).value("meter.energy") == 1.0


def test_a_device_that_is_away_for_days_is_still_asked():
    assert [back_off(1.0, n) for n in (1, 3, 4, 5000)] == [2.0, 8.0, 10.0, 10.0]
    assert back_off(60.0, 5000) == 60.0


async def test_a_driver_that_fails_costs_its_device_and_nothing_else():
    bench = Bench()

    async def broken(points):
        raise ZeroDivisionError("division by zero")

    bench.meter.read = broken
    await bench.until(8)
    assert "the driver failed: ZeroDivisionError" in bench.acquisition.blocked()["meter"]
    assert bench.acquisition.states["meter"].errors == 3


async def test_silence_makes_bad_samples_at_once_and_blocks_writing():
    bench = Bench()
    await bench.until(8, {2: lambda: setattr(bench.meter, "dead", True)})
    image = bench.acquisition.image(1)
    assert image["meter.power"].quality is Quality.BAD and "no answer within 1 s" in image["meter.power"].reason
    assert image.value("meter.power") is None
    assert "does not answer" in bench.acquisition.blocked()["meter"]


async def test_a_device_that_says_it_is_another_is_read_but_not_written_to():
    bench = Bench(identity={"contains": "other"})
    await bench.until(2)
    assert bench.acquisition.image(1).value("meter.power") == 1.0
    assert bench.acquisition.blocked() == {"meter": "meter says it is 'Acme M1', the profile expects 'other'"}


async def test_a_device_that_another_takes_the_place_of_is_noticed_without_an_outage():
    bench = Bench(identity={"contains": "Acme"})
    await bench.until(130, {5: lambda: setattr(bench.meter, "name", "Other X9")})
    assert "says it is 'Other X9'" in bench.acquisition.blocked()["meter"]


async def test_nothing_is_known_before_the_first_poll():
    bench = Bench()
    assert bench.acquisition.image(0)["meter.power"].reason == "not read yet"
    assert "has not been reached yet" in bench.acquisition.blocked()["meter"]


async def later(clock, seconds):
    """Let time pass on a virtual clock with nobody polling."""

    async def script():
        with clock.busy():
            await clock.sleep_until(clock.monotonic() + seconds)

    driving = asyncio.create_task(clock.drive())
    await script()
    driving.cancel()


async def test_what_is_three_polls_old_is_stale_whatever_the_wall_clock_says():
    bench = Bench()
    bench.acquisition.take([Sample("meter.power", START - timedelta(hours=1), 5.0)])
    await later(bench.clock, 2.5)
    assert bench.acquisition.image(1).value("meter.power") == 5.0
    await later(bench.clock, 1.0)
    assert bench.acquisition.image(2)["meter.power"].reason == "stale for 4 s"


async def test_a_reading_that_never_moves_is_frozen_and_believed_again_when_it_does():
    bench = Bench(frozen_after_s=10.0)
    for second in range(0, 15, 5):
        bench.acquisition.take([Sample("meter.power", START, 5.0)])
        expected = "" if second < 10 else "frozen at 5 kW for 10 s"
        assert bench.acquisition.image(second)["meter.power"].reason == expected
        await later(bench.clock, 5.0)
    bench.acquisition.take([Sample("meter.power", START, 5.001)])
    assert bench.acquisition.image(20).value("meter.power") == 5.001


async def test_what_is_beyond_the_connection_is_shown_and_not_believed():
    bench = Bench(spans={"meter.power": (-30.0, 30.0)})
    bench.acquisition.take([Sample("meter.power", START, 12000.0)])
    sample = bench.acquisition.image(1)["meter.power"]
    assert (sample.value, sample.quality, sample.reason) == (
        12000.0,
        Quality.UNCERTAIN,
        "implausible: beyond -30..30 kW",
    )


async def test_fresh_samples_are_handed_out_once():
    bench = Bench()
    await bench.until(1)
    assert [s.point for s in bench.acquisition.fresh()] == ["meter.energy", "meter.power"]
    assert bench.acquisition.fresh() == ()
