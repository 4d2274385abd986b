"""A simulated site: reads what its devices were commanded, moves all its parts on, shows readings with noise.

Within a step of at most a minute everything is constant. Parts move in their turn: what is given (load), what others look at
(air handlers), what was commanded (cars, heat, roofs), last the batteries, which see what the others leave at the connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from hil.device import SimDevice
from hil.events import EventLog
from hil.measured import Measured, Weather
from hil.world import Influences, Row

from .command import Control
from .parts import Charger, Moment, Part, Store, share_out
from .readings import Panel
from .trace import Recorder

LONGEST_S = 60.0

P = TypeVar("P", bound=Part)


class Plant:
    """A `World` of parts; `hil.plant.build` makes one of a site."""

    def __init__(
        self,
        start: datetime,
        timezone: str,
        measured: Measured,
        devices: Mapping[str, SimDevice],
        parts: Sequence[Part],
        panels: Sequence[Panel],
        controls: Sequence[Control],
        log: EventLog,
        row_s: float,
    ) -> None:
        self.time = start
        self.devices = devices
        self.measured = measured
        self.influences = Influences()
        self.log = log
        self.parts: Mapping[str, Part] = {part.id: part for part in parts}
        """All parts by id, rooms and meters too."""
        self._zone = ZoneInfo(timezone)
        self._stores = [part for part in parts if isinstance(part, Store)]
        self._chargers = [part for part in parts if isinstance(part, Charger)]
        self._moving = [p for p in sorted(parts, key=lambda part: part.turn) if not isinstance(p, Store)]
        self._before = [part for part in self._moving if part.turn < Store.turn]
        self._after = [part for part in self._moving if part.turn > Store.turn]
        self._electric = [part for part in (*self._before, *self._stores) if part.electric]
        self._panels, self._controls = panels, controls
        self._recorder = Recorder(row_s)
        now = self._moment(0.0)
        for part in (*self._before, *self._stores, *self._after):
            part.prepare(now)
        self._show()

    def of_kind(self, kind: type[P]) -> list[P]:
        """All parts of a kind, in the site file's order."""
        return [part for part in self.parts.values() if isinstance(part, kind)]

    @property
    def trace(self) -> Sequence[Row]:
        """The truth so far."""
        return self._recorder.rows

    @property
    def powers_kw(self) -> dict[str, float]:
        """Power of every part in the step that has just ended, consuming positive."""
        return {part.id: part.power_kw for part in self._electric}

    @property
    def grid_kw(self) -> float:
        """Power at the connection in the step that has just ended: the sum of all parts."""
        return sum(part.power_kw for part in self._electric)

    def step(self, to: datetime) -> None:
        """Move on to an instant and show what the sensors read then. An instant that is not ahead changes nothing."""
        if to <= self.time:
            return
        while self.time < to:
            self._piece(min(LONGEST_S, (to - self.time).total_seconds()))
        self._show()

    def _moment(self, seconds: float) -> Moment:
        minute, acting = self.measured.minute(self.time), self.influences
        return Moment(
            self.time,
            self.time.astimezone(self._zone),
            seconds,
            self._weather(minute),
            self.measured.load_kw[minute] + acting.load_kw,
            acting.people,
            acting.draw or None,
        )

    def _weather(self, minute: int) -> Weather:
        weather, acting = self.measured.weather(minute), self.influences
        if acting.temp_k == 0.0 and acting.sun == 1.0:
            return weather
        return Weather(weather.temp_c + acting.temp_k, weather.humidity_pct, weather.ghi_w_m2 * acting.sun)

    def _piece(self, seconds: float) -> None:
        now = self._moment(seconds)
        for control in self._controls:
            control.holds(now.time)
        if self.influences.cars:
            for charger in self._chargers:
                charger.receive(self.influences.cars, now.local)
        for part in self._before:
            part.step(now)
        if self._stores:
            share_out(self._stores, sum(part.power_kw for part in self._before if part.electric), now)
        for part in self._after:
            part.step(now)
        for part in self.parts.values():
            part.count(now.hours)
        self._recorder.add(self.time, seconds, self.powers_kw, lambda: self._states(now.weather))
        self.time += timedelta(seconds=seconds)

    def _states(self, weather: Weather) -> dict[str, float]:
        found = {"outdoor_c": weather.temp_c, "ghi_w_m2": weather.ghi_w_m2}
        for part in self.parts.values():
            for name, value in part.states().items():
                found[f"{part.id}.{name}"] = value
        return found

    def _show(self) -> None:
        for device in self.devices.values():
            device.time = self.time
        minute = self.measured.minute(self.time)
        weather = self._weather(minute)
        for panel in self._panels:
            panel.show(weather)
