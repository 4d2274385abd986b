"""Rooms: zones of a building with their people and their own hours, with walls between them.

Plants and air handlers say what heat they bring, then all rooms move on together, so that what leaves one through a wall
enters the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from math import ceil
from typing import Literal, Protocol

from pydantic import ConfigDict, with_config

from hil.plant.building import (
    Wall,
    ZoneFlows,
    ZoneInputs,
    ZoneParams,
    ZoneState,
    gains,
    light_zone_step,
    through_walls,
    zone_among,
)
from hil.plant.heat_pump import Mode

from .base import Hours, Moment, Part, Wires

_STABLE = 0.25
"""A zone is stepped by at most this share of its air's time constant."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class RoomParams(ZoneParams):
    """A zone, its walls, how warm it is at the start, and what its thermostat keeps by itself: `heat_c` (`cool_c`) in its
    own hours and `ahead_h` before them, else the setback.
    """

    model: Literal["2r2c", "1r1c"] = "2r2c"
    """Air and mass apart, or one temperature for both; it begins at that of the air."""
    wall_kw_k: float = 0.0
    """The wall to the next zone of the same plant."""
    walls: Mapping[str, float] = field(default_factory=dict)
    """Walls to any zones, by their ids [kW/K]; one to the next zone takes the place of `wall_kw_k`."""
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
        self.light = params.model == "1r1c"
        self.state = ZoneState(params.initial_air_c, params.initial_air_c if self.light else params.initial_mass_c)
        self.integral = 0.0
        """Of its thermostat."""
        self.setpoint_c = params.heat_setback_c
        self.heat_kw = 0.0
        """From its plant in this step, negative: cold."""
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

    def move(self, between_kw: float, inputs: ZoneInputs, hours: float) -> ZoneFlows:
        """Move on with so much heat through its walls."""
        if not self.light:
            return zone_among(self.params, self.state, between_kw, inputs, hours)
        air_c, flows = light_zone_step(self.params, self.state.air_c, between_kw, inputs, hours)
        self.state = ZoneState(air_c, air_c)
        return flows

    def states(self) -> dict[str, float]:
        return {"air_c": self.state.air_c, "mass_c": self.state.mass_c, "setpoint_c": self.setpoint_c}

    def quantities(self) -> dict[str, float]:
        return {"temp": self.state.air_c, "room_temp": self.state.air_c}


class Airing(Protocol):
    """An air handler as the rooms feel it."""

    open_now: bool
    flush: bool


class Supplying(Protocol):
    """An air handler whose supply air has a temperature of its own."""

    def supply_kw(self, room: Room) -> float:
        """What its air brings a room [kW]."""
        ...


class Building:
    """All rooms of a site, their walls and the air handlers that serve them."""

    def __init__(self) -> None:
        self.rooms: list[Room] = []
        self.airs: list[Airing] = []
        self.units: list[Supplying] = []
        self.wings: list[Wing] = []

    def in_use(self, now: Moment, open_now: bool) -> float:
        """People as a share of all; without rooms they are there while the building is open."""
        if not self.rooms:
            return now.people if open_now or now.people > 1 else 0.0
        return sum(room.presence(now) for room in self.rooms) / len(self.rooms)

    def indoor_c(self) -> float:
        """The air of the first room [degC]."""
        return self.rooms[0].state.air_c if self.rooms else 20.0

    def inputs(self, now: Moment, room: Room) -> ZoneInputs:
        """What acts on a room now."""
        sun, machines = gains(room.params, now.weather.ghi_w_m2, now.base_kw, False)
        people = room.params.people_kw * room.presence(now) + machines
        supply = sum((unit.supply_kw(room) for unit in self.units), 0.0)
        return ZoneInputs(now.weather.temp_c, sun, people, room.heat_kw, self._vent_kw_k(room), supply)

    def _vent_kw_k(self, room: Room) -> float:
        """Conductance of the fresh air that a room gets now."""
        if not self.airs:
            return 0.0
        opened = sum(air.open_now for air in self.airs) / len(self.airs)
        flushed = sum(air.flush for air in self.airs) / len(self.airs)
        return room.params.vent_kw_k * opened + room.params.flush_kw_k * flushed

    def walls(self) -> dict[tuple[str, str], Wall]:
        """All walls by the pair of rooms: those within the wings, and those that rooms say.

        Raises ValueError for a wall to no room, and for one that is said twice.
        """
        found = {wall.between: wall for wing in self.wings for wall in wing.inner_walls()}
        names, said = [room.id for room in self.rooms], set[tuple[str, str]]()
        for room in self.rooms:
            for other, kw_k in room.params.walls.items():
                if other not in names or other == room.id:
                    known = ", ".join(name for name in names if name != room.id)
                    raise ValueError(f"{room.id}.walls: '{other}': no other zone; there are {known}")
                pair = (room.id, other) if names.index(room.id) < names.index(other) else (other, room.id)
                if pair in said:
                    raise ValueError(f"{room.id}.walls: '{other}': '{other}' has this wall already")
                said.add(pair)
                found[pair] = Wall(pair, kw_k)
        return found


