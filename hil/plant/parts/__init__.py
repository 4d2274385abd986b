"""The parts a simulated site is made of; each binds physics (`hil.plant.battery` and its like) to points."""

from .airing import AirHandler, AirUnit, HandlerParams, make_air_handler
from .base import Hours, Moment, Part, Wire, Wires
from .car_park import CarPark
from .charger import Charger, ChargerParams, check_visits
from .heating import HeatingParams, HeatPump
from .roof import Roof
from .rooms import Building, Room, RoomParams, Rooms, Unfed, Wing, houses
from .simple import BASE, BaseLoad, Meter, Switched, SwitchedParams
from .store import Store, StoreParams, WornStore, make_store, share_out
from .water import Boiler, BoilerPartParams, HotWater, HotWaterParams, Pool, PoolPartParams, PumpStation, StationParams

__all__ = [
    "BASE",
    "AirHandler",
    "AirUnit",
    "BaseLoad",
    "Boiler",
    "BoilerPartParams",
    "Building",
    "CarPark",
    "Charger",
    "ChargerParams",
    "HandlerParams",
    "HeatPump",
    "HeatingParams",
    "HotWater",
    "HotWaterParams",
    "Hours",
    "Meter",
    "Moment",
    "Part",
    "Pool",
    "PoolPartParams",
    "PumpStation",
    "Roof",
    "Room",
    "RoomParams",
    "Rooms",
    "StationParams",
    "Store",
    "StoreParams",
    "Switched",
    "SwitchedParams",
    "Unfed",
    "Wing",
    "Wire",
    "Wires",
    "WornStore",
    "check_visits",
    "houses",
    "make_air_handler",
    "make_store",
    "share_out",
]
