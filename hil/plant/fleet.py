"""Many cars at a row of chargers behind one fuse: who comes is drawn from distributions, the same for the same seed.

Every day of `days` each car comes with probability `comes`. It arrives at a normally distributed time of day, stays for a
normally distributed time (never under half an hour; a stay ends where the car's next one begins), and needs a gamma
distributed energy: positive, its mean and spread as given, most days little and now and then a lot. The stays of a day are a
pure function of seed, day and car, so that any day can be drawn without those before it.

Cars plug in in the order they arrive, as long as a connector is free; the others wait. Handshake, taper and least current
are those of `ev`. The fuse's current is shared: in order of arrival each gets its 6 A while there is enough, and what is left
is given out evenly up to what each can take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from random import Random

from pydantic import ConfigDict, with_config

from .ev import LEAST_A, EvParams, car_power

Seed = int | str


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class FleetParams:
    """How many cars and connectors, the fuse, and the distributions; what a car and its connector do is in `EvParams`."""

    cars: int = 12
    connectors: int = 8
    chargers: tuple[str, ...] = ()
    """Other chargers that the cars come to as well; every charger then has one connector."""
    fuse_a: float = 100.0
    """Current per phase that all connectors share."""
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Weekdays, 0 is Monday."""
    comes: float = 0.8
    arrives_h: float = 8.2
    arrives_sd_h: float = 0.7
    """Time of day, site-local."""
    stays_h: float = 8.5
    stays_sd_h: float = 1.2
    needs_kwh: float = 12.0
    needs_sd_kwh: float = 8.0

    def __post_init__(self) -> None:
        if self.needs_kwh <= 0 or self.needs_sd_kwh <= 0:
            raise ValueError(f"needs_kwh {self.needs_kwh} and needs_sd_kwh {self.needs_sd_kwh} must be above 0")
        if self.cars < 1 or self.connectors < 1:
            raise ValueError(f"cars {self.cars} and connectors {self.connectors} must be 1 or more")
        if not 0 <= self.comes <= 1:
            raise ValueError(f"comes: {self.comes} must be from 0 to 1")
        if not set(self.days) <= set(range(7)):
            raise ValueError(f"days: {self.days} must be from 0 (Monday) to 6")


@dataclass(frozen=True, slots=True, order=True)
class Stay:
    """A car from its arrival to its departure (site-local) and the energy it came for."""

    arrives: datetime
    car: int
    leaves: datetime
    needs_kwh: float


@dataclass(frozen=True, slots=True)
class CarState:
    """A car that is there: what it has got and for how long it has been plugged in [s]."""

    charged_kwh: float = 0.0
    plugged_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetState:
    """The cars that are there, and of those that have left: what they got and what they still missed [kWh]."""

    there: Mapping[Stay, CarState] = field(default_factory=dict)
    guests: tuple[Stay, ...] = ()
    """Cars that came besides."""
    served_kwh: float = 0.0
    unserved_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetFlow:
    """Means over a step by car: power [kW] and the current it was allowed [A]; cars not plugged in are left out."""

    power_kw: Mapping[int, float]
    allowed_a: Mapping[int, float]

    @property
    def total_kw(self) -> float:
        """All of them."""
        return sum(self.power_kw.values())


@lru_cache(maxsize=64)
def stays_of(params: FleetParams, seed: Seed, day: date) -> tuple[Stay, ...]:
    """The stays that begin on a day, by arrival; times are naive site-local ones."""
    drawn = (_stay(params, seed, day, car) for car in range(params.cars))
    return tuple(sorted(stay for stay in drawn if stay is not None))


def stays_at(params: FleetParams, seed: Seed, local: datetime) -> tuple[Stay, ...]:
    """The stays under way at a site-local time, by arrival; they may have begun the day before, and end as one begins the
    day after.
    """
    now = local.replace(tzinfo=None)
    began = [stay for back in (1, 0, -1) for stay in stays_of(params, seed, now.date() - timedelta(days=back))]
    return tuple(sorted(stay for stay in _one_by_one(began) if stay.arrives <= now < stay.leaves))


