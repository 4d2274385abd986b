"""Registers to numbers and back, by bytes worked out by hand, and block planning against brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.registers import Block, Codec, Span, Unusable, plan, text

# registers, codec, value
CASES: list[tuple[tuple[int, ...], Codec, float]] = [
    ((0x0001,), Codec("uint16"), 1.0),
    ((0xFFFF,), Codec("uint16"), 65535.0),
    ((0xFFFF,), Codec("int16"), -1.0),
    ((0x8000,), Codec("int16"), -32768.0),
    ((0x7FFF,), Codec("int16"), 32767.0),
    ((0x08FC,), Codec("uint16", scale=0.1), 230.0),
    ((0x00FA,), Codec("uint16", scale=0.1, offset=-40.0), -15.0),
    ((0x0100,), Codec("uint16", byte_order="little"), 1.0),
    ((0x0001, 0x86A0), Codec("uint32"), 100000.0),
    ((0x86A0, 0x0001), Codec("uint32", word_order="little"), 100000.0),
    ((0x0100, 0xA086), Codec("uint32", byte_order="little"), 100000.0),
    ((0xA086, 0x0100), Codec("uint32", word_order="little", byte_order="little"), 100000.0),
    ((0xFFFF, 0xFFFE), Codec("int32"), -2.0),
    ((0xFFFE, 0xFFFF), Codec("int32", word_order="little"), -2.0),
    ((0x0000, 0x0001, 0x0000, 0x0000), Codec("uint64"), 4294967296.0),
    ((0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), Codec("int64"), -1.0),
    ((0x0000, 0x0000, 0x0001, 0x0000), Codec("int64", word_order="little"), 4294967296.0),
    ((0x4366, 0x8000), Codec("float32"), 230.5),
    ((0x8000, 0x4366), Codec("float32", word_order="little"), 230.5),
    ((0xC2C8, 0x0000), Codec("float32"), -100.0),
    ((0x406C, 0xD000, 0x0000, 0x0000), Codec("float64"), 230.5),
    ((0x0001,), Codec("bit"), 1.0),
]


@pytest.mark.parametrize(("registers", "codec", "value"), CASES)
def test_registers_and_values_match_both_ways(registers: tuple[int, ...], codec: Codec, value: float) -> None:
    assert codec.decode(registers) == pytest.approx(value)
    assert codec.encode(value) == registers


@pytest.mark.parametrize(
    ("registers", "exponent", "value"),
    [((2305,), -1, 230.5), ((1250,), 1, 12500.0), ((0,), 3, 0.0), ((4230,), -2, 42.3), ((7,), 0, 7.0)],
)
def test_a_scale_factor_is_a_power_of_ten(registers: tuple[int, ...], exponent: int, value: float) -> None:
    assert Codec("uint16").decode(registers, exponent) == value
    assert Codec("uint16").encode(value, exponent) == registers


@pytest.mark.parametrize(("bit", "value"), [(0, 1.0), (1, 0.0), (3, 1.0), (15, 1.0)])
def test_a_bit_of_a_register(bit: int, value: float) -> None:
    assert Codec("uint16", bit=bit).decode((0b1000_0000_0000_1001,)) == value


@pytest.mark.parametrize(
    ("registers", "codec", "reason"),
    [
        ((0x8000,), Codec("int16", absent=frozenset({0x8000})), "not available (0x8000)"),
        ((0xFFFF,), Codec("uint16", absent=frozenset({0xFFFF})), "not available (0xFFFF)"),
        ((0x7FFF, 0xFFFF), Codec("int32", absent=frozenset({0x7FFFFFFF})), "not available (0x7FFFFFFF)"),
        (
            (0xFFFF, 0x7FFF),
            Codec("int32", word_order="little", absent=frozenset({0x7FFFFFFF})),
            "not available (0x7FFFFFFF)",
        ),
        ((0xFFFF,) * 4, Codec("uint64", absent=frozenset({2**64 - 1})), "not available (0xFFFFFFFFFFFFFFFF)"),
        ((0x7FC0, 0x0000), Codec("float32"), "not a number (NaN)"),
        ((0xFFC0, 0x0001), Codec("float32"), "not a number (NaN)"),
        ((0x7F80, 0x0000), Codec("float32"), "infinite"),
        ((0xFFF0, 0, 0, 0), Codec("float64"), "infinite"),
    ],
)
def test_what_is_no_value_says_why(registers: tuple[int, ...], codec: Codec, reason: str) -> None:
    assert codec.decode(registers) == Unusable(reason)


@pytest.mark.parametrize(
    ("value", "codec", "exponent", "reason"),
    [
        (65536.0, Codec("uint16"), 0, "65536 does not fit uint16 (0 to 65535)"),
        (-1.0, Codec("uint16"), 0, "-1 does not fit uint16 (0 to 65535)"),
        (32768.0, Codec("int16"), 0, "32768 does not fit int16 (-32768 to 32767)"),
        (400.0, Codec("int16", scale=0.01), 0, "40000 does not fit int16 (-32768 to 32767)"),
        (700.0, Codec("uint16"), -2, "70000 does not fit uint16 (0 to 65535)"),
        (2.0, Codec("bit"), 0, "2 does not fit bit (0 to 1)"),
        (1e39, Codec("float32"), 0, "1e+39 does not fit a float32"),
        (math.nan, Codec("float32"), 0, "nan is not a finite number"),
        (math.inf, Codec("uint16"), 0, "inf is not a finite number"),
        (65535.0, Codec("uint16", absent=frozenset({65535})), 0, "65535 is this register's mark for 'not available'"),
    ],
)
def test_what_does_not_fit_is_not_written(value: float, codec: Codec, exponent: int, reason: str) -> None:
    assert codec.encode(value, exponent) == Unusable(reason)


@given(st.sampled_from(["int16", "uint16", "int32", "uint32"]), st.data())
def test_every_whole_number_comes_back(kind: str, data: st.DataObject) -> None:
    bits, signed = int(kind[-2:]), kind.startswith("int")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = data.draw(st.integers(low, high))
    orders = st.sampled_from(["big", "little"])
    codec = Codec(kind, data.draw(orders), data.draw(orders))  # type: ignore[arg-type]
    registers = codec.encode(float(value))
    assert not isinstance(registers, Unusable)
    assert codec.decode(registers) == value


def test_text_ends_at_its_padding() -> None:
    assert text((0x4163, 0x6D65, 0x2000, 0x5858)) == "Acme"
    assert text((0x0000,)) == ""


# spans as (start, count); blocks as (start, count)
@pytest.mark.parametrize(
    ("spans", "most", "gap", "cuts", "blocks"),
    [
        ([(0, 2), (2, 2), (4, 2)], 125, 0, (), [(0, 6)]),
        ([(4, 2), (0, 2)], 125, 2, (), [(0, 6)]),
        ([(4, 2), (0, 2)], 125, 1, (), [(0, 2), (4, 2)]),
        ([(0, 2), (2, 2)], 3, 0, (), [(0, 2), (2, 2)]),
        ([(0, 1), (0, 1), (0, 1)], 125, 0, (), [(0, 1)]),
        ([(0, 4), (1, 1), (2, 4)], 5, 0, (), [(0, 4), (2, 4)]),
        ([(0, 8), (1, 1), (10, 1)], 125, 2, (), [(0, 11)]),
        ([(0, 8), (1, 1), (10, 1)], 125, 1, (), [(0, 8), (10, 1)]),
        ([(0, 2), (2, 2)], 125, 9, (2,), [(0, 2), (2, 2)]),
        ([(0, 2), (8, 2)], 125, 9, (5,), [(0, 2), (8, 2)]),
        ([(0, 2), (1, 2)], 125, 9, (1,), [(0, 3)]),
        ([(at, 2) for at in range(0, 76, 2)], 80, 0, (), [(0, 76)]),
        ([(0, 2), (52, 2), (62, 2), (70, 2), (72, 2), (74, 2)], 80, 50, (), [(0, 76)]),
        ([], 125, 0, (), []),
    ],
)
def test_blocks(
    spans: Sequence[tuple[int, int]],
    most: int,
    gap: int,
    cuts: Sequence[int],
    blocks: Sequence[tuple[int, int]],
) -> None:
    assert [(b.start, b.count) for b in plan([Span(*span) for span in spans], most, gap, cuts)] == list(blocks)


def test_what_no_request_can_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="8 registers from 3 belong together, but a request holds 7"):
        plan([Span(3, 8)], 7)


def reaches(block: Sequence[Span], most: int, gap: int, cuts: Sequence[int]) -> bool:
    """The definition of a block that may be asked for, told by the registers themselves."""
    start, stop = min(s.start for s in block), max(s.stop for s in block)
    used = {register for span in block for register in range(span.start, span.stop)}
    unused = [register for register in range(start, stop) if register not in used]
    longest = run = 0
    for before, register in pairwise([-9, *unused]):
        run = run + 1 if register == before + 1 else 1
        longest = max(longest, run)
    split = any(start < cut < stop and not any(span.start < cut < span.stop for span in block) for cut in cuts)
    return stop - start <= most and longest <= gap and not split


def fewest(spans: Sequence[Span], most: int, gap: int, cuts: Sequence[int]) -> int:
    """The least number of allowed blocks over all partitions of the spans."""
    best = len(spans)

    def place(rest: Sequence[Span], groups: list[list[Span]]) -> None:
        nonlocal best
        if not rest:
            if all(reaches(group, most, gap, cuts) for group in groups):
                best = min(best, len(groups))
            return
        for group in [*groups, None]:
            if group is None:
                place(rest[1:], [*groups, [rest[0]]])
            else:
                group.append(rest[0])
                place(rest[1:], groups)
                group.pop()

    place(spans, [])
    return best


SPANS = st.lists(st.builds(Span, st.integers(0, 14), st.integers(1, 4)), min_size=1, max_size=6, unique=True)


@settings(max_examples=300, deadline=None)
@given(SPANS, st.integers(4, 9), st.integers(0, 4), st.lists(st.integers(1, 17), max_size=2))
def test_planning_is_complete_whole_allowed_and_least(spans: list[Span], most: int, gap: int, cuts: list[int]) -> None:
    blocks = plan(spans, most, gap, cuts)
    assert sorted(span for block in blocks for span in block.spans) == sorted(spans)
    assert all(reaches(block.spans, most, gap, cuts) for block in blocks)
    assert len(blocks) == fewest(spans, most, gap, cuts)


@given(SPANS)
def test_a_block_gives_every_span_its_own_registers(spans: list[Span]) -> None:
    for block in plan(spans, 125, 125):
        answer = [1000 + register for register in range(block.start, block.start + block.count)]
        for span in block.spans:
            assert list(block.part(span, answer)) == [1000 + register for register in range(span.start, span.stop)]


def test_halves_hold_the_same_spans() -> None:
    block = Block((Span(0), Span(1, 2), Span(5)))
    left, right = block.halves()
    assert left.spans + right.spans == block.spans
