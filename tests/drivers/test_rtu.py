"""Modbus on a serial line, where nothing in a frame says which question it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.modbus import factory
from drivers.modbus.rtu import answer_in
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.errors import ConfigError, GarbledError, LinkError, LinkTimeout
from energyctl.core.profile import Profile
from tests.drivers.modbus_bench import BenchUnit
from tests.drivers.rtu_bench import RtuBench, check_sum

TIMEOUT_S = 0.3
METER = Profile.model_validate(
    {
        "profile": "acme/meter@1",
        "vendor": "Acme",
        "model": "M",
        "kind": "meter",
        "protocol": "modbus",
        "points": {name: {"address": {"register": register}} for name, register in (("one", 1), ("two", 40))},
    }
)


def framed(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + check_sum(body)


ASKED = framed("03 03 0028 0001")
ANSWER = framed("03 03 02 0007")


@pytest.mark.parametrize(
    ("received", "found"),
    [
        (ANSWER, ANSWER),
        (framed("03 83 02"), framed("03 83 02")),
        (b"\x00" + ANSWER + b"\xff", ANSWER),  # what a driver chip leaves on the line when it is switched
        (framed("04 03 02 0009") + ANSWER, ANSWER),  # a neighbour's late answer before it
        (ANSWER[:-1], b""),
        (ANSWER[:-1] + b"\x00", b""),
        (framed("04 03 02 0007"), b""),
        (framed("03 04 02 0007"), b""),
        (framed("03 03 04 0007 0008"), b""),
        (framed("03 84 02"), b""),
        (b"", b""),
    ],
)
def test_only_a_sound_frame_that_fits_the_question_is_an_answer(received: bytes, found: bytes) -> None:
    assert answer_in(ASKED, received) == found


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("03 01 0000 000a", "03 01 02 ff03"),
        ("03 02 0000 0008", "03 02 01 ff"),
        ("03 04 0000 0002", "03 04 04 0001 0002"),
        ("03 05 0002 ff00", "03 05 0002 ff00"),
        ("03 06 0028 1234", "03 06 0028 1234"),
        ("03 10 0028 0002 04 0001 0002", "03 10 0028 0002"),
    ],
)
def test_answers_by_function(asked: str, answer: str) -> None:
    assert answer_in(framed(asked), framed(answer)) == framed(answer)


def test_an_acknowledgement_of_another_write_is_none_of_ours() -> None:
    assert answer_in(framed("03 06 0028 1234"), framed("03 06 0028 1235")) == b""


@asynccontextmanager
async def line(**units: BenchUnit) -> AsyncIterator[tuple[RtuBench, Driver]]:
    bench = RtuBench(**units)
    await bench.start()
    devices = [Device(f"m{number}", METER, {"unit": number}) for number in bench.units]
    link = Link("bus", "modbus", {**bench.options, "timeout": TIMEOUT_S})
    try:
        async with factory.open(link, devices, LiveClock()) as driver:
            yield bench, driver
    finally:
        await bench.stop()


async def value(driver: Driver, point: str) -> float | None:
    (sample,) = await driver.read([point])
    return sample.value


async def test_a_frame_with_a_wrong_check_sum_is_garbled_and_the_next_is_not() -> None:
    unit = BenchUnit(holding={1: 11, 40: 7}, mangle=lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)))
    async with line(u3=unit) as (_, driver):
        with pytest.raises(GarbledError):
            await value(driver, "m3.one")
        unit.mangle = None
        assert await value(driver, "m3.two") == 7


async def test_noise_around_a_frame_does_no_harm() -> None:
    unit = BenchUnit(holding={1: 11, 40: 7}, mangle=lambda frame: b"\x00\xff" + frame + b"\x00")
    async with line(u3=unit) as (_, driver):
        assert [await value(driver, "m3.one"), await value(driver, "m3.two")] == [11, 7]


@pytest.mark.parametrize("late", [1.2, 1.9])
async def test_an_answer_that_is_late_is_thrown_away_while_the_neighbour_is_asked_on(late: float) -> None:
    """The second question has the shape of the first: only waiting keeps 11 from being taken for what is in 40."""
    slow, quick = BenchUnit(holding={1: 11, 40: 7}), BenchUnit(holding={1: 21, 40: 17})
    async with line(u3=slow, u4=quick) as (_, driver):
        slow.delay_s = late * TIMEOUT_S
        with pytest.raises(LinkTimeout):
            await value(driver, "m3.one")
        slow.delay_s = 0.8 * TIMEOUT_S
        start = time.monotonic()
        assert await value(driver, "m4.one") == 21
        assert time.monotonic() - start < TIMEOUT_S / 2
        assert await value(driver, "m3.two") == 7


async def test_the_line_is_silent_for_three_and_a_half_characters_before_a_request() -> None:
    """Noise just before: the request waits until it has been quiet. At 1200 baud 3.5 characters take 29 ms."""
    bench = RtuBench(u3=BenchUnit(holding={1: 11, 40: 7}))
    await bench.start()
    link = Link("bus", "modbus", {**bench.options, "baudrate": 1200, "timeout": TIMEOUT_S})
    async with factory.open(link, [Device("m3", METER, {"unit": 3})], LiveClock()) as driver:
        await value(driver, "m3.one")
        bench.say(b"\x55")
        await asyncio.sleep(0.01)
        start = time.monotonic()
        assert await value(driver, "m3.two") == 7
        assert time.monotonic() - start > 0.015
    await bench.stop()


async def test_a_port_that_is_not_there_is_said_to_be_missing(tmp_path) -> None:
    link = Link("bus", "modbus", {"transport": "rtu", "device": str(tmp_path / "ttyUSB7")})
    async with factory.open(link, [Device("m3", METER, {"unit": 3})], LiveClock()) as driver:
        with pytest.raises(LinkError, match=r"ttyUSB7: there is no such port"):
            await value(driver, "m3.one")


async def test_a_port_that_does_not_take_the_settings_is_a_link_error() -> None:
    """A pseudo-terminal has no parity; what the C library says to that must not come through as it is."""
    bench = RtuBench(u3=BenchUnit(holding={1: 11}))
    await bench.start()
    link = Link("bus", "modbus", {**bench.options, "parity": "E"})
    async with factory.open(link, [Device("m3", METER, {"unit": 3})], LiveClock()) as driver:
        try:
            assert await value(driver, "m3.one") == 11  # some C libraries do not look
        except LinkError as error:
            assert "settings" in str(error)
    await bench.stop()


def test_unit_zero_is_the_broadcast() -> None:
    link = Link("bus", "modbus", {"transport": "rtu", "device": "/dev/ttyUSB0"})
    with pytest.raises(ConfigError, match=r"devices\.m\.unit: on a serial line 0 speaks to all"):
        factory.open(link, [Device("m", METER, {"unit": 0})], LiveClock())
