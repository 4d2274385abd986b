"""What a rule is: data that says what it is about and needs, and a pure function that looks at the past of its points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .track import Track

FINE = ""
"""What a rule says when nothing is wrong; None means that it cannot tell."""

Finding = str | None

Subject = Literal[
    "pv", "battery", "ev", "heat-pump", "zone", "two-plants", "meter", "counter", "phase", "base-load", "reading"
]
"""What rules are about: a kind of resource; a zone with the plant that feeds it; two plants; a meter; one of its counters; a
phase of the grid meter, with all that may generate; what the grid meter sees beyond all resources; any point that a resource
or the site measures with."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule looks at: the past of each point it needs by name, facts of the site file, the time, the sun's height.

    `all_tracks` are those that count together, such as everything that may generate.
    """

    tracks: Mapping[str, Track]
    facts: Mapping[str, float]
    time: datetime
    sun_deg: float
    all_tracks: tuple[Track, ...] = ()

    def mean(self, name: str, back_s: float) -> float | None:
        """The mean of a point over the last `back_s` seconds, None when it is not known."""
        return self.tracks[name].mean(back_s)


@dataclass(frozen=True, slots=True)
class Rule:
    """`alarm` names a kind of alarm, which also says how long what is found must last.

    `needs` are fields of the resource (points of the meter) that must be bound, the first is what the alarm is about;
    `uses` may be; `facts` are numbers of the resource. `back_s` is how far back it looks [s].
    """

    alarm: str
    on: Subject
    needs: tuple[str, ...]
    find: Callable[[Case], Finding]
    back_s: float
    uses: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
