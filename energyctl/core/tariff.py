"""Tariffs: what energy costs per interval, in site currency per kWh, import and export, and its carbon.

A tariff answers for any horizon. Where it has to guess (a day-ahead price not published yet, a hole in a file) it answers
with the fallback it was given and names the step in `guessed`, so that nothing is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .timeline import Horizon


@dataclass(frozen=True, slots=True)
class RateTable:
    """Prices over a horizon, all `(steps,)`: EUR/kWh for import and export, kgCO2/kWh.

    `guessed` marks stand-ins among the prices, `guessed_carbon` those of the carbon.
    """

    horizon: Horizon
    import_price: tuple[float, ...]
    export_price: tuple[float, ...]
    carbon: tuple[float, ...]
    guessed: tuple[bool, ...] = ()
    demand_price: float = 0.0
    """Charge on the highest 15-min mean import of the billing month [EUR/kW]."""
    peak_so_far_kw: float = 0.0
    """That month's highest so far; only what exceeds it costs more."""
    guessed_carbon: tuple[bool, ...] = ()


class Tariff(Protocol):
    """Answers with prices."""

    def rates(self, horizon: Horizon) -> RateTable:
        """Prices for every step of a horizon."""
        ...
