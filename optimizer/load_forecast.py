"""Load: the mean of the last like days, or a ridge regression, whichever did better on the last days of the record.

Like days are workdays, Saturdays or Sundays in site-local time. Where the record has fewer than four of a class, measured
days of the same season from before the site had a record (the prior) stand in for the rest. The regression has a Fourier
series of the day for workdays and for other days, and degrees below 15 and above 20 °C where temperatures are known. What
the forecast was off by in the last two hours is added and fades over four.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from energyctl.core.timeline import Forecast, Series

from .program import Floats, Ints
from .records import DAY_S, NOTHING, SATURDAY, SUNDAY, WORKDAY, Known, day_class, known, local_seconds, slot_of

RECORD = timedelta(days=60)
_SLOT_S = 900
_SLOTS = DAY_S // _SLOT_S
_LIKE_DAYS = 4
_YEAR = timedelta(days=364)
"""A year in whole weeks, so that weekdays keep their place."""
_SEASON = timedelta(days=14)
_RECENT_H, _FADES_H = 2.0, 4.0
_BACKTEST_DAYS, _LEAST_DAYS = 3, 14
_HARMONICS = 4

Weather = tuple[Known, Forecast]
"""Measured and expected outdoor temperature."""


class LoadModel:
    """What is known of a load at one instant; `forecast` and `method` say what it will be."""

    def __init__(self, record: Known, prior: Known, timezone: str, weather: Weather | None) -> None:
        self._record, self._prior, self._timezone, self._weather = record, prior, timezone, weather
        self._design: Floats | None = None
        self.method = "nothing"
        if len(record) or len(prior):
            self.method = "like days" if len(record) else "prior"
            if self._ridge_is_better():
                self.method = "ridge"

    def forecast(self, time_s: Floats, now_s: float) -> Floats | None:
        """The load [kW] at epoch seconds `time_s`, or None where nothing is known."""
        if self.method == "nothing":
            return None
        record = self._record.since(now_s - _RECENT_H * 3600)
        base = self._model(self._record, np.concatenate((record.time_s, time_s)))
        ahead = base[len(record) :]
        if not len(record):
            return ahead
        off = float(np.mean(record.value - base[: len(record)]))
        ahead = ahead + off * np.exp(-np.maximum(0.0, time_s - now_s) / (_FADES_H * 3600))
        return np.maximum(ahead, 0.0) if np.all(self._record.value >= 0) else ahead

    def _model(self, record: Known, time_s: Floats) -> Floats:
        return self._ridge(record, time_s) if self.method == "ridge" else self._like_days(record, time_s)

    def _like_days(self, record: Known, time_s: Floats) -> Floats:
        local = local_seconds(time_s, self._timezone)
        profiles = _profiles(record, self._prior, self._timezone)
        return profiles[day_class(local), slot_of(local, _SLOT_S)]

    def _ridge(self, record: Known, time_s: Floats) -> Floats:
        if self._design is None:
            self._design = self._features(self._record.time_s)
        # a record is always the first part of the whole one
        features = self._design[: len(record)]
        gram = features.T @ features
        gram[np.diag_indices_from(gram)] += 1e-3 * len(record)
        weights = np.linalg.solve(gram, features.T @ record.value)
        return self._features(time_s) @ weights

    def _features(self, time_s: Floats) -> Floats:
        local = local_seconds(time_s, self._timezone)
        angle = 2 * np.pi * np.mod(local, DAY_S) / DAY_S
        waves = [np.ones_like(angle)]
        for order in range(1, _HARMONICS + 1):
            waves += [np.cos(order * angle), np.sin(order * angle)]
        day, work = np.array(waves), day_class(local) == WORKDAY
        columns = [day * work, day * ~work]
        temperature = self._temperature(time_s)
        if temperature is not None:
            columns.append(np.array([np.maximum(0.0, 15 - temperature), np.maximum(0.0, temperature - 20)]))
        return np.concatenate(columns).T

    def _temperature(self, time_s: Floats) -> Floats | None:
        """Outdoor temperature at any time, measured or expected; None where it is not known for most of the record."""
        if self._weather is None:
            return None
        measured, expected = self._weather
        if len(measured) < len(self._record) / 2:
            return None
        start, step_s = expected.horizon.start.timestamp(), expected.horizon.step_s
        ahead = start + step_s * (np.arange(expected.horizon.steps) + 0.5)
        times = np.concatenate((measured.time_s, ahead[ahead > measured.time_s[-1]]))
        values = np.concatenate((measured.value, np.array(expected.values)[ahead > measured.time_s[-1]]))
        return np.asarray(np.interp(time_s, times, values))

    def _ridge_is_better(self) -> bool:
        """A rolling test: each of the last days forecast from what was known before it, by both methods."""
        record = self._record
        if not len(record) or record.time_s[-1] - record.time_s[0] < _LEAST_DAYS * DAY_S:
            return False
        errors = np.zeros(2)
        for back in range(_BACKTEST_DAYS, 0, -1):
            cut = record.time_s[-1] - back * DAY_S
            before, day = record.until(cut), record.since(cut).until(cut + DAY_S)
            if len(before) and len(day):
                for place, method in enumerate((self._like_days, self._ridge)):
                    errors[place] += np.abs(method(before, day.time_s) - day.value).mean()
        return bool(errors[1] < errors[0])


def load_model(
    history: Series | None, prior: Series | None, now: datetime, timezone: str, weather: Weather | None
) -> LoadModel:
    """The model of a load from its history and prior, as known at `now`."""
    return LoadModel(known(history, now, now - RECORD), _season(prior, now), timezone, weather)


def _season(prior: Series | None, now: datetime) -> Known:
    """The prior's days around this time of year, or its last four weeks where it has none."""
    if prior is None:
        return NOTHING
    for years in range(20):
        around = now - years * _YEAR
        if around + _SEASON < prior.start:
            break
        part = known(prior, min(now, around + _SEASON), around - _SEASON)
        if len(part) * prior.step_s >= 7 * DAY_S:
            return part
    return known(prior, now, min(prior.end, now) - 2 * _SEASON)