class Wing:
    """Rooms that one plant feeds, side by side."""

    def __init__(self, rooms: Sequence[Room], building: Building) -> None:
        self.rooms = tuple(rooms)
        building.wings.append(self)

    def inner_walls(self) -> list[Wall]:
        """Between each room and the next, as the former says."""
        return [Wall((one.id, other.id), one.params.wall_kw_k) for one, other in pairwise(self.rooms)]

    def heat(self, heat_kw: Sequence[float]) -> None:
        """Bring every room this heat in the step that begins (negative: cold)."""
        for room, heat in zip(self.rooms, heat_kw, strict=True):
            room.heat_kw = heat

    def neighbours(self, index: int, air: Sequence[float]) -> tuple[float, float]:
        """(air beyond the inner walls, conductance of these) as one neighbour of a room."""
        walls = [wall.kw_k for wall in self.inner_walls()]
        beside = [(air[other], walls[min(index, other)]) for other in (index - 1, index + 1) if 0 <= other < len(air)]
        if len(beside) == 1:
            return beside[0]
        wall = sum(kw_k for _, kw_k in beside)
        return (sum(kw_k * air_c for air_c, kw_k in beside) / wall, wall) if wall else (air[index], 0.0)


class Rooms(Part):
    """Moves on rooms that have walls to each other, in pieces that the quickest of them is stable with."""

    turn = 5
    electric = False

    def __init__(self, part_id: str, rooms: Sequence[Room], walls: Sequence[Wall], building: Building) -> None:
        super().__init__(part_id, {})
        self.rooms, self.walls = tuple(rooms), tuple(walls)
        self._building = building
        self._pieces = max(self._pieces_per_minute(room) for room in self.rooms)

    def _pieces_per_minute(self, room: Room) -> int:
        params = room.params
        loss = params.ua_kw_k + params.vent_kw_k + params.flush_kw_k
        loss += 0.0 if room.light else params.air_mass_kw_k
        loss += sum(wall.kw_k for wall in self.walls if room.id in wall.between)
        return max(1, ceil(loss / 60 / (_STABLE * (params.kwh_k if room.light else params.air_kwh_k))))

    def step(self, now: Moment) -> None:
        pieces = max(1, ceil(self._pieces * now.seconds / 60))
        inputs = [self._building.inputs(now, room) for room in self.rooms]
        flows = [self._piece(inputs, now.hours / pieces) for _ in range(pieces)]
        for index, room in enumerate(self.rooms):
            room.flows = flows[0][index] if pieces == 1 else _mean([piece[index] for piece in flows])

    def _piece(self, inputs: Sequence[ZoneInputs], hours: float) -> list[ZoneFlows]:
        between = through_walls(self.walls, {room.id: room.state.air_c for room in self.rooms})
        return [room.move(between[room.id], given, hours) for room, given in zip(self.rooms, inputs, strict=True)]


def _mean(flows: Sequence[ZoneFlows]) -> ZoneFlows:
    count = len(flows)
    return ZoneFlows(
        sum(flow.outdoor_kw for flow in flows) / count,
        sum(flow.between_kw for flow in flows) / count,
        sum(flow.gains_kw for flow in flows) / count,
        sum(flow.emitter_kw for flow in flows) / count,
        sum(flow.supply_kw for flow in flows) / count,
    )


def houses(building: Building) -> list[tuple[list[Room], list[Wall]]]:
    """The rooms in groups that nothing connects, each with its walls: wings, and what walls join them to."""
    walls = building.walls()
    group = {room.id: place for place, wing in enumerate(building.wings) for room in wing.rooms}
    for one, other in walls:
        joined, gone = sorted((group[one], group[other]))
        group |= {name: joined for name, place in group.items() if place == gone}
    return [
        (
            [room for room in building.rooms if group[room.id] == place],
            [wall for (one, _), wall in walls.items() if group[one] == place],
        )
        for place in sorted(set(group.values()))
    ]


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
