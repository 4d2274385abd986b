"""A zone's physics for planning: two temperatures, air and mass, heated by a plant, the sun and people (2R2C).

    C_air dT_air/dt   = UA (T_out - T_air) + G (T_mass - T_air) + heat into the air
    C_mass dT_mass/dt = G (T_air - T_mass) + heat into the mass

discretised exactly for inputs that are constant over a step: A = expm(M h), B = M^-1 (A - 1) diag(1/C).
Priors per m2 of floor are common values by the age and weight of the building; a site can state its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cosh, exp, sinh, sqrt
from typing import Literal

Built = Literal["before-1980", "1980-2010", "after-2010"]
Weight = Literal["light", "medium", "heavy"]

LOSS_W_K_M2: dict[Built, float] = {"before-1980": 2.5, "1980-2010": 1.6, "after-2010": 0.85}
MASS_KJ_K_M2: dict[Weight, float] = {"light": 110.0, "medium": 165.0, "heavy": 260.0}
"""ISO 13790 classes."""
_AIR_KJ_K_M2 = 30.0
_COUPLING_W_K_M2 = 23.0
_KJ_PER_KWH = 3600.0

Matrix = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Thermal:
    """Loss UA and coupling G [kW/K], heat capacities of air and mass [kWh/K]."""

    loss: float
    coupling: float
    air: float
    mass: float


def thermal(area_m2: float, built: Built, weight: Weight, loss: float | None, capacity: float | None) -> Thermal:
    """The parameters of a zone: stated `loss` [kW/K] and `capacity` [kWh/K] where known, else the priors."""
    air = _AIR_KJ_K_M2 / _KJ_PER_KWH * area_m2
    mass = MASS_KJ_K_M2[weight] / _KJ_PER_KWH * area_m2
    if capacity is not None:
        air, mass = capacity * air / (air + mass), capacity * mass / (air + mass)
    stated = LOSS_W_K_M2[built] / 1000 * area_m2 if loss is None else loss
    return Thermal(stated, _COUPLING_W_K_M2 / 1000 * area_m2, air, mass)


def discretise(zone: Thermal, hours: float) -> tuple[Matrix, Matrix]:
    """(A, B) of x+ = A x + B q for x = (air, mass) [°C] and constant heat q [kW] into air and into mass."""
    a, b = -(zone.loss + zone.coupling) / zone.air, zone.coupling / zone.air
    c, d = zone.coupling / zone.mass, -zone.coupling / zone.mass
    e = _expm(a, b, c, d, hours)
    det = a * d - b * c
    inverse = ((d / det, -b / det), (-c / det, a / det))
    less = ((e[0][0] - 1, e[0][1]), (e[1][0], e[1][1] - 1))
    gain = _product(inverse, less)
    return e, tuple((row[0] / zone.air, row[1] / zone.mass) for row in gain)  # type: ignore[return-value]


def _expm(a: float, b: float, c: float, d: float, h: float) -> Matrix:
    """exp(h M) of a 2x2 matrix with real, distinct eigenvalues (always so here: b c > 0)."""
    mid, root = (a + d) / 2, sqrt(((a - d) / 2) ** 2 + b * c)
    grow, even, odd = exp(mid * h), cosh(root * h), sinh(root * h) / root
    return (
        (grow * (even + (a - mid) * odd), grow * b * odd),
        (grow * c * odd, grow * (even + (d - mid) * odd)),
    )


def _product(m: Matrix, n: Matrix) -> Matrix:
    return (
        (m[0][0] * n[0][0] + m[0][1] * n[1][0], m[0][0] * n[0][1] + m[0][1] * n[1][1]),
        (m[1][0] * n[0][0] + m[1][1] * n[1][0], m[1][0] * n[0][1] + m[1][1] * n[1][1]),
    )
