"""The contract every driver keeps, as one suite: subclass `DriverContract` and provide a fixture `rig`.

    from tests.drivers.contract import DriverContract

    class TestModbus(DriverContract):
        @pytest.fixture
        async def rig(self) -> AsyncIterator[ModbusRig]: ...

A rig is a real device (or an honest double) on a real socket plus the driver that speaks to it, already entered. What the
device received is logged by the device itself, never by the driver.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Protocol

import pytest

from energyctl.core.driver import Driver, Identifies, Partial, Refused, Written
from energyctl.core.errors import LinkError, LinkTimeout
from energyctl.core.points import Command, Quality, Write


class Rig(Protocol):
    """A device with a driver in front of it.

    `known` maps readable point ids of `device` to the canonical values that the device shows now: at least three points,
    all different, `refusable` among them. `command` has at least three steps on different points of `device`; its values
    differ from what the device shows before. All faults last until `heal()`.
    """

    driver: Driver
    device: str
    timeout_s: float
    """How long the driver waits for an answer [s]; keep it near 0.3."""
    known: dict[str, float]
    refusable: str
    """A point of `known` that `refuse_read` works on."""
    read_only: str
    writable: tuple[str, float]
    """A point and a canonical value for it that differs from what the device shows."""
    command: Command
    relinquishes: bool
    """Whether the protocol can give up a claim on `writable`."""
    identity: str
    """Part of what `identify` must answer; "" when the driver cannot identify this device."""
    neighbour: dict[str, float]
    """Points of another device on the same link and what it shows; {} when the link has only one."""

    def received(self) -> Sequence[tuple[str, float]]:
        """Every write that the device carried out since the rig was built, in order: point id, canonical value.

        A relinquish is not listed. Refused writes are not listed.
        """
        ...

    def shown(self, point: str) -> float:
        """What the device itself holds for a point now, canonical, asked behind the driver's back."""
        ...

    async def refuse_read(self, point: str) -> None:
        """From now on the device answers with its protocol's error when asked for this point."""
        ...

    async def refuse_write(self, point: str, after: int = 0) -> None:
        """From now on the device carries out `after` more writes to this point and answers the others with an error."""
        ...

    async def mute(self) -> None:
        """From now on `device` takes requests and answers none (the neighbour goes on answering)."""
        ...

    async def answer_late(self) -> None:
        """From now on `device` answers every request correctly, but 1.5 timeouts after it came."""
        ...

    async def stop(self) -> None:
        """Take the device off the network: whoever asks is refused, or gets no answer where the protocol has no such thing."""
        ...

    async def start(self) -> None:
        """Bring a stopped device back at the same address, showing `known` again."""
        ...

    async def heal(self) -> None:
        """End every fault except `stop`."""
        ...


def undone(command: Command, before: dict[str, float], at: int) -> list[tuple[str, float]]:
    """What a device must have received when step `at` was refused: the steps before it, then their undoing, last first."""
    done = [(step.point, step.value) for step in command.steps[:at]]
    return done + [(point, before[point]) for point, _ in reversed(done)]


def close(received: Sequence[tuple[str, float]]) -> list[tuple[str, object]]:
    """A log of writes that compares values within float tolerance."""
    return [(point, pytest.approx(value, rel=1e-6, abs=1e-9)) for point, value in received]


