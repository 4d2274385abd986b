"""What the resource kinds share: the frozen model they derive from, whether the plant heats or cools, and memory.

Memory: a resource is pure, so what it must know of the past comes from the last plan. The planner adds to
`Outlook.values`, for every id of the last plan, keys that no point can have:
"<id>:state0", "<id>:state1", ...   what the last plan expected the states to be at the start of the horizon;
"<id>:run_start_s", "<id>:run_end_s"   the first run of non-zero power in it, in seconds from the start of the horizon
(negative: past). Without a last plan the keys are absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Sense = Literal["heat", "cool"]

COOLING = 2.0
"""The value of a mode point that means cooling; heating is 1."""
COOLING_ABOVE_C = 20.0
"""Without a mode point, a plant is taken to cool when it is warmer than this outside [°C]."""
IDLE_KW = 0.05
"""Power below this in a plan is nothing at all [kW]."""

MARGIN = 1.3
"""A power reading may be this many times what the resource can do, and is still believed."""


class Kind(BaseModel):
    """Base of all resource kinds: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_calendar: ClassVar[bool] = False
    """Whether its own rule goes by the time of day; it rests while the clock is not trusted."""

    id: str = Field(description="how the resource is called; the key in the site file")


def sense_of(mode: float | None, outdoor_c: Sequence[float]) -> Sense:
    """Whether the plant heats or cools: by its mode switch, else by the mean outdoor temperature `outdoor_c` [°C]."""
    if mode is not None:
        return "cool" if mode == COOLING else "heat"
    return "cool" if outdoor_c and sum(outdoor_c) / len(outdoor_c) > COOLING_ABOVE_C else "heat"


def planned(table: Mapping[str, tuple[float, ...]], resource: str, step: int) -> float | None:
    """What a plan's table says of a resource in a step, None when the plan does not know the resource."""
    row = table.get(resource)
    return None if row is None else row[step]
