"""Units: one canonical unit per quantity inside, every other unit converted once at the edge.

Canonical units are kW, kWh, kvar, kVA, °C, K, V, A, Hz, s, ppm, m3/h and 1 (a ratio, so 50 % is 0.5).
A person must write the unit ("120 kW"); a bare number is refused, because a guessed unit is how a site gets hurt.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema


@dataclass(frozen=True, slots=True)
class Conversion:
    """`canonical = value * factor + offset`, in `unit`."""

    unit: str
    factor: float = 1.0
    offset: float = 0.0


UNITS: dict[str, Conversion] = {
    "": Conversion(""),
    "1": Conversion("1"),
    "%": Conversion("1", 0.01),
    "W": Conversion("kW", 0.001),
    "kW": Conversion("kW"),
    "MW": Conversion("kW", 1000.0),
    "kWp": Conversion("kW"),
    "Wh": Conversion("kWh", 0.001),
    "kWh": Conversion("kWh"),
    "MWh": Conversion("kWh", 1000.0),
    "var": Conversion("kvar", 0.001),
    "kvar": Conversion("kvar"),
    "kvarh": Conversion("kvarh"),
    "VA": Conversion("kVA", 0.001),
    "kVA": Conversion("kVA"),
    "V": Conversion("V"),
    "A": Conversion("A"),
    "Hz": Conversion("Hz"),
    "°C": Conversion("°C"),
    "degC": Conversion("°C"),
    "°F": Conversion("°C", 5 / 9, -160 / 9),
    "K": Conversion("K"),
    "ms": Conversion("s", 0.001),
    "s": Conversion("s"),
    "min": Conversion("s", 60.0),
    "h": Conversion("s", 3600.0),
    "d": Conversion("s", 86400.0),
    "ppm": Conversion("ppm"),
    "m3/h": Conversion("m3/h"),
    "m2": Conversion("m2"),
    "m3": Conversion("m3"),
    "deg": Conversion("deg"),
    "kW/K": Conversion("kW/K"),
    "W/K": Conversion("kW/K", 0.001),
    "kWh/K": Conversion("kWh/K"),
    "K·h": Conversion("K·h"),
    "kg": Conversion("kg"),
    "EUR": Conversion("EUR"),
    "EUR/kWh": Conversion("EUR/kWh"),
    "EUR/MWh": Conversion("EUR/kWh", 0.001),
    "EUR/kW": Conversion("EUR/kW"),
    "EUR/kg": Conversion("EUR/kg"),
    "EUR/K·h": Conversion("EUR/K·h"),
    "kg/kWh": Conversion("kg/kWh"),
    "g/kWh": Conversion("kg/kWh", 0.001),
}
"""Every unit this project reads; add a line to add a unit."""

_QUANTITY = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")

_COMMA = re.compile(r"^\s*[+-]?\d*,\d")


def to_canonical(value: float, unit: str) -> float:
    """`value` [unit] in that quantity's canonical unit. Raises KeyError for a unit not in `UNITS`."""
    conversion = UNITS[unit]
    return value * conversion.factor + conversion.offset


def from_canonical(value: float, unit: str) -> float:
    """The inverse of `to_canonical`: a canonical value expressed in `unit`."""
    conversion = UNITS[unit]
    return (value - conversion.offset) / conversion.factor


def canonical_unit(unit: str) -> str:
    """The canonical unit of the quantity that `unit` measures, e.g. kW for W."""
    return UNITS[unit].unit


def spellings(unit: str) -> str:
    """The units that convert to `unit`, for messages: "kW, W, MW or kWp"."""
    names = sorted(
        (name for name, conversion in UNITS.items() if conversion.unit == unit), key=lambda n: (n != unit, n)
    )
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def parse_quantity(text: object, unit: str) -> float:
    """Read what a person wrote ("120 kW", "10 %") as a number in the canonical `unit`.

    Raises ValueError naming what was expected; a bare number is an error unless the quantity has no unit.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"expected a quantity in {spellings(unit)}, such as '5 {unit}'")
    match = _QUANTITY.match(str(text))
    if _COMMA.match(str(text)):
        raise ValueError(f"a point, not a comma, before the decimals; write '{str(text).replace(',', '.', 1).strip()}'")
    if match is None:
        raise ValueError(f"expected a number and a unit ({spellings(unit)}), such as '5 {unit}'")
    number, written = float(match.group(1)), match.group(2)
    if not math.isfinite(number):
        raise ValueError(f"{match.group(1)} is too large to be a quantity")
    if written is None:
        if unit in ("", "1"):
            return number
        raise ValueError(f"a number without a unit; write '{match.group(1)} {unit}' (or {spellings(unit)})")
    if written not in UNITS or UNITS[written].unit != unit:
        raise ValueError(f"unit '{written}' does not fit here; write {spellings(unit)}")
    return to_canonical(number, written)


def quantity(unit: str, example: str) -> Any:
    """A pydantic field type for a quantity written with its unit, stored in the canonical `unit`."""
    return Annotated[
        float,
        BeforeValidator(lambda text: parse_quantity(text, unit)),
        WithJsonSchema({"type": "string", "examples": [example], "description": f"a quantity in {spellings(unit)}"}),
    ]


PowerKw = quantity("kW", "120 kW")
EnergyKwh = quantity("kWh", "60 kWh")
TempC = quantity("°C", "21 °C")
DeltaK = quantity("K", "2 K")
Ratio = quantity("1", "10 %")
CurrentA = quantity("A", "32 A")
Seconds = quantity("s", "15 min")
AreaM2 = quantity("m2", "600 m2")
AngleDeg = quantity("deg", "30 deg")
PricePerKwh = quantity("EUR/kWh", "0.12 EUR/kWh")
PricePerKw = quantity("EUR/kW", "4.6 EUR/kW")
PricePerKg = quantity("EUR/kg", "0.08 EUR/kg")
PricePerKh = quantity("EUR/K·h", "0.5 EUR/K·h")
CarbonPerKwh = quantity("kg/kWh", "265 g/kWh")
ConductanceKwK = quantity("kW/K", "1.1 kW/K")
CapacityKwhK = quantity("kWh/K", "12 kWh/K")
