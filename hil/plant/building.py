"""Zones of a building, each an air and a mass temperature (2R2C) or one for both (1R1C), coupled through walls.

    C_air  dT_air/dt  = (UA + vent) (T_out - T_air) + G (T_mass - T_air) + sum of W (T_other - T_air) + heat into air
    C_mass dT_mass/dt = G (T_air - T_mass) + heat into mass

Stepped forward explicitly, so that over a step stored heat changes by exactly the sum of the flows. That is stable for
steps well below C_air / (UA + vent + G + W), some 20 minutes here; the plant takes 60 s at most. A light zone has one
capacity, C dT/dt = (UA + vent) (T_out - T) + sum of W (T_other - T) + heat, and is moved on exactly for constant heat from
its neighbours. What goes through a wall leaves one zone as it enters the other.
Priors for the magnitudes: ISO 13790 (mass classes, air to mass conductance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, with_config

from .decay import settled


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class ZoneParams:
    """A zone: losses [kW/K], heat capacities [kWh/K], and where sun, people and emitters put their heat."""

    name: str
    ua_kw_k: float
    air_kwh_k: float
    mass_kwh_k: float
    air_mass_kw_k: float
    window_m2: float
    """Sun let in, as m2 of flat irradiance."""
    people_kw: float
    """Heat from people while the rooms are in use."""
    base_share: float
    """Share of the base load that ends as heat in this zone."""
    emitter_kw: float
    """The most heat or cold that its emitters pass on."""
    occupied: str
    """Hours in use, site-local, e.g. "Mo-Fr 07:30-17:00"."""
    vent_kw_k: float = 0.0
    """Ventilation while the air handler runs, after heat recovery."""
    flush_kw_k: float = 0.0
    """Ventilation added by an airing."""
    sun_to_air: float = 0.3
    people_to_air: float = 0.6
    emitter_to_air: float = 0.7

    @property
    def kwh_k(self) -> float:
        """Heat capacity of air and mass together: all that a light zone has."""
        return self.air_kwh_k + self.mass_kwh_k


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Wall:
    """What two zones share, by their names [kW/K]."""

    between: tuple[str, str]
    kw_k: float


@dataclass(slots=True)
class ZoneState:
    """Temperatures [degC]."""

    air_c: float
    mass_c: float


@dataclass(frozen=True, slots=True)
class ZoneInputs:
    """What acts on a zone during a step [kW]; `emitter_kw` is negative when cooling. `vent_kw_k` is beyond `ua_kw_k`.

    `supply_kw` comes with an air handler's supply air, all into the air.
    """

    outdoor_c: float
    sun_kw: float
    people_kw: float
    emitter_kw: float
    vent_kw_k: float
    supply_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class ZoneFlows:
    """Heat that entered a zone's air and mass during a step [kW]; `between_kw` came from other zones."""

    outdoor_kw: float
    between_kw: float
    gains_kw: float
    emitter_kw: float
    supply_kw: float = 0.0

    @property
    def total_kw(self) -> float:
        """What the zone stored."""
        return self.outdoor_kw + self.between_kw + self.gains_kw + self.emitter_kw + self.supply_kw


def gains(params: ZoneParams, ghi_w_m2: float, base_kw: float, in_use: bool) -> tuple[float, float]:
    """Heat [kW] of the sun and of people and machines."""
    people = (params.people_kw if in_use else 0.0) + params.base_share * base_kw
    return params.window_m2 * ghi_w_m2 / 1000, people


def zone_step(
    params: ZoneParams, state: ZoneState, other_c: float, wall: float, inputs: ZoneInputs, hours: float
) -> ZoneFlows:
    """Move a zone on by `hours`; `other_c` and `wall` [kW/K] are the one neighbour's air at the start and the wall to it."""
    return zone_among(params, state, wall * (other_c - state.air_c), inputs, hours)


def zone_among(params: ZoneParams, state: ZoneState, between: float, inputs: ZoneInputs, hours: float) -> ZoneFlows:
    """Move a zone on by `hours` with `between` [kW] from all its neighbours, see `through_walls`."""
    outdoor = (params.ua_kw_k + inputs.vent_kw_k) * (inputs.outdoor_c - state.air_c)
    to_mass = params.air_mass_kw_k * (state.air_c - state.mass_c)
    sun, people, emitter = inputs.sun_kw, inputs.people_kw, inputs.emitter_kw
    into_air = (
        params.sun_to_air * sun + params.people_to_air * people + params.emitter_to_air * emitter + inputs.supply_kw
    )
    into_mass = sun + people + emitter + inputs.supply_kw - into_air
    state.air_c += (outdoor + between - to_mass + into_air) * hours / params.air_kwh_k
    state.mass_c += (to_mass + into_mass) * hours / params.mass_kwh_k
    return ZoneFlows(outdoor, between, sun + people, emitter, inputs.supply_kw)


def light_zone_step(
    params: ZoneParams, air_c: float, between: float, inputs: ZoneInputs, hours: float
) -> tuple[float, ZoneFlows]:
    """(temperature after the step [degC], flows), with `between` [kW] from all neighbours."""
    loss_kw_k = params.ua_kw_k + inputs.vent_kw_k
    gained = inputs.sun_kw + inputs.people_kw
    given = between + gained + inputs.emitter_kw + inputs.supply_kw
    slope = (given + loss_kw_k * (inputs.outdoor_c - air_c)) / params.kwh_k
    moved = settled(slope, loss_kw_k / params.kwh_k, hours)
    outdoor = params.kwh_k * moved / hours - given
    return air_c + moved, ZoneFlows(outdoor, between, gained, inputs.emitter_kw, inputs.supply_kw)


def through_walls(walls: Sequence[Wall], air_c: Mapping[str, float]) -> dict[str, float]:
    """Heat that each zone gets from its neighbours [kW] at these air temperatures; it sums to nothing."""
    flows = dict.fromkeys(air_c, 0.0)
    for wall in walls:
        one, other = wall.between
        heat = wall.kw_k * (air_c[other] - air_c[one])
        flows[one] += heat
        flows[other] -= heat
    return flows


def stored_kwh(params: ZoneParams, state: ZoneState) -> float:
    """Heat in a zone above 0 degC [kWh]."""
    return params.air_kwh_k * state.air_c + params.mass_kwh_k * state.mass_c
