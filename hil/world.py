"""What a simulated world is to the rest of the bench: devices that live on virtual time, what acts on them, and a trace.

Power is in kW, consuming positive; parts are named by the id of their resource in the site file, or of their device where
no resource has it, and "base" is everything that has no meter of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from .device import SimDevice
from .events import EventLog


@dataclass(frozen=True, kw_only=True)
class Row:
    """The truth of a piece of time, as no sensor sees it: mean powers over `seconds` from `time` on, states at its end.

    States are named "<part>.<quantity>": battery.soc (0..1), battery.energy_kwh, office.air_c, car.connected (0 or 1),
    car.missing_kwh, roof.available_kw ..., and what has no part: outdoor_c, ghi_w_m2.
    """

    time: datetime
    seconds: float
    powers_kw: Mapping[str, float]
    states: Mapping[str, float]

    @property
    def grid_kw(self) -> float:
        """Power at the connection, import positive: the sum of all parts."""
        return sum(self.powers_kw.values())


@dataclass
class Influences:
    """What stimuli add to the course of a scenario, from now until they are taken back."""

    load_kw: float = 0.0
    """Added to the base load."""
    temp_k: float = 0.0
    """Added to the outdoor temperature."""
    sun: float = 1.0
    """The irradiance is multiplied by this."""
    people: float = 1.0
    """People in the rooms are multiplied by this, also outside their hours when above 1."""
    cars: dict[str, float] = field(default_factory=dict)
    """Charger (part or device id) -> kWh that a car which arrives now needs; the world takes entries out as cars arrive."""
    draw: dict[str, float] = field(default_factory=dict)
    """Part id of a tank or reservoir -> what is drawn from it on top [kW or m3/h]."""


class World(Protocol):
    """Devices and what they do by themselves."""

    influences: Influences
    log: EventLog

    @property
    def devices(self) -> Mapping[str, SimDevice]: ...

    @property
    def time(self) -> datetime: ...

    @property
    def trace(self) -> Sequence[Row]: ...

    def step(self, to: datetime) -> None:
        """Move on to `to`, which is later than `time`, and show what the sensors read then."""
        ...


def move(world: World, to: datetime, step_s: float) -> None:
    """Step a world to `to` in steps of at most `step_s` seconds; its devices log in its time."""
    while world.time < to:
        world.step(min(to, world.time + timedelta(seconds=step_s)))
    for device in world.devices.values():
        device.time = world.time
