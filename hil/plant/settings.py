"""Parameters of the plant's parts: what the site file says of a resource, off by 5 to 20 %, or what a scenario says instead.

The planner works with the site file's numbers; real equipment never is quite that. How far each number is off depends on
the seed, the part and the number's name alone, so that adding a part changes no other one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    P = TypeVar("P", bound=DataclassInstance)

_OFF = (0.05, 0.20)
_MAY_BE_NEGATIVE = ("_c", "per_k", "_slope", "_by_temp")
_DIVISORS = frozenset(
    [
        "capacity_kwh",
        "charge_kw",
        "discharge_kw",
        "rated_kw",
        "max_kw",
        "air_kwh_k",
        "mass_kwh_k",
        "water_kwh_k",
        "loop_kw_k",
        "volume_m3",
        "volts",
        "band_k",
        "reset_s",
        "cop",
        "eta",
        "layers",
        "pump_m3_h",
        "leak_m3_h",
        "cells_kwh_k",
        "cycles",
        "depth",
        "initial_health",
        "rollover_kwh",
    ]
)
"""What physics divides by."""


class Settings:
    """The scenario's overrides by part id, and the luck of the draw; `check` tells every mistake found on the way."""

    def __init__(self, overrides: Mapping[str, Mapping[str, Any]], seed: int) -> None:
        self._overrides, self._seed = overrides, seed
        self._asked: set[str] = set()
        self._problems: list[str] = []

    def off(self, part: str, name: str, value: float) -> float:
        """A number of the site file as it really is: 5 to 20 % more or less."""
        random = self.random(part, name)
        return value * (1 + random.choice((-1, 1)) * random.uniform(*_OFF))

    def random(self, part: str, name: str) -> Random:
        """A source of luck for one thing about a part."""
        return Random(f"{self._seed}:{part}:{name}")

    def params(self, part: str, kind: type[P], /, **given: Any) -> P:
        """The parameters of a part: a `kind`'s defaults, but `given`, but what the scenario says."""
        self._asked.add(part)
        said = self._overrides.get(part, {})
        known = {field.name for field in fields(kind)}
        unknown = [key for key in said if key not in known]
        self._problems += [
            f"plant.{part}.{key}: unknown{did_you_mean(str(key), known, 'there are')}" for key in unknown
        ]
        values = {**given, **{key: value for key, value in said.items() if key in known}}
        try:
            found: P = _adapter(kind).validate_python(values)
        except ValidationError as error:
            self._problems += [_told(part, entry) for entry in error.errors()]
            return kind(**given)
        whole = asdict(found)
        senseless = [
            f"plant.{part}.{text}" for key in said if key in known for text in _senseless(key, key, whole[key])
        ]
        self._problems += senseless
        return kind(**given) if senseless else found

    def says(self, part: str, key: str) -> bool:
        """Whether the scenario says something about it."""
        return key in self._overrides.get(part, {})

    def problem(self, text: str) -> None:
        """Another mistake, for `check`."""
        self._problems.append(text)

    def check(self, parts: Collection[str]) -> None:
        """Raises ConfigError with all mistakes: wrong values, and overrides of what is no part."""
        known = self._asked | set(parts)
        strangers = [part for part in self._overrides if part not in self._asked]
        self._problems += [f"plant.{part}: no such part{did_you_mean(part, known, 'there are')}" for part in strangers]
        if self._problems:
            raise ConfigError(self._problems)


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _told(part: str, entry: Any) -> str:
    where = ".".join(str(key) for key in (part, *entry["loc"]))
    return f"plant.{where}: {entry['input']!r}: {entry['msg']}"


def _senseless(where: str, key: str, value: Any) -> list[str]:
    """What is wrong with numbers that have the right type, each judged by the name it goes by."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() for text in _senseless(f"{where}.{name}", name, inner)]
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        return [text for place, item in enumerate(value) for text in _senseless(f"{where}.{place}", key, item)]
    numbers = _numbers(value)
    if any(not math.isfinite(number) for number in numbers):
        return [f"{where}: {value!r}: must be finite"]
    if not key.endswith(_MAY_BE_NEGATIVE) and any(number < 0 for number in numbers):
        return [f"{where}: {value!r}: must not be negative"]
    if key in _DIVISORS and 0 in numbers:
        return [f"{where}: {value!r}: must be more than 0"]
    return []


def _numbers(value: Any) -> list[float]:
    if isinstance(value, int | float):
        return [float(value)]
    return [number for item in value for number in _numbers(item)] if isinstance(value, list | tuple) else []
