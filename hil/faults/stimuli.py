"""What happens on a site without anything being wrong: load, weather, cars, people. In a physical world only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Annotated, ClassVar

from pydantic import Field

from energyctl.config import Site
from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError
from energyctl.core.resources import Resource
from energyctl.core.units import DeltaK, EnergyKwh, PowerKw, Ratio, Seconds, parse_quantity
from hil.still import Still
from hil.world import Influences

from .base import Bench, Fault, Target, kind
from .claims import Undo, all_of
from .people import number_of

DRAWN_FROM = ("boiler", "hot-water-tank", "pump-station")
"""Kinds of device that water is drawn from."""


class Stimulus(Fault):
    """Base of what acts through the world's influences."""

    target: ClassVar[Target] = "site"

    def influences(self, bench: Bench) -> Influences:
        """What it acts through. Raises ConfigError in a world where nothing moves."""
        if isinstance(bench.world, Still):
            raise ConfigError(f"{self.kind}: nothing moves in this simulation; start it with a scenario")
        return bench.world.influences


@kind
class Load(Stimulus):
    """More load."""

    kind: ClassVar[str] = "load"
    about: ClassVar[str] = "Something is switched on: power: 20 kW more of base load."

    power: PowerKw
    """Less with a minus."""

    def begin(self, bench: Bench) -> Undo:
        influences = self.influences(bench)
        return bench.claims.lay("load", self.power, lambda loads: setattr(influences, "load_kw", sum(loads)))


class _Weather(Stimulus):
    by: Annotated[DeltaK, Field(gt=0)] = 8.0

    sign: ClassVar[float]

    def begin(self, bench: Bench) -> Undo:
        influences = self.influences(bench)
        return bench.claims.lay("temp", self.sign * self.by, lambda all_k: setattr(influences, "temp_k", sum(all_k)))


@kind
class HeatWave(_Weather):
    """Heat."""

    kind: ClassVar[str] = "heat-wave"
    about: ClassVar[str] = "It is warmer outside than it would be: by: 8 K."
    sign: ClassVar[float] = 1.0


@kind
class Cold(_Weather):
    """Cold."""

    kind: ClassVar[str] = "cold"
    about: ClassVar[str] = "It is colder outside than it would be: by: 8 K."
    sign: ClassVar[float] = -1.0


@kind
class Clouds(Stimulus):
    """Clouds."""

    kind: ClassVar[str] = "clouds"
    about: ClassVar[str] = (
        "Clouds leave a share of the sun: sun: 20 %; they come and go every so long with flicker: 2 min."
    )

    sun: Annotated[Ratio, Field(ge=0, le=1)] = 0.2
    """What is left of it."""
    flicker: Annotated[Seconds, Field(gt=0)] | None = None
    """From one edge to the next; without, the clouds stay."""

    def begin(self, bench: Bench) -> Undo:
        influences = self.influences(bench)

        def cover() -> Callable[[], None]:
            return bench.claims.lay("sun", self.sun, lambda shares: setattr(influences, "sun", prod(shares)))

        if self.flicker is None:
            return cover()
        covered: list[Callable[[], None]] = []

        def edge() -> None:
            if covered:
                covered.pop()()
            else:
                covered.append(cover())

        return all_of([lambda: edge() if covered else None, bench.every(self.flicker, edge)])


@kind
class People(Stimulus):
    """A crowd, or nobody."""

    kind: ClassVar[str] = "people"
    about: ClassVar[str] = "There are so many times the usual people: times: 3."

    times: Annotated[float, Field(ge=0)]

    def begin(self, bench: Bench) -> Undo:
        influences = self.influences(bench)
        return bench.claims.lay("people", self.times, lambda factors: setattr(influences, "people", prod(factors)))


@kind
class Cars(Stimulus):
    """Cars that arrive."""

    kind: ClassVar[str] = "cars"
    about: ClassVar[str] = "Cars arrive at the charger, or at the site's first few: count: 2, each needs: 20 kWh."
    target: ClassVar[Target] = "part"

    count: Annotated[int, Field(ge=1)] = 1
    needs_kwh: Annotated[EnergyKwh, Field(alias="needs", gt=0)] = 20.0
    """Each."""

    @property
    def lasts_s(self) -> float | None:
        return 0.0

    def check(self, site: Site) -> None:
        super().check(site)
        there = len(self._chargers(site))
        if self.count > there:
            raise self.wrong("count", f"{self.count} cars, but {there} chargers for them")

    def begin(self, bench: Bench) -> None:
        influences = self.influences(bench)
        for charger in self._chargers(bench.site)[: self.count]:
            influences.cars[charger] = self.needs_kwh

    def _chargers(self, site: Site) -> list[str]:
        return [self.on] if self.on else [resource.id for resource in site.resources if resource.kind == "ev"]


@kind
class Draw(Stimulus):
    """Somebody takes water."""

    kind: ClassVar[str] = "draw"
    about: ClassVar[str] = "More is drawn from a tank or reservoir: by: 10 kW, or by: 3 m3/h."
    target: ClassVar[Target] = "part"

    by: str
    """Heat from a tank or boiler in kW, water from a reservoir in m3/h."""

    def check(self, site: Site) -> None:
        super().check(site)
        fitting = sorted(device.id for device in site.devices.values() if device.profile.kind in DRAWN_FROM)
        fitting += [resource.id for resource in site.resources if _behind(resource) & set(fitting)]
        if self.on not in fitting:
            raise self.wrong(
                "on", f"'{self.on}': nothing is drawn from it{did_you_mean(self.on, fitting, 'there are')}"
            )
        self._amount()

    def begin(self, bench: Bench) -> Undo:
        draw = self.influences(bench).draw

        def apply(amounts: Sequence[float]) -> None:
            draw[self.on] = sum(amounts)

        return bench.claims.lay(("draw", self.on), self._amount(), apply)

    def _amount(self) -> float:
        unit = "m3/h" if self.by.strip().endswith("m3/h") else "kW"
        try:
            return parse_quantity(self.by, unit)
        except ValueError as error:
            raise self.wrong("by", f"'{self.by}': {error}") from None


def _behind(resource: Resource) -> set[str]:
    """The devices that a resource is bound to."""
    return {binding.point.partition(".")[0] for binding in resource.bindings()}


@kind
class ReadingSet(Fault):
    """A reading, by hand."""

    kind: ClassVar[str] = "reading-set"
    about: ClassVar[str] = (
        "A device that nothing moves shows a value: value: 12 kW. Where physics moves it, until it does again."
    )
    target: ClassVar[Target] = "point"

    value: str | float | bool

    @property
    def lasts_s(self) -> float | None:
        return 0.0

    def check(self, site: Site) -> None:
        super().check(site)
        number_of(self, site, self.on, self.value)

    def begin(self, bench: Bench) -> None:
        device, name = self.points(bench)[0]
        device.set(name, number_of(self, bench.site, self.on, self.value))
