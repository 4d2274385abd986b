"""All parameters of a simulated building. They are its own: nothing here is taken from a site file.

The defaults are the Larissa town hall's plant, 5 to 20 % off what its site file claims, as real equipment is. A scenario
overrides what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ConfigDict, with_config

from .airing import AhuParams
from .battery import BatteryParams
from .building import ZoneParams
from .ev import EvParams
from .generation import PvParams
from .heat_pump import HeatPumpParams, Mode

OFFICE = ZoneParams(
    name="office",
    ua_kw_k=0.96,
    air_kwh_k=6.4,
    mass_kwh_k=36.0,
    air_mass_kw_k=14.5,
    window_m2=24.0,
    people_kw=5.0,
    base_share=0.12,
    emitter_kw=50.0,
    occupied="Mo-Fr 07:30-17:00",
    vent_kw_k=0.10,
    flush_kw_k=0.15,
)
HALL = ZoneParams(
    name="hall",
    ua_kw_k=0.62,
    air_kwh_k=3.6,
    mass_kwh_k=16.8,
    air_mass_kw_k=8.6,
    window_m2=14.0,
    people_kw=2.9,
    base_share=0.06,
    emitter_kw=29.0,
    occupied="Mo-Fr 08:00-15:00",
    vent_kw_k=0.08,
    flush_kw_k=0.10,
)


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


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PlantParams:
    """The building, its equipment, its sensors, and how warm it is at the start [degC]."""

    mode: Mode = "heat"
    """What the building's own heating/cooling switch says."""
    zones: tuple[ZoneParams, ...] = (OFFICE, HALL)
    wall_kw_k: float = 0.25
    """Between the two zones."""
    initial_air_c: tuple[float, ...] = (17.0, 16.0)
    initial_mass_c: tuple[float, ...] = (17.8, 16.8)
    heat_pump: HeatPumpParams = field(default_factory=HeatPumpParams)
    battery: BatteryParams = field(default_factory=BatteryParams)
    pv: PvParams = field(default_factory=PvParams)
    ev: EvParams = field(default_factory=EvParams)
    ahu: AhuParams = field(default_factory=AhuParams)
    sensors: SensorParams = field(default_factory=SensorParams)

    def __post_init__(self) -> None:
        if len(self.zones) != 2 or len(self.initial_air_c) != 2 or len(self.initial_mass_c) != 2:
            raise ValueError(
                "the simulated building has two zones; give two zones and two initial temperatures of each"
            )
