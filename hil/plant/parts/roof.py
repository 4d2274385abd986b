"""A photovoltaic roof behind an inverter that obeys a limit, given as a share of its rating."""

from __future__ import annotations

from hil.plant.generation import PvParams, available_kw, pv_power

from .base import Moment, Part, Wires


class Roof(Part):
    """A roof; its limit is 1 when nobody commands it."""

    turn = 4
    generates = True

    def __init__(self, part_id: str, wires: Wires, params: PvParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.available_kw = 0.0

    def prepare(self, now: Moment) -> None:
        limit = self.wires.get("limit")
        if limit is not None:
            limit.device.set(limit.name, 1.0)
        self.available_kw = available_kw(self.params, now.weather, now.local)
        self.power_kw = -self.available_kw

    def step(self, now: Moment) -> None:
        self.available_kw = available_kw(self.params, now.weather, now.local)
        self.power_kw = pv_power(self.params, self.available_kw, self.told("limit", now.time, 1.0))

    def states(self) -> dict[str, float]:
        return {"available_kw": self.available_kw}

    def quantities(self) -> dict[str, float]:
        return {"rated_power": self.params.rated_kw, "available_power": self.available_kw}

    def condition(self) -> tuple[str, ...]:
        if self.available_kw <= 0:
            return ("sleeping", "night", "standby", "idle", "off")
        if -self.power_kw < self.available_kw - 1e-9:
            return ("throttled", "curtailed", "limited", "derated", "mppt", "running", "on")
        return ("mppt", "generating", "producing", "feeding", "running", "normal", "on")
