"""Characteristics given as points and read on the straight lines between them."""

from __future__ import annotations

from itertools import pairwise

Curve = tuple[tuple[float, float], ...]
"""(x, y), rising x."""


def on_curve(curve: Curve, x: float) -> float:
    """The value at x; beyond the ends, the ends' values."""
    if x <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]
