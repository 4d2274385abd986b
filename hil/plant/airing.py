"""An air handling unit: a fan that runs while the building is open, and an airing that adds power and fresh air.

CO2 follows people and ventilation: V dC/dt = people - q (C - 420 ppm), with 0.018 m3 of CO2 per person and hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from pydantic import ConfigDict, with_config

OUTDOOR_PPM = 420.0
_CO2_M3_H = 0.018


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class AhuParams:
    """Fan powers [kW], air [m3/h], the building's volume [m3] and people."""

    fan_kw: float = 0.5
    flush_kw: float = 5.6
    hours: str = "Mo-Fr 06:30-18:00"
    leak_m3_h: float = 400.0
    fan_m3_h: float = 1600.0
    flush_m3_h: float = 6000.0
    volume_m3: float = 3300.0
    people: float = 60.0
    initial_ppm: float = 600.0


def ahu_power(params: AhuParams, open_now: bool, flush: bool) -> float:
    """Electricity [kW]."""
    return (params.fan_kw if open_now else 0.0) + (params.flush_kw if flush else 0.0)


def co2_step(params: AhuParams, ppm: float, share_in_use: float, open_now: bool, flush: bool, hours: float) -> float:
    """CO2 after a step [ppm], exact for constant inputs."""
    flow = params.leak_m3_h + (params.fan_m3_h if open_now else 0.0) + (params.flush_m3_h if flush else 0.0)
    return co2_after(ppm, params.people * share_in_use, flow, params.volume_m3, hours)


def co2_after(ppm: float, people: float, flow_m3_h: float, volume_m3: float, hours: float) -> float:
    """CO2 of a room after a step [ppm], exact for constant people and fresh air > 0 [m3/h]."""
    settled = OUTDOOR_PPM + 1e6 * _CO2_M3_H * people / flow_m3_h
    return settled + (ppm - settled) * exp(-flow_m3_h / volume_m3 * hours)


def fresh_air_m3_h(people: float, most_ppm: float) -> float:
    """The fresh air that keeps a room with `people` at `most_ppm` or below in the long run [m3/h]."""
    return 1e6 * _CO2_M3_H * people / (most_ppm - OUTDOOR_PPM)


def fan_speed(open_now: bool, flush: bool) -> float:
    """Share of full speed."""
    return 1.0 if flush else 0.45 if open_now else 0.0
