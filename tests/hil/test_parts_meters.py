"""A tree of meters: sums by hand, counters that only go forward, trees that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant.meters import Counters, MeterParams, MeterTree, count, readings, shown

TREE = MeterTree(
    {
        "floor": MeterParams("house", ("lights", "car")),
        "grid": MeterParams(None, ("pump",)),
        "house": MeterParams("grid", ("roof",)),
        "yard": MeterParams("grid", ("well",)),
    },
    {"car": (1.0, 0.0, 0.0), "pump": (0.0, 0.5, 0.5)},
)
PARTS = ("lights", "car", "pump", "roof", "well")


def test_each_meter_reads_what_is_below_it() -> None:
    read = readings(TREE, {"lights": 3.0, "car": 7.0, "pump": 4.0, "roof": -12.0})
    assert read["floor"] == pytest.approx((8.0, 1.0, 1.0))
    assert read["house"] == pytest.approx((4.0, -3.0, -3.0))
    assert read["grid"] == pytest.approx((4.0, -1.0, -1.0))
    assert read["yard"] == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(-500, 500), min_size=5, max_size=5))
def test_the_grid_meter_is_the_sum_of_all_parts(powers: list[float]) -> None:
    read = readings(TREE, dict(zip(PARTS, powers, strict=True)))
    scale = 1e-9 * max(sum(map(abs, powers)), 1e-6)
    assert abs(sum(read["grid"]) - sum(powers)) <= scale
    own = (0.0, powers[2] / 2, powers[2] / 2)
    for phase in range(3):
        assert abs(read["grid"][phase] - own[phase] - read["house"][phase] - read["yard"][phase]) <= scale


@pytest.mark.parametrize(
    ("per_phase", "counters"), [(False, Counters(10.0 + 1.0, 5.0)), (True, Counters(10.0 + 2.0, 5.0 + 1.0))]
)
def test_a_meter_counts_the_sum_or_each_phase(per_phase: bool, counters: Counters) -> None:
    meter = MeterParams(per_phase=per_phase)
    assert count(meter, Counters(10.0, 5.0), (4.0, -1.0, -1.0), 0.5) == counters


@given(st.booleans(), st.lists(st.tuples(*[st.floats(-50, 50)] * 3), max_size=30), st.floats(1 / 3600, 1))
def test_counters_go_forward_only_and_their_difference_is_the_energy(
    per_phase: bool, course: list[tuple[float, float, float]], h: float
) -> None:
    meter, counters = MeterParams(per_phase=per_phase), Counters()
    for phases in course:
        before, counters = counters, count(meter, counters, phases, h)
        assert counters.imported_kwh >= before.imported_kwh
        assert counters.exported_kwh >= before.exported_kwh
    net = sum(sum(phases) for phases in course) * h
    scale = 1e-9 * max(sum(abs(kw) for phases in course for kw in phases) * h, 1e-6)
    assert abs(counters.imported_kwh - counters.exported_kwh - net) <= scale


def test_a_counter_starts_again_where_its_digits_end() -> None:
    meter = MeterParams(rollover_kwh=1000.0)
    counters = Counters(999.0, 0.0)
    seen = []
    for _ in range(3):
        counters = count(meter, counters, (0.25, 0.25, 0.0), 1.0)
        seen.append(shown(meter, counters).imported_kwh)
    assert seen == pytest.approx([999.5, 0.0, 0.5])
    assert counters.imported_kwh == pytest.approx(1000.5)


@pytest.mark.parametrize(
    ("meters", "phases", "says"),
    [
        ({"a": MeterParams("b")}, {}, "meters.a.parent: there is no meter 'b'"),
        ({"a": MeterParams("b"), "b": MeterParams("a")}, {}, "'a' hangs below itself"),
        ({"a": MeterParams("a")}, {}, "'a' hangs below itself"),
        (
            {"a": MeterParams(None, ("x",)), "b": MeterParams("a", ("x",))},
            {},
            "meters.b.parts: 'x' hangs on 'a' already",
        ),
        ({"a": MeterParams(None, ("x",))}, {"x": (1.0, 1.0, 0.0)}, "phases.x: .* must add up to 1"),
    ],
)
def test_a_tree_that_cannot_be(
    meters: dict[str, MeterParams], phases: dict[str, tuple[float, float, float]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        MeterTree(meters, phases)
