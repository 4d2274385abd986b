"""What a sensor makes of the truth: Gaussian noise from a seeded generator, then the steps of its display."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .params import SensorParams


class Sensors:
    """The sensors of a device; the same seed and the same calls give the same readings."""

    def __init__(self, params: SensorParams, seed: str) -> None:
        self._params = params
        self._random = Random(seed)
        self.start_kwh = self._random.uniform(500.0, 5000.0)
        """Where its energy counters stand at the beginning."""

    def power(self, kw: float) -> float:
        """A power reading [kW]; nothing at all reads as exactly nothing."""
        reading = self.balance(kw)
        return reading if kw else 0.0

    def balance(self, kw: float) -> float:
        """A power that several parts make together [kW]: where they happen to cancel out, it still trembles."""
        return kw + self._random.gauss(0.0, self._params.power * abs(kw) + self._params.power_floor_kw)

    def temp(self, temp_c: float) -> float:
        """A temperature reading [degC]."""
        return _stepped(temp_c + self._random.gauss(0.0, self._params.temp_k), self._params.temp_step_k)

    def soc(self, soc: float) -> float:
        """A state of charge as shown, 0..1."""
        shown = _stepped(soc + self._random.gauss(0.0, self._params.soc), self._params.soc_step)
        return min(1.0, max(0.0, shown))

    def co2(self, ppm: float) -> float:
        """A CO2 reading [ppm]."""
        return _stepped(ppm + self._random.gauss(0.0, self._params.co2_ppm), 1.0)

    def around(self, value: float, sigma: float) -> float:
        """Anything else."""
        return value + self._random.gauss(0.0, sigma)

    def of(self, quantity: str, unit: str) -> Callable[[float], float]:
        """What makes a reading of a quantity in a canonical unit; counters and states are exact."""
        if quantity in ("soc", "level"):
            return self.soc
        if quantity in ("rated_power", "soh"):
            return _exact
        by_unit = {"kW": self.power, "°C": self.temp, "ppm": self.co2, "m3/h": self._relative}
        return by_unit.get(unit, _exact)

    def _relative(self, value: float) -> float:
        return value * (1 + self._random.gauss(0.0, self._params.power))


def _exact(value: float) -> float:
    return value


def _stepped(value: float, step: float) -> float:
    return round(round(value / step) * step, 9) if step > 0 else value
