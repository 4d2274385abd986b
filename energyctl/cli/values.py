"""Values of points as people write and read them: "12 kW", "on", "heat", "45 %"."""

from __future__ import annotations

from energyctl.core.errors import ConfigError
from energyctl.core.points import Point
from energyctl.core.units import parse_quantity

_SWITCH = {"on": 1.0, "true": 1.0, "yes": 1.0, "off": 0.0, "false": 0.0, "no": 0.0}


def parse_value(text: str, point: Point) -> float:
    """What was typed, in the point's canonical unit. Raises ConfigError naming what would be right."""
    word = text.strip()
    if point.kind == "bool":
        if word.lower() in _SWITCH:
            return _SWITCH[word.lower()]
        raise ConfigError(f"{point.id}: '{text}' is not a switch position; write on or off")
    if point.kind == "enum":
        if word in point.choices:
            return float(point.choices[word])
        raise ConfigError(f"{point.id}: '{text}' is not one of {', '.join(point.choices)}")
    try:
        return parse_quantity(word, point.unit)
    except ValueError as error:
        raise ConfigError(f"{point.id}: '{text}': {error}") from None


def show_value(value: float | None, point: Point) -> str:
    """A value of a point with its unit, "-" when there is none; switches and choices by their names."""
    if value is None:
        return "-"
    match point.kind:
        case "bool":
            return "on" if value else "off"
        case "enum":
            return next((name for name, number in point.choices.items() if number == value), f"{value:g}")
        case _:
            return show_number(value, point.unit)


def show_number(value: float | None, unit: str) -> str:
    """A number with its unit, "-" when there is none; a ratio as per cent."""
    if value is None:
        return "-"
    return f"{_rounded(value * 100)} %" if unit == "1" else f"{_rounded(value)} {unit}".rstrip()


def _rounded(value: float) -> str:
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 1000 else 1
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