def _profiles(record: Known, prior: Known, timezone: str) -> Floats:
    """Load by class of day and slot (3, slots): from the record's last like days, the prior's for those it lacks."""
    recent, counts = _class_means(record, timezone, _LIKE_DAYS)
    earlier, _ = _class_means(prior, timezone, None)
    share = (counts / _LIKE_DAYS)[:, None]
    profiles = share * recent + (1 - share) * earlier
    profiles = np.where(np.isfinite(profiles), profiles, np.where(np.isfinite(recent), recent, earlier))
    if not np.isfinite(profiles).all():
        any_day = np.nanmean(profiles, axis=0) if np.isfinite(profiles).any() else np.zeros(_SLOTS)
        profiles = np.where(np.isfinite(profiles), profiles, any_day)
    return profiles


def _class_means(record: Known, timezone: str, most_days: int | None) -> tuple[Floats, Ints]:
    """Mean by class and slot over the last `most_days` days of each class, NaN for a class without any; and how many days."""
    means, counts = np.full((3, _SLOTS), np.nan), np.zeros(3, int)
    local = local_seconds(record.time_s, timezone)
    if not len(local):
        return means, counts
    day, kinds, slots = np.floor(local / DAY_S).astype(int), day_class(local), slot_of(local, _SLOT_S)
    for kind in (WORKDAY, SATURDAY, SUNDAY):
        days, amounts = np.unique(day[kinds == kind], return_counts=True)
        days = days[amounts >= 0.25 * amounts.max()] if len(days) else days
        days = days if most_days is None else days[-most_days:]
        counts[kind] = len(days)
        chosen = (kinds == kind) & np.isin(day, days)
        amount = np.bincount(slots[chosen], minlength=_SLOTS)
        total = np.bincount(slots[chosen], record.value[chosen], _SLOTS)
        means[kind] = np.where(amount > 0, total / np.maximum(amount, 1), np.nan)
        means[kind] = _filled(means[kind])
    return means, counts


def _filled(profile: Floats) -> Floats:
    """A day's profile with its gaps bridged by straight lines, midnight included."""
    good = np.flatnonzero(np.isfinite(profile))
    return np.interp(np.arange(len(profile)), good, profile[good], period=len(profile)) if len(good) else profile
