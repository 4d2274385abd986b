"""A fleet of cars at one charger with several connectors, or at several chargers; see `hil.plant.fleet`.

A car takes the first free connector, in the order of the chargers, and keeps it until it leaves; while none is free the
cars wait. What a car that never got one is missing counts at the first charger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hil.plant.fleet import (
    FleetFlow,
    FleetParams,
    FleetState,
    Seed,
    Stay,
    fleet_come_and_go,
    fleet_step,
    missing_kwh,
    plugged,
)

from .base import Moment, Part
from .charger import GUEST_STAYS, Charger


class CarPark(Part):
    """Moves the cars of all its chargers, before these look what there is for them."""

    turn = 1
    electric = False

    def __init__(self, part_id: str, params: FleetParams, seed: Seed, chargers: Sequence[Charger]) -> None:
        super().__init__(part_id, {})
        self.chargers = tuple(chargers)
        self.params = replace(params, connectors=len(chargers)) if len(chargers) > 1 else params
        self.state, self.flow = FleetState(), FleetFlow({}, {})
        self.bays = tuple(Bay(self, 1 if len(chargers) > 1 else params.connectors) for _ in chargers)
        self._car, self._seed = chargers[0].params, seed
        for charger, bay in zip(self.chargers, self.bays, strict=True):
            charger.cars, charger.params = bay, replace(charger.params, visits=())

    def come_and_go(self, local: datetime) -> None:
        """Arrivals and departures that are due, and who has which connector then."""
        before, self.state = self.state, fleet_come_and_go(self.params, self._seed, self.state, local)
        for stay in before.there.keys() - self.state.there.keys():
            bay = next((bay for bay in self.bays if stay in bay.stays), self.bays[0])
            bay.unserved_kwh += missing_kwh(stay, before.there[stay])
        served = plugged(self.params, self.state)
        for bay in self.bays:
            bay.stays = [stay for stay in bay.stays if stay in served]
        parked = {stay for bay in self.bays for stay in bay.stays}
        for stay in served:
            if stay not in parked:
                next(bay for bay in self.bays if bay.free).stays.append(stay)

    def receive(self, bay: Bay, needs_kwh: float, local: datetime) -> bool:
        """Let a car that was sent in at a bay; False when it has no free connector."""
        self.come_and_go(local)
        if not bay.free:
            return False
        arrives, number = local.replace(tzinfo=None), 1 + max([self.params.cars, *(s.car for s in self.state.guests)])
        guest = Stay(arrives, number, arrives + GUEST_STAYS, needs_kwh)
        self.state = replace(self.state, guests=(*self.state.guests, guest))
        self.come_and_go(local)
        return True

    def step(self, now: Moment) -> None:
        self.come_and_go(now.local)
        limits = [charger.obey(now) for charger in self.chargers]
        each = {stay.car: limit for bay, limit in zip(self.bays, limits, strict=True) for stay in bay.stays}
        self.state, self.flow = fleet_step(self.params, self._car, self.state, sum(limits), now.hours, each)


class Bay:
    """The cars at one charger of a car park."""

    def __init__(self, park: CarPark, connectors: int) -> None:
        self.stays: list[Stay] = []
        self.unserved_kwh = 0.0
        self._park, self._connectors = park, connectors

    @property
    def free(self) -> bool:
        """Whether there is a connector for one more."""
        return len(self.stays) < self._connectors

    @property
    def there(self) -> int:
        return len(self.stays)

    @property
    def charged_kwh(self) -> float:
        return sum((self._park.state.there[stay].charged_kwh for stay in self.stays), 0.0)

    @property
    def missing_kwh(self) -> float:
        return sum((missing_kwh(stay, self._park.state.there[stay]) for stay in self.stays), 0.0)

    def prepare(self, local: datetime) -> None:
        self._park.come_and_go(local)

    def receive(self, needs_kwh: float, local: datetime) -> bool:
        return self._park.receive(self, needs_kwh, local)

    def charge(self, limit_a: float, now: Moment) -> float:
        return sum((self._park.flow.power_kw[stay.car] for stay in self.stays), 0.0)
