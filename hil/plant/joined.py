"""Parts that join others: fleets of cars at several chargers, rooms with walls between them, meters that see other parts.

Every function raises ConfigError naming part, key and value for what a scenario gets wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from energyctl.core.errors import ConfigError

from .meters import MeterParams, MeterTree
from .parts import BASE, AirUnit, Building, CarPark, Charger, Meter, Part, Rooms, houses
from .settings import Settings


def join_chargers(parts: Mapping[str, Part], settings: Settings, seed: int) -> list[CarPark]:
    """Where fleets come: each at the charger that has it and at the others that it says."""
    chargers = {part.id: part for part in parts.values() if isinstance(part, Charger)}
    found, taken = [], set[str]()
    for name, charger in chargers.items():
        fleet = charger.params.fleet
        if fleet is None:
            continue
        key, group = f"{name}.fleet.chargers", (name, *fleet.chargers)
        _all_there(key, fleet.chargers, chargers.keys() - {name}, "other charger")
        for one in group:
            if one in taken or (one != name and chargers[one].params.fleet is not None):
                raise ConfigError(f"plant.{key}: '{one}': another fleet comes there, or it is there twice")
            if settings.says(one, "visits"):
                raise ConfigError(f"plant.{one}.visits: a fleet comes to '{one}'; say only one of 'fleet' and 'visits'")
            taken.add(one)
        if len({(chargers[one].params.phases, chargers[one].params.volts) for one in group}) > 1:
            raise ConfigError(f"plant.{key}: {list(fleet.chargers)}: phases and volts must be those of '{name}'")
        found.append(CarPark(f"{name} fleet", fleet, f"{seed}:{name}", [chargers[one] for one in group]))
    return found


def join_rooms(building: Building, parts: Mapping[str, Part]) -> list[Rooms]:
    """What moves the rooms of a building on: one for all that have walls to each other. Tells the air handlers their rooms."""
    known = {room.id: room for room in building.rooms}
    for part in parts.values():
        if isinstance(part, AirUnit):
            _all_there(f"{part.id}.coil.serves", part.coil.serves, known, "zone")
            part.serve([known[name] for name in part.coil.serves or known])
    try:
        groups = houses(building)
    except ValueError as error:
        raise ConfigError(f"plant.{error}") from None
    return [Rooms(f"{inside[0].id} house", inside, walls, building) for inside, walls in groups]


def join_meters(params: Mapping[str, MeterParams], parts: Mapping[str, Part]) -> list[Meter]:
    """Meters by name as a tree: each sees what it says; those that say nothing are in line at the base load."""
    known = {part.id: part for part in parts.values() if part.electric}
    sees = _wired(params)
    for name, seen in sees.items():
        _all_there(f"{name}.sees", seen, {*known, *params} - {name}, "meter or part with a power of its own")
    try:
        tree = MeterTree(sees)
    except ValueError as error:
        raise ConfigError(f"plant.{error}") from None
    return [Meter(name, found, [known[part] for part in tree.parts(name)]) for name, found in params.items()]


def _wired(params: Mapping[str, MeterParams]) -> dict[str, tuple[str, ...]]:
    """What hangs on each meter. Those in line that another one sees are next to that one."""
    seen = {name for found in params.values() for name in found.sees or ()}
    base, wired = BASE, dict[str, tuple[str, ...]]()
    for name in sorted((name for name, found in params.items() if found.sees is None), key=lambda name: name in seen):
        wired[name], base = (base,), name
    for name, found in params.items():
        if found.sees is not None:
            wired[name] = tuple(base if part == BASE else part for part in found.sees)
    return wired


def _all_there(key: str, names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"plant.{key}: '{name}': no such {what}; there are {', '.join(sorted(known))}")
