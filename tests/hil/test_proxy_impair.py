"""What a lane decides, without sockets or clocks."""

from __future__ import annotations

import math
from random import Random

import pytest

from energyctl.core.errors import ConfigError
from hil.proxy.framing import Framer
from hil.proxy.impair import Impairment, Lane, Tally, Track


def lane(way="to_client", seed=1, **settings) -> tuple[Lane, Impairment, Tally]:
    impair, tally = Impairment(**settings), Tally()
    return Lane(Track(way, impair, tally), Random(seed)), impair, tally


def numbers(units: list[bytes]) -> list[int]:
    return [int(unit) for unit in units]


def through(count: int, spacing_s: float = 0.001, seed: int = 1, **settings) -> tuple[list[int], Tally]:
    """The numbers of the units in the order they come out, looked at after each."""
    it, _, tally = lane(seed=seed, **settings)
    out: list[int] = []
    for number in range(count):
        out += numbers(it.take(number * spacing_s))
        it.put(b"%d" % number, number * spacing_s)
    return out + numbers(it.take(1e9)), tally


def test_a_good_line_hands_over_at_once_and_in_order():
    it, _, _ = lane()
    it.put(b"1", 5.0)
    it.put(b"2", 5.0)
    assert it.next_at == 5.0
    assert it.take(5.0) == [b"1", b"2"]
    assert it.next_at == math.inf


def test_a_delay_holds_each_unit_for_just_that_long():
    it, _, _ = lane(delay_s=0.2)
    it.put(b"1", 1.0)
    assert it.take(1.1999) == []
    assert it.next_at == 1.2
    assert it.take(1.2) == [b"1"]


def test_a_shorter_delay_does_not_let_later_units_pass():
    it, impair, _ = lane(delay_s=0.5)
    it.put(b"1", 0.0)
    impair.delay_s = 0.1
    it.put(b"2", 0.1)
    it.put(b"3", 1.0)
    assert it.take(0.49) == []
    assert it.take(0.5) == [b"1", b"2"]
    assert it.next_at == 1.1


def test_jitter_is_even_from_nothing_to_its_most_and_never_reorders():
    it, _, _ = lane(delay_s=0.010, jitter_s=0.020)
    waits = []
    for number in range(4000):
        it.put(b"%d" % number, float(number))
        waits.append(it.next_at - number)
        it.take(number + 0.5)
    assert min(waits) >= 0.010
    assert max(waits) <= 0.030
    assert sum(waits) / len(waits) == pytest.approx(0.020, rel=0.02)
    quarters = [sum(0.010 + q * 0.005 <= wait < 0.015 + q * 0.005 for wait in waits) for q in range(4)]
    assert all(900 < quarter < 1100 for quarter in quarters)
    assert through(1000, spacing_s=0.0001, jitter_s=0.020)[0] == list(range(1000))


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_shares_are_what_was_asked_for(share):
    count, bound = 20_000, 4 * math.sqrt(share * (1 - share) * 20_000)  # four standard errors
    out, _ = through(count, loss=share)
    assert count - len(out) == pytest.approx(share * count, abs=bound)
    out, _ = through(count, duplicate=share)
    assert len(out) - count == pytest.approx(share * count, abs=bound)
    out, _ = through(count, reorder=share)
    passed = sum(1 for here, number in enumerate(out) if here and max(out[:here][-50:]) > number)
    assert passed == pytest.approx(share * count, abs=bound)
    assert sorted(out) == list(range(count))


def test_a_copy_follows_its_original():
    assert through(3, duplicate=1.0)[0] == [0, 0, 1, 1, 2, 2]


def test_a_unit_held_back_goes_right_behind_the_next():
    it, impair, tally = lane(reorder=1.0)
    it.put(b"1", 0.0)
    it.put(b"2", 0.1)
    assert it.take(0.2) == []
    impair.reorder = 0.0
    it.put(b"3", 0.2)
    assert it.take(0.2) == [b"3", b"1", b"2"]
    assert tally.reordered == 2


def test_a_unit_held_back_goes_when_no_other_comes():
    it, _, tally = lane(reorder=1.0, delay_s=0.5, reorder_within_s=2.0)
    it.put(b"1", 10.0)
    assert it.next_at == 12.5
    assert it.take(12.4) == []
    assert it.take(12.5) == [b"1"]
    assert tally.reordered == 0


def test_a_late_reply_is_later_and_the_next_one_waits_for_it():
    it, impair, tally = lane(late=1.0, late_s=3.0, delay_s=0.1)
    it.put(b"1", 0.0)
    impair.late = 0.0
    it.put(b"2", 1.0)
    assert it.take(3.0999) == []
    assert it.take(3.1) == [b"1", b"2"]
    assert tally.late == 1


def test_requests_are_never_late():
    it, _, tally = lane("to_device", late=1.0, late_s=3.0)
    it.put(b"1", 0.0)
    assert it.take(0.0) == [b"1"]
    assert tally.late == 0


