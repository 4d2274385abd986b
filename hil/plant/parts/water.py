"""Boiler, hot water tank, pool and pump station, each with what it does when nobody commands it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import ConfigDict, with_config

from hil.plant.boiler import BoilerFlow, BoilerInputs, BoilerParams, BoilerState, boiler_step
from hil.plant.pool import PoolFlow, PoolInputs, PoolParams, PoolState, must_filter, next_day, pool_step, wanted_heat
from hil.plant.tank import TankFlow, TankParams, calls_for_heat, draw_for, full, stored_kwh, tank_step
from hil.plant.water import WaterFlow, WaterParams, WaterState, by_level, water_step

from .base import Hours, Moment, Part, Wires

_MAINS_C = 12.0
_ROOM_C = 18.0
_BUSY = 2.0
"""Water is used this many times as much as in the mean, in the morning and in the evening hours."""
_MEALS = Hours("06:00-09:00; 18:00-21:00")
_CALM = (24 - _BUSY * 6) / 18


def _usage(now: Moment) -> float:
    """Use of water as a share of the day's mean."""
    return _BUSY if _MEALS.cover(now.local) else _CALM


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class BoilerPartParams(BoilerParams):
    """A boiler and what it heats: `load_kw_k` per K that it is colder outside than `no_heat_above_c`."""

    own_setpoint_c: float = 60.0
    load_kw_k: float = 2.5
    no_heat_above_c: float = 17.0


