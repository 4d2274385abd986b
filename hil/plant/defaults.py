"""What a part's parameters are when a scenario says nothing: the resource's own numbers, each a little off (see `settings`).

The forms are those of the physics modules; shares and per-area values not in the site file are assumptions of the bench.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import sqrt

from energyctl.core.comfort import Comfort
from energyctl.resources.battery import Battery
from energyctl.resources.ev import Ev
from energyctl.resources.heat_pump import HeatPump
from energyctl.resources.pv import Pv
from energyctl.resources.thermal import thermal
from energyctl.resources.zone import Zone
from hil.sun import tilt_gain

from .ev import Visit
from .generation import PvParams
from .heat_pump import Mode
from .parts import ChargerParams, HandlerParams, HeatingParams, Hours, RoomParams, StoreParams
from .settings import Settings

_CURVE = ((0.0, -0.09), (0.1, -0.03), (0.3, 0.0), (0.6, 0.005), (1.0, -0.01))
"""One-way efficiency over the share of rated power, against the one at a third."""
_BASE_SHARE, _BASE_KW_M2 = 0.18, 0.004
"""Of the base load that ends as heat in rooms, all together, and what it may come to per m2 of floor at full load."""
_VENT_KW_K_M2, _FLUSH_KW_K_M2 = 1.4e-4, 2.2e-4
_WALL_KW_K_M2 = 4.5e-4
_PEOPLE_KW_M2, _WINDOW_M2_M2, _EMITTER_KW_M2 = 0.007, 0.035, 0.075
_AIR_M, _LEAK_M_H, _FAN_M_H, _FLUSH_M_H = 3.0, 0.36, 1.45, 5.45
"""Height of the rooms and air changes, per m2 of floor."""
_M2_PER_PERSON = 18.0
_FAN_SHARE = 0.09
"""A fan's power against that of an airing."""
_RAMP_PER_MIN, _STANDBY = 0.16, 0.006


def battery(part: str, resource: Battery, settings: Settings) -> StoreParams:
    """A battery by its capacity, powers and efficiency."""
    capacity = settings.off(part, "capacity_kwh", resource.capacity)
    third = 1 - settings.off(part, "curve", 1 - sqrt(resource.efficiency))
    return settings.params(
        part,
        StoreParams,
        capacity_kwh=capacity,
        charge_kw=settings.off(part, "charge_kw", resource.max_charge),
        discharge_kw=settings.off(part, "discharge_kw", resource.max_discharge),
        curve=tuple((share, min(0.99, max(0.3, third + more))) for share, more in _CURVE),
        drain_kw=0.0007 * capacity,
        floor=min(0.04, resource.reserve / 2),
        own_reserve=resource.reserve,
    )


def roof(part: str, resource: Pv, settings: Settings, day: datetime, latitude: float) -> PvParams:
    """A roof by its peak and where it faces; its inverter has the peak's rating."""
    return settings.params(
        part,
        PvParams,
        array_kwp=settings.off(part, "array_kwp", resource.peak),
        rated_kw=resource.peak,
        tilt_gain=tilt_gain(day, latitude, resource.tilt, resource.azimuth),
    )


def charger(part: str, resource: Ev, settings: Settings) -> ChargerParams:
    """A charger, with one car a day that leaves soon after it is to be ready."""
    most_kw = resource.max_current * 0.23 * resource.phases
    return settings.params(
        part,
        ChargerParams,
        visits=(_visit(part, resource, settings),),
        phases=resource.phases,
        car_max_kw=most_kw * settings.random(part, "car").uniform(0.8, 0.97),
        own_limit_a=resource.max_current,
    )


def _visit(part: str, resource: Ev, settings: Settings) -> Visit:
    random = settings.random(part, "visits")
    ready = datetime.strptime(resource.ready_by, "%H:%M")  # noqa: DTZ007 (a time of day)
    leaves = ready + timedelta(minutes=random.randrange(5, 20))
    first = 15 * 60 + 30 if ready.hour < 12 else 6 * 60 + 30
    arrives = ready.replace(hour=0, minute=0) + timedelta(minutes=first + random.randrange(180))
    return Visit(f"{arrives:%H:%M}", f"{leaves:%H:%M}", settings.off(part, "needs_kwh", resource.wants))


