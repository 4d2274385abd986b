"""Which resources of a site take part in planning and control, by the modes of the devices they are bound to.

Rules:
- a resource with a point on a device that is off takes no part; nothing of it is known;
- what is only monitored while the rest of the site goes further is part of the building's load: a point that would be
  written is unbound where the resource can do without it (a PV system that cannot be cut), else the resource takes no part;
- what is fed goes with what feeds it, and a feeder goes when nothing it feeds is left.
A site that as a whole is only monitored is planned for in full: there the plan is something to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from energyctl.core.resources import Resource

from .site import MODES, Mode, Site


def partaking(site: Site) -> tuple[Resource, ...]:
    """The resources that take part, as far as they do."""
    needed: Mode = "shadow" if MODES.index(site.mode) >= MODES.index("shadow") else "monitor"
    kept = [fitted for one in site.resources if (fitted := _fitted(site, one, needed)) is not None]
    return tuple(one for one in kept if _in_company(one, kept, site.resources))


def mode_of(site: Site, resource: Resource) -> Mode:
    """The least mode of the devices that a resource writes to; that of its power's device when it writes to none."""
    points = [one.point for one in resource.bindings() if one.writes] or [resource.power or ""]
    return min((_mode(site, point) for point in points), key=MODES.index)


def _mode(site: Site, point: str) -> Mode:
    return site.modes.get(point.partition(".")[0], site.mode)


def _fitted(site: Site, resource: Resource, needed: Mode) -> Resource | None:
    bindings = resource.bindings()
    if any(_mode(site, one.point) == "off" for one in bindings):
        return None
    kept_from = [
        one.field for one in bindings if one.writes and MODES.index(_mode(site, one.point)) < MODES.index(needed)
    ]
    return _without(resource, kept_from) if kept_from else resource


def _without(resource: Any, fields: Sequence[str]) -> Any:
    """The resource with these optional fields unbound; None when it needs one of them."""
    if not isinstance(resource, BaseModel) or any(type(resource).model_fields[name].is_required() for name in fields):
        return None
    return resource.model_copy(update=dict.fromkeys(fields))


def _in_company(resource: Resource, kept: Sequence[Resource], everybody: Sequence[Resource]) -> bool:
    left = {one.id for one in kept}
    feeder = getattr(resource, "fed_by", None)
    fed = [one.id for one in everybody if getattr(one, "fed_by", None) == resource.id]
    return (feeder is None or feeder in left) and (not fed or any(one in left for one in fed))