class DriverContract:
    """One test per sentence of `energyctl.core.driver`."""

    async def test_reads_each_point_once_in_the_order_asked(self, rig: Rig) -> None:
        for points in (list(rig.known), list(reversed(rig.known))):
            samples = await rig.driver.read(points)
            assert [sample.point for sample in samples] == points
            assert [sample.value for sample in samples] == [pytest.approx(rig.known[point]) for point in points]
            assert {sample.quality for sample in samples} == {Quality.GOOD}
            assert {sample.time.utcoffset() for sample in samples} == {timedelta(0)}
            assert all(sample.time.tzinfo is UTC for sample in samples)

    async def test_reading_nothing_gives_nothing(self, rig: Rig) -> None:
        assert await rig.driver.read([]) == []

    async def test_one_refused_point_is_bad_and_the_others_are_good(self, rig: Rig) -> None:
        await rig.refuse_read(rig.refusable)
        for _ in range(2):
            samples = {sample.point: sample for sample in await rig.driver.read(list(rig.known))}
            refused = samples.pop(rig.refusable)
            assert (refused.quality, refused.value) == (Quality.BAD, None)
            assert refused.reason
            assert {point: sample.value for point, sample in samples.items()} == {
                point: pytest.approx(value) for point, value in rig.known.items() if point != rig.refusable
            }
        await rig.heal()
        assert all(sample.quality is Quality.GOOD for sample in await rig.driver.read(list(rig.known)))

    async def test_silence_is_a_timeout_in_time(self, rig: Rig) -> None:
        await rig.driver.read(list(rig.known))
        await rig.mute()
        start = time.monotonic()
        with pytest.raises(LinkTimeout) as error:
            await rig.driver.read(list(rig.known))
        assert time.monotonic() - start < 2 * rig.timeout_s + 1
        assert error.value.device == rig.device

    async def test_an_absent_device_raises_and_is_found_again(self, rig: Rig) -> None:
        await rig.driver.read(list(rig.known))
        await rig.stop()
        for _ in range(2):
            start = time.monotonic()
            with pytest.raises(LinkError):
                await rig.driver.read(list(rig.known))
            assert time.monotonic() - start < 2 * rig.timeout_s + 1
        await rig.start()
        await self._until_good(rig)

    async def test_no_answer_that_comes_late_is_taken_for_another(self, rig: Rig) -> None:
        first, second, *_ = rig.known
        await rig.driver.read(list(rig.known))
        await rig.answer_late()
        with pytest.raises(LinkTimeout):
            await rig.driver.read([first])
        await rig.heal()
        for _ in range(6):
            for point in (second, first):
                try:
                    (sample,) = await rig.driver.read([point])
                except LinkError:
                    continue
                assert sample.value == pytest.approx(rig.known[point])
            await asyncio.sleep(rig.timeout_s / 6)
        (sample,) = await rig.driver.read([second])
        assert sample.value == pytest.approx(rig.known[second])

    async def test_a_cancelled_read_leaves_the_next_one_right(self, rig: Rig) -> None:
        first, second, *_ = rig.known
        await rig.driver.read(list(rig.known))
        await rig.answer_late()
        task = asyncio.create_task(rig.driver.read([first]))
        await asyncio.sleep(rig.timeout_s / 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rig.heal()
        (sample,) = await rig.driver.read([second])
        assert sample.value == pytest.approx(rig.known[second])

    async def test_callers_at_the_same_time_get_their_own_values(self, rig: Rig) -> None:
        points = [*rig.known] * 4
        answers = await asyncio.gather(*(rig.driver.read([point]) for point in points))
        assert [(s.point, s.value) for (s,) in answers] == [(p, pytest.approx(rig.known[p])) for p in points]

    async def test_a_silent_device_leaves_its_neighbour_alone(self, rig: Rig) -> None:
        if not rig.neighbour:
            return
        await rig.mute()
        dead, alive = await asyncio.gather(
            rig.driver.read(list(rig.known)), rig.driver.read(list(rig.neighbour)), return_exceptions=True
        )
        assert isinstance(dead, LinkTimeout)
        assert not isinstance(alive, BaseException)
        assert {sample.point: sample.value for sample in alive} == {
            point: pytest.approx(value) for point, value in rig.neighbour.items()
        }

    async def test_a_write_reaches_the_device(self, rig: Rig) -> None:
        point, value = rig.writable
        assert await rig.driver.write(Command(rig.device, (Write(point, value),))) == Written()
        assert rig.received() == close([(point, value)])
        assert rig.shown(point) == pytest.approx(value)
        (sample,) = await rig.driver.read([point])
        assert sample.value == pytest.approx(value)

    async def test_the_steps_of_a_command_are_done_in_order(self, rig: Rig) -> None:
        assert await rig.driver.write(rig.command) == Written()
        assert rig.received() == close([(step.point, step.value) for step in rig.command.steps])

    @pytest.mark.parametrize("at", [0, 1, -1])
    async def test_a_refused_step_undoes_those_before_it_last_first(self, rig: Rig, at: int) -> None:
        at %= len(rig.command.steps)
        point = rig.command.steps[at].point
        before = {step.point: rig.shown(step.point) for step in rig.command.steps}
        await rig.refuse_write(point)
        result = await rig.driver.write(rig.command)
        assert isinstance(result, Refused)
        assert result.point == point
        assert result.reason
        assert {step.point: rig.shown(step.point) for step in rig.command.steps} == pytest.approx(before)
        if not rig.relinquishes:
            assert rig.received() == close(undone(rig.command, before, at))

    async def test_what_cannot_be_undone_is_said_to_be_stuck(self, rig: Rig) -> None:
        first, last = rig.command.steps[0], rig.command.steps[-1]
        before = {step.point: rig.shown(step.point) for step in rig.command.steps}
        await rig.refuse_write(first.point, after=1)
        await rig.refuse_write(last.point)
        result = await rig.driver.write(rig.command)
        assert isinstance(result, Partial)
        assert (result.point, result.stuck) == (last.point, (first.point,))
        assert rig.shown(first.point) == pytest.approx(first.value)
        assert {s.point: rig.shown(s.point) for s in rig.command.steps[1:]} == pytest.approx(
            {s.point: before[s.point] for s in rig.command.steps[1:]}
        )

    async def test_a_write_with_an_unknown_outcome_raises(self, rig: Rig) -> None:
        point, value = rig.writable
        await rig.driver.read([point])
        await rig.mute()
        with pytest.raises(LinkTimeout):
            await rig.driver.write(Command(rig.device, (Write(point, value),)))

    async def test_a_write_to_an_absent_device_raises(self, rig: Rig) -> None:
        await rig.stop()
        with pytest.raises(LinkError):
            await rig.driver.write(rig.command)
        assert rig.received() == []

    async def test_a_read_only_point_is_never_written(self, rig: Rig) -> None:
        result = await rig.driver.write(Command(rig.device, (Write(rig.read_only, 1.0),)))
        assert isinstance(result, Refused)
        assert result.point == rig.read_only
        assert rig.received() == []

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    async def test_only_finite_numbers_are_written(self, rig: Rig, value: float) -> None:
        point, _ = rig.writable
        result = await rig.driver.write(Command(rig.device, (Write(point, value),)))
        assert isinstance(result, Refused)
        assert rig.received() == []

    async def test_relinquish_gives_up_our_claim_or_says_there_is_none(self, rig: Rig) -> None:
        point, value = rig.writable
        before = rig.shown(point)
        await rig.driver.write(Command(rig.device, (Write(point, value),)))
        result = await rig.driver.relinquish(point)
        if rig.relinquishes:
            assert result == Written()
            assert rig.shown(point) == pytest.approx(before)
        else:
            assert isinstance(result, Refused)
            assert rig.shown(point) == pytest.approx(value)

    async def test_a_device_says_who_it_is(self, rig: Rig) -> None:
        if rig.identity:
            assert isinstance(rig.driver, Identifies)
            assert rig.identity in await rig.driver.identify(rig.device)

    async def test_leaving_twice_is_harmless(self, rig: Rig) -> None:
        await rig.driver.__aexit__(None, None, None)
        await rig.driver.__aexit__(None, None, None)

    @staticmethod
    async def _until_good(rig: Rig, within_s: float = 5.0) -> None:
        """Read until the device is back; a driver may need a moment, but no other call than `read`."""
        end = time.monotonic() + within_s
        while True:
            try:
                samples = await rig.driver.read(list(rig.known))
            except LinkError:
                assert time.monotonic() < end, "the device is back, but the driver does not find it"
                await asyncio.sleep(0.05)
                continue
            assert {s.point: s.value for s in samples} == {p: pytest.approx(v) for p, v in rig.known.items()}
            return
