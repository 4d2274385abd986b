"""The site's own comfort and safety rules: above the optimizer, below the operator. Settings stand in `config.rules`.

| kind         | rank  | module       |                                                              |
| frost        | GUARD | frost        | frost protection of rooms and tanks                          |
| legionella   | GUARD | legionella   | hot water proven hot once a week                             |
| heat-wave    | RULE  | heat_wave    | rooms cooled by night when it has been very hot for days     |
| trim-respond | RULE  | trim_respond | supply temperature by what the zones ask for                 |

A new kind is a module with `decide` and a state, its settings in `config.rules`, and a line in each of the two tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import frost, heat_wave, legionella, trim_respond
from .deciding import Decision, Now, State


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of rule decides, what it knows at first, and whether it must know it again after a restart."""

    decide: Callable[..., Decision[Any]]
    state: type[State]
    remembers: bool = True


KINDS: Mapping[str, Kind] = {
    "frost": Kind(frost.decide, frost.FrostState),
    "legionella": Kind(legionella.decide, legionella.LegionellaState),
    "heat-wave": Kind(heat_wave.decide, heat_wave.HeatWaveState),
    "trim-respond": Kind(trim_respond.decide, trim_respond.TrimRespondState, remembers=False),
}
"""By the name of the kind in the site file."""

__all__ = ["KINDS", "Decision", "Kind", "Now", "State"]
