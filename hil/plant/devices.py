"""What the devices do by themselves, on simulated time: obey what was commanded, and drop it when their timer runs out.

Inverter and battery obey a limit or a setpoint while it is enabled; a timeout above zero counts from the last write of any
of its points, and when it has run out the device switches the enable off itself. The charger goes back to its own limit
when none was written for its failsafe time. Heat pump and air handler obey the last value for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from energyctl.core.comfort import WeekSchedule
from energyctl.core.profile import Profile
from hil.device import SimDevice

from .heat_pump import HeatPumpParams, Mode

ROLES = {
    "meter": "energy_import",
    "inverter": "power_limit",
    "battery": "power_setpoint",
    "heat_pump": "zone1_setpoint",
    "charger": "current_limit",
    "ahu": "flush",
}
"""What a device is to the building, told by a point that only this kind of device has."""

_LIMIT_POINTS = ("power_limit", "power_limit_enable", "power_limit_timeout")
_SETPOINT_POINTS = ("power_setpoint", "setpoint_enable", "setpoint_mode", "setpoint_timeout")
_CURRENT_POINTS = ("current_limit",)


def role_of(profile: Profile) -> str | None:
    """What a device of this profile is to the building, None when it plays no part in it."""
    return next((role for role, point in ROLES.items() if point in profile.points), None)


def show(device: SimDevice | None, readings: Mapping[str, float]) -> None:
    """Set those readings that the device's profile has."""
    if device is not None:
        for name, value in readings.items():
            if name in device.values:
                device.set(name, value)


def lapsed(device: SimDevice, timeout: str, armed_by: Sequence[str], now: datetime) -> bool:
    """Whether the timer `timeout` [s] has run out since the last write of one of `armed_by`; 0 never does."""
    seconds = device.values.get(timeout, 0.0)
    writes = [device.written[name] for name in armed_by if name in device.written]
    return seconds > 0 and bool(writes) and (now - max(writes)).total_seconds() >= seconds


def pv_limit(device: SimDevice | None, now: datetime) -> float:
    """The limit in force as a share of rated power; 1 when there is none."""
    if device is None or not device.values["power_limit_enable"]:
        return 1.0
    if lapsed(device, "power_limit_timeout", _LIMIT_POINTS, now):
        device.set("power_limit_enable", 0.0)
        return 1.0
    return device.values["power_limit"]


def battery_setpoint(device: SimDevice, now: datetime) -> float | None:
    """The commanded power [kW], consuming positive, or None when the battery is its own master."""
    if not device.values["setpoint_enable"]:
        return None
    if lapsed(device, "setpoint_timeout", _SETPOINT_POINTS, now):
        device.set("setpoint_enable", 0.0)
        return None
    watts = device.profile.points["setpoint_mode"].choices.get("watts") if "setpoint_mode" in device.values else None
    if watts is not None and device.values["setpoint_mode"] != watts:
        return None
    return device.values["power_setpoint"]


def self_consumption(net_kw: float, energy_kwh: float, reserve_kwh: float, hours: float) -> float:
    """What a battery left alone wants [kW]: the opposite of the site's net power, discharging down to its reserve."""
    return max(-net_kw, min(0.0, (reserve_kwh - energy_kwh) / hours))


def charge_limit(device: SimDevice | None, own_limit_a: float, now: datetime) -> float:
    """The current limit in force [A]."""
    if device is None:
        return own_limit_a
    if lapsed(device, "failsafe_timeout", _CURRENT_POINTS, now) and device.values["current_limit"] != own_limit_a:
        device.set("current_limit", own_limit_a)
    return device.values["current_limit"]


class OwnSchedule:
    """The heat pump's own setpoints by the hours of the week, one per zone."""

    def __init__(self, params: HeatPumpParams, mode: Mode) -> None:
        self._hours = [WeekSchedule(text) for text in params.own_hours]
        self._on = params.heat_c if mode == "heat" else params.cool_c
        self._off = params.heat_setback_c if mode == "heat" else params.cool_setback_c

    def setpoints(self, local: datetime) -> tuple[float, ...]:
        """What it aims for at a site-local time when nobody commands it [degC]."""
        zones = zip(self._hours, self._on, self._off, strict=True)
        return tuple(on if hours.covers(local) else off for hours, on, off in zones)