class Boiler(Part):
    """A boiler; its own controller keeps `own_setpoint_c` and has it on."""

    def __init__(self, part_id: str, wires: Wires, params: BoilerPartParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.state = BoilerState(params.initial_c)
        self.flow = BoilerFlow(0.0, 0.0, 0.0, 0.0, 0.0, params.idle_kw, params.initial_c)

    def prepare(self, now: Moment) -> None:
        self._told(now)
        self.power_kw = self.flow.power_kw

    def _told(self, now: Moment) -> tuple[bool, float]:
        enabled = bool(self.told("enable", now.time, 1.0))
        return enabled, self.told("setpoint", now.time, self.params.own_setpoint_c)

    def step(self, now: Moment) -> None:
        enabled, setpoint = self._told(now)
        drawn = self.params.load_kw_k * max(0.0, self.params.no_heat_above_c - now.weather.temp_c)
        inputs = BoilerInputs(enabled, setpoint, drawn + now.extra_draw(self.names), _ROOM_C)
        self.state, self.flow = boiler_step(self.params, self.state, inputs, now.hours)
        self.power_kw = self.flow.power_kw

    def states(self) -> dict[str, float]:
        return {"water_c": self.state.water_c, "fuel_kw": self.flow.fuel_kw, "heat_kw": self.flow.given_kw}

    def quantities(self) -> dict[str, float]:
        return {
            "supply_temp": self.state.water_c,
            "water_temp": self.state.water_c,
            "return_temp": self.flow.return_c,
            "fuel_power": self.flow.fuel_kw,
            "heat_power": self.flow.given_kw,
            "load_share": self.flow.heat_kw / self.params.rated_kw,
        }

    def condition(self) -> tuple[str, ...]:
        return ("firing", "heating", "running", "on") if self.state.firing else ("standby", "idle", "off")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HotWaterParams(TankParams):
    """A tank of hot water and what is drawn from it in the day's mean."""

    own_setpoint_c: float = 60.0
    draw_kw: float = 0.6


class HotWater(Part):
    """A tank whose own thermostat keeps `own_setpoint_c`."""

    def __init__(self, part_id: str, wires: Wires, params: HotWaterParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.temps_c = full(params, params.initial_c)
        self.flow = TankFlow(0.0, 0.0, 0.0, params.initial_c)
        self._heating = False

    def prepare(self, now: Moment) -> None:
        self.told("setpoint", now.time, self.params.own_setpoint_c)

    def step(self, now: Moment) -> None:
        params = self.params
        setpoint = self.told("setpoint", now.time, params.own_setpoint_c)
        self._heating = calls_for_heat(params, self.temps_c, self._heating, setpoint)
        offered = params.heater_kw * params.cop if self._heating else 0.0
        drawn_kw = params.draw_kw * _usage(now) + now.extra_draw(self.names)
        draw = draw_for(self.temps_c, drawn_kw, _MAINS_C)
        self.temps_c, self.flow = tank_step(params, self.temps_c, offered, draw, _MAINS_C, _ROOM_C, now.hours)
        self.power_kw = self.flow.heat_kw / params.cop

    def states(self) -> dict[str, float]:
        return {
            "top_c": self.temps_c[0],
            "bottom_c": self.temps_c[-1],
            "heat_kwh": stored_kwh(self.params, self.temps_c),
            "drawn_kw": self.flow.drawn_kw,
        }

    def quantities(self) -> dict[str, float]:
        return {
            "top_temp": self.temps_c[0],
            "bottom_temp": self.temps_c[-1],
            "water_temp": self.temps_c[self.params.sensor_layer],
        }


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PoolPartParams(PoolParams):
    """A pool that is uncovered in its `open_hours`."""

    own_setpoint_c: float = 26.0
    open_hours: str = "Mo-Su 08:00-20:00"
    catches_up: bool = False
    """Before the day ends its own control makes up for the hours of filtering that are missing."""


class Pool(Part):
    """A pool; left alone it filters by its own hours."""

    def __init__(self, part_id: str, wires: Wires, params: PoolPartParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.state = PoolState(params.initial_c)
        self.flow = PoolFlow(0.0, 0.0, 0.0, 0.0, 0.0)
        self.on = self._covered = False
        self._filter, self._open = Hours(params.filter_hours), Hours(params.open_hours)
        self._day: int | None = None
        self._air_c = 20.0

    def prepare(self, now: Moment) -> None:
        self._told(now)
        self._covered, self._air_c = not self._open.cover(now.local), now.weather.temp_c

    def _told(self, now: Moment) -> float:
        self.on = bool(self.told("switch", now.time, float(self._filters(now))))
        return self.told("setpoint", now.time, self.params.own_setpoint_c)

    def _filters(self, now: Moment) -> bool:
        midnight = now.local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        left_h = (midnight - now.local) / timedelta(hours=1)
        late = self.params.catches_up and must_filter(self.params, self.state, left_h)
        return late or self._filter.cover(now.local)

    def step(self, now: Moment) -> None:
        if self._day != now.local.toordinal():
            self._day, self.state = now.local.toordinal(), next_day(self.state)
        setpoint = self._told(now)
        self._covered, self._air_c = not self._open.cover(now.local), now.weather.temp_c
        heat = wanted_heat(self.params, self.state.water_c, setpoint)
        inputs = PoolInputs(now.weather.temp_c, now.weather.ghi_w_m2, self._covered, self.on, heat)
        self.state, self.flow = pool_step(self.params, self.state, inputs, now.hours)
        self.power_kw = self.flow.power_kw

    def states(self) -> dict[str, float]:
        return {"on": float(self.on), "water_c": self.state.water_c, "filtered_h": self.state.filtered_h}

    def quantities(self) -> dict[str, float]:
        return {"water_temp": self.state.water_c, "air_temp": self._air_c, "cover": float(self._covered)}


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class StationParams(WaterParams):
    """A pump station and the mean demand of its consumers [m3/h]."""

    demand_m3_h: float = 25.0


class PumpStation(Part):
    """Pumps that fill a reservoir; left alone they go by its level."""

    def __init__(self, part_id: str, wires: Wires, params: StationParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.state = WaterState(params.initial * params.volume_m3, params.well_m3)
        self.flow = WaterFlow(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self.unserved_m3 = 0.0

    def prepare(self, now: Moment) -> None:
        self._wanted(now)

    def _wanted(self, now: Moment) -> float:
        return self.told("wanted", now.time, float(by_level(self.params, self.state)))

    def step(self, now: Moment) -> None:
        demand = max(0.0, self.params.demand_m3_h * _usage(now) + now.extra_draw(self.names))
        self.state, self.flow = water_step(self.params, self.state, self._wanted(now), demand, now.hours)
        self.unserved_m3 += self.flow.unserved_m3_h * now.hours
        self.power_kw = self.flow.power_kw

    @property
    def level(self) -> float:
        """Share of the reservoir's volume."""
        return self.state.stored_m3 / self.params.volume_m3

    def states(self) -> dict[str, float]:
        return {
            "level": self.level,
            "stored_m3": self.state.stored_m3,
            "pumps": float(self.state.running),
            "unserved_m3": self.unserved_m3,
        }

    def quantities(self) -> dict[str, float]:
        return {
            "level": self.level,
            "inflow": self.flow.pumped_m3_h,
            "outflow": self.flow.given_m3_h,
            "flow": self.flow.pumped_m3_h,
            "pumps": float(self.state.running),
        }
