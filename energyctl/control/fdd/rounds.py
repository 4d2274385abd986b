"""Goes the rounds: keeps the past of every point that a rule needs, and lets every rule look at it a few times a minute.

While a person has a hand on something (an override, the emergency stop) rules about it are not heard: what they find then is
what the person did. What a rule cannot tell changes nothing, and does not count as time that a condition has lasted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.core.points import ProcessImage
from energyctl.core.resources import BASE_LOAD

from .cases import About, abouts
from .nights import Nights, night_load_up
from .round_trip import Trips, poor_round_trip
from .rule import Case, Finding, Rule
from .sun import elevation_deg
from .table import BESIDES, RULES
from .track import Mark, Track

EVERY_S = 10.0
"""How often rules look, and how far apart the marks of a track are [s]."""
LEAST_KEPT_S = 120.0
SEEN_SHARE = 0.9
"""Of the time between two looks at a battery that must be known, lest its energy counts as unseen."""

HandsOn = Callable[[], Collection[str]]
"""The points and devices that people have a hand on now; "*" is everything."""


@dataclass(frozen=True, slots=True)
class _Check:
    """A rule, and one thing that it looks at."""

    rule: Rule
    about: About

    @property
    def points(self) -> tuple[str, ...]:
        return (*self.about.points.values(), *self.about.together)


class _Battery(Protocol):
    """What a battery says of itself."""

    id: str
    power: str
    soc: str
    capacity: float
    efficiency: float


class Rounds:
    """The rules of a site, as one who watches every image."""

    memory_name = "fdd"

    def __init__(self, site: Site, alarms: Alarms, hands_on: HandsOn) -> None:
        self._site, self._alarms, self._hands_on = site, alarms, hands_on
        self._checks = [_Check(rule, about) for rule in RULES for about in abouts(rule, site)]
        self._batteries = [cast(_Battery, one) for one in site.resources if one.kind == "battery"]
        self._tracks = {point: Track(max(LEAST_KEPT_S, back_s), EVERY_S) for point, back_s in self._backs().items()}
        self._trips = {battery.id: Trips() for battery in self._batteries}
        self._seen: dict[str, Mark] = {}
        self._nights = Nights()
        self._next_s = float("-inf")
        self.memory_changes = 0

    def look(self, image: ProcessImage, now_s: float) -> None:
        """See `seams.Watches`."""
        for point, track in self._tracks.items():
            track.add(now_s, image.value(point))
        if now_s < self._next_s:
            return
        if self._next_s < 0:
            self._forget(image)
        self._next_s = now_s + EVERY_S
        hands = self._hands_on()
        view = self._site.view
        sun_deg = elevation_deg(image.time, view.latitude, view.longitude)
        for check in self._checks:
            held = _touched(hands, check.points)
            finding = None if held else check.rule.find(self._case(check.about, image, sun_deg))
            self._say(check.rule.alarm, check.about.subject, finding, image)
        self._look_at_batteries(image, hands)
        self._look_at_night(image, now_s)

    def memory(self) -> Any:
        """See `alarm_desk.Remembers`."""
        return {"nights": list(self._nights.bases), "trips": {name: one.share for name, one in self._trips.items()}}

    def recall(self, memory: Any) -> None:
        """See `alarm_desk.Remembers`."""
        self._nights = Nights(tuple(float(base) for base in memory["nights"]))
        shares = {name: Trips(share=share) for name, share in memory["trips"].items() if name in self._trips}
        self._trips.update(shares)

    def _backs(self) -> Mapping[str, float]:
        """Every point that is looked at, and how far back [s]."""
        backs = {BASE_LOAD: 0.0, **{point: 0.0 for one in self._batteries for point in (one.power, one.soc)}}
        for check in self._checks:
            for point in check.points:
                backs[point] = max(backs.get(point, 0.0), check.rule.back_s)
        return backs

    def _case(self, about: About, image: ProcessImage, sun_deg: float) -> Case:
        tracks = {name: self._tracks[point] for name, point in about.points.items()}
        together = tuple(self._tracks[point] for point in about.together)
        return Case(tracks, about.facts, image.time, sun_deg, together)

    def _forget(self, image: ProcessImage) -> None:
        """Clear what stands of rules about things that the site has no more."""
        mine = {(check.rule.alarm, check.about.subject) for check in self._checks}
        mine |= {("poor-round-trip", battery.power) for battery in self._batteries} | {
            ("night-load-up", self._site.meter)
        }
        ours = {rule.alarm for rule in RULES} | set(BESIDES)
        for alarm in self._alarms.standing:
            if alarm.name in ours and (alarm.name, alarm.subject) not in mine:
                self._alarms.clear(alarm.name, alarm.subject, image.time)

    def _say(self, alarm: str, subject: str, finding: Finding, image: ProcessImage) -> None:
        if finding is None:
            self._alarms.doubt(alarm, subject)
        else:
            self._alarms.set(alarm, subject, finding or None, image.time)

    def _look_at_batteries(self, image: ProcessImage, hands: Collection[str]) -> None:
        for battery in self._batteries:
            before = self._trips[battery.id]
            trips = self._trips[battery.id] = self._flowed(battery, before)
            if trips.share != before.share:
                self.memory_changes += 1
            held = _touched(hands, (battery.power,))
            finding = None if held else poor_round_trip(trips, battery.efficiency)
            self._say("poor-round-trip", battery.power, finding, image)

    def _flowed(self, battery: _Battery, trips: Trips) -> Trips:
        """What has flowed since the last look."""
        track, soc = self._tracks[battery.power], self._tracks[battery.soc].value
        mark, self._seen[battery.id] = self._seen.get(battery.id), track.now
        if mark is None:
            return trips
        span = track.since(mark)
        if soc is None or span.known_s < SEEN_SHARE * span.seconds:
            return trips.unknown()
        return trips.add(span.positive / 3600, -span.negative / 3600, soc, battery.capacity)

    def _look_at_night(self, image: ProcessImage, now_s: float) -> None:
        nights = self._nights.look(image.time, now_s, self._site.timezone, self._tracks[BASE_LOAD].value)
        if nights.bases != self._nights.bases:
            self.memory_changes += 1
        self._nights = nights
        self._say("night-load-up", self._site.meter, night_load_up(nights.bases), image)


def _touched(hands: Collection[str], points: Collection[str]) -> bool:
    """Whether a person has a hand on one of these points."""
    return bool(hands) and ("*" in hands or any(key in hands for point in points for key in _keys(point)))


def _keys(point: str) -> Iterator[str]:
    yield point
    yield point.partition(".")[0]
