"""Sensors that show something else than the truth. The physics goes on underneath.

A distortion is a function of the canonical value and the virtual time alone, so that what is shown does not depend on who
asks how often. `on` is a point, or a device for all that it measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from energyctl.config import Site
from energyctl.core.units import Ratio, parse_quantity
from hil.ailments import Distortion
from hil.device import SimDevice

from .base import Bench, Fault, Target, kind
from .claims import Undo, all_of

FACTORS = {"W/kW": 1000.0, "kW/W": 0.001, "Wh/kWh": 1000.0, "kWh/Wh": 0.001, "%/1": 100.0, "1/%": 0.01}
"""What is shown over what is meant."""
FAHRENHEIT = "degF"


def whole(text: Any) -> Any:
    """What a person wrote as a whole number, such as 5 or "0x8000"."""
    return int(text, 0) if isinstance(text, str) else text


def _factor(text: Any) -> Any:
    if text in FACTORS or text == FAHRENHEIT:
        return text
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(f"must be a number, or one of {', '.join((*FACTORS, FAHRENHEIT))}") from None


def change_of(fault: Fault, parameter: str, text: str, unit: str) -> float:
    """A difference of a quantity in `unit`, as a person wrote it ("2 kW"; of temperatures in K). Raises ConfigError."""
    try:
        return parse_quantity(text, "K" if unit == "°C" else unit)
    except ValueError as error:
        raise fault.wrong(parameter, f"'{text}': {error}") from None


class Distorting(Fault):
    """Base of the faults that put a distortion on readings."""

    target: ClassVar[Target] = "readings"

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        """What the sensor makes of the value, from now on."""
        raise NotImplementedError

    def units(self, site: Site) -> list[str]:
        """The canonical units of what it is done to."""
        if self.on in site.points:
            return [site.points[self.on].unit]
        return [point.unit for point in site.devices[self.on].points.values()]

    def begin(self, bench: Bench) -> Undo:
        undos: list[Undo] = []
        for device, name in self.points(bench):
            distortion = self.distortion(bench, device, name)
            undos.append(bench.claims.lay((device.id, name), distortion, _setter(device, name)))
        return all_of(undos)


def _setter(device: SimDevice, name: str) -> Callable[[Sequence[Distortion]], None]:
    def apply(distortions: Sequence[Distortion]) -> None:
        device.ail.distorted[name] = list(distortions)
        if not distortions:
            del device.ail.distorted[name]

    return apply


@kind
class Nan(Distorting):
    """Not a number."""

    kind: ClassVar[str] = "nan"
    about: ClassVar[str] = "Readings are not a number, or what the protocol has for 'not available'."

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        return lambda value, time: math.nan


@kind
class Sentinel(Fault):
    """A number that means something else."""

    kind: ClassVar[str] = "sentinel"
    about: ClassVar[str] = "Readings are this raw number on the wire, such as 0x8000 or 65535, whatever the value is."
    target: ClassVar[Target] = "readings"

    raw: Annotated[int, BeforeValidator(whole)]
    """Modbus: the register pattern, unsigned; elsewhere the device's own number."""

    def begin(self, bench: Bench) -> Undo:
        return all_of(
            [bench.claims.entry(device.ail.raw, name, float(self.raw)) for device, name in self.points(bench)]
        )


@kind
class Stuck(Distorting):
    """A frozen sensor."""

    kind: ClassVar[str] = "stuck"
    about: ClassVar[str] = "Readings stay at what they are now."

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        shown = device.reading(name)
        return lambda value, time: shown


class _Shifting(Distorting):
    by: str
    """In the point's own kind of unit; temperatures in K."""

    def check(self, site: Site) -> None:
        super().check(site)
        for unit in self.units(site):
            self.amount(unit)

    def amount(self, unit: str) -> float:
        """The shift in a canonical unit. Raises ConfigError."""
        return change_of(self, "by", self.by, unit)

    def by_of(self, device: SimDevice, name: str) -> float:
        """The shift for a point of a device."""
        return self.amount(device.profile.points_of(device.id)[f"{device.id}.{name}"].unit)


@kind
class Bias(_Shifting):
    """A constant error."""

    kind: ClassVar[str] = "bias"
    about: ClassVar[str] = "Readings are off by a constant: by: 2 kW."

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        by = self.by_of(device, name)
        return lambda value, time: value + by


@kind
class Drift(_Shifting):
    """An error that grows."""

    kind: ClassVar[str] = "drift"
    about: ClassVar[str] = "Readings are off by more and more, so much more every hour: by: 0.5 K."

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        by, start = self.by_of(device, name), bench.world.time
        return lambda value, time: value + by * (time - start).total_seconds() / 3600


@kind
class Spike(_Shifting):
    """Single wild readings."""

    kind: ClassVar[str] = "spike"
    about: ClassVar[str] = "Now and then (probability) a reading is off by up to so much either way: by: 50 kW."

    probability: Annotated[Ratio, Field(gt=0, le=1)] = 0.05
    """Of every instant at which the device is read."""

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        by, seed = self.by_of(device, name), bench.luck(device.id, name).random()

        def spiked(value: float, time: datetime) -> float:
            luck = Random(f"{seed}/{time.isoformat()}")
            return (
                value + by * luck.choice((-1, 1)) * luck.uniform(0.5, 1) if luck.random() < self.probability else value
            )

        return spiked


@kind
class UnitMistake(Distorting):
    """The wrong unit."""

    kind: ClassVar[str] = "unit-mistake"
    about: ClassVar[str] = (
        "Readings come in another unit than they should: factor: W/kW (W for kW), degF (°F for °C) or a number."
    )

    factor: Annotated[str | float, BeforeValidator(_factor)]
    """A number, W/kW, kW/W, Wh/kWh, kWh/Wh, %/1, 1/% or degF."""

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        if self.factor == FAHRENHEIT:
            return lambda value, time: value * 1.8 + 32
        factor = FACTORS[self.factor] if isinstance(self.factor, str) else self.factor
        return lambda value, time: value * factor


@kind
class SignFlipped(Distorting):
    """The wrong sign."""

    kind: ClassVar[str] = "sign-flipped"
    about: ClassVar[str] = "Readings have the wrong sign, as from a meter put in the wrong way round."

    def distortion(self, bench: Bench, device: SimDevice, name: str) -> Distortion:
        return lambda value, time: -value


@kind
class WordSwap(Fault):
    """Words in the wrong order."""

    kind: ClassVar[str] = "word-swap"
    about: ClassVar[str] = "Values of two and more registers come with their words in the other order."
    target: ClassVar[Target] = "device"
    protocols: ClassVar[tuple[str, ...]] = ("modbus",)

    def begin(self, bench: Bench) -> Undo:
        return bench.claims.attribute(self.device(bench).ail, "swapped_words", True)
