"""What a part of a simulated site is: something that moves on by a step, draws or gives power, and shows quantities.

Quantities are named as fields of resources are (power, soc, connected, ...) or as `hil.plant.conventions` calls them, in
canonical units; a device's points show them through its sensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from energyctl.core.comfort import WeekSchedule
from hil.device import SimDevice
from hil.measured import Weather
from hil.plant.command import Control


@dataclass(frozen=True, slots=True)
class Moment:
    """A piece of time in which all that is given stays constant: its start, how long it is, and what is outside."""

    time: datetime
    local: datetime
    seconds: float
    weather: Weather
    base_kw: float
    people: float = 1.0
    """People in the rooms are multiplied by this."""
    draw: Mapping[str, float] | None = None
    """Drawn on top from tanks and reservoirs, by part."""

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    def extra_draw(self, names: Sequence[str]) -> float:
        """What is drawn from a part, by any of its names, beyond its own course."""
        return sum(self.draw.get(name, 0.0) for name in names) if self.draw else 0.0


@dataclass(frozen=True, slots=True)
class Wire:
    """A point that a part is bound to."""

    device: SimDevice
    name: str
    control: Control | None
    """Where the point can be written."""


Phases = tuple[float, float, float]

Wires = Mapping[str, Wire]
"""By field: power, soc, setpoint, ..."""


class Part:
    """A part of the site by its id. `turn` says when in a step it moves: what others look at comes first."""

    turn: ClassVar[int] = 3
    electric: ClassVar[bool] = True
    """False for what draws its power through another part, like the rooms of a heat pump."""
    generates: ClassVar[bool] = False
    """Whether it is there to give energy: a single energy counter counts what it is there for."""

    shares: Phases = (1 / 3, 1 / 3, 1 / 3)
    """Of its power on each phase."""
    power_factor: ClassVar[float] = 0.97

    def __init__(self, part_id: str, wires: Wires) -> None:
        self.id = part_id
        self.wires = wires
        self.power_kw = 0.0
        """In the step that has just ended, consuming positive."""
        self.imported_kwh = 0.0
        self.exported_kwh = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """What stimuli may call it: by its id or its device's."""
        return tuple(dict.fromkeys((self.id, *(wire.device.id for wire in self.wires.values()))))

    def prepare(self, now: Moment) -> None:
        """What the devices show of it before the first step."""

    def step(self, now: Moment) -> None:
        """Move on by a piece of time and set `power_kw`."""

    @property
    def phases_kw(self) -> Phases:
        """Power on each phase [kW]."""
        one, two, three = self.shares
        return self.power_kw * one, self.power_kw * two, self.power_kw * three

    def count(self, hours: float) -> None:
        """Let the energy counters follow the power of the step that has just ended; neither ever runs backwards."""
        self._counted(self.power_kw, hours)

    def _counted(self, power_kw: float, hours: float) -> None:
        if power_kw > 0:
            self.imported_kwh += power_kw * hours
        else:
            self.exported_kwh -= power_kw * hours

    def counter(self, kwh: float) -> float:
        """What a counter of it shows that has counted so much [kWh]."""
        return kwh

    def states(self) -> dict[str, float]:
        """Its states by quantity, as they appear in a trace row."""
        return {}

    def quantities(self) -> dict[str, float]:
        """What can be read of it, beyond power and energy."""
        return {}

    def condition(self) -> tuple[str, ...]:
        """What it is doing, in words that a device may have among its states, the best first."""
        return ("running", "on") if self.power_kw else ("standby", "idle", "off")

    def told(self, field: str, now: datetime, own: float) -> float:
        """What a point of it says: the command in force, else its `own` choice, which is shown there."""
        wire = self.wires.get(field)
        return own if wire is None or wire.control is None else wire.control.value(now, own)


class Hours:
    """Hours of the week that remember what they have answered."""

    def __init__(self, text: str) -> None:
        self._schedule = WeekSchedule(text)
        self._known: dict[int, bool] = {}

    def cover(self, local: datetime) -> bool:
        """Whether a site-local time lies in them."""
        minute = (local.weekday() * 24 + local.hour) * 60 + local.minute
        known = self._known.get(minute)
        if known is None:
            known = self._known[minute] = self._schedule.covers(local)
        return known
