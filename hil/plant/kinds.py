"""What simulates a device by its profile's kind, where no resource of the site says what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from energyctl.core.errors import ConfigError

from .generation import PvParams
from .heat_pump import Mode
from .parts import (
    AirHandler,
    Boiler,
    BoilerPartParams,
    Charger,
    ChargerParams,
    HeatingParams,
    HeatPump,
    HotWater,
    HotWaterParams,
    Part,
    Pool,
    PoolPartParams,
    PumpStation,
    Roof,
    StationParams,
    StoreParams,
    Wing,
    Wires,
    check_visits,
    make_store,
)
from .settings import Settings

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Given:
    """What a part is made of: its id and wires, where its parameters come from, and what it needs of the site."""

    id: str
    wires: Wires
    settings: Settings
    mode: Mode
    rooms: Callable[[], Wing]
    """The rooms that a heat pump feeds."""
    air_handler: Callable[[], AirHandler]


def sensible(part: str, make: Callable[[], P]) -> P:
    """A part, or ConfigError for hours that are none."""
    try:
        return make()
    except ValueError as error:
        raise ConfigError(f"plant.{part}: {error}") from None


def _inverter(given: Given) -> Part:
    return Roof(given.id, given.wires, given.settings.params(given.id, PvParams, array_kwp=9.0, rated_kw=10.0))


def _battery(given: Given) -> Part:
    params = given.settings.params(given.id, StoreParams, capacity_kwh=9.5, charge_kw=4.6, discharge_kw=4.6)
    return sensible(given.id, lambda: make_store(given.id, given.wires, params))


def _charger(given: Given) -> Part:
    params = given.settings.params(given.id, ChargerParams, car_max_kw=10.6, own_limit_a=16.0)
    return charging(given.id, given.wires, params)


def charging(part: str, wires: Wires, params: ChargerParams) -> Charger:
    """A charger. Raises ConfigError for visits at no time of day."""
    check_visits(part, params)
    return Charger(part, wires, params)


def _heat_pump(given: Given) -> Part:
    params = given.settings.params(
        given.id, HeatingParams, max_kw=5.0, ramp_kw_min=0.8, standby_kw=0.03, mode=given.mode
    )
    return HeatPump(given.id, given.wires, params, given.rooms())


def _air_handler(given: Given) -> Part:
    return given.air_handler()


def _boiler(given: Given) -> Part:
    return Boiler(given.id, given.wires, given.settings.params(given.id, BoilerPartParams))


def _hot_water(given: Given) -> Part:
    return HotWater(given.id, given.wires, given.settings.params(given.id, HotWaterParams))


def _pool(given: Given) -> Part:
    params = given.settings.params(given.id, PoolPartParams)
    return sensible(given.id, lambda: Pool(given.id, given.wires, params))


def _pump_station(given: Given) -> Part:
    return PumpStation(given.id, given.wires, given.settings.params(given.id, StationParams))


KINDS: Mapping[str, Callable[[Given], Part]] = {
    "pv-inverter": _inverter,
    "battery": _battery,
    "ev-charger": _charger,
    "heat-pump": _heat_pump,
    "air-handling-unit": _air_handler,
    "boiler": _boiler,
    "hot-water-tank": _hot_water,
    "pool": _pool,
    "pump-station": _pump_station,
}
"""What simulates a device that no resource has, by its profile's kind; a meter sees others and is no part of the sum."""

SWITCHED: Mapping[str, str] = {
    "air-handling-unit": "switch",
    "boiler": "enable",
    "pool": "switch",
    "pump-station": "wanted",
}
"""Which field of such a device's part the switch of a deferrable resource is."""

ROOM: dict[str, Any] = {
    "ua_kw_k": 0.2,
    "air_kwh_k": 1.2,
    "mass_kwh_k": 6.5,
    "air_mass_kw_k": 3.3,
    "window_m2": 5.0,
    "people_kw": 0.4,
    "base_share": 0.05,
    "emitter_kw": 10.0,
    "occupied": "Mo-Fr 06:00-08:00; Mo-Fr 16:00-22:00; Sa-Su 08:00-22:00",
    "own_hours": "06:00-22:00",
}
"""Rooms of a dwelling of some 140 m2, for a heat pump that no zone describes."""
