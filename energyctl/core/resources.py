"""What a resource is: it says what it can do, what a plan means for its points, and what it does without one.

A kind is a frozen pydantic model of what the site file says of it, registered as an entry point in the group
`energyctl.resources` under its `kind`. It imports `core` alone. Everything here is pure: state in, wishes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from .comfort import Comfort
from .flexibility import Flexibility
from .plan import Plan
from .points import ProcessImage
from .timeline import Forecast, Horizon, Series

BASE_LOAD = "site.base_load"
"""The virtual point of what the meter sees beyond all resources [kW]; the daemon derives it every cycle."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A field of a resource that names a point: which unit the point must have, and whether we will write it.

    `minimum` and `maximum` follow from what the resource is: a battery's power, a charger's current. For a point that is
    written they bound what may be written, and the gate keeps to them; for one that is read, what is believed: a value
    beyond them is implausible.
    """

    field: str
    point: str
    unit: str
    writes: bool = False
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """A forecast that a resource needs: of which point, by methods of which kind, and the facts those methods use."""

    point: str
    kind: Literal["load", "pv", "temperature"]
    unit: str
    prior: Series | None = None
    """Measured values from before this site had a historian, e.g. the utility's meter file."""
    facts: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class SiteView:
    """What a resource may know of its site: where it is, which hours are occupied, what comfort costs."""

    timezone: str
    latitude: float
    longitude: float
    comfort: Mapping[str, Comfort] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outlook:
    """All a resource may look at when it states its flexibility: measured values that are good, forecasts, the horizon."""

    horizon: Horizon
    values: Mapping[str, float]
    forecasts: Mapping[str, Forecast]
    import_price: tuple[float, ...]
    site: SiteView


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource wants one of its points to be, and why in a few plain words."""

    point: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Adjustable:
    """Power that the tracking rule may move at once to hold the connection's limits and the plan's grid target.

    `least_kw` and `most_kw` bound the resource's power now (consuming positive); `planned_kw` is where it would be without
    correction, `measured_kw` where it is. Smaller `order` moves first. `may_track`: also for the grid target, not only for
    limits.
    """

    resource: str
    point: str
    measured_kw: float
    planned_kw: float
    least_kw: float
    most_kw: float
    order: int
    may_track: bool


class Resource(Protocol):
    """A thing on the site that consumes, generates or stores."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def power(self) -> str | None:
        """The point that measures its electric power [kW], None when it has none of its own (a zone)."""
        ...

    def bindings(self) -> Sequence[Binding]:
        """Every point the resource is bound to."""
        ...

    def needs(self) -> Sequence[Need]:
        """The forecasts it needs."""
        ...

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        """What it can do over the horizon. Raises PlanError naming the point when a state it cannot do without is missing."""
        ...

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        """What step `step` of a plan means for its points; nothing where it has nothing to set."""
        ...

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        """What it does by its own simple rule when there is no plan; nothing leaves the device alone."""
        ...


@runtime_checkable
class Tracks(Protocol):
    """A resource whose power can be moved at once, every cycle."""

    def adjustable(self, target: Target | None, image: ProcessImage) -> Adjustable | None:
        """Its room to move now, given the target it would get; None when its state is unknown."""
        ...

    def target_for(self, power_kw: float, image: ProcessImage, reason: str) -> Target:
        """The target that brings its power to `power_kw`."""
        ...
