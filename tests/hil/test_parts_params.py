"""Parameters of parts as a scenario gives them: lists and mappings become the frozen thing, what is not known is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from hil.plant.air_handler import AirHandlerParams
from hil.plant.boiler import BoilerParams
from hil.plant.building import Wall
from hil.plant.fleet import FleetParams
from hil.plant.generation import PvParams, Shade
from hil.plant.meters import MeterParams
from hil.plant.parts import ChargerParams, HandlerParams, RoomParams, StoreParams
from hil.plant.parts.airing import CoilParams
from hil.plant.pool import PoolParams
from hil.plant.tank import TankParams
from hil.plant.water import WaterParams
from hil.plant.wear import WearParams

PARAMS = [
    AirHandlerParams(),
    BoilerParams(),
    Wall(("a", "b"), 0.2),
    FleetParams(days=(5, 6), chargers=("a", "b")),
    ChargerParams(fleet=FleetParams()),
    HandlerParams(levels=(0.0, 1.0), coil=CoilParams(serves=("a",))),
    PvParams(shades=(Shade("08:00", "09:30", 0.4),)),
    MeterParams(("base", "car"), True),
    RoomParams("shed", 0.5, 1.0, 3.0, 2.0, 10.0, 1.0, 0.1, 20.0, "Mo-Fr 08:00-16:00", model="1r1c", walls={"a": 0.2}),
    StoreParams(wear=WearParams(around_c=None)),
    PoolParams(),
    TankParams(),
    WaterParams(),
    WearParams(),
]


@pytest.mark.parametrize("params", PARAMS, ids=lambda params: type(params).__name__)
def test_parameters_survive_a_file(params: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(type(params))
    written = json.loads(json.dumps(asdict(params)))
    assert adapter.validate_python(written) == params
    with pytest.raises(ValidationError, match="heigth"):
        adapter.validate_python(written | {"heigth": 2})
