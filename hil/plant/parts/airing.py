"""Air handlers: the fan runs by its hours, and a switch starts an airing that goes on until it is switched off.

The simple one only changes the rooms' fresh air. One with `levels` or a `coil` has supply air of its own, with fans, recovery
and coil as in `hil.plant.air_handler`: in its hours as much of it as its people need, all of it while airing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import ConfigDict, with_config

from hil.plant.air_handler import (
    AIR_KWH_M3_K,
    AirHandlerFlow,
    AirHandlerParams,
    air_handler_step,
    least_level,
)
from hil.plant.airing import AhuParams, ahu_power, co2_after, co2_step, fan_speed, fresh_air_m3_h

from .base import Hours, Moment, Part, Wires
from .rooms import Building, Room

_GOOD_PPM = 1000.0
"""An air handler's own control gives the air that its people need for this."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class CoilParams:
    """What makes supply air of a temperature: a recovery wheel, then a coil [kW]."""

    heat_kw: float = 30.0
    cold_kw: float = 25.0
    supply_c: float = 18.0
    recovery: float = 0.75
    """Of the difference between extract and outdoor temperature."""
    cop: float = 3.0
    """Heat or cold of the coil per electricity."""
    serves: tuple[str, ...] = ()
    """The rooms that get the air, by their shares of fresh air (`vent_kw_k`); none: all rooms."""

    def __post_init__(self) -> None:
        if not 0 <= self.recovery <= 1:
            raise ValueError(f"recovery: {self.recovery} must be from 0 to 1")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HandlerParams(AhuParams):
    """An air handler; with `levels` (shares of its full air, rising from 0) or a `coil` it is one with supply air."""

    levels: tuple[float, ...] | None = None
    coil: CoilParams | None = None


class AirHandler(Part):
    """An air handler of a building; the rooms feel its `open_now` and `flush`."""

    turn = 1

    def __init__(self, part_id: str, wires: Wires, params: HandlerParams, building: Building) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.open_now = self.flush = False
        self.hours, self._building = Hours(params.hours), building
        self._co2, self._supply_c = params.initial_ppm, 20.0

    def prepare(self, now: Moment) -> None:
        self.open_now = self.hours.cover(now.local)
        self._supply_c = self._supply(now)

    def step(self, now: Moment) -> None:
        self.open_now = self.hours.cover(now.local)
        self.flush = bool(self.told("switch", now.time, 0.0))
        self._blow(now, self._building.in_use(now, self.open_now))

    def _blow(self, now: Moment, in_use: float) -> None:
        self._co2 = co2_step(self.params, self._co2, in_use, self.open_now, self.flush, now.hours)
        self.power_kw = ahu_power(self.params, self.open_now, self.flush)
        self._supply_c = self._supply(now)

    def _supply(self, now: Moment) -> float:
        return 0.25 * now.weather.temp_c + 0.75 * self._building.indoor_c()

    def states(self) -> dict[str, float]:
        return {"on": float(self.flush), "co2_ppm": self._co2}

    def quantities(self) -> dict[str, float]:
        return {
            "co2": self._co2,
            "fan_speed": fan_speed(self.open_now, self.flush),
            "supply_temp": self._supply_c,
            "room_temp": self._building.indoor_c(),
            "return_temp": self._building.indoor_c(),
        }


class AirUnit(AirHandler):
    """An air handler with supply air, which brings heat or cold into the rooms that it serves."""

    def __init__(self, part_id: str, wires: Wires, params: HandlerParams, building: Building) -> None:
        super().__init__(part_id, wires, params, building)
        self.coil = params.coil or CoilParams(heat_kw=0.0, cold_kw=0.0)
        self.unit = _unit(params, self.coil)
        self.flow = AirHandlerFlow(0.0, 20.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self._shares: dict[Room, float] = {}

    def serve(self, rooms: Sequence[Room]) -> None:
        """Share its air out among these rooms by what fresh air they get, evenly where none gets any."""
        weights = [room.params.vent_kw_k for room in rooms]
        weights = weights if sum(weights) else [1.0] * len(rooms)
        self._shares = {room: weight / sum(weights) for room, weight in zip(rooms, weights, strict=True)}

    def extract_c(self) -> float:
        """The air that it takes from its rooms [degC]."""
        return sum(share * room.state.air_c for room, share in self._shares.items()) if self._shares else 20.0

    def supply_kw(self, room: Room) -> float:
        """What its air brings a room [kW]."""
        per_k = AIR_KWH_M3_K * self.flow.flow_m3_h * self._shares.get(room, 0.0)
        return per_k * (self.flow.supply_c - room.state.air_c)

    def _blow(self, now: Moment, in_use: float) -> None:
        params, people = self.params, self.params.people * in_use
        self.flow = air_handler_step(
            self.unit, self._level(people), self.coil.supply_c, now.weather.temp_c, self.extract_c()
        )
        air = params.leak_m3_h + self.flow.flow_m3_h
        self._co2 = co2_after(self._co2, people, air, params.volume_m3, now.hours)
        self._supply_c = self.flow.supply_c
        self.power_kw = self.flow.fan_kw + abs(self.flow.coil_kw) / self.coil.cop

    def _level(self, people: float) -> int:
        if self.flush:
            return len(self.unit.levels) - 1
        wanted = max(self.params.fan_m3_h, fresh_air_m3_h(people, _GOOD_PPM) - self.params.leak_m3_h)
        return least_level(self.unit, wanted) if self.open_now else 0

    def states(self) -> dict[str, float]:
        flow = self.flow
        return super().states() | {"air_m3_h": flow.flow_m3_h, "supply_c": flow.supply_c, "coil_kw": flow.coil_kw}

    def quantities(self) -> dict[str, float]:
        found = {"fan_speed": self.flow.flow_m3_h / self.unit.nominal_m3_h, "air_flow": self.flow.flow_m3_h}
        inside = self.extract_c()
        return super().quantities() | found | {"room_temp": inside, "return_temp": inside}


def _unit(params: HandlerParams, coil: CoilParams) -> AirHandlerParams:
    """Its full air and fan power are those of the fan and an airing together."""
    full = params.fan_m3_h + params.flush_m3_h
    if full <= 0:
        raise ValueError("fan_m3_h and flush_m3_h: one of them must be more than 0")
    unit = AirHandlerParams(
        nominal_m3_h=full,
        nominal_fan_kw=params.fan_kw + params.flush_kw,
        recovery=coil.recovery,
        coil_heat_kw=coil.heat_kw,
        coil_cold_kw=coil.cold_kw,
    )
    return unit if params.levels is None else replace(unit, levels=params.levels)


def make_air_handler(part_id: str, wires: Wires, params: HandlerParams, building: Building) -> AirHandler:
    """The air handler of these parameters, felt by a building. Raises ValueError for hours and levels that are none."""
    if params.levels is None and params.coil is None:
        simple = AirHandler(part_id, wires, params, building)
        building.airs.append(simple)
        return simple
    unit = AirUnit(part_id, wires, params, building)
    building.units.append(unit)
    return unit
