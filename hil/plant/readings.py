"""What a device shows of the truth, each point through its own sensor.

A point that a resource binds shows that resource's field. The meter point of the grid shows the grid's power. Any other
point shows what its name and unit say (see `conventions`) of the device's main part, and stands still where nothing fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import hypot, sqrt

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from energyctl.core.units import canonical_unit
from hil.device import SimDevice
from hil.measured import Weather

from .conventions import Meant, meant
from .parts import Meter, Part
from .sensors import Sensors

_VOLTS = 231.0
_OHM = 0.02
_VOLTS_DC = 620.0
_DC_LOSS = 1.03

_OUTDOORS = ("outdoor", "humidity")

Reading = Callable[[Weather], float]


@dataclass(frozen=True, slots=True)
class Bound:
    """A part's quantity that a point is bound to show."""

    part: Part
    field: str


class Electric:
    """Powers, currents and voltages of a part as one device sees them, drawn anew for every look."""

    def __init__(self, part: Part, sensors: Sensors, phased: bool) -> None:
        self._part, self._sensors, self._phased = part, sensors, phased
        self._read = sensors.balance if isinstance(part, Meter) else sensors.power
        self.power_kw = 0.0
        self._kw, self._volts = [0.0] * 3, [_VOLTS] * 3

    def look(self) -> None:
        """Draw the readings of an instant."""
        power = self._part.power_kw
        if self._phased:
            self._kw = [self._read(kw) for kw in self._part.phases_kw]
            self._volts = [self._sensors.around(_VOLTS - _OHM * kw * 1000 / _VOLTS, 0.15) for kw in self._kw]
            self.power_kw = sum(self._kw)
        else:
            self.power_kw = self._read(power)
            self._kw = [self.power_kw * share for share in self._part.shares]

    def kw(self, phase: int | None) -> float:
        return self.power_kw if phase is None else self._kw[phase]

    def volts(self, phase: int | None) -> float:
        return self._volts[phase or 0]

    def amps(self, phase: int | None) -> float:
        """The current of a phase, without one the mean of all [A]."""
        if phase is None:
            return sum(self.amps(index) for index in range(3)) / 3
        return abs(self._kw[phase]) * 1000 / (self._volts[phase] * self._part.power_factor)

    def reading(self, quantity: str, phase: int | None) -> Reading | None:
        """How a quantity is read, None when it is none of these."""
        factor = self._part.power_factor
        reactive = sqrt(1 - factor**2) / factor
        found: dict[str, Reading] = {
            "power": lambda _: self.kw(phase),
            "reactive_power": lambda _: self.kw(phase) * reactive,
            "apparent_power": lambda _: hypot(self.kw(phase), self.kw(phase) * reactive),
            "dc_power": lambda _: self.power_kw * _DC_LOSS,
            "power_factor": lambda _: factor,
            "frequency": lambda _: self._sensors.around(50.0, 0.008),
            "voltage": lambda _: self.volts(phase),
            "voltage_ll": lambda _: self.volts(phase) * sqrt(3),
            "voltage_dc": lambda _: self._sensors.around(_VOLTS_DC, 2.0),
            "current": lambda _: self.amps(phase),
            "current_n": lambda _: abs(self.amps(0) - self.amps(2)) / 2,
            "current_dc": lambda _: abs(self.power_kw) * _DC_LOSS * 1000 / _VOLTS_DC,
            "energy_in": lambda _: self._part.counter(self._sensors.start_kwh + self._part.imported_kwh),
            "energy_out": lambda _: self._part.counter(self._sensors.start_kwh / 2 + self._part.exported_kwh),
            "energy": self._energy,
            "reactive_energy": lambda _: self._part.counter(
                (self._sensors.start_kwh + self._part.imported_kwh) * reactive
            ),
        }
        return found.get(quantity)

    def _energy(self, _: Weather) -> float:
        part = self._part
        counted = part.exported_kwh if part.generates else part.imported_kwh
        return part.counter(self._sensors.start_kwh + counted)


