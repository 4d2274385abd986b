"""A swimming pool: one body of water, a cover, a filtration pump and a heater that needs the pump to run.

    1.163 V dT/dt = heat + sun - evaporation - UA (T - T_air)

Sun: irradiance x area x `absorbed`, of which a cover lets `covered_sun` through. Evaporation takes 150 W/m2 from open and
30 W/m2 from covered water, whatever the air; the water it costs is topped up at the pool's own temperature.
Stored heat changes by exactly the sum of the flows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ConfigDict, with_config

from .decay import settled
from .tank import KWH_M3_K


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PoolParams:
    """Water [m3, m2], pump and heater [kW]."""

    volume_m3: float = 400.0
    area_m2: float = 250.0
    absorbed: float = 0.7
    covered_sun: float = 0.3
    evaporation_w_m2: float = 150.0
    covered_w_m2: float = 30.0
    loss_kw_k: float = 2.0
    """To the air, by convection, radiation and through the walls."""
    pump_kw: float = 4.0
    filter_h: float = 6.0
    """Hours a day that the water must pass the filter."""
    filter_hours: str = "Mo-Su 08:00-14:00"
    """When it filters by itself, site-local."""
    heater_kw: float = 80.0
    """The most heat it can take up."""
    cop: float = 5.0
    """Heat per electricity of the heater."""
    band_k: float = 0.5
    """A deviation of this much asks for all of the heater."""
    initial_c: float = 26.0

    @property
    def water_kwh_k(self) -> float:
        """Heat capacity."""
        return KWH_M3_K * self.volume_m3


@dataclass(frozen=True, slots=True)
class PoolState:
    """Water temperature [degC] and hours filtered since the day began."""

    water_c: float
    filtered_h: float = 0.0


@dataclass(frozen=True, slots=True)
class PoolInputs:
    """What acts on it: air [degC], irradiance on the flat [W/m2], cover, pump, heat offered >= 0 [kW]."""

    air_c: float
    ghi_w_m2: float
    covered: bool
    pump: bool
    heat_kw: float


@dataclass(frozen=True, slots=True)
class PoolFlow:
    """Means over a step [kW]: heat in, sun in, evaporation and other losses out; electricity of pump and heater."""

    heat_kw: float
    sun_kw: float
    evaporation_kw: float
    loss_kw: float
    power_kw: float


def wanted_heat(params: PoolParams, water_c: float, setpoint_c: float) -> float:
    """What the pool's thermostat asks of its heater [kW]."""
    return params.heater_kw * min(1.0, max(0.0, (setpoint_c - water_c) / params.band_k))


def must_filter(params: PoolParams, state: PoolState, left_h: float) -> bool:
    """Whether the day's hours are missed unless it filters from now on, `left_h` before the day ends."""
    return params.filter_h - state.filtered_h >= max(left_h, 1e-9)


def next_day(state: PoolState) -> PoolState:
    """The state as a new day begins."""
    return replace(state, filtered_h=0.0)


def pool_step(params: PoolParams, state: PoolState, inputs: PoolInputs, hours: float) -> tuple[PoolState, PoolFlow]:
    """(state, flow) of a step."""
    heat = min(inputs.heat_kw, params.heater_kw) if inputs.pump else 0.0
    through = params.covered_sun if inputs.covered else 1.0
    sun = inputs.ghi_w_m2 / 1000 * params.area_m2 * params.absorbed * through
    evaporation = (params.covered_w_m2 if inputs.covered else params.evaporation_w_m2) / 1000 * params.area_m2
    gained = heat + sun - evaporation
    slope = (gained - params.loss_kw_k * (state.water_c - inputs.air_c)) / params.water_kwh_k
    moved = settled(slope, params.loss_kw_k / params.water_kwh_k, hours)
    loss = gained - params.water_kwh_k * moved / hours
    power = (params.pump_kw if inputs.pump else 0.0) + heat / params.cop
    after = PoolState(state.water_c + moved, state.filtered_h + (hours if inputs.pump else 0.0))
    return after, PoolFlow(heat, sun, evaporation, loss, power)
