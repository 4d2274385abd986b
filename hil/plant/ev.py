"""A car at a charger: it comes and goes by the clock, needs a certain energy, and obeys the charger's current limit.

For the first `handshake_s` charger and car talk and nothing flows. Below 6 A (IEC 61851) it does not charge. Above, it takes
what the limit and its own charger allow, and less and less over the last `taper` of what it needs. It may leave unfinished:
what is missing then is `unserved`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time

from pydantic import ConfigDict, with_config

LEAST_A = 6.0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Visit:
    """A car that is there every day from `arrives` to `leaves` ("HH:MM", site-local; past midnight if earlier)."""

    arrives: str
    leaves: str
    needs_kwh: float


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class EvParams:
    """The charger's supply, the car's own charger, and the visits."""

    visits: tuple[Visit, ...] = (Visit("16:40", "07:40", 34.0),)
    phases: int = 3
    volts: float = 230.0
    car_max_kw: float = 21.0
    taper: float = 0.08
    handshake_s: float = 60.0
    own_limit_a: float = 32.0
    """What the charger allows when nobody limits it."""


@dataclass(frozen=True, slots=True)
class EvState:
    """`visit` is the index of the car that is there, or None; energies [kWh]."""

    visit: int | None = None
    charged_kwh: float = 0.0
    unserved_kwh: float = 0.0
    """Missing from all cars that have left."""
    there_s: float = float("inf")
    """How long it has been there."""


def present(params: EvParams, local: datetime) -> int | None:
    """Which visit is on at a site-local time; the first that covers it."""
    now = local.time()
    return next((i for i, visit in enumerate(params.visits) if _covers(visit, now)), None)


def _covers(visit: Visit, now: time) -> bool:
    start, end = time.fromisoformat(visit.arrives), time.fromisoformat(visit.leaves)
    return start <= now < end if start < end else now >= start or now < end


def come_and_go(params: EvParams, state: EvState, local: datetime) -> EvState:
    """The state after arrivals and departures due by a site-local time."""
    visit = present(params, local)
    if visit == state.visit:
        return state
    return EvState(visit, 0.0, state.unserved_kwh + missing_kwh(params, state), 0.0)


def missing_kwh(params: EvParams, state: EvState) -> float:
    """What the car that is there still needs [kWh]."""
    return 0.0 if state.visit is None else max(0.0, params.visits[state.visit].needs_kwh - state.charged_kwh)


def ev_step(params: EvParams, state: EvState, limit_a: float, hours: float) -> tuple[EvState, float]:
    """(state, power [kW]) of a step under a current limit."""
    missing, there_s = missing_kwh(params, state), state.there_s
    state = replace(state, there_s=there_s + hours * 3600)
    if state.visit is None:
        return state, 0.0
    power = car_power(params, params.visits[state.visit].needs_kwh, missing, there_s, limit_a, hours)
    return replace(state, charged_kwh=state.charged_kwh + power * hours), power


def car_power(
    params: EvParams, needs_kwh: float, missing_kwh: float, there_s: float, limit_a: float, hours: float
) -> float:
    """What a car that needs so much in all, of which so much is missing, and that has been there for so long, takes [kW]."""
    if there_s < params.handshake_s or missing_kwh <= 0.0 or limit_a < LEAST_A:
        return 0.0
    slow = params.taper * needs_kwh
    share = 1.0 if missing_kwh >= slow else max(0.25, missing_kwh / slow)
    by_limit = limit_a * params.volts * params.phases / 1000
    return min(by_limit, params.car_max_kw * share, missing_kwh / hours)
