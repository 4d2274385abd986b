"""A heat pump and the rooms it feeds, each with a thermostat that obeys a setpoint or keeps its own hours."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from hil.plant.heat_pump import HeatPumpFlow, HeatPumpParams, Mode, gathered, heat_pump_step, thermostat

from .base import Moment, Part, Wires
from .rooms import Wing

HEAT, COOL = 1.0, 2.0
"""What a mode point says."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class HeatingParams(HeatPumpParams):
    """The machine, and what the building's own heating/cooling switch says."""

    mode: Mode = "heat"


class HeatPump(Part):
    """A heat pump; asked for more than it has, it gives all rooms the same share."""

    turn = 3

    def __init__(self, part_id: str, wires: Wires, params: HeatingParams, wing: Wing) -> None:
        super().__init__(part_id, wires)
        self.params, self.wing = params, wing
        self.mode: Mode = params.mode
        self.heat = HeatPumpFlow(0.0, (0.0,) * len(wing.rooms), 1.0, 20.0)
        self._outdoor_c = 0.0

    def prepare(self, now: Moment) -> None:
        self._outdoor_c = now.weather.temp_c
        self._obey_mode(now)
        for room in self.wing.rooms:
            room.obey(now, self.mode)

    def _obey_mode(self, now: Moment) -> None:
        own = COOL if self.params.mode == "cool" else HEAT
        self.mode = "cool" if self.told("mode", now.time, own) == COOL else "heat"

    def step(self, now: Moment) -> None:
        self._outdoor_c = now.weather.temp_c
        self._obey_mode(now)
        demands = [self._demand(now, index) for index in range(len(self.wing.rooms))]
        most = gathered(self.params, self.heat.power_kw, now.seconds)
        self.heat = heat_pump_step(self.params, self.mode, now.weather, demands, most)
        self.wing.heat(self.heat.heat_kw)
        self.power_kw = self.heat.power_kw

    def _demand(self, now: Moment, index: int) -> float:
        room = self.wing.rooms[index]
        error = room.obey(now, self.mode) - room.state.air_c
        error = error if self.mode == "heat" else -error
        demand, room.integral = thermostat(self.params, room.params.emitter_kw, error, room.integral, now.seconds)
        return demand

    def states(self) -> dict[str, float]:
        return {
            "heat_kw": sum(self.heat.heat_kw),
            "cop": self.heat.cop,
            "supply_c": self.heat.supply_c,
            "cooling": float(self.mode == "cool"),
        }

    def quantities(self) -> dict[str, float]:
        rooms = self.wing.rooms
        given = sum(self.heat.heat_kw)
        return {
            "mode": COOL if self.mode == "cool" else HEAT,
            "outdoor": self._outdoor_c,
            "supply_temp": self.heat.supply_c,
            "return_temp": self.heat.supply_c - (0.0 if not given else 5.0 if given > 0 else -5.0),
            "heat_power": abs(given),
            "cop": self.heat.cop,
            "rated_power": self.params.max_kw,
            **({"room_temp": rooms[0].state.air_c} if rooms else {}),
        }

    def condition(self) -> tuple[str, ...]:
        if not any(self.heat.heat_kw):
            return ("standby", "idle", "off")
        return ("cooling", "cool", "running", "on") if self.mode == "cool" else ("heating", "heat", "running", "on")
