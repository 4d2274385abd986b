"""A battery that warms up and grows old: a layer around `battery`, which moves the energy.

Warmth: the cells are one thermal mass, heated by `loss_to_cells` of the losses and cooled by the room; the rest of the losses
goes to the room at once. Cold and heat cap the power at the terminals. Cold also hides the lowest part of the charge: the
floor rises, the energy stays.

Age: health is the share of the rated capacity that is left, 1 when new.
- cycles: half a cycle of depth d costs fade / (2 cycles) x (d / depth)^wohler, counted as the charge moves away from where it
  last turned, so that deep cycles cost more per kWh than shallow ones (a Wöhler curve; nested cycles are not looked for).
- calendar: per_year x (0.5 + SoC) x 2^((T - 25) / 10) (Arrhenius' rule of thumb), linear in time.

Lost capacity is lost room, not lost energy: what is stored stays, and SoC is the share of the room that is left. Only what no
longer fits is squeezed out and becomes heat within the losses. So energy at the terminals is stored energy plus losses, and
losses are heat in the cells plus heat in the room, exactly, in every step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from pydantic import ConfigDict, with_config

from .battery import BatteryParams, battery_step
from .curve import Curve, on_curve
from .decay import settled

_YEAR_H = 8760.0
_REFERENCE_C = 25.0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class WearParams:
    """Thermal mass [kWh/K], cooling [kW/K], what temperature does to power and charge, and how it ages."""

    cells_kwh_k: float = 0.12
    cooling_kw_k: float = 0.03
    loss_to_cells: float = 0.5
    charge_by_temp: Curve = ((-10.0, 0.0), (0.0, 0.2), (15.0, 1.0), (40.0, 1.0), (55.0, 0.0))
    """(cell temperature [degC], share of the rated charging power)."""
    discharge_by_temp: Curve = ((-20.0, 0.0), (0.0, 0.7), (10.0, 1.0), (45.0, 1.0), (60.0, 0.0))
    usable_by_temp: Curve = ((-20.0, 0.6), (0.0, 0.85), (25.0, 1.0))
    """(cell temperature [degC], share of the capacity that can be got at)."""
    fade: float = 0.2
    """Share of the capacity that is gone after `cycles` of `depth`."""
    cycles: float = 6000.0
    depth: float = 0.85
    wohler: float = 1.5
    per_year: float = 0.015
    """Share of the capacity that a year at 25 degC, half full, takes."""
    initial_c: float = 20.0
    initial_health: float = 1.0
    around_c: float | None = 20.0
    """The air around it; None is the air outdoors."""

    def __post_init__(self) -> None:
        for name in ("charge_by_temp", "discharge_by_temp", "usable_by_temp"):
            curve: Curve = getattr(self, name)
            if any(not 0 <= share <= 1 for _, share in curve):
                raise ValueError(f"{name}: shares must be from 0 to 1")
            if not curve or any(cold >= warm for (cold, _), (warm, _) in pairwise(curve)):
                raise ValueError(f"{name}: temperatures must rise")
        for name in ("loss_to_cells", "initial_health"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be from 0 to 1")
        if any(share <= 0 for _, share in self.usable_by_temp):
            raise ValueError("usable_by_temp: shares must be above 0")


@dataclass(frozen=True, slots=True)
class WornState:
    """Energy [kWh], cell temperature [degC], health, and the half cycle under way: SoC where it began, the way it goes."""

    energy_kwh: float
    cells_c: float
    health: float
    turned_soc: float
    way: int = 0
    """1 charging, -1 discharging, 0 not yet."""
    throughput_kwh: float = 0.0
    """In and out of the terminals so far."""


@dataclass(frozen=True, slots=True)
class WornFlow:
    """Means over a step [kW]: power at the terminals, consuming positive; all losses; of them, squeezed out by age.

    Losses are `to_cells_kw` + `to_room_kw`; the cells pass `cooled_kw` on to the room.
    """

    power_kw: float
    loss_kw: float
    squeezed_kw: float
    to_cells_kw: float
    to_room_kw: float
    cooled_kw: float


def new(params: BatteryParams, wear: WearParams) -> WornState:
    """The battery as it starts: `initial_soc` of what its health leaves."""
    energy = params.initial_soc * params.capacity_kwh * wear.initial_health
    return WornState(energy, wear.initial_c, wear.initial_health, params.initial_soc)


def soc(params: BatteryParams, state: WornState) -> float:
    """Share of the capacity that is left, 0..1."""
    return state.energy_kwh / (params.capacity_kwh * state.health)


def cell_power_limits(params: BatteryParams, wear: WearParams, cells_c: float) -> tuple[float, float]:
    """(most discharge <= 0, most charge >= 0) [kW] at the terminals that the cells' temperature allows."""
    most = params.charge_kw * on_curve(wear.charge_by_temp, cells_c)
    return -params.discharge_kw * on_curve(wear.discharge_by_temp, cells_c), most


