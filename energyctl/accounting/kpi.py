"""Key figures of how a site ran, as pure functions of interval series on one grid.

self-consumption  = sum(min(G, L)) / sum(G),  self-sufficiency = sum(min(G, L)) / sum(L),
with generation G and load L (all that consumes, a charging battery included) per interval;
discomfort        = sum(dt x max(0, low - T, T - high)) over occupied hours [K h] per zone (BOPTEST's definition).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from energyctl.core.comfort import Comfort
from energyctl.core.timeline import Series


def self_consumption(generation_kw: Sequence[float], load_kw: Sequence[float]) -> float | None:
    """Share of generation used on site, both >= 0 and `(steps,)`; None when nothing was generated."""
    return _share(generation_kw, load_kw, sum(generation_kw))


def self_sufficiency(generation_kw: Sequence[float], load_kw: Sequence[float]) -> float | None:
    """Share of load met by generation on site; None when nothing was used."""
    return _share(generation_kw, load_kw, sum(load_kw))


def _share(generation: Sequence[float], load: Sequence[float], whole: float) -> float | None:
    used = sum(min(g, used) for g, used in zip(generation, load, strict=True))
    return used / whole if whole > 0 else None


def discomfort_kh(temp_c: Series, comfort: Comfort, timezone: str) -> float:
    """Degree hours [K h] outside the band while rooms are in use; intervals without a value add nothing."""
    step, hours, total = timedelta(seconds=temp_c.step_s), temp_c.step_s / 3600, 0.0
    for k, temp in enumerate(temp_c.values):
        time = temp_c.start + step * k
        if temp is not None and comfort.in_use(time, timezone):
            total += hours * max(0.0, comfort.heat - temp, temp - comfort.cool)
    return total