def fleet_come_and_go(params: FleetParams, seed: Seed, state: FleetState, local: datetime) -> FleetState:
    """The state after arrivals and departures due by a site-local time."""
    guests = tuple(stay for stay in state.guests if local.replace(tzinfo=None) < stay.leaves)
    now = (*stays_at(params, seed, local), *guests)
    gone = [stay for stay in state.there if stay not in now]
    served = sum(state.there[stay].charged_kwh for stay in gone)
    missing = sum(missing_kwh(stay, state.there[stay]) for stay in gone)
    there = {stay: state.there.get(stay, CarState()) for stay in now}
    return FleetState(there, guests, state.served_kwh + served, state.unserved_kwh + missing)


def missing_kwh(stay: Stay, car: CarState) -> float:
    """What a car that is there still needs [kWh]."""
    return max(0.0, stay.needs_kwh - car.charged_kwh)


def plugged(params: FleetParams, state: FleetState) -> tuple[Stay, ...]:
    """Those of the cars there that have a connector."""
    return tuple(sorted(state.there)[: params.connectors])


def fleet_step(
    params: FleetParams,
    car: EvParams,
    state: FleetState,
    limit_a: float,
    hours: float,
    car_limits_a: Mapping[int, float] | None = None,
) -> tuple[FleetState, FleetFlow]:
    """(state, flow) of a step with a current per phase for all, and perhaps limits of single cars' connectors [A]."""
    cars = plugged(params, state)
    own = car.own_limit_a
    limits = [own if car_limits_a is None else car_limits_a.get(stay.car, own) for stay in cars]
    wants = [_takes(car, stay, state.there[stay], limit, hours) for stay, limit in zip(cars, limits, strict=True)]
    allowed = share_out(min(limit_a, params.fuse_a), wants)
    there, powers = dict(state.there), {}
    for stay, amps in zip(cars, allowed, strict=True):
        powers[stay.car] = _power(car, stay, state.there[stay], amps, hours)
        there[stay] = CarState(
            state.there[stay].charged_kwh + powers[stay.car] * hours, state.there[stay].plugged_s + hours * 3600
        )
    by_car = dict(zip((stay.car for stay in cars), allowed, strict=True))
    return replace(state, there=there), FleetFlow(powers, by_car)


def share_out(total_a: float, wants_a: Sequence[float]) -> tuple[float, ...]:
    """Currents of at most `wants_a` each and `total_a` in all: 6 A each in order while there is enough, the rest evenly."""
    admitted: list[int] = []
    for i, want in enumerate(wants_a):
        if want >= LEAST_A and (len(admitted) + 1) * LEAST_A <= total_a:
            admitted.append(i)
    given, left = [0.0] * len(wants_a), total_a
    for place, i in enumerate(sorted(admitted, key=lambda i: wants_a[i])):
        given[i] = min(wants_a[i], left / (len(admitted) - place))
        left -= given[i]
    return tuple(given)


def _stay(params: FleetParams, seed: Seed, day: date, car: int) -> Stay | None:
    random = Random(f"{seed}/{day.isoformat()}/{car}")
    if day.weekday() not in params.days or random.random() >= params.comes:
        return None
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - site-local wall clock
    arrives = midnight + timedelta(hours=min(23.9, max(0.0, random.gauss(params.arrives_h, params.arrives_sd_h))))
    leaves = arrives + timedelta(hours=min(24.0, max(0.5, random.gauss(params.stays_h, params.stays_sd_h))))
    spread = params.needs_sd_kwh**2 / params.needs_kwh
    return Stay(arrives, car, leaves, random.gammavariate(params.needs_kwh / spread, spread))


def _one_by_one(stays: Sequence[Stay]) -> list[Stay]:
    """The same stays, each ended where the same car's next begins."""
    by_car: dict[int, list[Stay]] = {}
    for stay in sorted(stays):
        by_car.setdefault(stay.car, []).append(stay)
    cut = [replace(a, leaves=min(a.leaves, b.arrives)) for own in by_car.values() for a, b in pairwise(own)]
    return cut + [own[-1] for own in by_car.values()]


def _power(car: EvParams, stay: Stay, state: CarState, limit_a: float, hours: float) -> float:
    return car_power(car, stay.needs_kwh, missing_kwh(stay, state), state.plugged_s, limit_a, hours)


def _takes(car: EvParams, stay: Stay, state: CarState, limit_a: float, hours: float) -> float:
    """The current [A] it would take of `limit_a`; at least 6 A while it takes any, for less cannot be offered."""
    power = _power(car, stay, state, limit_a, hours)
    return max(LEAST_A, power * 1000 / car.volts / car.phases) if power > 0 else 0.0
