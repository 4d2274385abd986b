"""What returns to rest by itself, moved on exactly: x' = drive - rate x with a constant drive over the step.

    change = slope at the start x hours x (1 - exp(-rate hours)) / (rate hours)

Stable for every step, and one long step gives what two halves of it give.
"""

from __future__ import annotations

from math import expm1


def settled(slope: float, rate: float, hours: float) -> float:
    """The change over `hours` [h] of what changes by `slope` [1/h] at the start and decays with `rate` [1/h] >= 0."""
    x = rate * hours
    return slope * hours * (-expm1(-x) / x if x > 1e-12 else 1.0)
