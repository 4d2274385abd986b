"""An air handler: its fan runs by its hours, and a switch starts an airing that goes on until it is switched off."""

from __future__ import annotations

from hil.plant.airing import AhuParams, ahu_power, co2_step, fan_speed

from .base import Hours, Moment, Part, Wires
from .rooms import Building


class AirHandler(Part):
    """An air handler of a building; the rooms feel its `open_now` and `flush`."""

    turn = 1

    def __init__(self, part_id: str, wires: Wires, params: AhuParams, building: Building) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.open_now = self.flush = False
        self.hours, self._building = Hours(params.hours), building
        self._co2, self._supply_c = params.initial_ppm, 20.0
        building.airs.append(self)

    def prepare(self, now: Moment) -> None:
        self.open_now = self.hours.cover(now.local)
        self._supply_c = self._supply(now)

    def step(self, now: Moment) -> None:
        self.open_now = self.hours.cover(now.local)
        self.flush = bool(self.told("switch", now.time, 0.0))
        in_use = self._building.in_use(now, self.open_now)
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
