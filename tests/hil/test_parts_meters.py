"""A tree of meters: what hangs on each, and trees that cannot be."""

from __future__ import annotations

import pytest

from hil.plant.meters import MeterTree

TREE = MeterTree({"floor": ("lights", "car"), "house": ("floor", "roof"), "yard": ("well",)})


@pytest.mark.parametrize(
    ("meter", "parts"), [("floor", ("lights", "car")), ("house", ("lights", "car", "roof")), ("yard", ("well",))]
)
def test_a_meter_reads_its_parts_and_those_of_the_meters_below_it(meter: str, parts: tuple[str, ...]) -> None:
    assert TREE.parts(meter) == parts


@pytest.mark.parametrize(
    ("sees", "says"),
    [
        ({"a": ("b",), "b": ("a",)}, "[ab].sees: '[ab]' hangs below itself"),
        ({"a": ("a",)}, "a.sees: 'a' hangs below itself"),
        ({"a": ("b",), "b": ("c",), "c": ("b", "x")}, "'b' hangs on 'a' already"),
        ({"a": ("x", "b"), "b": ("x",)}, "b.sees: 'x' hangs on 'a' already"),
        ({"a": ("x", "x")}, "a.sees: 'x' hangs on 'a' already"),
    ],
)
def test_a_tree_that_cannot_be(sees: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MeterTree(sees)
