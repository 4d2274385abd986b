"""Parameters of what belongs to no part: the sensors of all devices."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class SensorParams:
    """Standard deviations of what the devices show; powers relative to the value plus a floor [kW]."""

    power: float = 0.005
    power_floor_kw: float = 0.01
    temp_k: float = 0.05
    temp_step_k: float = 0.1
    soc: float = 0.001
    soc_step: float = 0.001
    co2_ppm: float = 8.0
