"""A boiler with its water: it fires between a least and its rated heat, and switches on and off below the least.

    C dT/dt = heat - given - standby,  fuel = heat / efficiency,  standby = UA (T - T_room)

Efficiency is on the gross heating value, so never above 1: read off a curve over the return temperature (a condensing boiler
gains below some 55 degC), times one over the share of rated heat. The form, efficiency by load corrected by water
temperature plus a stand-by loss, is that of EN 15316-4-1; the numbers are assumptions for a condensing gas boiler.

The burner starts `band_k` below the setpoint and stops as much above it, but not before it has fired for `least_on_s`, nor
does it start again within `least_off_s`. Switching the boiler off, or water at `most_c`, ends it at once.
Heat from fuel is stored, given, lost to the room or up the flue, exactly, in every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from .curve import Curve, on_curve
from .decay import settled


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class BoilerParams:
    """Heat [kW], water [kWh/K], times [s]."""

    rated_kw: float = 100.0
    least_share: float = 0.25
    """Of the rated heat; less than this only by switching on and off."""
    by_return: Curve = ((30.0, 0.97), (45.0, 0.92), (55.0, 0.885), (80.0, 0.87))
    """(return temperature [degC], efficiency), rising temperatures."""
    by_load: Curve = ((0.0, 1.0), (0.3, 1.0), (1.0, 0.98))
    """(share of rated heat, factor on the efficiency), rising shares."""
    water_kwh_k: float = 0.6
    standby_kw_k: float = 0.012
    loop_kw_k: float = 5.0
    """Heat that the pump carries per K between supply and return."""
    aux_kw: float = 0.15
    """Electricity of fan and pump while it fires."""
    idle_kw: float = 0.01
    band_k: float = 4.0
    settle_s: float = 180.0
    """How soon it wants a deviation of the water gone while it modulates."""
    least_on_s: float = 240.0
    least_off_s: float = 180.0
    most_c: float = 90.0
    initial_c: float = 50.0


@dataclass(frozen=True, slots=True)
class BoilerState:
    """Water (supply) temperature [degC]; whether it fires and for how long it has done so or not [s]; starts so far."""

    water_c: float
    firing: bool = False
    since_s: float = float("inf")
    starts: int = 0


@dataclass(frozen=True, slots=True)
class BoilerInputs:
    """What acts on it: the switch, the setpoint [degC], heat that consumers ask for >= 0 [kW], the room [degC]."""

    enabled: bool
    setpoint_c: float
    drawn_kw: float
    room_c: float = 18.0


@dataclass(frozen=True, slots=True)
class BoilerFlow:
    """Means over a step [kW]: fuel, heat into the water, up the flue, to the room, to consumers, electricity."""

    fuel_kw: float
    heat_kw: float
    flue_kw: float
    standby_kw: float
    given_kw: float
    power_kw: float
    return_c: float


def efficiency(params: BoilerParams, share: float, return_c: float) -> float:
    """Heat per fuel (gross heating value) at a share of the rated heat."""
    return on_curve(params.by_return, return_c) * on_curve(params.by_load, share)


def boiler_step(
    params: BoilerParams, state: BoilerState, inputs: BoilerInputs, hours: float
) -> tuple[BoilerState, BoilerFlow]:
    """(state, flow) of a step. The water never cools below the room by what consumers ask for; short of it they get less."""
    above, firing = state.water_c - inputs.room_c, fires(params, state, inputs)
    heat = _heat(params, state, inputs, hours) if firing else 0.0
    loss = params.standby_kw_k * above
    given = min(inputs.drawn_kw, heat + max(0.0, params.water_kwh_k * above / hours - loss))
    rate = params.standby_kw_k / params.water_kwh_k
    moved = settled((heat - given - loss) / params.water_kwh_k, rate, hours)
    standby = heat - given - params.water_kwh_k * moved / hours
    return_c = state.water_c - given / params.loop_kw_k
    eta = efficiency(params, heat / params.rated_kw, return_c)
    after = BoilerState(
        state.water_c + moved,
        firing,
        (state.since_s if firing == state.firing else 0.0) + hours * 3600,
        state.starts + (firing and not state.firing),
    )
    power = params.idle_kw + (params.aux_kw if firing else 0.0)
    return after, BoilerFlow(heat / eta, heat, heat / eta - heat, standby, given, power, return_c)


def fires(params: BoilerParams, state: BoilerState, inputs: BoilerInputs) -> bool:
    """Whether the burner is on in the coming step."""
    if not inputs.enabled or state.water_c >= params.most_c:
        return False
    if state.firing:
        return state.since_s < params.least_on_s or state.water_c <= inputs.setpoint_c + params.band_k
    return state.since_s >= params.least_off_s and state.water_c < inputs.setpoint_c - params.band_k


def _heat(params: BoilerParams, state: BoilerState, inputs: BoilerInputs, hours: float) -> float:
    """Heat of a burner that is on: what is taken and lost plus what closes the deviation, never past `most_c`."""
    taken = inputs.drawn_kw + params.standby_kw_k * (state.water_c - inputs.room_c)
    closing = params.water_kwh_k * (inputs.setpoint_c - state.water_c) / max(hours, params.settle_s / 3600)
    room_left = taken + params.water_kwh_k * (params.most_c - state.water_c) / hours
    return min(max(taken + closing, params.least_share * params.rated_kw), params.rated_kw, max(0.0, room_left))