def heat_pump(part: str, resource: HeatPump, settings: Settings, mode: Mode) -> HeatingParams:
    """A heat pump by its power and share of the Carnot COP."""
    most = settings.off(part, "max_kw", resource.max_power)
    return settings.params(
        part,
        HeatingParams,
        max_kw=most,
        ramp_kw_min=_RAMP_PER_MIN * most,
        grade=settings.off(part, "grade", resource.quality_grade),
        curve_at_zero_c=resource.curve_at_zero + 0.5,
        supply_min_c=resource.supply_min,
        supply_max_c=resource.supply_max,
        chilled_c=resource.chilled + 1.0,
        standby_kw=_STANDBY * most,
        mode=mode,
    )


def room(
    resource: Zone,
    comfort: Comfort,
    settings: Settings,
    mode: Mode,
    local: datetime,
    floor_m2: float,
    load_kw: float,
    aired: bool,
) -> RoomParams:
    """A zone by its floor, age and weight; `floor_m2` is that of all zones, `load_kw` the day's highest base load."""
    part, area = resource.id, resource.area
    known = thermal(area, resource.built, resource.weight, resource.heat_loss, resource.capacity)
    most = resource.max_heat if resource.max_heat is not None else _EMITTER_KW_M2 * area
    warm = _at_start(comfort, mode, local)
    share = min(_BASE_SHARE, _BASE_KW_M2 * floor_m2 / load_kw) if load_kw > 0 else 0.0
    return settings.params(
        part,
        RoomParams,
        name=part,
        ua_kw_k=settings.off(part, "ua_kw_k", known.loss),
        air_kwh_k=settings.off(part, "air_kwh_k", known.air),
        mass_kwh_k=settings.off(part, "mass_kwh_k", known.mass),
        air_mass_kw_k=settings.off(part, "air_mass_kw_k", known.coupling),
        window_m2=settings.off(part, "window_m2", _WINDOW_M2_M2 * area),
        people_kw=settings.off(part, "people_kw", _PEOPLE_KW_M2 * area),
        base_share=share * area / floor_m2,
        emitter_kw=settings.off(part, "emitter_kw", most),
        occupied=comfort.occupied.text,
        vent_kw_k=_VENT_KW_K_M2 * area if aired else 0.0,
        flush_kw_k=_FLUSH_KW_K_M2 * area if aired else 0.0,
        wall_kw_k=_WALL_KW_K_M2 * area,
        initial_air_c=warm,
        initial_mass_c=warm + (0.3 if mode == "heat" else -0.3),
        own_hours=comfort.occupied.text,
        ahead_h=2.0,
        heat_c=comfort.heat + 0.5,
        heat_setback_c=comfort.setback_heat + 1.0,
        cool_c=comfort.cool - 0.5,
        cool_setback_c=comfort.setback_cool - 1.0,
    )


def _at_start(comfort: Comfort, mode: Mode, local: datetime) -> float:
    """How warm rooms are that their own thermostat has kept so far."""
    in_use = Hours(comfort.occupied.text).cover(local)
    if mode == "heat":
        return float(comfort.heat + 0.5 if in_use else comfort.setback_heat + 1.5)
    return float(comfort.cool - 0.5 if in_use else max(comfort.cool, comfort.setback_cool - 3.0))


def air_handler(part: str, settings: Settings, floor_m2: float, hours: str | None, airing_kw: float) -> HandlerParams:
    """An air handler for rooms of a floor; `airing_kw` is what an airing draws beyond the fan."""
    floor = floor_m2 or 1000.0
    more = {} if hours is None else {"hours": hours}
    return settings.params(
        part,
        HandlerParams,
        fan_kw=_FAN_SHARE * airing_kw,
        flush_kw=airing_kw,
        leak_m3_h=_LEAK_M_H * floor,
        fan_m3_h=_FAN_M_H * floor,
        flush_m3_h=_FLUSH_M_H * floor,
        volume_m3=_AIR_M * floor,
        people=floor / _M2_PER_PERSON,
        **more,
    )
