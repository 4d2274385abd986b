"""What a point that no resource binds most likely shows, by its unit and the words of its name, whatever the maker.

Electrical quantities: power, energy_in, energy_out, ... of which meters and inverters show the sum and the three phases.
Others are those of the device's part (see `parts`): soc, capacity, supply_temp, room_temp, outdoor, co2, level, flow, ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec, Profile
from energyctl.core.units import canonical_unit

_PHASE = re.compile(r"(?:^|_)(?:l|p|ph|phase_?)([123])(?:_?n)?(?:_|$)|_([abc])(?:_?n)?$")
_BETWEEN = re.compile(r"l1_?l2|l2_?l3|l3_?l1|(?:^|_)(?:ab|bc|ca)(?:_|$)|(?:^|_)ll(?:_|$)|line_to_line")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a point shows: a quantity, and of which phase (0 to 2) where it is one phase's."""

    quantity: str
    phase: int | None = None


def phase(name: str) -> int | None:
    """The phase that a name speaks of, 0 to 2."""
    found = _PHASE.search(name)
    if found is None:
        return None
    return int(found.group(1)) - 1 if found.group(1) else "abc".index(found.group(2))


def meant(name: str, spec: PointSpec) -> Meant | None:
    """What a point shows, None when nothing fits."""
    if spec.kind != "number":
        return _state(name)
    rule = _BY_UNIT.get(canonical_unit(spec.unit))
    quantity = rule(name) if rule is not None else None
    return None if quantity is None else Meant(quantity, phase(name))


def _has(name: str, *words: str) -> bool:
    return any(word in name for word in words)


def _first(name: str, table: Iterable[tuple[str, tuple[str, ...]]], other: str | None) -> str | None:
    return next((quantity for quantity, words in table if _has(name, *words)), other)


def _state(name: str) -> Meant | None:
    table = (
        ("connected", ("connected", "plugged", "vehicle", "car", "occupied")),
        ("healthy", ("fault", "alarm", "error", "warning", "trip")),
        ("online", ("online", "available", "heartbeat", "link")),
        ("cover", ("cover",)),
        ("state", ("state", "status", "mode", "operating", "run", "active", "on")),
    )
    quantity = _first(name, table, None)
    return None if quantity is None else Meant(quantity)


def _power(name: str) -> str:
    table = (
        ("rated_power", ("rated", "nominal", "maximum", "max_", "_max", "installed")),
        ("available_power", ("available", "possible", "potential")),
        ("fuel_power", ("fuel", "gas")),
        ("heat_power", ("heat", "thermal", "cooling_power")),
        ("dc_power", ("dc",)),
    )
    return _first(name, table, "power") or "power"


def _energy(name: str) -> str:
    table = (
        ("session_energy", ("session", "charged_by_car")),
        ("capacity", ("capacity", "rated", "nominal", "usable")),
        ("stored_energy", ("stored", "remaining", "content")),
        ("energy_out", ("export", "produc", "generat", "yield", "discharg", "deliver", "feed", "_out", "_neg")),
        ("energy_in", ("import", "consum", "charg", "receiv", "_in", "_pos")),
    )
    return _first(name, table, "energy") or "energy"


def _temp(name: str) -> str:
    table = (
        ("outdoor", ("outdoor", "outside", "ambient")),
        ("supply_temp", ("supply", "flow", "forward")),
        ("return_temp", ("return",)),
        ("top_temp", ("top", "upper")),
        ("bottom_temp", ("bottom", "lower")),
        ("air_temp", ("air_temp",)),
        ("water_temp", ("water", "tank", "store", "pool", "dhw", "basin")),
        ("room_temp", ("room", "zone", "indoor", "air", "hall")),
    )
    return _first(name, table, "body_temp") or "body_temp"


def _ratio(name: str) -> str | None:
    table = (
        ("soh", ("soh", "health")),
        ("power_factor", ("power_factor", "cos", "pf")),
        ("fan_speed", ("fan", "speed")),
        ("humidity", ("humidity", "_rh")),
        ("level", ("level", "fill")),
        ("load_share", ("load", "modulation", "utili")),
        ("soc", ("soc", "state_of_charge", "charge")),
        ("cop", ("cop",)),
    )
    return _first(name, table, None)


def _count(name: str) -> str | None:
    table = (
        ("pumps", ("pumps",)),
        ("power_factor", ("power_factor", "cos_phi")),
        ("state", ("state", "status", "mode")),
    )
    return _first(name, table, None)


def _volts(name: str) -> str:
    return "voltage_ll" if _BETWEEN.search(name) else "voltage_dc" if _has(name, "dc") else "voltage"


def _amps(name: str) -> str:
    return "current_n" if _has(name, "neutral", "_n") else "current_dc" if _has(name, "dc") else "current"


def _flow(name: str) -> str:
    table = (("outflow", ("outflow", "demand", "draw")), ("inflow", ("inflow",)), ("air_flow", ("air",)))
    return _first(name, table, "flow") or "flow"


_BY_UNIT: dict[str, Callable[[str], str | None]] = {
    "kW": _power,
    "kWh": _energy,
    "°C": _temp,
    "1": _ratio,
    "": _count,
    "V": _volts,
    "A": _amps,
    "m3/h": _flow,
    "kVA": lambda _: "apparent_power",
    "kvar": lambda _: "reactive_power",
    "kvarh": lambda _: "reactive_energy",
    "Hz": lambda _: "frequency",
    "ppm": lambda _: "co2",
}

_SETTINGS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pv-inverter": (("limit", "1", "limit"),),
    "battery": (("setpoint", "kW", ""),),
    "ev-charger": (("limit", "A", ""),),
    "air-handling-unit": (("switch", "bool", ""),),
    "boiler": (("setpoint", "°C", ""), ("enable", "bool", "")),
    "hot-water-tank": (("setpoint", "°C", ""),),
    "pool": (("setpoint", "°C", ""), ("switch", "bool", "")),
    "pump-station": (("wanted", "", ""),),
}
"""Per kind of device: the field, and the unit (or bool) and a word of the writable point that it is."""


def settings_of(profile: Profile) -> dict[str, str]:
    """The writable points of a device that no resource binds, by the field of its part; its own commands' steps left out."""
    helpers = {step.set for name, spec in profile.points.items() for step in spec.command if step.set != name}
    found: dict[str, str] = {}
    for field, unit, word in _SETTINGS.get(profile.kind, ()):
        for name, spec in profile.points.items():
            fits = (
                spec.kind == "bool" if unit == "bool" else spec.kind == "number" and canonical_unit(spec.unit) == unit
            )
            if fits and word in name and spec.access is Access.READ_WRITE and name not in helpers:
                found.setdefault(field, name)
    return found


def room_settings(profile: Profile) -> list[tuple[str, str | None]]:
    """(setpoint, temperature) of every room that a heat pump's own points speak of, in order."""
    points = profile.points
    temps = [name for name, spec in points.items() if canonical_unit(spec.unit) == "°C" and spec.access is Access.READ]
    setpoints = [
        name for name, spec in points.items() if canonical_unit(spec.unit) == "°C" and spec.access is Access.READ_WRITE
    ]
    return [(name, _partner(name, temps)) for name in setpoints]


def _partner(setpoint: str, temps: Iterable[str]) -> str | None:
    """The temperature whose name begins like the setpoint's: zone2_setpoint, zone2_temp."""
    stem = setpoint.partition("_")[0]
    return next((name for name in temps if name.partition("_")[0] == stem), None)
