"""A photovoltaic roof, from measured irradiance on the flat.

    P = array x GHI / 1000 x tilt gain x performance x (1 + coefficient x (T_cell - 25)),  T_cell = T_out + 0.03 GHI

less what dirt (`soiling`) and things that stand in the way at some hours (`shades`) take, clipped by the inverter's rating and
by the limit it was given. The tilt gain is one number for a season, an assumption: how
much more a tilted roof gets than the flat (at 52 degrees north some 1.3 in winter, 1.05 in summer for 15 degrees of tilt).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from pydantic import ConfigDict, with_config

from hil.measured import Weather

_CELL_K_PER_W_M2 = 0.03
_CELL_REFERENCE_C = 25.0


def _time_of_day(text: str) -> None:
    try:
        datetime.strptime(text, "%H:%M")  # noqa: DTZ007 (a time of day)
    except ValueError:
        raise ValueError(f"'{text}' must be a time like '07:30'") from None


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Shade:
    """Something in the way every day from `since` until `until` ("HH:MM", site-local): it takes `share` of all the sun."""

    since: str
    until: str
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share} must be from 0 to 1")
        for text in (self.since, self.until):
            _time_of_day(text)
        if self.since >= self.until:
            raise ValueError(f"since: '{self.since}' must come before until: '{self.until}'")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class PvParams:
    """Modules [kWp] and inverter [kW]."""

    array_kwp: float = 38.0
    rated_kw: float = 40.0
    performance: float = 0.86
    tilt_gain: float = 1.1
    per_k: float = -0.004
    soiling: float = 0.0
    """Share of the irradiance that dirt takes; some 0.02 to 0.05 in a dry month."""
    shades: tuple[Shade, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.soiling <= 1:
            raise ValueError(f"soiling: {self.soiling} must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class PvFlow:
    """A roof at work [kW], all but `power_kw` >= 0: array = -power + clipped by the rating + curtailed by the limit."""

    power_kw: float
    array_kw: float
    available_kw: float
    clipped_kw: float
    curtailed_kw: float


def available_kw(params: PvParams, weather: Weather, local: datetime | None = None) -> float:
    """What the sun gives at the inverter's terminals [kW], >= 0; `local` is the site-local time, for the shades."""
    return min(params.rated_kw, array_kw(params, weather, local))


def array_kw(params: PvParams, weather: Weather, local: datetime | None = None) -> float:
    """What the modules would give to an inverter of any rating [kW], >= 0."""
    cell = weather.temp_c + _CELL_K_PER_W_M2 * weather.ghi_w_m2
    heat = 1 + params.per_k * (cell - _CELL_REFERENCE_C)
    power = params.array_kwp * weather.ghi_w_m2 / 1000 * params.tilt_gain * params.performance * heat
    return max(0.0, power * (1 - params.soiling) * _unshaded(params.shades, local))


def pv_power(params: PvParams, available: float, limit: float) -> float:
    """Power [kW], generating negative, under a limit given as a share of the rating."""
    return -min(available, max(0.0, limit) * params.rated_kw)


def pv_step(params: PvParams, weather: Weather, limit: float, local: datetime | None = None) -> PvFlow:
    """What becomes of the sun under a limit given as a share of the rating."""
    array, available = array_kw(params, weather, local), available_kw(params, weather, local)
    power = pv_power(params, available, limit)
    return PvFlow(power, array, available, array - available, available + power)


def _unshaded(shades: tuple[Shade, ...], local: datetime | None) -> float:
    """Share of the sun that nothing keeps off; shades at the same hour take from what the others leave."""
    left = 1.0
    if local is None:
        return left
    for shade in shades:
        if time.fromisoformat(shade.since) <= local.time() < time.fromisoformat(shade.until):
            left *= 1 - shade.share
    return left
