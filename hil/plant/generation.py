"""A photovoltaic roof, from measured irradiance on the flat.

    P = array x GHI / 1000 x tilt gain x performance x (1 + coefficient x (T_cell - 25)),  T_cell = T_out + 0.03 GHI

clipped by the inverter's rating and by the limit it was given. The tilt gain is one number for a season, an assumption: how
much more a tilted roof gets than the flat (at 52 degrees north some 1.3 in winter, 1.05 in summer for 15 degrees of tilt).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from hil.measured import Weather

_CELL_K_PER_W_M2 = 0.03
_CELL_REFERENCE_C = 25.0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PvParams:
    """Modules [kWp] and inverter [kW]."""

    array_kwp: float = 38.0
    rated_kw: float = 40.0
    performance: float = 0.86
    tilt_gain: float = 1.1
    per_k: float = -0.004


def available_kw(params: PvParams, weather: Weather) -> float:
    """What the sun gives at the inverter's terminals [kW], >= 0."""
    cell = weather.temp_c + _CELL_K_PER_W_M2 * weather.ghi_w_m2
    heat = 1 + params.per_k * (cell - _CELL_REFERENCE_C)
    power = params.array_kwp * weather.ghi_w_m2 / 1000 * params.tilt_gain * params.performance * heat
    return min(params.rated_kw, max(0.0, power))


def pv_power(params: PvParams, available: float, limit: float) -> float:
    """Power [kW], generating negative, under a limit given as a share of the rating."""
    return -min(available, max(0.0, limit) * params.rated_kw)