def test_a_direction_leaves_the_other_way_good():
    for way, out in (("to_device", []), ("to_client", [b"1"])):
        it, _, _ = lane(way, blackhole=True, direction="to_device")
        it.put(b"1", 0.0)
        assert it.take(0.0) == out


def test_a_rate_is_shared_by_the_connections_of_a_line():
    tally = Tally()
    track = Track("to_client", Impairment(rate=1000.0), tally)
    one, two = Lane(track, Random(1)), Lane(track, Random(2))
    one.put(bytes(100), 0.0)
    two.put(bytes(200), 0.0)
    assert one.next_at == pytest.approx(0.1)
    assert two.next_at == pytest.approx(0.3)
    two.take(1.0)
    two.put(bytes(50), 5.0)
    assert two.next_at == pytest.approx(5.05)


def test_every_unit_is_accounted_for():
    it, _, tally = lane(loss=0.1, duplicate=0.2, reorder=0.3, late=0.1, late_s=0.1, jitter_s=0.01, delay_s=0.01)
    out = 0
    for number in range(5000):
        it.put(b"%d" % number, number * 0.001)
        out += len(it.take(number * 0.001))
    it.drop()
    assert it.next_at == math.inf
    assert tally.dropped > 0
    assert tally.seen == 5000
    assert tally.seen + tally.duplicated == out + tally.lost + tally.swallowed + tally.dropped


def test_the_same_seed_is_the_same_luck_and_settings_do_not_shift_it():
    assert through(500, loss=0.2, seed=7)[0] == through(500, loss=0.2, seed=7)[0]
    assert through(500, loss=0.2, seed=7)[0] != through(500, loss=0.2, seed=8)[0]
    lost = set(range(500)) - set(through(500, loss=0.2, seed=7)[0])
    assert lost == set(range(500)) - set(through(500, loss=0.2, duplicate=0.5, jitter_s=0.1, seed=7)[0])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("loss", 1.5, "not a share"),
        ("loss", "5 %", "not a share"),
        ("delay_s", -1, "not a time"),
        ("jitter_s", math.inf, "not a time"),
        ("late_s", math.nan, "not a time"),
        ("rate", 0, "bytes per second"),
        ("blackhole", 1, "neither true nor false"),
        ("direction", "up", "both, to_device, to_client"),
        ("lose", 0.1, "there are delay_s, jitter_s, loss"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_changes_nothing(name, value, says):
    impair = Impairment(delay_s=0.1)
    with pytest.raises(ConfigError, match=says) as told:
        impair.set({"loss": 0.5, name: value})
    assert name in str(told.value)
    assert impair == Impairment(delay_s=0.1)
    with pytest.raises(ConfigError):
        setattr(impair, name, value)


def test_settings_are_changed_together_and_told():
    impair, told = Impairment(loss=0.1), []
    impair.watch(lambda: told.append((impair.loss, impair.delay_s)))
    before = impair.set({"loss": 0.5, "delay_s": 2.0})
    assert before == {"loss": 0.1, "delay_s": 0.0}
    impair.set(before)
    impair.loss = 0.2
    assert told == [(0.5, 2.0), (0.1, 0.0), (0.2, 0.0)]


def mbap(number: int, size: int) -> bytes:
    return number.to_bytes(2, "big") + b"\0\0" + (size + 1).to_bytes(2, "big") + b"\x01" + bytes(size)


def chunk(kind: bytes, size: int) -> bytes:
    return kind + size.to_bytes(4, "little") + bytes(size - 8)


@pytest.mark.parametrize(
    ("framing", "units"),
    [
        ("modbus", [mbap(1, 5), mbap(2, 253), mbap(3, 1)]),
        ("opcua", [chunk(b"HELF", 40), chunk(b"MSGC", 8192), chunk(b"MSGF", 9), chunk(b"CLOF", 8)]),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 7, 64, 100_000])
def test_frames_are_found_however_the_bytes_come(framing, units, piece):
    stream, framer, found = b"".join(units), Framer(framing), []
    for start in range(0, len(stream), piece):
        found += framer.feed(stream[start : start + piece])
    assert found == units
    assert framer.rest() == b""


@pytest.mark.parametrize("framing", ["raw", "modbus", "opcua"])
def test_what_is_no_frame_is_passed_on_as_it_comes(framing):
    framer = Framer(framing)
    assert framer.feed(b"GET / HTTP/1.1\r\n") == [b"GET / HTTP/1.1\r\n"]
    assert framer.feed(b"x") == [b"x"]


def test_half_a_frame_is_handed_over_at_the_end():
    framer = Framer("modbus")
    assert framer.feed(mbap(1, 5) + mbap(2, 5)[:9]) == [mbap(1, 5)]
    assert framer.rest() == mbap(2, 5)[:9]
