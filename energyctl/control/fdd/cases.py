"""What of a site each rule is about: which points under which names, with which facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from energyctl.config.site import Site
from energyctl.core.resources import BASE_LOAD, Resource

from .rule import Rule

PHASES = ("power_l1", "power_l2", "power_l3")
MEASURED_UNITS = ("kW", "°C")


@dataclass(frozen=True, slots=True)
class About:
    """One thing of the site that a rule may look at: the point it is called by, its points by name, its facts.

    `together` are points that count together.
    """

    subject: str
    points: Mapping[str, str]
    facts: Mapping[str, float]
    together: tuple[str, ...] = ()


def abouts(rule: Rule, site: Site) -> Iterator[About]:
    """Everything of a site that has what a rule needs."""
    for about in _all_of(rule.on, site):
        if set(rule.needs) <= about.points.keys() and set(rule.facts) <= about.facts.keys():
            names = (*rule.needs, *(name for name in rule.uses if name in about.points))
            subject = about.subject or about.points[rule.needs[0]]
            points = {name: about.points[name] for name in names}
            yield About(subject, points, {name: about.facts[name] for name in rule.facts}, about.together)


def _all_of(on: str, site: Site) -> Iterator[About]:
    match on:
        case "zone":
            yield from _zones(site)
        case "two-plants":
            yield from _two_plants(site)
        case "meter":
            yield from _meters(site)
        case "counter":
            yield from _counters(site)
        case "phase":
            yield from _phases(site)
        case "base-load":
            yield About(site.meter, {"base_load": BASE_LOAD}, {"import_limit": site.limits.import_kw})
        case "reading":
            yield from (About(point, {"value": point}, {}) for point in _readings(site))
        case kind:
            yield from (About("", _points(one), _facts(one)) for one in site.resources if one.kind == kind)


def _points(resource: Resource, prefix: str = "") -> dict[str, str]:
    """The points of a resource by the field they are bound with."""
    return {f"{prefix}{binding.field}": binding.point for binding in resource.bindings()}


def _facts(resource: Resource, prefix: str = "") -> dict[str, float]:
    """The numbers of a resource by field, as the site file has them."""
    fields: Any = getattr(type(resource), "model_fields", ())
    numbers = {name: getattr(resource, name) for name in fields}
    return {f"{prefix}{name}": float(value) for name, value in numbers.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _zones(site: Site) -> Iterator[About]:
    """Zones with the plant that feeds them."""
    plants = {one.id: one for one in site.resources}
    for zone in site.resources:
        plant = plants.get(getattr(zone, "fed_by", ""))
        if zone.kind == "zone" and plant is not None:
            yield About("", {**_points(zone), **_points(plant, "plant_")}, _facts(plant, "plant_"))


def _two_plants(site: Site) -> Iterator[About]:
    """Two heat pumps, each with zones of its own."""
    feeding = {getattr(one, "fed_by", "") for one in site.resources}
    plants = [one for one in site.resources if one.kind == "heat-pump" and one.id in feeding]
    for one, other in combinations(plants, 2):
        points = {**_points(one), **_points(other, "other_")}
        yield About("", points, {**_facts(one), **_facts(other, "other_")})


def _meters(site: Site) -> Iterator[About]:
    for device in site.devices.values():
        if device.profile.kind == "meter":
            yield About("", {name: f"{device.id}.{name}" for name in device.profile.points}, {})


def _counters(site: Site) -> Iterator[About]:
    """Energy counters of meters; a charger's counts each session from 0."""
    for about in _meters(site):
        for name, point in about.points.items():
            if name.startswith("energy") and site.points[point].unit == "kWh":
                yield About(point, {"counter": point}, {})


def _phases(site: Site) -> Iterator[About]:
    """Each phase of the grid meter, with all that may generate."""
    device = site.meter.partition(".")[0]
    sources = tuple(one.power for one in site.resources if one.kind in ("pv", "battery") and one.power is not None)
    for name in PHASES:
        if f"{device}.{name}" in site.points:
            facts = {"import_limit": site.limits.import_kw}
            yield About(f"{device}.{name}", {"phase": f"{device}.{name}"}, facts, sources)


def _readings(site: Site) -> list[str]:
    """The points by which resources and the connection are measured, and that do not rightly stand still for hours."""
    bound = [binding.point for one in site.resources for binding in one.bindings() if not binding.writes]
    points = dict.fromkeys([site.meter, *bound])
    return [point for point in points if point in site.points and site.points[point].unit in MEASURED_UNITS]
