"""A tank of water in well-mixed layers, top first; one layer is a tank that is mixed all over.

In a step, one after the other: heat comes in at a layer and rises (cold sinks) until no layer is colder than the one below;
every layer loses to the room; neighbours conduct; a draw pushes water out at the top and as much in at the bottom, or the
other way round when it is negative (a cold store). 1.163 kWh/m3 K.
Stored heat changes by exactly what came in, was lost and was drawn, in every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from pydantic import ConfigDict, with_config

from .decay import settled

KWH_M3_K = 1.163


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class TankParams:
    """Water [m3], losses [kW/K] of the whole tank, where heat goes in and where the thermostat feels."""

    volume_m3: float = 0.5
    layers: int = 4
    loss_kw_k: float = 0.0045
    """To the room; some 1.5 to 3 W/K per 200 L."""
    mixing_kw_k: float = 0.002
    """Between neighbouring layers."""
    heater_kw: float = 6.0
    """Electricity of the heater; heat is `cop` times as much."""
    cop: float = 1.0
    heater_layer: int = -1
    """Counted from the top; negative from the bottom, as -1 is the last."""
    sensor_layer: int = 0
    band_k: float = 5.0
    """The thermostat switches on this far below the setpoint."""
    least_c: float = 0.0
    most_c: float = 85.0
    """Its safety switches: heat and cold beyond them are not taken."""
    initial_c: float = 55.0

    def __post_init__(self) -> None:
        for name in ("heater_layer", "sensor_layer"):
            if not -self.layers <= getattr(self, name) < self.layers:
                raise ValueError(f"{name}: {getattr(self, name)} is not one of {self.layers} layers")

    @property
    def layer_kwh_k(self) -> float:
        """Heat capacity of a layer."""
        return KWH_M3_K * self.volume_m3 / self.layers


@dataclass(frozen=True, slots=True)
class TankFlow:
    """Means over a step [kW]: heat taken in (negative: cold), lost to the room, drawn; the draw's temperature [degC]."""

    heat_kw: float
    loss_kw: float
    drawn_kw: float
    drawn_c: float


def full(params: TankParams, temp_c: float) -> tuple[float, ...]:
    """A tank at one temperature."""
    return (temp_c,) * params.layers


def stored_kwh(params: TankParams, temps_c: Sequence[float]) -> float:
    """Heat above 0 degC [kWh]."""
    return params.layer_kwh_k * sum(temps_c)


def calls_for_heat(params: TankParams, temps_c: Sequence[float], heating: bool, setpoint_c: float) -> bool:
    """What the thermostat switches: on below the band, off at the setpoint, in between as it was."""
    felt = temps_c[params.sensor_layer]
    return felt < setpoint_c if heating else felt < setpoint_c - params.band_k


def draw_for(temps_c: Sequence[float], kw: float, inlet_c: float) -> float:
    """The draw from the top that carries `kw` now; none from a tank that is not warmer than what comes in [m3/h]."""
    warmer = temps_c[0] - inlet_c
    return kw / (KWH_M3_K * warmer) if warmer > 0 else 0.0


def tank_step(
    params: TankParams,
    temps_c: Sequence[float],
    heat_kw: float,
    draw: float,
    inlet_c: float,
    room_c: float,
    hours: float,
) -> tuple[tuple[float, ...], TankFlow]:
    """(temperatures, flow) of a step with `heat_kw` (negative: cold) offered and a draw [m3/h] replaced at `inlet_c`."""
    per_k = params.layer_kwh_k
    taken = _taken(params, temps_c, heat_kw, hours)
    temps = list(temps_c)
    temps[params.heater_layer] += taken * hours / per_k
    temps = _upright(temps)
    rate = params.loss_kw_k / (per_k * params.layers)
    changes = [settled(rate * (room_c - temp), rate, hours) for temp in temps]
    temps = _upright(_conducted(params, [t + c for t, c in zip(temps, changes, strict=True)], hours))
    temps, drawn_c = _drawn(params, temps, draw * hours, inlet_c)
    drawn = KWH_M3_K * abs(draw) * (drawn_c - inlet_c)
    return tuple(_upright(temps)), TankFlow(taken, -sum(changes) * per_k / hours, drawn, drawn_c)


def _taken(params: TankParams, temps_c: Sequence[float], heat_kw: float, hours: float) -> float:
    """What of the heat goes in before all above its layer (cold: all below) is at the safety switch's temperature."""
    at = params.heater_layer % params.layers
    if heat_kw >= 0:
        room = sum(params.most_c - temp for temp in temps_c[: at + 1])
        return min(heat_kw, max(0.0, room) * params.layer_kwh_k / hours)
    room = sum(temp - params.least_c for temp in temps_c[at:])
    return -min(-heat_kw, max(0.0, room) * params.layer_kwh_k / hours)


def _upright(temps: Sequence[float]) -> list[float]:
    """The same heat with no layer colder than the one below: what is upside down mixes."""
    blocks: list[tuple[float, int]] = []
    for temp in temps:
        total, count = temp, 1
        while blocks and blocks[-1][0] / blocks[-1][1] < total / count:
            above = blocks.pop()
            total, count = total + above[0], count + above[1]
        blocks.append((total, count))
    return [total / count for total, count in blocks for _ in range(count)]


def _conducted(params: TankParams, temps: list[float], hours: float) -> list[float]:
    """Each pair of neighbours in turn comes nearer, as two bodies alone would."""
    share = (1 - exp(-2 * params.mixing_kw_k / params.layer_kwh_k * hours)) / 2
    for i in range(len(temps) - 1):
        moved = share * (temps[i] - temps[i + 1])
        temps[i] -= moved
        temps[i + 1] += moved
    return temps


def _drawn(params: TankParams, temps: list[float], volume_m3: float, inlet_c: float) -> tuple[list[float], float]:
    """(temperatures, mean temperature of what left) after `volume_m3` was pushed through, upwards if positive."""
    if volume_m3 == 0.0:
        return temps, temps[0]
    column = temps if volume_m3 > 0 else temps[::-1]
    size, pushed = params.volume_m3 / params.layers, abs(volume_m3)
    out, rest = _split([(size, temp) for temp in column] + [(pushed, inlet_c)], pushed)
    after = []
    for _ in column:
        layer, rest = _split(rest, size)
        after.append(_mean(layer))
    return (after if volume_m3 > 0 else after[::-1]), _mean(out)


Slugs = list[tuple[float, float]]
"""(volume [m3], temperature [degC]) of water one behind the other."""


def _split(slugs: Slugs, volume_m3: float) -> tuple[Slugs, Slugs]:
    """The first `volume_m3` of slugs, and the rest."""
    first: Slugs = []
    for i, (size, temp) in enumerate(slugs):
        if size >= volume_m3 or i == len(slugs) - 1:
            return [*first, (min(size, volume_m3), temp)], [(max(0.0, size - volume_m3), temp), *slugs[i + 1 :]]
        first.append((size, temp))
        volume_m3 -= size
    return first, []


def _mean(slugs: Slugs) -> float:
    return sum(size * temp for size, temp in slugs) / sum(size for size, _ in slugs)
