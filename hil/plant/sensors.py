"""What a sensor makes of the truth: Gaussian noise from a seeded generator, then the steps of its display."""

from __future__ import annotations

from random import Random

from .params import SensorParams


class Sensors:
    """Readings of a run; the same seed and the same calls give the same readings."""

    def __init__(self, params: SensorParams, seed: int) -> None:
        self._params = params
        self._random = Random(seed)

    def power(self, kw: float) -> float:
        """A power reading [kW]; nothing at all reads as exactly nothing."""
        noise = self._random.gauss(0.0, self._params.power * abs(kw) + self._params.power_floor_kw)
        return kw + noise if kw else 0.0

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


def _stepped(value: float, step: float) -> float:
    return round(round(value / step) * step, 9) if step > 0 else value
