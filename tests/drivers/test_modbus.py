"""Modbus over a real socket: the traps of shared connections, refused registers, late and garbled answers, SunSpec."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from drivers.modbus import factory
from drivers.modbus.connection import Connection
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import TcpOptions
from drivers.modbus.tcp import TcpWire, fits
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Link, Partial, Refused, Written
from energyctl.core.errors import ConfigError, DeviceRefused, GarbledError, LinkError, LinkTimeout
from energyctl.core.points import Command, Quality, Sample, Write
from energyctl.core.profile import Profile
from tests.drivers.modbus_bench import BenchUnit, ModbusBench
from tests.drivers.test_contract_modbus import chain, sunspec_battery

TIMEOUT_S = 0.2


def profile(points: Mapping[str, Any], **more: Any) -> Profile:
    return Profile.model_validate(
        {"profile": "acme/x@1", "vendor": "A", "model": "X", "kind": "x", "protocol": "modbus", "points": points} | more
    )


def words(count: int, **more: Any) -> Profile:
    """`count` uint16 points p0, p1, ... at registers 0, 1, ..."""
    return profile({f"p{at}": {"address": {"register": at}, "access": "rw"} for at in range(count)}, **more)


async def opened(bench: ModbusBench, *devices: Device, **options: float) -> AsyncIterator[ModbusDriver]:
    await bench.start()
    link = Link("l", "modbus", {"host": "127.0.0.1", "port": bench.port, "timeout": TIMEOUT_S, **options})
    async with factory.open(link, list(devices), LiveClock()) as driver:
        assert isinstance(driver, ModbusDriver)
        yield driver
    await bench.stop()


class Setup:
    """A bench and a driver, in one `async with`."""

    def __init__(self, *devices: Device, units: Mapping[int, BenchUnit], **options: float) -> None:
        self.bench = ModbusBench(**{f"u{number}": unit for number, unit in units.items()})
        self._opened = opened(self.bench, *devices, **options)

    async def __aenter__(self) -> tuple[ModbusDriver, ModbusBench]:
        return await anext(self._opened), self.bench

    async def __aexit__(self, *_: object) -> None:
        await anext(self._opened, None)


def values(samples: list[Sample]) -> list[float | None]:
    return [sample.value for sample in samples]


def ids(device: str, count: int) -> list[str]:
    return [f"{device}.p{at}" for at in range(count)]


# -- blocks on the wire ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "options", "asked"),
    [
        (10, {}, [(3, 0, 10)]),
        (130, {}, [(3, 0, 125), (3, 125, 5)]),
        (130, {"max_registers": 80}, [(3, 0, 80), (3, 80, 50)]),
        (10, {"holes": [[4, 4]], "max_registers": 50}, [(3, 0, 5), (3, 5, 5)]),
    ],
)
async def test_a_device_is_read_in_few_requests(count: int, options: dict[str, Any], asked: list[Any]) -> None:
    unit = BenchUnit(holding={at: 1000 + at for at in range(count)})
    async with Setup(Device("d", words(count, options=options), {"unit": 1}), units={1: unit}) as (driver, _):
        assert values(await driver.read(ids("d", count))) == [1000.0 + at for at in range(count)]
        assert unit.asked == asked


async def test_tables_are_asked_with_their_own_function() -> None:
    points = {
        "h": {"address": {"register": 1}},
        "i": {"address": {"table": "input", "register": 1}},
        "c": {"kind": "bool", "access": "rw", "address": {"table": "coil", "register": 1}},
        "d": {"kind": "bool", "address": {"table": "discrete", "register": 1}},
    }
    unit = BenchUnit(holding={1: 11}, input={1: 22}, coil={1: 0}, discrete={1: 1})
    async with Setup(Device("d", profile(points)), units={1: unit}) as (driver, _):
        assert values(await driver.read(["d.h", "d.i", "d.c", "d.d"])) == [11.0, 22.0, 0.0, 1.0]
        assert sorted(unit.asked) == [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]


async def test_nine_coils_come_back_in_order() -> None:
    pattern = [1, 0, 0, 1, 1, 0, 1, 0, 1]
    points = {f"p{at}": {"address": {"table": "coil", "register": 20 + at}} for at in range(9)}
    unit = BenchUnit(coil=dict(enumerate(pattern, 20)))
    async with Setup(Device("d", profile(points)), units={1: unit}) as (driver, _):
        assert values(await driver.read(ids("d", 9))) == pattern


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1, 2, 3, 4])
async def test_a_refused_register_is_isolated_and_then_asked_alone(code: int) -> None:
    unit = BenchUnit(holding={at: at for at in range(32)}, unreadable={("holding", 13): code})
    async with Setup(Device("d", words(32)), units={1: unit}) as (driver, _):
        samples = await driver.read(ids("d", 32))
        assert [s.point for s in samples if s.quality is Quality.BAD] == ["d.p13"]
        assert f"({code})" in samples[13].reason
        assert len(unit.asked) <= 2 * 5 + 1  # halving 32 down to 1
        unit.asked.clear()
        await driver.read(ids("d", 32))
        assert unit.asked == [(3, 0, 13), (3, 14, 18), (3, 13, 1)]
        unit.unreadable.clear()
        await driver.read(ids("d", 32))
        unit.asked.clear()
        assert values(await driver.read(ids("d", 32))) == [float(at) for at in range(32)]
        assert unit.asked == [(3, 0, 32)]


async def test_registers_between_two_points_that_the_device_lacks_are_learned() -> None:
    points = {"p0": {"address": {"register": 0}}, "p1": {"address": {"register": 5}}}
    unit = BenchUnit(holding={0: 7, 5: 9})
    async with Setup(Device("d", profile(points)), units={1: unit}) as (driver, _):
        assert values(await driver.read(ids("d", 2))) == [7.0, 9.0]
        assert unit.asked == [(3, 0, 6), (3, 0, 1), (3, 5, 1)]
        unit.asked.clear()
        await driver.read(ids("d", 2))
        assert unit.asked == [(3, 0, 1), (3, 5, 1)]


@pytest.mark.parametrize("code", [5, 6])
async def test_a_busy_device_is_not_asked_again_and_again(code: int) -> None:
    unit = BenchUnit(holding={at: at for at in range(8)}, unreadable={("holding", 3): code})
    async with Setup(Device("d", words(8)), units={1: unit}) as (driver, _):
        samples = await driver.read(ids("d", 8))
        assert {s.quality for s in samples} == {Quality.BAD}
        assert unit.asked == [(3, 0, 8)]
        unit.unreadable.clear()
        assert values(await driver.read(ids("d", 8))) == [float(at) for at in range(8)]


@pytest.mark.parametrize(
    ("registers", "reason"),
    [
        ((0x7FC0, 0x0000), "not a number (NaN)"),
        ((0xFF80, 0x0000), "infinite"),
        ((0xFFFF, 0xFFFF), "not available (0xFFFFFFFF)"),
    ],
)
async def test_a_float_that_is_no_number_is_bad_with_the_reason(registers: tuple[int, int], reason: str) -> None:
    points = {"p0": {"address": {"register": 0, "type": "float32", "not_available": [0xFFFFFFFF]}}}
    unit = BenchUnit(holding=dict(enumerate(registers)))
    async with Setup(Device("d", profile(points)), units={1: unit}) as (driver, _):
        (sample,) = await driver.read(["d.p0"])
        assert (sample.quality, sample.value, sample.reason) == (Quality.BAD, None, reason)


# -- a shared connection -----------------------------------------------------------------------------------------------


async def test_a_dead_unit_delays_its_neighbours_by_one_timeout_at_most() -> None:
    alive = BenchUnit(holding={at: 50 + at for at in range(4)})
    devices = [Device("dead", words(4), {"unit": 9}), Device("ok", words(4), {"unit": 1})]
    async with Setup(*devices, units={9: BenchUnit(mute=True), 1: alive}) as (driver, bench):
        for _ in range(3):
            start = time.monotonic()
            dead, ok = await asyncio.gather(
                driver.read(ids("dead", 4)), driver.read(ids("ok", 4)), return_exceptions=True
            )
            assert isinstance(dead, LinkTimeout)
            assert not isinstance(ok, BaseException)
            assert values(ok) == [50.0, 51.0, 52.0, 53.0]
            assert time.monotonic() - start < TIMEOUT_S + 0.3
        assert bench.connections == 4  # the first, and a fresh one after every silence


async def test_a_gateway_that_answers_for_its_dead_device_keeps_the_connection() -> None:
    devices = [Device("dead", words(2), {"unit": 9}), Device("ok", words(2), {"unit": 1})]
    async with Setup(*devices, units={1: BenchUnit(holding={0: 1, 1: 2})}) as (driver, bench):
        with pytest.raises(LinkTimeout, match="got no answer"):
            await driver.read(ids("dead", 2))
        assert values(await driver.read(ids("ok", 2))) == [1.0, 2.0]
        assert bench.connections == 1


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "unnumbered"])
async def test_a_reply_that_comes_late_is_never_another_questions_answer(numbered: bool) -> None:
    """Every register holds its own number; answers take from none to three timeouts, by turns.

    Some gateways do not number their answers (transaction 0): only a fresh connection tells those apart.
    """
    unit = BenchUnit(holding={at: 5000 + at for at in range(60)})
    unit.mangle = None if numbered else lambda frame: b"\0\0" + frame[2:]
    right = 0
    async with Setup(Device("d", words(60)), units={1: unit}, timeout=0.05) as (driver, _):
        for turn in range(60):
            unit.delay_s = (0.0, 0.07, 0.0, 0.02, 0.15, 0.0, 0.055)[turn % 7]
            try:
                (sample,) = await driver.read([f"d.p{turn}"])
            except LinkTimeout:
                continue
            right += 1
            assert sample.value == 5000 + turn
    assert 6 < right < 60


async def test_a_cancelled_question_takes_its_answer_with_it() -> None:
    """An unnumbered answer to a question that nobody waits for any more arrives while the next one is out."""
    unit = BenchUnit(holding={0: 10, 1: 11}, mangle=lambda frame: b"\0\0" + frame[2:], delay_s=0.06)
    async with Setup(Device("d", words(2)), units={1: unit}) as (driver, _):
        task = asyncio.create_task(driver.read(["d.p0"]))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        unit.delay_s = 0.1
        assert values(await driver.read(["d.p1"])) == [11.0]


async def test_a_connection_that_is_lost_while_waiting_is_noticed_at_once() -> None:
    unit = BenchUnit(holding={0: 1}, mute=True)
    async with Setup(Device("d", words(1)), units={1: unit}, timeout=5.0) as (driver, bench):
        task = asyncio.create_task(driver.read(["d.p0"]))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        bench.cut()
        with pytest.raises(LinkError, match="connection lost") as error:
            await task
        assert not isinstance(error.value, LinkTimeout)
        assert time.monotonic() - start < 0.5


async def test_a_server_that_restarts_is_found_by_the_next_call_but_one() -> None:
    unit = BenchUnit(holding={0: 1})
    async with Setup(Device("d", words(1)), units={1: unit}) as (driver, bench):
        assert values(await driver.read(["d.p0"])) == [1.0]
        await bench.stop()
        unit.holding[0] = 2
        await bench.start()
        try:
            first = values(await driver.read(["d.p0"]))
        except LinkError:
            first = values(await driver.read(["d.p0"]))
        assert first == [2.0]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue of connections is full: it drops whatever else knocks."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (first, second):
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        yield full.getsockname()[1]


async def test_an_address_where_nobody_answers_takes_no_longer_than_the_timeout(silent_port: int) -> None:
    connection = Connection(TcpWire(TcpOptions(host="127.0.0.1", port=silent_port)), 0.2)
    start = time.monotonic()
    with pytest.raises(LinkError, match="cannot connect to"):
        await connection.connect("d")
    assert 0.15 < time.monotonic() - start < 1


async def test_those_who_waited_for_an_unreachable_link_do_not_each_try_again(silent_port: int) -> None:
    devices = [Device(f"d{at}", words(1), {"unit": at}) for at in range(1, 21)]
    link = Link("l", "modbus", {"host": "127.0.0.1", "port": silent_port, "timeout": 0.2})
    async with factory.open(link, devices, LiveClock()) as driver:
        start = time.monotonic()
        results = await asyncio.gather(*(driver.read([f"{d.id}.p0"]) for d in devices), return_exceptions=True)
        assert time.monotonic() - start < 2  # twenty attempts would take four seconds
        assert [type(result) for result in results] == [LinkError] * 20
        assert [result.device for result in results if isinstance(result, LinkError)] == [d.id for d in devices]


async def test_the_gap_between_requests_is_kept() -> None:
    unit = BenchUnit(holding={at: at for at in range(12)})
    options = {"max_registers": 4}
    async with Setup(Device("d", words(12, options=options)), units={1: unit}, gap=0.05) as (driver, _):
        start = time.monotonic()
        await driver.read(ids("d", 12))
        assert time.monotonic() - start >= 2 * 0.05


# -- nonsense ----------------------------------------------------------------------------------------------------------

MANGLED: dict[str, Callable[[bytes], bytes]] = {
    "another unit": lambda frame: frame[:6] + b"\x08" + frame[7:],
    "another function": lambda frame: frame[:7] + b"\x04" + frame[8:],
    "another protocol": lambda frame: frame[:2] + b"\x00\x07" + frame[4:],
    "too few registers": lambda frame: frame[:4] + b"\x00\x05" + frame[6:8] + b"\x02" + frame[9:11],
    "a byte count that lies": lambda frame: frame[:8] + b"\x09" + frame[9:],
    "a length that lies": lambda frame: frame[:4] + b"\xff\xff" + frame[6:],
    "noise": lambda frame: bytes(range(200, 230)),
    "an unknown function": lambda frame: frame[:4] + b"\x00\x03" + frame[6:7] + b"\x63\x00",
}


@pytest.mark.parametrize("how", MANGLED)
async def test_an_answer_that_does_not_fit_is_garbled_and_the_next_one_counts(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    unit = BenchUnit(holding={0: 1, 1: 2}, mangle=MANGLED[how])
    async with Setup(Device("d", words(2)), units={1: unit}) as (driver, bench):
        with pytest.raises(GarbledError):
            await driver.read(ids("d", 2))
        unit.mangle = None
        assert values(await driver.read(ids("d", 2))) == [1.0, 2.0]
        assert bench.connections == 2
    assert caplog.records == []  # no traceback out of a callback


async def test_an_answer_that_comes_many_times_at_once_is_an_answer() -> None:
    unit = BenchUnit(holding={at: at for at in range(60)}, mangle=lambda frame: frame * 5)
    async with Setup(Device("d", words(60)), units={1: unit}) as (driver, _):
        for _again in range(3):
            assert values(await driver.read(ids("d", 60))) == [float(at) for at in range(60)]


async def test_an_answer_in_pieces_is_an_answer() -> None:
    question = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 2)
    answer = struct.pack(">HHHBBBHH", 7, 0, 7, 1, 3, 4, 1, 2)
    assert all(fits(question, answer[:length]) for length in range(len(answer) + 1))


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (struct.pack(">HHHBBB", 7, 0, 3, 1, 0x83, 2), True),
        (struct.pack(">HHHBBBHH", 6, 0, 7, 1, 3, 4, 1, 2), True),  # of an earlier question: skipped, not taken
        (struct.pack(">HHHBBBHH", 6, 0, 7, 9, 4, 4, 1, 2), True),
        (struct.pack(">HHHBBBHH", 6, 0, 7, 1, 3, 4, 1, 2) + struct.pack(">HHHBBB", 7, 0, 3, 2, 0x83, 2), False),
        (struct.pack(">HHHBBB", 7, 0, 3, 1, 0x84, 2), False),
        (struct.pack(">HHHBBBB", 7, 0, 4, 1, 0x83, 2, 0), False),
    ],
)
def test_which_frames_fit_a_question(answer: bytes, good: bool) -> None:
    assert fits(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 2), answer) is good


# -- writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "function"), [({}, 6), ({"single_write": False}, 16)])
async def test_one_register_is_written_as_the_device_wants_it(options: dict[str, Any], function: int) -> None:
    unit = BenchUnit(holding={0: 0})
    async with Setup(Device("d", words(1, options=options)), units={1: unit}) as (driver, _):
        assert await driver.write(Command("d", (Write("d.p0", 12.4),))) == Written()
        assert unit.log == [("holding", 0, (12,))]
        assert unit.asked[-1][0] == function


async def test_what_does_not_fit_is_refused_before_anything_is_written() -> None:
    unit = BenchUnit(holding={0: 0, 1: 0})
    async with Setup(Device("d", words(2)), units={1: unit}) as (driver, _):
        result = await driver.write(Command("d", (Write("d.p0", 1.0), Write("d.p1", 70000.0))))
        assert result == Refused("d.p1", "70000 does not fit uint16 (0 to 65535)")
        assert unit.log == []


async def test_what_cannot_be_read_is_not_written() -> None:
    unit = BenchUnit(holding={0: 0, 1: 0}, unreadable={("holding", 1): 2})
    async with Setup(Device("d", words(2)), units={1: unit}) as (driver, _):
        result = await driver.write(Command("d", (Write("d.p0", 1.0), Write("d.p1", 1.0))))
        assert isinstance(result, Refused)
        assert (result.point, unit.log) == ("d.p1", [])


async def test_undoing_restores_the_very_registers() -> None:
    """0x7FC1 0x0042 is a NaN with a payload: no value, but it goes back bit for bit."""
    points = {
        "a": {"access": "rw", "address": {"register": 0, "type": "float32"}},
        "b": {"access": "rw", "address": {"register": 2}},
    }
    unit = BenchUnit(holding={0: 0x7FC1, 1: 0x0042, 2: 5}, unwritable={("holding", 2): 0})
    async with Setup(Device("d", profile(points)), units={1: unit}) as (driver, _):
        assert isinstance(await driver.write(Command("d", (Write("d.a", 1.0), Write("d.b", 6.0)))), Refused)
        assert unit.log == [("holding", 0, (0x3F80, 0)), ("holding", 0, (0x7FC1, 0x0042))]


async def test_a_link_lost_after_the_first_step_leaves_all_steps_unknown() -> None:
    unit = BenchUnit(holding=dict.fromkeys(range(3), 0))
    async with Setup(Device("d", words(3)), units={1: unit}) as (driver, _):
        writes = 0

        def die(frame: bytes) -> bytes:
            nonlocal writes
            writes += frame[7] == 6
            if writes == 2:
                unit.mute = True
                return b""
            return frame

        unit.mangle = die
        result = await driver.write(Command("d", tuple(Write(f"d.p{at}", 1.0) for at in range(3))))
        assert isinstance(result, Partial)
        assert (result.point, result.stuck) == ("d.p1", ("d.p1", "d.p0"))
        assert "no answer" in result.reason


async def test_a_step_without_an_answer_is_undone_when_the_device_is_back() -> None:
    unit = BenchUnit(holding={at: 10 + at for at in range(3)})
    async with Setup(Device("d", words(3)), units={1: unit}) as (driver, _):
        swallowed = False

        def swallow(frame: bytes) -> bytes:
            nonlocal swallowed
            if frame[7] == 6 and len(unit.log) == 2 and not swallowed:
                swallowed = True
                return b""
            return frame

        unit.mangle = swallow
        with pytest.raises(LinkTimeout):
            await driver.write(Command("d", tuple(Write(f"d.p{at}", 1.0) for at in range(3))))
        assert unit.holding == {0: 10, 1: 11, 2: 12}
        assert [start for _, start, _ in unit.log] == [0, 1, 1, 0]


async def test_a_write_that_is_accepted_but_not_done_has_an_unknown_outcome() -> None:
    unit = BenchUnit(holding={0: 0}, unwritable={("holding", 0): 0}, write_code=5)
    async with Setup(Device("d", words(1)), units={1: unit}) as (driver, _):
        with pytest.raises(LinkTimeout, match="does not say that it is done"):
            await driver.write(Command("d", (Write("d.p0", 1.0),)))


# -- SunSpec -----------------------------------------------------------------------------------------------------------

BATTERY: dict[int, dict[str, Any]] = {
    1: {"Mn": "Acme", "Md": "Bat", "Vr": "1"},
    701: {"W": 100, "W_SF": 0},
    704: {"WSetEna": 0, "WSetMod": 0, "WSet": 0, "WSet_SF": 0, "WSetRvrtTms": 0},
    713: {"WHRtg": 600, "SoC": 50, "WH_SF": 2, "Pct_SF": 0},
}


def battery(base: int = 40000, **changes: dict[str, Any]) -> dict[int, int]:
    models = {number: values | changes.get(f"m{number}", {}) for number, values in BATTERY.items()}
    return chain(base, *models.items())


@pytest.mark.parametrize(
    ("changes", "point", "reason"),
    [
        ({"m701": {"W": -32768}}, "power", "not implemented (0x8000)"),
        ({"m701": {"W_SF": -32768}}, "power", "scale factor not implemented (0x8000)"),
        ({"m701": {"W_SF": 12}}, "power", "scale factor 12 is outside -10 to 10"),
        ({"m713": {"SoC": 65535}}, "soc", "not implemented (0xFFFF)"),
    ],
)
async def test_sunspec_not_implemented_is_bad_and_the_rest_is_good(
    changes: dict[str, Any], point: str, reason: str
) -> None:
    unit = BenchUnit(holding=battery(**changes))
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        samples = {s.point: s for s in await driver.read(["s.power", "s.soc", "s.capacity"])}
        bad = samples.pop(f"s.{point}")
        assert (bad.quality, bad.reason) == (Quality.BAD, reason)
        assert {s.quality for s in samples.values()} == {Quality.GOOD}


async def test_a_device_without_a_model_lacks_its_points_and_refuses_to_be_written() -> None:
    unit = BenchUnit(holding=chain(0, (1, BATTERY[1]), (701, BATTERY[701])))
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        power, soc = await driver.read(["s.power", "s.soc"])
        assert (power.value, soc.reason) == (-0.1, "the device has no SunSpec model 713")
        result = await driver.write(Command("s", (Write("s.setpoint", 1.0),)))
        assert result == Refused("s.setpoint", "the device has no SunSpec model 704")


async def test_a_reversion_timer_that_is_not_implemented_keeps_the_command_from_being_sent() -> None:
    unit = BenchUnit(holding=battery(m704={"WSetRvrtTms": 0xFFFFFFFF}))
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        result = await driver.write(Command("s", (Write("s.timeout", 60.0), Write("s.setpoint", 1.0))))
        assert result == Refused("s.timeout", "not implemented (0xFFFFFFFF)")
        assert unit.log == []


async def test_sunspec_writes_use_function_16_which_alone_is_mandatory() -> None:
    unit = BenchUnit(holding=battery())
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        assert await driver.write(Command("s", (Write("s.enable", 1.0),))) == Written()
        assert unit.asked[-1] == (16, 40247, 1)


async def test_a_device_that_is_no_sunspec_device_says_so() -> None:
    unit = BenchUnit(holding={0: 1, 1: 2})
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        with pytest.raises(GarbledError, match="no SunSpec map at register 40000, 50000, 0; is it the right unit id"):
            await driver.read(["s.power"])


async def test_the_chain_is_walked_once_and_again_after_the_device_was_away() -> None:
    """It comes back as another: other scale, other base. Nothing of the first may be applied to the second."""
    unit = BenchUnit(holding=battery())
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, bench):
        assert values(await driver.read(["s.power", "s.soc"])) == [-0.1, 0.5]
        unit.asked.clear()
        assert values(await driver.read(["s.power", "s.soc"])) == [-0.1, 0.5]
        assert len(unit.asked) == 2
        await bench.stop()
        unit.holding = battery(50000, m701={"W": 100, "W_SF": 1})
        await bench.start()
        with pytest.raises(LinkError):
            while True:
                await driver.read(["s.power"])
                await bench.stop()
        await bench.start()
        assert values(await driver.read(["s.power"])) == [-1.0]


async def test_a_device_that_restarts_between_two_questions_is_taken_for_a_new_one() -> None:
    unit = BenchUnit(holding=battery())
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, bench):
        assert values(await driver.read(["s.power"])) == [-0.1]
        unit.holding = battery(0, m701={"W": 100, "W_SF": 1})
        bench.cut()
        await asyncio.sleep(0.05)
        assert values(await driver.read(["s.power"])) == [-1.0]


async def test_a_silent_device_behind_a_gateway_may_come_back_as_another() -> None:
    unit = BenchUnit(holding=battery())
    devices = [Device("s", sunspec_battery(), {"unit": 1}), Device("ok", words(1), {"unit": 2})]
    async with Setup(*devices, units={1: unit, 2: BenchUnit(holding={0: 1})}) as (driver, _):
        assert values(await driver.read(["s.power"])) == [-0.1]
        unit.mute = True
        with pytest.raises(LinkTimeout):
            await driver.read(["s.power"])
        assert values(await driver.read(["ok.p0"])) == [1.0]
        unit.mute, unit.holding = False, battery(0, m701={"W": 100, "W_SF": 1})
        assert values(await driver.read(["s.power"])) == [-1.0]


async def test_a_scale_factor_that_was_not_told_is_asked_again() -> None:
    unit = BenchUnit(holding=battery(), unreadable={("holding", 40186): 6})
    async with Setup(Device("s", sunspec_battery()), units={1: unit}) as (driver, _):
        (sample,) = await driver.read(["s.power"])
        assert (sample.quality, sample.reason) == (Quality.BAD, "device refused: device busy (6)")
        unit.unreadable.clear()
        assert values(await driver.read(["s.power"])) == [-0.1]


async def test_a_scale_factor_that_moves_is_read_with_its_value() -> None:
    """Model 103 does not call W_SF static: an inverter may switch from watts to tens of watts as the sun rises."""
    points = {"power": {"unit": "W", "invert": True, "address": {"model": 103, "point": "W"}}}
    unit = BenchUnit(holding=chain(40000, (1, BATTERY[1]), (103, {"W": 9000, "W_SF": 0})))
    async with Setup(Device("s", profile(points)), units={1: unit}) as (driver, _):
        assert values(await driver.read(["s.power"])) == [-9.0]
        unit.holding |= {40084: 1200, 40085: 1}
        assert values(await driver.read(["s.power"])) == [-12.0]


# -- identity ----------------------------------------------------------------------------------------------------------


async def test_who_a_device_is() -> None:
    number = {"contains": "112", "address": {"register": 64, "type": "uint16"}}
    devices = [
        Device("s", sunspec_battery(), {"unit": 1}),
        Device("n", words(1, identity=number), {"unit": 2}),
        Device("none", words(1), {"unit": 2}),
        Device("refuses", words(1, identity=number), {"unit": 3}),
    ]
    units = {1: BenchUnit(holding=battery()), 2: BenchUnit(holding={64: 112}), 3: BenchUnit(holding={0: 1})}
    async with Setup(*devices, units=units) as (driver, _):
        assert await driver.identify("s") == "Acme Bat 1"
        assert await driver.identify("n") == "112"
        assert await driver.identify("none") == ""
        with pytest.raises(DeviceRefused):
            await driver.identify("refuses")


# -- options -----------------------------------------------------------------------------------------------------------

GOOD_LINE = {
    "transport": "rtu",
    "device": "/dev/ttyUSB0",
    "baudrate": 9600,
    "parity": "N",
    "stopbits": 2,
    "timeout": 0.5,
}
GOOD_LINK = {"transport": "tcp", "host": "10.0.0.5", "port": 502, "timeout": 1.0}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"transport": "tcp"}, "connections.l.host: missing"),
        (GOOD_LINK | {"transport": "udp"}, "connections.l.transport: there is no 'udp'; there is tcp and rtu"),
        ({"transport": "rtu"}, "connections.l.device: missing"),
        (GOOD_LINE | {"device": "ttyUSB0"}, "connections.l.device: string should match pattern '^/', not 'ttyUSB0'"),
        (GOOD_LINE | {"parity": "even"}, "connections.l.parity: input should be 'N', 'E' or 'O', not 'even'"),
        (GOOD_LINE | {"stopbits": 3}, "connections.l.stopbits: input should be 1 or 2, not 3"),
        (
            GOOD_LINE | {"baudrate": 9500},
            "connections.l.baudrate: 9500 is no usual rate; there are 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, "
            "57600, 76800, 115200, 230400",
        ),
        (GOOD_LINE | {"stopbit": 1}, "connections.l.stopbit: unknown option; did you mean 'stopbits'?"),
        (GOOD_LINK | {"port": 0}, "connections.l.port: input should be greater than or equal to 1, not 0"),
        (GOOD_LINK | {"port": "502"}, "connections.l.port: input should be a valid integer, not '502'"),
        (GOOD_LINK | {"port": True}, "connections.l.port: input should be a valid integer, not True"),
        (GOOD_LINK | {"timeout": 0.0}, "connections.l.timeout: input should be greater than or equal to 0.02, not 0.0"),
        (GOOD_LINK | {"hots": "x"}, "connections.l.hots: unknown option; did you mean 'host'?"),
    ],
)
def test_wrong_link_options_are_named(options: dict[str, Any], problem: str) -> None:
    assert factory.check(Link("l", "modbus", options), []) == [problem]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"unit": 248}, "devices.d.unit: input should be less than or equal to 247, not 248"),
        ({"unit": -1}, "devices.d.unit: input should be greater than or equal to 0, not -1"),
        ({"unit": "3"}, "devices.d.unit: input should be a valid integer, not '3'"),
        ({"unt": 3}, "devices.d.unt: unknown option; did you mean 'unit'?"),
    ],
)
def test_wrong_device_options_are_named(options: dict[str, Any], problem: str) -> None:
    assert factory.check(Link("l", "modbus", GOOD_LINK), [Device("d", words(1), options)]) == [problem]


@pytest.mark.parametrize(
    ("address", "access", "problem"),
    [
        ({}, "r", "points.p.address.register: missing"),
        ({"register": 70000}, "r", "points.p.address.register: input should be less than or equal to 65535, not 70000"),
        ({"register": 1, "type": "float16"}, "r", "points.p.address.type: "),
        ({"register": 1, "table": "holdings"}, "r", "points.p.address.table: "),
        ({"register": 1, "scal": 2}, "r", "points.p.address.scal: unknown option; did you mean 'scale'?"),
        ({"registr": 1}, "r", "points.p.address.registr: unknown option; did you mean 'register'?"),
        ({"register": 1, "scale": 0}, "r", "points.p.address: scale 0 would make every value 0"),
        ({"register": 65535, "type": "uint32"}, "r", "points.p.address: 2 registers from 65535 end after 65535"),
        ({"register": 1, "type": "string", "count": 4}, "r", "points.p.address: holds no number"),
        ({"register": 1, "type": "string"}, "r", "points.p.address: count belongs to type string, and string needs it"),
        ({"register": 1, "bit": 16}, "r", "points.p.address: uint16 has no bit 16"),
        ({"register": 1, "bit": 3}, "rw", "points.p: has access rw, but one bit of a register can only be read"),
        ({"register": 1, "table": "input"}, "rw", "points.p: has access rw, but table input can only be read"),
        ({"model": 99, "point": "W"}, "r", "points.p.address: there is no SunSpec model 99"),
        ({"model": 103, "point": "Wh"}, "r", "points.p.address: SunSpec model 103 has no point 'Wh'; did you mean 'W"),
        ({"model": 1, "point": "Mn"}, "r", "points.p.address: holds no number"),
        ({"model": 103, "point": "W"}, "rw", "points.p: has access rw, but SunSpec model 103 says W is read-only"),
        ({"model": 103}, "r", "points.p.address.point: missing"),
    ],
)
def test_wrong_addresses_are_named(address: dict[str, Any], access: str, problem: str) -> None:
    one = profile({"p": {"access": access, "address": address}})
    lines = factory.check(Link("l", "modbus", GOOD_LINK), [Device("d", one)])
    assert lines[-1].startswith(f"devices.d.profile: acme/x@1: {problem}")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"options": {"max_registers": 126}},
            "options.max_registers: input should be less than or equal to 125, not 126",
        ),
        ({"options": {"max_register": 80}}, "options.max_register: unknown option; did you mean 'max_registers'?"),
        ({"options": {"holes": [[3]]}}, "options.holes.0: "),
        ({"identity": {"contains": "X"}}, "identity.address: missing; say where the device names itself"),
        ({"identity": {"contains": "X", "address": {"model": 1, "point": "Mn"}}}, "identity.address.table: missing"),
        ({"protocol": "bacnet"}, "protocol: is bacnet, which this connection does not speak"),
    ],
)
def test_wrong_profiles_are_named(more: dict[str, Any], problem: str) -> None:
    line, *_ = factory.check(Link("l", "modbus", GOOD_LINK), [Device("d", words(1, **more))])
    assert line.startswith(f"devices.d.profile: acme/x@1: {problem}")


def test_every_problem_is_found_at_once_and_opening_raises_them() -> None:
    link, devices = Link("l", "modbus", {"port": 0}), [Device("d", words(1), {"unit": 300})]
    assert len(factory.check(link, devices)) == 3
    with pytest.raises(ConfigError) as error:
        factory.open(link, devices, LiveClock())
    assert error.value.problems == tuple(factory.check(link, devices))
