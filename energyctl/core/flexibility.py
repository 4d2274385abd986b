"""The archetypes of flexibility: all that an optimizer has to know of a building.

Electric power lives on the bus "ac". A Converter opens a bus of its own name (heat from a heat pump, say) that Storages
with that `port` are charged from. Every quantity per step is a tuple of length `steps` of the horizon it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AC = "ac"
HARD = float("inf")
"""As a slack price: the bound may not be broken."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Power that is what it is: `power_kw` (steps,)."""

    id: str
    power_kw: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curtailable:
    """Generation of up to `available_kw` (steps,) >= 0 that may be cut at `price` [EUR/kWh], a tie-break by default.

    In a plan its power is negative (it generates).
    """

    id: str
    available_kw: tuple[float, ...]
    price: float = 1e-4
    can_curtail: bool = True


@dataclass(frozen=True, slots=True)
class Storage:
    """Anything with a state that power moves: battery, EV, tank, thermal zone. `n` linear states.

    x[k+1] = transition @ x[k] + charge_gain * c[k] + discharge_gain * d[k] + drift[k],  0 <= c, d [kW at the port]

    `lower` and `upper` (steps, n) bound x at the END of each step; -inf and inf are no bound. Leaving a bound costs
    `slack_price` (n,) [EUR per unit of state and step], HARD forbids it. `initial` is what was measured and may lie outside
    the bounds. A storage on the bus "ac" draws c - d there; on a converter's bus it takes c of what the converter delivers.
    """

    id: str
    port: str
    unit: str
    transition: tuple[tuple[float, ...], ...]
    charge_gain: tuple[float, ...]
    discharge_gain: tuple[float, ...]
    drift: tuple[tuple[float, ...], ...]
    initial: tuple[float, ...]
    lower: tuple[tuple[float, ...], ...]
    upper: tuple[tuple[float, ...], ...]
    slack_price: tuple[float, ...]
    max_charge_kw: tuple[float, ...]
    max_discharge_kw: tuple[float, ...]
    min_charge_kw: float = 0.0
    """Semi-continuous: charging is 0 or at least this."""
    charge_price: float = 0.0
    discharge_price: float = 0.0
    """Wear [EUR per kWh at the port]."""
    terminal_value: tuple[float, ...] = ()
    """Worth of a unit of each state at the end of the horizon [EUR/unit]; () is nothing."""
    label: str = ""
    """How a broken bound is called in words, e.g. "comfort in office" or "charge of ev1 by 07:30"."""


@dataclass(frozen=True, slots=True)
class Converter:
    """Turns power on "ac" into `ratio[k]` times as much on the bus named like its `id`: a heat pump, with its COP.

    Input is 0 or between `min_input_kw` and `max_input_kw` (steps,) when `min_input_kw` > 0.
    """

    id: str
    ratio: tuple[float, ...]
    max_input_kw: tuple[float, ...]
    min_input_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Shiftable:
    """A run of fixed shape `profile_kw` that starts once, at a step where `may_start` is true.

    Not running at all costs `skip_price` [EUR]; HARD demands the run.
    """

    id: str
    profile_kw: tuple[float, ...]
    may_start: tuple[bool, ...]
    skip_price: float = HARD


Flexibility = Fixed | Curtailable | Storage | Converter | Shiftable

ArchetypeName = Literal["Fixed", "Curtailable", "Storage", "Converter", "Shiftable"]
