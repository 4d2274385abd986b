"""Puts a world together for any site: a part for every resource, by its kind; a part for every device that no resource has,
by its profile's kind; and for every device what it shows of them.

What a resource binds decides, never a profile's name, so a profile that nobody here has seen works as the shipped ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from energyctl.config import Site
from energyctl.core.errors import ConfigError
from energyctl.core.resources import Resource
from energyctl.resources.battery import Battery
from energyctl.resources.deferrable import Deferrable
from energyctl.resources.ev import Ev
from energyctl.resources.heat_pump import HeatPump as HeatPumpResource
from energyctl.resources.pv import Pv
from energyctl.resources.zone import Zone
from hil.device import SimDevice
from hil.events import EventLog, Happened
from hil.measured import DAY, Measured
from hil.outside import Outside

from . import defaults
from .command import controls
from .conventions import room_settings, settings_of
from .heat_pump import Mode
from .joined import join_chargers, join_meters, join_rooms
from .kinds import KINDS, ROOM, SWITCHED, Given, charging, sensible
from .meters import MeterParams
from .params import SensorParams
from .parts import (
    BASE,
    AirHandler,
    BaseLoad,
    Building,
    HeatPump,
    Meter,
    Part,
    Roof,
    Room,
    RoomParams,
    Switched,
    SwitchedParams,
    Unfed,
    Wing,
    Wire,
    Wires,
    make_air_handler,
    make_store,
)
from .plant import Plant
from .readings import Bound, Panel
from .sensors import Sensors
from .settings import Settings

COOLS_ABOVE_C = 18.0
"""A heat pump whose mode nobody gives cools on a day that is warmer than this in the mean."""
GRID, UNFED = "grid meter", "unfed rooms"
"""Parts that nobody may name: no id has a space."""
_AIRING_KW = 5.0
"""What an airing takes where nobody says so."""

_GRID, _POWER, _WRITES, _READS, _ROOMS, _NOBODY = range(6)
"""How close a part is to a device that it has a point of: whose power it measures comes before what only reads it."""


class Course(Protocol):
    """What a world has to know of a scenario (see `hil.scenario`)."""

    @property
    def seed(self) -> int: ...

    @property
    def plant(self) -> Mapping[str, Mapping[str, Any]]:
        """Parameters that differ from the defaults, by part id."""
        ...

    @property
    def outside(self) -> Outside: ...

    def start(self, timezone: str) -> datetime: ...


def build(site: Site, course: Course, start: datetime | None = None, row_s: float = 60.0) -> Plant:
    """The world of a site, any site. `start` replaces the course's: then its first day repeats, by clock time.

    Parts have the ids of their resources, or of their devices where no resource has them; what nothing fits stands still and
    is noted in the log. Raises ConfigError naming part, key and value for what `course.plant` gets wrong, and for data that
    cannot be read.
    """
    return _Composer(site, course, start).world(row_s)


class _Composer:
    """One use: gathers parts, wires and panels of a site."""

    def __init__(self, site: Site, course: Course, start: datetime | None) -> None:
        begin = course.start(site.timezone)
        self.site, self.start = site, begin if start is None else start
        self.log = EventLog()
        self.settings = Settings(course.plant, course.seed)
        self.measured = course.outside.series(site, begin, course.seed)
        self.building = Building()
        self._day, self._seed = begin, course.seed
        self._devices = {device.id: SimDevice(device.id, device.profile) for device in site.devices.values()}
        self._controls = {
            f"{device.id}.{name}": control
            for device in self._devices.values()
            for name, control in controls(device, self.log).items()
        }
        self._parts: dict[str, Part] = {}
        self._bound: dict[str, Bound] = {}
        self._main: dict[str, tuple[int, Part]] = {}
        self._mode = _mode(self.measured)
        self._zones = [found for found in site.resources if isinstance(found, Zone)]
        self._floor_m2 = sum(zone.area for zone in self._zones)

    def world(self, row_s: float) -> Plant:
        """Everything, in an order that readings can rely on."""
        self._add(BaseLoad())
        for resource in self._in_order():
            self._resource(resource)
        self._unfed()
        for device in self._devices.values():
            if self._rank(device.id) > _WRITES:
                self._device(device)
        for part in (*join_chargers(self._parts, self.settings, self._seed), *join_rooms(self.building, self._parts)):
            self._add(part)
        grid = self._grid()
        self._meters()
        panels = self._panels()
        self.settings.check(self._parts)
        return Plant(
            start=self.start,
            timezone=self.site.timezone,
            measured=self.measured,
            devices=self._devices,
            parts=[*self._parts.values(), grid],
            panels=panels,
            controls=list(self._controls.values()),
            log=self.log,
            row_s=row_s,
        )

    def _in_order(self) -> list[Resource]:
        """Air handlers first: rooms must know whether there are any."""
        return sorted(self.site.resources, key=lambda found: not self._airs(found))

    def _airs(self, resource: Resource) -> bool:
        return isinstance(resource, Deferrable) and self._behind(resource).profile.kind == "air-handling-unit"

    def _behind(self, resource: Resource) -> SimDevice:
        """The device that a resource is mostly about: that of its power, else of its first point."""
        points = [resource.power, *(binding.point for binding in resource.bindings())]
        return next(self._devices[point.partition(".")[0]] for point in points if point)

    def _add(self, part: Part) -> None:
        if part.id in self._parts:
            raise ConfigError(
                f"{part.id}: the simulation has a part of this name already"
                + (f"; '{BASE}' is everything that has no meter" if part.id == BASE else "")
            )
        self._parts[part.id] = part

    def wires(self, points: Mapping[str, str]) -> dict[str, Wire]:
        """Wires by field for full point ids."""
        found = {}
        for field, point in points.items():
            device, _, name = point.partition(".")
            if device in self._devices and name in self._devices[device].values:
                found[field] = Wire(self._devices[device], name, self._controls.get(point))
        return found

    def _resource(self, resource: Resource) -> None:
        if isinstance(resource, Zone) or resource.kind == "base-load":
            return
        points = {binding.field: binding.point for binding in resource.bindings()}
        part = self._of(resource, self.wires(points))
        if part is None:
            self.log.add(
                self.start, Happened.NOTE, resource.id, f"nothing simulates a {resource.kind}; it stands still"
            )
            return
        self._add(part)
        for binding in resource.bindings():
            self._bound.setdefault(binding.point, Bound(part, binding.field))
            self._claim(binding.point, part, _WRITES if binding.writes else _READS)
        if resource.power is not None:
            self._claim(resource.power, part, _POWER)

    def _claim(self, point: str, part: Part, rank: int) -> None:
        """Make a part the one that a device's other points show, unless a better one is."""
        device = point.partition(".")[0]
        if rank < self._rank(device):
            self._main[device] = (rank, part)

    def _rank(self, device: str) -> int:
        return self._main[device][0] if device in self._main else _NOBODY

    def _of(self, resource: Resource, wires: dict[str, Wire]) -> Part | None:
        """The part of a resource, None when there is no physics for it."""
        part, settings = resource.id, self.settings
        match resource:
            case Battery():
                cells = defaults.battery(part, resource, settings)
                return sensible(part, lambda: make_store(part, wires, cells))
            case Pv():
                return Roof(part, wires, defaults.roof(part, resource, settings, self._day, self.site.view.latitude))
            case Ev():
                return charging(part, wires, defaults.charger(part, resource, settings))
            case HeatPumpResource():
                machine = defaults.heat_pump(part, resource, settings, self._mode)
                return HeatPump(part, wires, machine, self._wing(part, machine.mode))
            case Deferrable():
                return self._deferrable(resource, wires)
        if not resource.power and not resource.bindings():
            return None
        device = self._behind(resource)
        return self._by_kind(part, device.profile.kind, wires, device)

    def _deferrable(self, resource: Deferrable, wires: dict[str, Wire]) -> Part:
        """What a switch starts depends on the device that it is a switch of."""
        part, device = resource.id, self._behind(resource)
        kind = device.profile.kind
        draws = self.settings.off(part, "draws_kw", resource.draws)
        if kind == "air-handling-unit":
            return self._air_handler(part, wires, draws)
        found = self._by_kind(part, kind, {SWITCHED[kind]: wires["switch"]}, device) if kind in SWITCHED else None
        return found or Switched(part, wires, self.settings.params(part, SwitchedParams, draws_kw=draws))

    def _air_handler(self, part: str, wires: Wires, draws_kw: float) -> AirHandler:
        comforts = list(self.site.view.comfort.values())
        hours = comforts[0].occupied.text if comforts else None
        params = defaults.air_handler(part, self.settings, self._floor_m2, hours, draws_kw)
        return sensible(part, lambda: make_air_handler(part, wires, params, self.building))

    def _wing(self, feeder: str, mode: Mode) -> Wing:
        """The rooms that a plant feeds, side by side in the site file's order."""
        rooms = [self._room(zone, mode) for zone in self._zones if zone.fed_by == feeder]
        return Wing(rooms, self.building)

    def _room(self, zone: Zone, mode: Mode) -> Room:
        comfort, local = self.site.view.comfort[zone.comfort], self.start.astimezone(ZoneInfo(self.site.timezone))
        aired = bool(self.building.airs or self.building.units) or any(
            device.profile.kind == "air-handling-unit" for device in self._devices.values()
        )
        load = max(self.measured.load_kw[self.measured.day : self.measured.day + DAY])
        params = defaults.room(zone, comfort, self.settings, mode, local, self._floor_m2, load, aired)
        points = {binding.field: binding.point for binding in zone.bindings()}
        return self._kept(zone.id, self.wires(points), params, points)

    def _kept(self, part: str, wires: Wires, params: RoomParams, points: Mapping[str, str]) -> Room:
        room = sensible(part, lambda: Room(part, wires, params))
        self._add(room)
        self.building.rooms.append(room)
        for field in ("temp", "setpoint"):
            if field in points:
                self._bound.setdefault(points[field], Bound(room, field))
                self._claim(points[field], room, _ROOMS)
        return room

    def _unfed(self) -> None:
        """Zones of what is no heat pump stand in the cold."""
        left = [zone for zone in self._zones if zone.id not in self._parts]
        if left:
            rooms = [self._room(zone, self._mode) for zone in left]
            self._add(Unfed(UNFED, Wing(rooms, self.building)))
            for zone in left:
                self.log.add(
                    self.start, Happened.NOTE, zone.id, f"nothing simulates '{zone.fed_by}', so nothing heats it"
                )

    def _device(self, device: SimDevice) -> None:
        """A device that no resource has."""
        if device.profile.kind == "meter":
            return
        part = self._by_kind(self._name(device.id), device.profile.kind, {}, device)
        if part is not None:
            self._add(part)
            self._claim(device.id, part, _WRITES)

    def _name(self, device: str) -> str:
        """What the part of a device is called: as the device, unless a resource has that name."""
        taken = {BASE, *(resource.id for resource in self.site.resources)}
        return f"{device}.device" if device in taken else device

    def _by_kind(self, part: str, kind: str, wires: dict[str, Wire], device: SimDevice) -> Part | None:
        """The part of such a device; what its own settings are is told by their names, where no resource says so."""
        maker = KINDS.get(kind)
        if maker is None:
            return None
        own = {field: f"{device.id}.{name}" for field, name in settings_of(device.profile).items()}
        wires = self.wires(own) | wires
        return maker(
            Given(
                part,
                wires,
                self.settings,
                self._mode,
                lambda: self._rooms_of(part, device),
                lambda: self._air_handler(part, wires, self.settings.off(part, "flush_kw", _AIRING_KW)),
            )
        )

    def _rooms_of(self, part: str, device: SimDevice) -> Wing:
        """The zones that a heat pump of another kind feeds, else the rooms that its own points speak of."""
        feeds = any(zone.fed_by == part for zone in self._zones)
        return self._wing(part, self._mode) if feeds else self._own_rooms(device)

    def _own_rooms(self, device: SimDevice) -> Wing:
        """The rooms that a heat pump's own points speak of, but for those that are zones of the site."""
        rooms = []
        for number, (setpoint, temp) in enumerate(room_settings(device.profile), 1):
            if f"{device.id}.{setpoint}" in self._bound:
                continue
            points = {"setpoint": f"{device.id}.{setpoint}"} | ({"temp": f"{device.id}.{temp}"} if temp else {})
            part = f"{device.id}.room{number}"
            params = self.settings.params(part, RoomParams, name=part, **ROOM)
            rooms.append(self._kept(part, self.wires(points), params, points))
        return Wing(rooms, self.building)

    def _grid(self) -> Meter:
        """What sees all; the grid's meter point shows it, and with it the rest of a meter's points."""
        device = self._devices[self.site.meter.partition(".")[0]]
        known = device.profile.kind == "meter"
        name = self._name(device.id)
        params = self.settings.params(name, MeterParams) if known else MeterParams()
        if params.sees is not None:
            self.settings.problem(f"plant.{name}.sees: {list(params.sees)}: the grid's meter sees all there is")
        grid = Meter(GRID, params, [part for part in self._parts.values() if part.electric])
        self._bound[self.site.meter] = Bound(grid, "power")
        self._claim(self.site.meter, grid, _GRID if known else _ROOMS)
        return grid

    def _meters(self) -> None:
        """Meters that are nobody's."""
        devices = {
            self._name(device.id): device.id
            for device in self._devices.values()
            if device.profile.kind == "meter" and self._rank(device.id) > _WRITES
        }
        for meter in join_meters({name: self.settings.params(name, MeterParams) for name in devices}, self._parts):
            self._add(meter)
            self._claim(devices[meter.id], meter, _WRITES)

    def _panels(self) -> list[Panel]:
        noise = self.settings.params("sensors", SensorParams)
        panels = []
        for device in self._devices.values():
            bound = {
                point.partition(".")[2]: found
                for point, found in self._bound.items()
                if point.partition(".")[0] == device.id
            }
            panel = Panel(
                device, self._main.get(device.id, (0, None))[1], bound, Sensors(noise, f"{self._seed}:{device.id}")
            )
            if panel.still:
                text = f"nothing moves {', '.join(panel.still)} of this {device.profile.kind}"
                self.log.add(self.start, Happened.NOTE, device.id, text)
            panels.append(panel)
        return panels


def _mode(measured: Measured) -> Mode:
    day = measured.temp_c[measured.day : measured.day + DAY]
    return "cool" if sum(day) / len(day) > COOLS_ABOVE_C else "heat"
