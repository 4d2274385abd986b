"""A charging point and the cars that come to it: by the clock, and one at a time whom a stimulus sends."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import datetime, timedelta

from energyctl.core.errors import ConfigError
from hil.plant.ev import EvParams, EvState, Visit, come_and_go, ev_step, missing_kwh, present

from .base import Moment, Part, Wires

_SHARES = {1: (1.0, 0.0, 0.0), 2: (0.5, 0.5, 0.0), 3: (1 / 3, 1 / 3, 1 / 3)}
GUEST_STAYS = timedelta(hours=4)
"""A car that a stimulus sends leaves after this, or when the next one is due."""


class Charger(Part):
    """A charger; `own_limit_a` holds when nobody limits it."""

    turn = 2
    power_factor = 0.998

    def __init__(self, part_id: str, wires: Wires, params: EvParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.shares = _SHARES[params.phases]
        self._cars = params
        self.ev = EvState()
        self.limit_a = params.own_limit_a

    def prepare(self, now: Moment) -> None:
        self.ev = EvState(present(self.params, now.local))
        limit = self.wires.get("limit")
        if limit is not None:
            limit.device.set(limit.name, self.params.own_limit_a)

    def receive(self, cars: MutableMapping[str, float], local: datetime) -> None:
        """Let a car in that was sent here (to the part or its device), once the charger is free; it is taken out of `cars`."""
        name = next((name for name in self.names if name in cars), None)
        if name is None or present(self._cars, local) is not None:
            return
        until = local + GUEST_STAYS
        guest = Visit(f"{local:%H:%M}", f"{until:%H:%M}", cars.pop(name))
        self._cars = replace(self.params, visits=(*self.params.visits, guest))

    def step(self, now: Moment) -> None:
        self.ev = come_and_go(self._cars, self.ev, now.local)
        if self._cars is not self.params and self.ev.visit != len(self.params.visits):
            self._cars = self.params
        self.limit_a = self.told("limit", now.time, self.params.own_limit_a)
        self.ev, self.power_kw = ev_step(self._cars, self.ev, self.limit_a, now.hours)

    @property
    def missing_kwh(self) -> float:
        """What the car that is there still needs."""
        return missing_kwh(self._cars, self.ev)

    def states(self) -> dict[str, float]:
        return {
            "connected": float(self.ev.visit is not None),
            "charged_kwh": self.ev.charged_kwh,
            "missing_kwh": self.missing_kwh,
            "unserved_kwh": self.ev.unserved_kwh,
            "limit_a": self.limit_a,
        }

    def quantities(self) -> dict[str, float]:
        there = float(self.ev.visit is not None)
        return {
            "connected": there,
            "charged": self.ev.charged_kwh,
            "session_energy": self.ev.charged_kwh,
            "rated_power": self.params.own_limit_a * self.params.volts * self.params.phases / 1000,
        }

    def condition(self) -> tuple[str, ...]:
        if self.ev.visit is None:
            return ("available", "free", "a", "idle", "standby", "off")
        if self.power_kw:
            return ("charging", "c", "running", "on")
        waiting = ("suspended_evse", "suspended", "paused") if self.missing_kwh else ("finishing", "suspended_ev")
        return (*waiting, "connected", "occupied", "preparing", "b", "idle", "standby", "off")


def check_visits(part_id: str, params: EvParams) -> None:
    """Raises ConfigError for a visit whose times are none, and for phases that there are not."""
    if params.phases not in _SHARES:
        raise ConfigError(f"plant.{part_id}.phases: {params.phases}: must be 1, 2 or 3")
    for visit in params.visits:
        for key in ("arrives", "leaves"):
            text = getattr(visit, key)
            try:
                datetime.strptime(text, "%H:%M")  # noqa: DTZ007 (a time of day)
            except ValueError:
                raise ConfigError(f"plant.{part_id}.visits: {key}: {text!r}: must be a time like '07:30'") from None
