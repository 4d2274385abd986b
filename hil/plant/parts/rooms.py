"""Rooms: zones of a building with their people and their own hours, side by side with a wall between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from math import ceil
from typing import Protocol

from pydantic import ConfigDict, with_config

from hil.plant.building import ZoneFlows, ZoneInputs, ZoneParams, ZoneState, gains, zone_step
from hil.plant.heat_pump import Mode

from .base import Hours, Moment, Part, Wires

_STABLE = 0.25
"""A zone is stepped by at most this share of its air's time constant."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class RoomParams(ZoneParams):
    """A zone, the wall to the next zone of the same plant, how warm it is at the start, and what its thermostat keeps
    by itself: `heat_c` (`cool_c`) in its own hours and `ahead_h` before them, else the setback.
    """

    wall_kw_k: float = 0.0
    initial_air_c: float = 20.0
    initial_mass_c: float = 20.0
    own_hours: str = "Mo-Fr 06:00-18:00"
    ahead_h: float = 0.0
    heat_c: float = 20.5
    heat_setback_c: float = 17.0
    cool_c: float = 25.5
    cool_setback_c: float = 29.0


class Room(Part):
    """A zone; its heat comes from the plant that feeds it."""

    electric = False

    def __init__(self, part_id: str, wires: Wires, params: RoomParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.state = ZoneState(params.initial_air_c, params.initial_mass_c)
        self.integral = 0.0
        """Of its thermostat."""
        self.setpoint_c = params.heat_setback_c
        self.flows = ZoneFlows(0.0, 0.0, 0.0, 0.0)
        self.occupied, self._own = Hours(params.occupied), Hours(params.own_hours)
        self._ahead = timedelta(hours=params.ahead_h)

    def presence(self, now: Moment) -> float:
        """People in it as a share of what is usual in use; a crowd comes outside the hours too."""
        return now.people if now.people > 1 or self.occupied.cover(now.local) else 0.0

    def own_setpoint(self, now: Moment, mode: Mode) -> float:
        """What its thermostat aims for when nobody commands it [degC]."""
        params, on = self.params, self._own.cover(now.local) or self._own.cover(now.local + self._ahead)
        if mode == "heat":
            return params.heat_c if on else params.heat_setback_c
        return params.cool_c if on else params.cool_setback_c

    def obey(self, now: Moment, mode: Mode) -> float:
        """The setpoint in force [degC]."""
        self.setpoint_c = self.told("setpoint", now.time, self.own_setpoint(now, mode))
        return self.setpoint_c

    def states(self) -> dict[str, float]:
        return {"air_c": self.state.air_c, "mass_c": self.state.mass_c, "setpoint_c": self.setpoint_c}

    def quantities(self) -> dict[str, float]:
        return {"temp": self.state.air_c, "room_temp": self.state.air_c}


class Airing(Protocol):
    """An air handler as the rooms feel it."""

    open_now: bool
    flush: bool


class Building:
    """All rooms of a site and the air handlers that serve them."""

    def __init__(self) -> None:
        self.rooms: list[Room] = []
        self.airs: list[Airing] = []

    def in_use(self, now: Moment, open_now: bool) -> float:
        """People as a share of all; without rooms they are there while the building is open."""
        if not self.rooms:
            return now.people if open_now or now.people > 1 else 0.0
        return sum(room.presence(now) for room in self.rooms) / len(self.rooms)

    def indoor_c(self) -> float:
        """The air of the first room [degC]."""
        return self.rooms[0].state.air_c if self.rooms else 20.0

    def vent_kw_k(self, room: Room) -> float:
        """Conductance of the fresh air that a room gets now."""
        if not self.airs:
            return 0.0
        opened = sum(air.open_now for air in self.airs) / len(self.airs)
        flushed = sum(air.flush for air in self.airs) / len(self.airs)
        return room.params.vent_kw_k * opened + room.params.flush_kw_k * flushed


class Wing:
    """Rooms side by side: each shares a wall with the next."""

    def __init__(self, rooms: Sequence[Room], building: Building) -> None:
        self.rooms = tuple(rooms)
        self._building = building
        self._walls = {
            (a, b): self.rooms[min(a, b)].params.wall_kw_k
            for first, second in pairwise(range(len(self.rooms)))
            for a, b in ((first, second), (second, first))
        }
        self._pieces = max((self._pieces_per_minute(index) for index in range(len(self.rooms))), default=1)

    def _pieces_per_minute(self, index: int) -> int:
        params = self.rooms[index].params
        loss = params.ua_kw_k + params.vent_kw_k + params.flush_kw_k + params.air_mass_kw_k
        loss += sum(wall for (mine, _), wall in self._walls.items() if mine == index)
        return max(1, ceil(loss / 60 / (_STABLE * params.air_kwh_k)))

    def warm(self, now: Moment, heat_kw: Sequence[float]) -> None:
        """Move all rooms on, with this heat from their plant (negative: cold)."""
        pieces = max(1, ceil(self._pieces * now.seconds / 60))
        inputs = [self._inputs(now, room, heat) for room, heat in zip(self.rooms, heat_kw, strict=True)]
        flows = [self._piece(inputs, now.hours / pieces) for _ in range(pieces)]
        for index, room in enumerate(self.rooms):
            room.flows = flows[0][index] if pieces == 1 else _mean([piece[index] for piece in flows])

    def _inputs(self, now: Moment, room: Room, heat_kw: float) -> ZoneInputs:
        sun, machines = gains(room.params, now.weather.ghi_w_m2, now.base_kw, False)
        people = room.params.people_kw * room.presence(now) + machines
        return ZoneInputs(now.weather.temp_c, sun, people, heat_kw, self._building.vent_kw_k(room))

    def _piece(self, inputs: Sequence[ZoneInputs], hours: float) -> list[ZoneFlows]:
        air = [room.state.air_c for room in self.rooms]
        found = []
        for index, room in enumerate(self.rooms):
            other_c, wall = self.neighbours(index, air)
            found.append(zone_step(room.params, room.state, other_c, wall, inputs[index], hours))
        return found

    def neighbours(self, index: int, air: Sequence[float]) -> tuple[float, float]:
        """(air beyond the walls, conductance of the walls) as one neighbour."""
        beside = [other for other in (index - 1, index + 1) if 0 <= other < len(air)]
        if len(beside) == 1:
            return air[beside[0]], self._walls[index, beside[0]]
        wall = sum(self._walls[index, other] for other in beside)
        if wall == 0:
            return air[index], 0.0
        return sum(self._walls[index, other] * air[other] for other in beside) / wall, wall


def _mean(flows: Sequence[ZoneFlows]) -> ZoneFlows:
    count = len(flows)
    return ZoneFlows(
        sum(flow.outdoor_kw for flow in flows) / count,
        sum(flow.between_kw for flow in flows) / count,
        sum(flow.gains_kw for flow in flows) / count,
        sum(flow.emitter_kw for flow in flows) / count,
    )


class Unfed(Part):
    """Rooms that no plant heats: they only lose and gain."""

    turn = 3
    electric = False

    def __init__(self, part_id: str, wing: Wing) -> None:
        super().__init__(part_id, {})
        self.wing = wing

    def step(self, now: Moment) -> None:
        for room in self.wing.rooms:
            room.obey(now, "heat")
        self.wing.warm(now, [0.0] * len(self.wing.rooms))
