"""A battery with an inverter: efficiency depends on power, electronics drain it slowly, both ends slow it down.

One-way efficiency is read off a curve over the share of rated power. Charging slows linearly from `slow_above` to a fifth at
full; discharging from `slow_below` to nothing at the floor. Left alone it keeps the grid at zero and its own reserve.
Energy at the terminals is stored energy plus losses, exactly, in every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, with_config


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class BatteryParams:
    """Capacity [kWh], rated powers [kW] at the terminals, losses."""

    capacity_kwh: float = 57.0
    charge_kw: float = 29.0
    discharge_kw: float = 29.0
    curve: tuple[tuple[float, float], ...] = ((0.0, 0.86), (0.1, 0.925), (0.3, 0.955), (0.6, 0.96), (1.0, 0.945))
    """(share of rated power, one-way efficiency), rising shares from 0 to 1."""
    drain_kw: float = 0.04
    floor: float = 0.04
    own_reserve: float = 0.10
    """Charge it keeps when it runs by itself."""
    slow_above: float = 0.9
    slow_below: float = 0.10
    initial_soc: float = 0.5


@dataclass(frozen=True, slots=True)
class BatteryFlow:
    """What it did in a step: power at the terminals [kW], consuming positive, and losses [kW]."""

    power_kw: float
    loss_kw: float


def efficiency(params: BatteryParams, share: float) -> float:
    """One-way efficiency at a share of rated power, on straight lines between the curve's points."""
    for (x0, y0), (x1, y1) in zip(params.curve, params.curve[1:], strict=False):
        if share <= x1:
            return y0 + (y1 - y0) * (share - x0) / (x1 - x0)
    return params.curve[-1][1]


def power_limits(params: BatteryParams, energy_kwh: float) -> tuple[float, float]:
    """(most discharge <= 0, most charge >= 0) [kW] at a state of charge."""
    soc = energy_kwh / params.capacity_kwh
    up = 1.0 if soc <= params.slow_above else max(0.2, 1 - 0.8 * (soc - params.slow_above) / (1 - params.slow_above))
    down = min(1.0, max(0.0, (soc - params.floor) / (params.slow_below - params.floor)))
    return -params.discharge_kw * down, params.charge_kw * up


def battery_step(params: BatteryParams, energy_kwh: float, wanted_kw: float, hours: float) -> tuple[float, BatteryFlow]:
    """(energy after the step, flow) for a wanted power, as far as state and ratings let it."""
    least, most = power_limits(params, energy_kwh)
    power = min(most, max(least, wanted_kw))
    drain = min(params.drain_kw, energy_kwh / hours)
    rated = params.charge_kw if power > 0 else params.discharge_kw
    eta = efficiency(params, abs(power) / rated)
    if power > 0:
        power = min(power, ((params.capacity_kwh - energy_kwh) / hours + drain) / eta)
        stored = power * eta - drain
    else:
        available = max(0.0, (energy_kwh - params.floor * params.capacity_kwh) / hours - drain)
        power = -min(-power, available * eta)
        stored = power / eta - drain
    return energy_kwh + stored * hours, BatteryFlow(power, power - stored)
