"""SunSpec: offsets from the published definitions, the chain of models, scale factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sunspec2.device import Model as PeerModel

from drivers.modbus.registers import Span, Unusable
from drivers.modbus.sunspec import Model, fields, scale_exponent, scan

SUNS = {0: 0x5375, 1: 0x6E53}
"""The marker, relative to its base."""


@pytest.mark.parametrize(
    ("model", "point", "offset", "kind", "scale"),
    [
        (1, "Mn", 2, "string", None),
        (1, "Vr", 42, "string", None),
        (103, "W", 14, "int16", 15),
        (103, "WH", 24, "acc32", 26),
        (103, "St", 38, "enum16", None),
        (120, "WRtg", 3, "uint16", 4),
        (123, "WMaxLimPct", 5, "uint16", 23),
        (123, "WMaxLimPct_RvrtTms", 7, "uint16", None),
        (123, "WMaxLim_Ena", 9, "enum16", None),
        (701, "W", 10, "int16", 116),
        (704, "WSetEna", 22, "enum16", None),
        (704, "WSet", 24, "int32", 55),
        (704, "WSetRvrtTms", 31, "uint32", None),
        (704, "PFWInj.PF", 59, "uint16", 53),
        (713, "SoC", 4, "uint16", 8),
    ],
)
def test_points_are_where_the_specification_has_them(
    model: int, point: str, offset: int, kind: str, scale: int | None
) -> None:
    field = fields(model)[point]
    assert (field.offset, field.type, field.scale_offset) == (offset, kind, scale)


@pytest.mark.parametrize("model", [1, 103, 120, 123, 701, 704, 713, 802])
def test_offsets_agree_with_pysunspec2(model: int) -> None:
    peer = PeerModel(model_id=model)
    assert {name: field.offset for name, field in fields(model).items() if "." not in name} == {
        name: point.offset for name, point in peer.points.items()
    }


def test_an_unknown_model_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        fields(9999)


@pytest.mark.parametrize(
    ("model", "point", "span"),
    [
        (103, "W", Span(14, 2)),  # the scale factor follows
        (123, "WMaxLimPct", Span(5, 19)),  # up to the scale factor at 23, which may move
        (701, "W", Span(10, 1)),  # the scale factor at 116 is static
        (103, "St", Span(38, 1)),
    ],
)
def test_a_scale_that_may_move_is_read_with_its_point(model: int, point: str, span: Span) -> None:
    assert fields(model)[point].together == span


@pytest.mark.parametrize(
    ("register", "exponent"),
    [
        (0, 0),
        (1, 1),
        (0xFFFE, -2),
        (10, 10),
        (0xFFF6, -10),
        (11, Unusable("scale factor 11 is outside -10 to 10")),
        (0x8000, Unusable("scale factor not implemented (0x8000)")),
        (0xFFFF, -1),
    ],
)
def test_scale_factors(register: int, exponent: int | Unusable) -> None:
    assert scale_exponent(register) == exponent


@pytest.mark.parametrize(
    ("kind", "registers", "absent"),
    [
        ("int16", (0x8000,), "0x8000"),
        ("uint16", (0xFFFF,), "0xFFFF"),
        ("enum16", (0xFFFF,), "0xFFFF"),
        ("bitfield16", (0xFFFF,), "0xFFFF"),
        ("int32", (0x8000, 0), "0x80000000"),
        ("uint32", (0xFFFF, 0xFFFF), "0xFFFFFFFF"),
        ("enum32", (0xFFFF, 0xFFFF), "0xFFFFFFFF"),
        ("bitfield32", (0xFFFF, 0xFFFF), "0xFFFFFFFF"),
        ("acc16", (0,), "0x0000"),
        ("acc32", (0, 0), "0x00000000"),
        ("acc64", (0, 0, 0, 0), "0x0000000000000000"),
        ("int64", (0x8000, 0, 0, 0), "0x8000000000000000"),
        ("uint64", (0xFFFF,) * 4, "0xFFFFFFFFFFFFFFFF"),
        ("float32", (0x7FC0, 0), "0x7FC00000"),
        ("sunssf", (0x8000,), "0x8000"),
    ],
)
def test_not_implemented_is_never_a_value(kind: str, registers: tuple[int, ...], absent: str) -> None:
    every = (field for model in (1, 103, 113, 124, 160, 701, 704, 713, 802) for field in fields(model).values())
    field = next((field for field in every if field.type == kind), None)
    if field is None:  # a type that these models do not use
        assert kind in ("acc16", "bitfield16", "enum32", "acc64", "int64")
        return
    assert field.codec is not None
    assert field.codec.decode(registers) == Unusable(f"not implemented ({absent})")


def reader(registers: dict[int, int]) -> Callable[[int, int], object]:
    async def read(register: int, count: int) -> Sequence[int] | None:
        wanted = range(register, register + count)
        return [registers[at] for at in wanted] if all(at in registers for at in wanted) else None

    return read


def device(base: int, *heads: tuple[int, int], end: bool = True) -> dict[int, int]:
    """A device's registers from `base`: the marker, models (id, length) filled with 7, and the end."""
    words = [0x5375, 0x6E53]
    for number, length in heads:
        words += [number, length, *([7] * length)]
    return dict(enumerate([*words, 0xFFFF, 0] if end else words, base))


@pytest.mark.parametrize("base", [40000, 50000, 0])
async def test_the_chain_is_found_at_any_base(base: int) -> None:
    found = await scan(reader(device(base, (1, 66), (103, 50), (123, 24))))  # type: ignore[arg-type]
    assert found == {1: Model(base + 2, 66), 103: Model(base + 70, 50), 123: Model(base + 122, 24)}


@pytest.mark.parametrize(
    ("registers", "says"),
    [
        ({}, "no SunSpec map at register 40000, 50000, 0; is it the right unit id?"),
        ({40000: 1, 40001: 2}, "no SunSpec map at register 40000, 50000, 0; is it the right unit id?"),
        (device(40000, (1, 66), end=False), "the chain of SunSpec models breaks off at register 40070"),
        (device(0, *[(5, 0)] * 300), "the chain of SunSpec models has no end within 256 models"),
        (
            device(40000, (1, 66)) | {40070: 103, 40071: 30000},
            "the chain of SunSpec models breaks off at register 70072",
        ),
    ],
)
async def test_a_broken_chain_is_named(registers: dict[int, int], says: str) -> None:
    assert await scan(reader(registers)) == Unusable(says)  # type: ignore[arg-type]


async def test_of_two_models_with_one_id_the_first_counts() -> None:
    found = await scan(reader(device(0, (1, 66), (103, 50), (103, 50))))  # type: ignore[arg-type]
    assert not isinstance(found, Unusable)
    assert found[103] == Model(70, 50)


def test_a_shorter_model_of_an_old_device_lacks_the_points_behind_its_end() -> None:
    assert Model(40070, 50).holds(fields(103)["St"])
    assert not Model(40070, 36).holds(fields(103)["St"])
    assert not Model(40070, 100).holds(fields(701)["W"])  # its scale factor is at 116
