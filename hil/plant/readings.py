"""What the devices show of the truth, each through its own sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.device import SimDevice
from hil.measured import Weather

from .devices import show
from .sensors import Sensors
from .trace import Powers

_PHASES = (0.36, 0.33, 0.31)
_POWER_FACTOR = 0.97
_VOLTS = 231.0
_OHM = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All there is to read at an instant; powers are those of the step that has just ended."""

    weather: Weather
    powers: Powers
    soc: float
    car_there: bool
    charged_kwh: float
    air_c: tuple[float, ...]
    supply_c: float
    cooling: bool
    co2_ppm: float
    fan: float
    """Share of full speed."""
    imported_kwh: float
    exported_kwh: float
    pv_kwh: float


def show_all(devices: Mapping[str, SimDevice], truth: Truth, sensors: Sensors) -> None:
    """Set the readings of all devices, by role, in a fixed order, so that noise can be repeated."""
    show(devices.get("meter"), _meter(truth, sensors))
    show(devices.get("inverter"), _inverter(devices.get("inverter"), truth, sensors))
    battery = {"power": sensors.power(truth.powers.battery_kw), "soc": sensors.soc(truth.soc)}
    show(devices.get("battery"), battery)
    car = {
        "power": sensors.power(truth.powers.ev_kw),
        "connected": float(truth.car_there),
        "session_energy": truth.charged_kwh,
    }
    show(devices.get("charger"), car)
    show(devices.get("heat_pump"), _heat_pump(truth, sensors))
    show(devices.get("ahu"), _air_handler(truth, sensors))


def _meter(truth: Truth, sensors: Sensors) -> dict[str, float]:
    phases = [sensors.power(truth.powers.grid_kw * share) for share in _PHASES]
    volts = [sensors.around(_VOLTS - _OHM * kw * 1000 / _VOLTS, 0.15) for kw in phases]
    readings = {
        "power": sum(phases),
        "frequency": sensors.around(50.0, 0.008),
        "energy_import": truth.imported_kwh,
        "energy_export": truth.exported_kwh,
        "power_factor": _POWER_FACTOR,
    }
    for phase, (kw, volt) in enumerate(zip(phases, volts, strict=True), 1):
        amps = abs(kw) * 1000 / (volt * _POWER_FACTOR)
        readings |= {f"power_l{phase}": kw, f"voltage_l{phase}_n": volt, f"current_l{phase}": amps}
    return readings


def _inverter(device: SimDevice | None, truth: Truth, sensors: Sensors) -> dict[str, float]:
    powers = truth.powers
    cut = -powers.pv_kw < powers.pv_available_kw - 1e-9
    state = "sleeping" if powers.pv_available_kw <= 0 else "throttled" if cut else "mppt"
    readings = {"power": sensors.power(powers.pv_kw), "energy": truth.pv_kwh}
    choices = device.profile.points["state"].choices if device is not None and "state" in device.values else {}
    return readings | ({"state": float(choices[state])} if state in choices else {})


def _heat_pump(truth: Truth, sensors: Sensors) -> dict[str, float]:
    zones = {f"zone{zone}_temp": sensors.temp(air) for zone, air in enumerate(truth.air_c, 1)}
    return zones | {
        "outdoor_temp": sensors.temp(truth.weather.temp_c),
        "supply_temp": sensors.temp(truth.supply_c),
        "power": sensors.power(truth.powers.hp_kw),
        "mode": 2.0 if truth.cooling else 1.0,
    }


def _air_handler(truth: Truth, sensors: Sensors) -> dict[str, float]:
    return {
        "power": sensors.power(truth.powers.ahu_kw),
        "co2": sensors.co2(truth.co2_ppm),
        "fan_speed": truth.fan,
        "supply_temp": sensors.temp(0.25 * truth.weather.temp_c + 0.75 * truth.air_c[0]),
    }
