"""A heat pump with a thermostat per zone: proportional and integral, capped by the zone's emitters and the machine.

The compressor gathers speed slowly (`ramp_kw_min`) and stops at once.

Full-load COP = grade x Carnot between supply and outdoor temperature; the supply follows a heating curve. Frost on the
outdoor coil costs `defrost` of it between -3 and 5 degC in damp air (above 80 % humidity), part load costs up to
`part_load_loss`: COP = full x (1 - loss x (1 - share of full power)). Source of the form: Carnot grade models as used in heat
pump planning; the planner knows neither frost nor part load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from pydantic import ConfigDict, with_config

from hil.measured import Weather

Mode = Literal["heat", "cool"]
ZERO_K = 273.15
LEAST_LIFT_K = 8.0
COP_RANGE = (1.3, 6.5)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HeatPumpParams:
    """The machine and its thermostats."""

    max_kw: float = 19.0
    ramp_kw_min: float = 3.0
    grade: float = 0.40
    curve_at_zero_c: float = 35.5
    curve_slope: float = 1.05
    supply_min_c: float = 28.0
    supply_max_c: float = 55.0
    chilled_c: float = 8.0
    reject_k: float = 11.0
    defrost: float = 0.08
    part_load_loss: float = 0.07
    standby_kw: float = 0.12
    band_k: float = 1.5
    """A deviation of this much asks for all the emitters can give."""
    reset_s: float = 3600.0
    """Integral time of the thermostats."""


@dataclass(frozen=True, slots=True)
class HeatPumpFlow:
    """What it did in a step: electricity [kW], heat per zone [kW] (negative: cold), COP, supply temperature [degC]."""

    power_kw: float
    heat_kw: tuple[float, ...]
    cop: float
    supply_c: float


def supply_temp(params: HeatPumpParams, mode: Mode, outdoor_c: float) -> float:
    """Temperature of the water it makes [degC]."""
    if mode == "cool":
        return params.chilled_c
    return min(params.supply_max_c, max(params.supply_min_c, params.curve_at_zero_c - params.curve_slope * outdoor_c))


def full_cop(params: HeatPumpParams, mode: Mode, weather: Weather) -> float:
    """Heat (or cold) per electricity at full load."""
    supply = supply_temp(params, mode, weather.temp_c)
    lift = weather.temp_c + params.reject_k - supply if mode == "cool" else supply - weather.temp_c
    cop = params.grade * (supply + ZERO_K) / max(lift, LEAST_LIFT_K)
    if mode == "heat" and -3.0 < weather.temp_c < 5.0 and weather.humidity_pct > 80.0:
        cop *= 1 - params.defrost
    return min(COP_RANGE[1], max(COP_RANGE[0], cop))


def thermostat(
    params: HeatPumpParams, emitter_kw: float, error_k: float, integral: float, dt_s: float
) -> tuple[float, float]:
    """(demand [kW] >= 0, new integral 0..1) for a room `error_k` short of its setpoint."""
    share = error_k / params.band_k
    moved = min(1.0, max(0.0, integral + share * dt_s / params.reset_s))
    wanted = min(1.0, max(0.0, share + moved))
    saturated = wanted in (0.0, 1.0) and (moved - integral) * (wanted - 0.5) > 0
    return wanted * emitter_kw, integral if saturated else moved


def heat_pump_step(
    params: HeatPumpParams, mode: Mode, weather: Weather, demand_kw: Sequence[float], most_kw: float
) -> HeatPumpFlow:
    """Deliver what the zones ask for (>= 0 each) as far as the machine goes; short of it, all get the same share.

    `most_kw` is what the compressor can draw by now, see `gathered`.
    """
    full, asked = full_cop(params, mode, weather), sum(demand_kw)
    power = _power(params, full, asked, min(params.max_kw, most_kw))
    cop = full * (1 - params.part_load_loss * (1 - power / params.max_kw))
    total = power * cop
    given = total / asked if asked > 0 else 0.0
    sign = 1.0 if mode == "heat" else -1.0
    heat = tuple(sign * given * kw for kw in demand_kw)
    return HeatPumpFlow(power + params.standby_kw, heat, cop, supply_temp(params, mode, weather.temp_c))


def gathered(params: HeatPumpParams, was_kw: float, dt_s: float) -> float:
    """The most that the compressor can draw in a step after one at `was_kw` (standby included) [kW]."""
    return max(0.0, was_kw - params.standby_kw) + params.ramp_kw_min * dt_s / 60


def _power(params: HeatPumpParams, full: float, heat_kw: float, most_kw: float) -> float:
    """The power p <= most with p x COP(p) = heat, COP linear in p: the positive root of a quadratic."""
    idle = full * (1 - params.part_load_loss)
    slope = full * params.part_load_loss / params.max_kw
    root = heat_kw / idle if slope == 0 else (sqrt(idle * idle + 4 * slope * heat_kw) - idle) / (2 * slope)
    return min(most_kw, root)
