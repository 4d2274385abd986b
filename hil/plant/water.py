"""A reservoir that equal pumps fill from a well, and that consumers empty.

    V' = V + (Q n - D) dt,   electricity = 0.002725 H / eta  kWh per m3 lifted by H metres

Pumps run whole. Water beyond the reservoir's volume overflows; demand that an empty reservoir cannot meet is unserved. A
well that is empty lets the pumps run dry: they lift only what flows into it, and the idle part still draws `dry_share` of its
power. Water is accounted exactly: what a step pumped is stored, went out or overflowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from pydantic import ConfigDict, with_config

KWH_M3_M = 0.002725
"""Energy to lift a cubic metre of water by a metre: 9.81 / 3600."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class WaterParams:
    """Reservoir and well [m3], pumps [m3/h], head [m]."""

    volume_m3: float = 200.0
    initial: float = 0.6
    """Share of the volume."""
    reserve: float = 0.2
    """Share of the volume kept for fire and failures; only told, never enforced."""
    pumps: int = 3
    pump_m3_h: float = 25.0
    head_m: float = 60.0
    eta: float = 0.62
    """Of pump and motor."""
    well_m3: float = 0.0
    yield_m3_h: float = inf
    """What flows into the well; without an end, the well never runs dry."""
    dry_share: float = 0.4
    start_below: float = 0.5
    stop_above: float = 0.9
    """Level switches, shares of the volume: where all pumps start and where they stop by themselves."""

    @property
    def pump_kw(self) -> float:
        """Electricity of one pump."""
        return KWH_M3_M * self.head_m / self.eta * self.pump_m3_h


@dataclass(frozen=True, slots=True)
class WaterState:
    """Water [m3] in reservoir and well, pumps that run, starts so far and hours run dry (each pump's counted)."""

    stored_m3: float
    well_m3: float = 0.0
    running: int = 0
    starts: int = 0
    dry_h: float = 0.0


@dataclass(frozen=True, slots=True)
class WaterFlow:
    """Means over a step [m3/h]: pumped in, given to consumers, overflowed, asked for but not there; electricity [kW]."""

    pumped_m3_h: float
    given_m3_h: float
    overflow_m3_h: float
    unserved_m3_h: float
    into_well_m3_h: float
    power_kw: float


def by_level(params: WaterParams, state: WaterState) -> int:
    """Pumps that the level switches want: all below the lower, none above the upper, in between as they are."""
    level = state.stored_m3 / params.volume_m3
    return params.pumps if level < params.start_below else 0 if level > params.stop_above else state.running


def water_step(
    params: WaterParams, state: WaterState, wanted: float, demand_m3_h: float, hours: float
) -> tuple[WaterState, WaterFlow]:
    """(state, flow) of a step with `wanted` pumps, rounded to whole ones that exist, and a demand >= 0."""
    running = min(params.pumps, max(0, round(wanted)))
    full = running * params.pump_m3_h
    pumped = min(full, state.well_m3 / hours + params.yield_m3_h)
    into_well = min(params.yield_m3_h, pumped + (params.well_m3 - state.well_m3) / hours)
    given = min(demand_m3_h, state.stored_m3 / hours + pumped)
    overflow = max(0.0, pumped - given - (params.volume_m3 - state.stored_m3) / hours)
    dry = running * (1 - pumped / full) if running else 0.0
    power = params.pump_kw * (running - dry + params.dry_share * dry)
    after = WaterState(
        max(0.0, state.stored_m3 + (pumped - given - overflow) * hours),
        max(0.0, state.well_m3 + (into_well - pumped) * hours),
        running,
        state.starts + max(0, running - state.running),
        state.dry_h + dry * hours,
    )
    return after, WaterFlow(pumped, given, overflow, demand_m3_h - given, into_well, power)
