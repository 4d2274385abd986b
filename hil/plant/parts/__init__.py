"""The parts a simulated site is made of; each binds physics (`hil.plant.battery` and its like) to points."""

from .airing import AirHandler
from .base import Hours, Moment, Part, Wire, Wires
from .charger import Charger, check_visits
from .heating import HeatingParams, HeatPump
from .roof import Roof
from .rooms import Building, Room, RoomParams, Unfed, Wing
from .simple import BASE, BaseLoad, Meter, Switched, SwitchedParams
from .store import Store, share_out
from .water import Boiler, BoilerPartParams, HotWater, HotWaterParams, Pool, PoolPartParams, PumpStation, StationParams

__all__ = [
    "BASE",
    "AirHandler",
    "BaseLoad",
    "Boiler",
    "BoilerPartParams",
    "Building",
    "Charger",
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
    "StationParams",
    "Store",
    "Switched",
    "SwitchedParams",
    "Unfed",
    "Wing",
    "Wire",
    "Wires",
    "check_visits",
    "share_out",
]
