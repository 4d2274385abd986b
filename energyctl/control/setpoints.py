"""From guidance to wishes: what every resource wants of its points this cycle.

On a plan each resource follows it; without one each follows its own rule; on the lowest step nobody wants anything, so
that every device is handed back. Then the tracking rule (see `tracking`) corrects the resources that can move at once, but
none whose point somebody of higher rank has taken: what a person or a safety rule holds is a fact to work around. A resource
that tracks the grid target is kept in hand while it does, also when there is nothing to correct, rather than claimed and
released by turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from energyctl.core.plan import Plan
from energyctl.core.planner import GridLimits
from energyctl.core.points import ProcessImage, Rank, Setpoint
from energyctl.core.resources import Adjustable, Resource, SiteView, Target, Tracks

from .tracking import Tracked, track


@dataclass(frozen=True, slots=True)
class Course:
    """What guides the resources: a step of a plan, or the rules (`plan` None)."""

    plan: Plan | None
    step: int
    astray_kw: float = 0.0
    """How much more than planned is taken by what does not follow the plan [kW]; the others do not make up for it."""

    @property
    def grid_target_kw(self) -> float:
        """What tracking aims for at the meter: the plan's power, or without a plan nothing bought or sold."""
        return 0.0 if self.plan is None else self.plan.grid_kw[self.step] + self.astray_kw


@dataclass(frozen=True, slots=True)
class Wishes:
    """The setpoints wanted this cycle, and how the tracking rule came out."""

    setpoints: tuple[Setpoint, ...]
    tracked: Tracked


def wishes(
    resources: Sequence[Resource],
    course: Course,
    image: ProcessImage,
    meter: str,
    limits: GridLimits,
    site: SiteView,
    taken: Collection[str],
    expires_at: float,
) -> Wishes:
    """What all resources want now, tracked against the meter. `taken`: points held by a higher rank."""
    targets = {resource.id: list(_targets(resource, course, image, site)) for resource in resources}
    movable: dict[str, tuple[Tracks, Adjustable]] = {}
    for resource in resources:
        if isinstance(resource, Tracks):
            room = resource.adjustable(next(iter(targets[resource.id]), None), image)
            if room is not None and room.point not in taken:
                movable[resource.id] = (resource, room)
    rooms = [room for _, room in movable.values()]
    coming = _coming_kw([resource for resource in resources if resource.id not in movable], course, image)
    tracked = track(image.value(meter), course.grid_target_kw, limits, rooms, coming)
    for correction in tracked.corrections:
        tracker, room = movable[correction.resource]
        if correction.reason or (room.may_track and not targets[correction.resource]):
            moved = tracker.target_for(correction.power_kw, image, correction.reason or "nothing to correct")
            others = [target for target in targets[correction.resource] if target.point != moved.point]
            targets[correction.resource] = [moved, *others]
    rank = Rank.RULE if course.plan is None else Rank.OPTIMIZER
    return Wishes(tuple(_as_setpoints(targets, rank, expires_at)), tracked)


def _coming_kw(fixed: Sequence[Resource], course: Course, image: ProcessImage) -> float:
    """What resources that cannot be moved should take now by plan and do not take yet."""
    if course.plan is None:
        return 0.0
    total = 0.0
    for resource in fixed:
        planned, measured = course.plan.power_kw.get(resource.id), image.value(resource.power)
        if planned is not None and measured is not None:
            total += max(0.0, planned[course.step] - measured)
    return total


def _targets(resource: Resource, course: Course, image: ProcessImage, site: SiteView) -> Sequence[Target]:
    if course.plan is None:
        return resource.rule(image.time, image, site)
    return resource.follow(course.plan, course.step, image, site)


def _as_setpoints(targets: Mapping[str, Iterable[Target]], rank: Rank, expires_at: float) -> Iterable[Setpoint]:
    source = "rule" if rank is Rank.RULE else "plan"
    for resource in targets:
        for target in targets[resource]:
            yield Setpoint(target.point, target.value, rank, f"{source}:{resource}", target.reason, expires_at)


def base_load(resources: Sequence[Resource], image: ProcessImage, meter: str) -> float | None:
    """What the meter sees beyond all resources that measure their own power [kW]; None when a measurement is missing."""
    total = image.value(meter)
    for resource in resources:
        if total is None:
            return None
        if resource.power is None or resource.power not in image or resource.power == meter:
            continue
        power = image.value(resource.power)
        total = None if power is None else total - power
    return total
