"""An air handling unit with a recovery wheel, a coil and a fan in steps of flow.

Outdoor air takes back `recovery` of the difference to the extract air, or less where all of it would overshoot the wanted
supply temperature (bypass), then the fan's heat, then what the coil can add or take away:

    c q (T_supply - T_outdoor) = recovered + fan heat + coil

with c q the air's heat capacity flow (ASHRAE standard air: 1.2 kg/m3, 1.006 kJ/kg K). Fan power follows
P = P_n (q / q_n)^2.7: the affinity laws' cube, less because a part of the pressure is held. The air has no memory, so there
is no state. What the coil takes comes from whatever feeds it; see `airing.co2_after` for the air's CO2.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config

AIR_KWH_M3_K = 1.2 * 1.006 / 3600


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class AirHandlerParams:
    """Air [m3/h], fan and coil [kW]; flows are steps of the nominal one."""

    nominal_m3_h: float = 6000.0
    nominal_fan_kw: float = 5.6
    exponent: float = 2.7
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Shares of the nominal flow, rising from 0 (off)."""
    recovery: float = 0.75
    """Of the difference between extract and outdoor temperature."""
    fan_to_air: float = 0.5
    """Share of the fans' power that warms the supply air; the exhaust fan's does not."""
    coil_heat_kw: float = 30.0
    coil_cold_kw: float = 25.0

    def __post_init__(self) -> None:
        if self.levels[:1] != (0.0,) or list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"levels: {self.levels} must rise from 0, such as (0, 0.5, 1)")


@dataclass(frozen=True, slots=True)
class AirHandlerFlow:
    """What it did in a step: air [m3/h], supply temperature [degC], powers [kW].

    `coil_kw` is heat put into the air, negative when it cools; `zone_kw` is what the supply air brings a room at the extract
    temperature.
    """

    flow_m3_h: float
    supply_c: float
    fan_kw: float
    fan_heat_kw: float
    recovered_kw: float
    coil_kw: float
    zone_kw: float


def flow_m3_h(params: AirHandlerParams, level: int) -> float:
    """Air at a level, 0 being off; levels beyond the last count as the last [m3/h]."""
    return params.levels[min(max(level, 0), len(params.levels) - 1)] * params.nominal_m3_h


def least_level(params: AirHandlerParams, wanted_m3_h: float) -> int:
    """The lowest level that moves `wanted_m3_h`, or the last."""
    enough = (i for i, share in enumerate(params.levels) if share * params.nominal_m3_h >= wanted_m3_h)
    return next(enough, len(params.levels) - 1)


def fan_power(params: AirHandlerParams, m3_h: float) -> float:
    """Electricity of the fans [kW]."""
    return params.nominal_fan_kw * float((m3_h / params.nominal_m3_h) ** params.exponent)


def air_handler_step(
    params: AirHandlerParams, level: int, setpoint_c: float, outdoor_c: float, extract_c: float
) -> AirHandlerFlow:
    """Supply air at a level of flow, as near to its setpoint as recovery and coil bring it."""
    flow = flow_m3_h(params, level)
    if flow == 0.0:
        return AirHandlerFlow(0.0, extract_c, 0.0, 0.0, 0.0, 0.0, 0.0)
    per_k, fan = AIR_KWH_M3_K * flow, fan_power(params, flow)
    fan_heat = params.fan_to_air * fan
    wanted = per_k * (setpoint_c - outdoor_c) - fan_heat
    most = params.recovery * per_k * (extract_c - outdoor_c)
    recovered = min(max(wanted, min(most, 0.0)), max(most, 0.0))
    coil = min(params.coil_heat_kw, max(-params.coil_cold_kw, wanted - recovered))
    supply = outdoor_c + (recovered + fan_heat + coil) / per_k
    return AirHandlerFlow(flow, supply, fan, fan_heat, recovered, coil, per_k * (supply - extract_c))
