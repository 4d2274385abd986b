"""A photovoltaic roof behind an inverter that obeys a limit, given as a share of its rating."""

from __future__ import annotations

from hil.plant.generation import PvFlow, PvParams, pv_step

from .base import Moment, Part, Wires


class Roof(Part):
    """A roof; its limit is 1 when nobody commands it."""

    turn = 4
    generates = True

    def __init__(self, part_id: str, wires: Wires, params: PvParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.flow = PvFlow(0.0, 0.0, 0.0, 0.0, 0.0)

    def prepare(self, now: Moment) -> None:
        limit = self.wires.get("limit")
        if limit is not None:
            limit.device.set(limit.name, 1.0)
        self._shine(now, 1.0)

    def step(self, now: Moment) -> None:
        self._shine(now, self.told("limit", now.time, 1.0))

    def _shine(self, now: Moment, limit: float) -> None:
        self.flow = pv_step(self.params, now.weather, limit, now.local)
        self.power_kw = self.flow.power_kw

    @property
    def available_kw(self) -> float:
        """What the inverter could give without a limit [kW]."""
        return self.flow.available_kw

    def states(self) -> dict[str, float]:
        flow = self.flow
        return {"available_kw": flow.available_kw, "clipped_kw": flow.clipped_kw, "curtailed_kw": flow.curtailed_kw}

    def quantities(self) -> dict[str, float]:
        return {"rated_power": self.params.rated_kw, "available_power": self.available_kw}

    def condition(self) -> tuple[str, ...]:
        if self.available_kw <= 0:
            return ("sleeping", "night", "standby", "idle", "off")
        if -self.power_kw < self.available_kw - 1e-9:
            return ("throttled", "curtailed", "limited", "derated", "mppt", "running", "on")
        return ("mppt", "generating", "producing", "feeding", "running", "normal", "on")
