"""What happens outside a simulated site and in its base load, minute by minute: measured, or made up for the place and day.

Made up: the temperature swings between `temp_min` and `temp_max` as a cosine with its peak at 15:00; the sun is that of the
place and the day (see `hil.sun`) under `clouds`; the load goes between night and day in an hour at either end of the
occupied hours. What is left out is mild: temperatures by season, a load that by day is 30 % of what the connection may
carry. Lifts, kettles and clouds flicker by the seed and keep every hour's mean.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import cos, pi
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from energyctl.config import Site
from energyctl.core.comfort import WeekSchedule
from energyctl.core.units import PowerKw, Ratio, TempC

from .measured import DAY, HOUR, Measured, flickered, means, read
from .sun import sky

DAYS = 8
"""This many days are made up; beyond them the first repeats."""
_PEAK_H = 15.0
_RAMP_H = 1.0
_OFFICE = WeekSchedule("Mo-Fr 08:00-18:00")
_SWING_K = 8.0
_DAY_SHARE, _NIGHT_SHARE = 0.3, 0.1
"""Of the connection's import limit, where no load is given."""

Share = Annotated[Ratio, Field(ge=0, le=1)]


class Outside(BaseModel):
    """The weather and the base load of a scenario; nothing at all is a mild day fitted to the site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: str | None = None
    """CSV with hourly load_kw, temp_c, rel_humidity_pct and ghi_w_m2 around the day; relative to the site file's folder."""
    load_flicker: Annotated[float, Field(ge=0, le=1)] = 0.06
    cloud_flicker: Annotated[float, Field(ge=0, le=1)] = 0.12
    """What happens within an hour: standard deviations relative to the value."""
    temp_min: TempC | None = None
    temp_max: TempC | None = None
    humidity: Share | None = None
    clouds: Share | None = None
    """0 is a clear sky, 1 is overcast."""
    load_night: PowerKw | None = None
    load_day: PowerKw | None = None
    occupied: WeekSchedule | None = None
    """When the load is that of the day; else the site's first comfort says."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.measured is not None and self._made_up():
            raise ValueError(f"measured already says what {', '.join(self._made_up())} would; give one or the other")
        if self.temp_min is not None and self.temp_max is not None and self.temp_min > self.temp_max:
            raise ValueError(f"temp_min {self.temp_min:g} °C is above temp_max {self.temp_max:g} °C")
        if any(load is not None and load < 0 for load in (self.load_night, self.load_day)):
            raise ValueError("load_night and load_day must not be negative")
        return self

    def _made_up(self) -> list[str]:
        names = ("temp_min", "temp_max", "humidity", "clouds", "load_night", "load_day", "occupied")
        return [name for name in names if getattr(self, name) is not None]

    def series(self, site: Site, start: datetime, seed: int) -> Measured:
        """The minutes of the day that starts at `start` (aware UTC) and what lies around it.

        Raises ConfigError naming file and line of a file that does not hold that day.
        """
        if self.measured is not None:
            path = site.path.parent / self.measured
            return read(path, start, seed, self.load_flicker, self.cloud_flicker)
        times = [start + timedelta(minutes=minute) for minute in range(DAYS * DAY)]
        local = [time.astimezone(ZoneInfo(site.timezone)) for time in times]
        load, sun = self._load(site, local), self._sun(site, times)
        temp = self._temp(site, local)
        humidity = 100 * (0.7 if self.humidity is None else self.humidity)
        return Measured(
            start=start,
            day=0,
            load_kw=flickered(load, means(load), self.load_flicker, seed),
            temp_c=tuple(temp),
            humidity_pct=(humidity,) * len(times),
            ghi_w_m2=flickered(sun, means(sun), self.cloud_flicker, seed + 1),
        )

    def _temp(self, site: Site, local: list[datetime]) -> list[float]:
        low, high = self._temps(site, local[0])
        middle, swing = (low + high) / 2, (high - low) / 2
        hours = [time.hour + time.minute / 60 for time in local]
        return [middle + swing * cos(2 * pi * (hour - _PEAK_H) / 24) for hour in hours]

    def _temps(self, site: Site, day: datetime) -> tuple[float, float]:
        """Least and highest temperature; by season where they are not given, a mild winter or a warm summer."""
        season = cos(2 * pi * (day.timetuple().tm_yday - 15) / 365) * (1 if site.view.latitude >= 0 else -1)
        low, high = self.temp_min, self.temp_max
        if low is None:
            low = 11.5 - 8.0 * season if high is None else high - _SWING_K
        return low, low + _SWING_K if high is None else high

    def _sun(self, site: Site, times: list[datetime]) -> list[float]:
        clouds = 0.3 if self.clouds is None else self.clouds
        skies = [sky(times[day * DAY], site.view.latitude, site.view.longitude) for day in range(DAYS)]
        return [skies[minute // DAY].clear_w_m2(time, clouds) for minute, time in enumerate(times)]

    def _load(self, site: Site, local: list[datetime]) -> list[float]:
        limit = site.limits.import_kw
        day = self.load_day if self.load_day is not None else _DAY_SHARE * limit
        night = self.load_night if self.load_night is not None else min(day, _NIGHT_SHARE * limit)
        hours = self.occupied or next((comfort.occupied for comfort in site.view.comfort.values()), _OFFICE)
        busy = [float(hours.covers(time)) for time in local]
        half = int(_RAMP_H * HOUR / 2)
        sums = [0.0]
        for value in busy:
            sums.append(sums[-1] + value)
        shares = [_mean(sums, minute - half, minute + half) for minute in range(len(busy))]
        return [night + (day - night) * share for share in shares]


def _mean(sums: list[float], first: int, end: int) -> float:
    low, high = max(0, first), min(len(sums) - 1, end)
    return (sums[high] - sums[low]) / (high - low)
