"""A charging point and the cars that come to it: by the clock, and one at a time whom a stimulus sends."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ConfigDict, with_config

from energyctl.core.errors import ConfigError
from hil.plant.ev import EvParams, EvState, Visit, come_and_go, ev_step, missing_kwh, present
from hil.plant.fleet import FleetParams

from .base import Moment, Part, Wires

_SHARES = {1: (1.0, 0.0, 0.0), 2: (0.5, 0.5, 0.0), 3: (1 / 3, 1 / 3, 1 / 3)}
GUEST_STAYS = timedelta(hours=4)
"""A car that a stimulus sends leaves after this, or when the next one is due."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class ChargerParams(EvParams):
    """A charger with the same cars every day (`visits`), or a fleet of cars, each as it happens to come."""

    fleet: FleetParams | None = None


class Cars(Protocol):
    """Who comes to a charger."""

    @property
    def there(self) -> int:
        """Cars at its connectors."""
        ...

    @property
    def charged_kwh(self) -> float:
        """What these have got."""
        ...

    @property
    def missing_kwh(self) -> float:
        """What these still need."""
        ...

    @property
    def unserved_kwh(self) -> float:
        """What those that have left were missing."""
        ...

    def prepare(self, local: datetime) -> None:
        """Have those there who have come before the first step."""

    def receive(self, needs_kwh: float, local: datetime) -> bool:
        """Let one in that was sent; False when no connector is free."""
        ...

    def charge(self, limit_a: float, now: Moment) -> float:
        """The power of a step under a limit [kW]."""
        ...


class Visitors:
    """The same cars every day."""

    def __init__(self, params: EvParams) -> None:
        self._usual = self._params = params
        self.ev = EvState()

    @property
    def there(self) -> int:
        return int(self.ev.visit is not None)

    @property
    def charged_kwh(self) -> float:
        return self.ev.charged_kwh

    @property
    def missing_kwh(self) -> float:
        return missing_kwh(self._params, self.ev)

    @property
    def unserved_kwh(self) -> float:
        return self.ev.unserved_kwh

    def prepare(self, local: datetime) -> None:
        self.ev = EvState(present(self._usual, local))

    def receive(self, needs_kwh: float, local: datetime) -> bool:
        if present(self._params, local) is not None:
            return False
        until = local + GUEST_STAYS
        guest = Visit(f"{local:%H:%M}", f"{until:%H:%M}", needs_kwh)
        self._params = replace(self._usual, visits=(*self._usual.visits, guest))
        return True

    def charge(self, limit_a: float, now: Moment) -> float:
        self.ev = come_and_go(self._params, self.ev, now.local)
        if self._params is not self._usual and self.ev.visit != len(self._usual.visits):
            self._params = self._usual
        self.ev, power_kw = ev_step(self._params, self.ev, limit_a, now.hours)
        return power_kw


class Charger(Part):
    """A charger; `own_limit_a` holds when nobody limits it."""

    turn = 2
    power_factor = 0.998

    def __init__(self, part_id: str, wires: Wires, params: ChargerParams) -> None:
        super().__init__(part_id, wires)
        self.params = params
        self.shares = _SHARES[params.phases]
        self.cars: Cars = Visitors(params)
        self.limit_a = params.own_limit_a

    def prepare(self, now: Moment) -> None:
        self.cars.prepare(now.local)
        limit = self.wires.get("limit")
        if limit is not None:
            limit.device.set(limit.name, self.params.own_limit_a)

    def receive(self, cars: MutableMapping[str, float], local: datetime) -> None:
        """Let a car in that was sent here (to the part or its device), once the charger is free; it is taken out of `cars`."""
        name = next((name for name in self.names if name in cars), None)
        if name is not None and self.cars.receive(cars[name], local):
            del cars[name]

    def obey(self, now: Moment) -> float:
        """The limit in force [A]."""
        self.limit_a = self.told("limit", now.time, self.params.own_limit_a)
        return self.limit_a

    def step(self, now: Moment) -> None:
        self.power_kw = self.cars.charge(self.obey(now), now)

    def states(self) -> dict[str, float]:
        cars = self.cars
        return {
            "connected": float(cars.there > 0),
            "cars": float(cars.there),
            "charged_kwh": cars.charged_kwh,
            "missing_kwh": cars.missing_kwh,
            "unserved_kwh": cars.unserved_kwh,
            "limit_a": self.limit_a,
        }

    def quantities(self) -> dict[str, float]:
        charged = self.cars.charged_kwh
        return {
            "connected": float(self.cars.there > 0),
            "charged": charged,
            "session_energy": charged,
            "rated_power": self.params.own_limit_a * self.params.volts * self.params.phases / 1000,
        }

    def condition(self) -> tuple[str, ...]:
        if not self.cars.there:
            return ("available", "free", "a", "idle", "standby", "off")
        if self.power_kw:
            return ("charging", "c", "running", "on")
        waiting = ("suspended_evse", "suspended", "paused") if self.cars.missing_kwh else ("finishing", "suspended_ev")
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