class Panel:
    """All that a device shows by itself."""

    def __init__(self, device: SimDevice, main: Part | None, bound: Mapping[str, Bound], sensors: Sensors) -> None:
        self.device = device
        self.still: list[str] = []
        """Points that nothing fits."""
        self._sensors = sensors
        self._parts: dict[str, Part] = {}
        self._electric: dict[str, Electric] = {}
        self._look: list[Electric] = []
        self._shown: list[tuple[str, Reading]] = []
        self._quantities: dict[str, dict[str, float]] = {}
        for name, spec in device.profile.points.items():
            if spec.access is Access.READ_WRITE:
                continue
            reading = self._reading(name, spec, main, bound.get(name))
            if reading is None:
                self.still.append(name)
            else:
                self._shown.append((name, reading))

    def show(self, weather: Weather) -> None:
        """Set all readings to what the sensors make of this instant."""
        for part_id, part in self._parts.items():
            self._quantities[part_id] = part.quantities()
        for electric in self._look:
            electric.look()
        device = self.device
        for name, reading in self._shown:
            device.set(name, reading(weather))

    def _reading(self, name: str, spec: PointSpec, main: Part | None, bound: Bound | None) -> Reading | None:
        if bound is not None:
            return self._of_part(bound.part, Meant(bound.field), spec)
        found = meant(name, spec)
        if found is None:
            return None
        if main is None:
            return self._outdoors(found.quantity) if found.quantity in _OUTDOORS else None
        return self._of_part(main, found, spec)

    def _of_part(self, part: Part, found: Meant, spec: PointSpec) -> Reading | None:
        if found.quantity in _OUTDOORS and found.quantity not in part.quantities():
            return self._outdoors(found.quantity)
        if found.quantity == "state":
            return _state(part, spec)
        if found.quantity in ("healthy", "online"):
            wanted = float(found.quantity == "online")
            return lambda _: wanted
        if found.quantity in part.quantities():
            return self._quantity(part, found.quantity, canonical_unit(spec.unit))
        if found.quantity == "body_temp":
            return self._body(part)
        if part.electric or isinstance(part, Meter):
            return self._of(part).reading(found.quantity, found.phase)
        return None

    def _quantity(self, part: Part, quantity: str, unit: str) -> Reading:
        self._parts[part.id] = part
        self._quantities.setdefault(part.id, part.quantities())
        sensor, held = self._sensors.of(quantity, unit), self._quantities
        return lambda _: sensor(held[part.id][quantity])

    def _of(self, part: Part) -> Electric:
        if part.id not in self._electric:
            phased = any(
                (found := meant(name, spec)) is not None and found.phase is not None
                for name, spec in self.device.profile.points.items()
            )
            self._electric[part.id] = Electric(part, self._sensors, phased)
            self._look.append(self._electric[part.id])
        return self._electric[part.id]

    def _outdoors(self, quantity: str) -> Reading:
        sensors = self._sensors
        if quantity == "outdoor":
            return lambda weather: sensors.temp(weather.temp_c)
        return lambda weather: weather.humidity_pct / 100

    def _body(self, part: Part) -> Reading:
        """The inside of a cabinet: warmer the harder it works."""
        sensors = self._sensors
        return lambda weather: sensors.temp(0.3 * weather.temp_c + 20.0 + 0.2 * min(100.0, abs(part.power_kw)))


def _state(part: Part, spec: PointSpec) -> Reading:
    """The first of the part's words for what it does that is among the point's choices, else the least of them."""
    if spec.kind == "bool" or not spec.choices:
        return lambda _: float(bool(part.power_kw))
    choices = {word.lower(): float(value) for word, value in spec.choices.items()}
    least = min(choices.values())
    return lambda _: next((choices[word] for word in part.condition() if word in choices), least)