def as_it_is(params: BatteryParams, wear: WearParams, cells_c: float, health: float) -> BatteryParams:
    """The battery's parameters at a temperature and an age: less capacity, and a floor raised by what the cold hides."""
    usable = on_curve(wear.usable_by_temp, cells_c)
    return replace(
        params,
        capacity_kwh=params.capacity_kwh * health,
        floor=1 - (1 - params.floor) * usable,
        slow_below=1 - (1 - params.slow_below) * usable,
    )


def worn_step(
    params: BatteryParams, wear: WearParams, state: WornState, wanted_kw: float, room_c: float, hours: float
) -> tuple[WornState, WornFlow]:
    """(state, flow) of a step with a wanted power, as far as state, ratings, temperature and age let it."""
    health = max(0.01, state.health - _calendar(wear, state, soc(params, state), hours))
    now = as_it_is(params, wear, state.cells_c, health)
    held = min(state.energy_kwh, now.capacity_kwh)
    least, most = cell_power_limits(params, wear, state.cells_c)
    energy, flow = battery_step(now, held, min(most, max(least, wanted_kw)), hours)
    squeezed = (state.energy_kwh - held) / hours
    loss = flow.loss_kw + squeezed
    cells_c, cooled = _warmed(wear, state.cells_c, wear.loss_to_cells * loss, room_c, hours)
    moved = replace(
        state,
        energy_kwh=energy,
        cells_c=cells_c,
        health=health,
        throughput_kwh=state.throughput_kwh + abs(flow.power_kw) * hours,
    )
    to_cells = wear.loss_to_cells * loss
    return _cycled(wear, moved, held / now.capacity_kwh, energy / now.capacity_kwh), WornFlow(
        flow.power_kw, loss, squeezed, to_cells, loss - to_cells, cooled
    )


def half_cycle_cost(wear: WearParams, depth: float) -> float:
    """Share of the rated capacity that half a cycle of a depth 0..1 takes."""
    return float(wear.fade / (2 * wear.cycles) * (depth / wear.depth) ** wear.wohler)


def _calendar(wear: WearParams, state: WornState, charge: float, hours: float) -> float:
    warmth: float = 2 ** ((state.cells_c - _REFERENCE_C) / 10)
    return wear.per_year * hours / _YEAR_H * (0.5 + charge) * warmth


def _cycled(wear: WearParams, state: WornState, before: float, after: float) -> WornState:
    """The state with the cost of moving from one SoC to another taken off its health."""
    way = (after > before) - (after < before)
    if way == 0:
        return state
    turned = state.turned_soc if way == state.way else before
    cost = half_cycle_cost(wear, abs(after - turned)) - half_cycle_cost(wear, abs(before - turned))
    return replace(state, health=max(0.01, state.health - max(0.0, cost)), turned_soc=turned, way=way)


def _warmed(wear: WearParams, cells_c: float, heat_kw: float, room_c: float, hours: float) -> tuple[float, float]:
    """(cell temperature after a step, heat passed on to the room [kW])."""
    slope = (heat_kw - wear.cooling_kw_k * (cells_c - room_c)) / wear.cells_kwh_k
    moved = settled(slope, wear.cooling_kw_k / wear.cells_kwh_k, hours)
    return cells_c + moved, heat_kw - wear.cells_kwh_k * moved / hours
