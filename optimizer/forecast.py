"""Forecasts of what a plan needs to know, by the kind of need: load, pv, temperature.

Only what was known when the plan was asked for is used (`Series.before(issued_at)`), and missing values are left out, never
taken for zero. With too little history the prior stands in; with neither, what is measured now, or for the sun a usual
sky; the method's name says so, and also when nothing was measured for the last two hours. Of a load that nothing at all is
known of there is no honest forecast: PlanError.
Temperature: the mean of the last days at that hour, plus what it is off by now, which fades over ten hours; with less than
most of a day known, the measured value with a usual daily swing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import numpy as np

from energyctl.core.errors import PlanError
from energyctl.core.planner import PlanRequest
from energyctl.core.resources import Need
from energyctl.core.timeline import Forecast

from .load_forecast import Weather, load_model
from .program import Floats
from .pv_forecast import USUAL, Plane, Sky, production_kw, sky_of
from .records import DAY_S, Known, known

_PV_RECORD = timedelta(days=14)
_TEMPERATURE_RECORD = timedelta(days=7)
_TEMPERATURE_MEMORY_DAYS, _TEMPERATURE_FADES_H = 2.0, 10.0
_SWING_K, _COLDEST_H, _WARMEST_H = 4.5, 6.0, 15.0
_NO_DATA_C = 15.0
_FRESH_S = 7200.0


def forecasts(request: PlanRequest) -> dict[str, Forecast]:
    """A forecast for every point that the request's resources need, by point; those given are used as they are."""
    needs = {need.point: need for resource in request.resources for need in resource.needs()}
    made: dict[str, Forecast] = {point: request.given[point] for point in needs if point in request.given}
    open_needs = [need for point, need in needs.items() if point not in made]
    for need in _of_kind("temperature", open_needs):
        made[need.point] = _temperature(need, request)
    sky = USUAL
    # whoever has a record comes first: the others borrow the sky it saw
    for need in sorted(_of_kind("pv", open_needs), key=lambda need: need.point not in request.history):
        made[need.point], sky = _pv(need, request, sky)
    weather = _weather(needs.values(), made, request)
    for need in _of_kind("load", open_needs):
        made[need.point] = _load(need, request, weather)
    return made


def _of_kind(kind: str, needs: Iterable[Need]) -> list[Need]:
    return [need for need in needs if need.kind == kind]


def _times(request: PlanRequest) -> Floats:
    """Epoch seconds at the middle of every step."""
    horizon = request.horizon
    return horizon.start.timestamp() + horizon.step_s * np.arange(0.5, horizon.steps)


def _forecast(need: Need, request: PlanRequest, values: Floats, method: str) -> Forecast:
    said = method + _stale(need, request)
    return Forecast(need.point, request.horizon, tuple(values.tolist()), need.unit, request.issued_at, said)


def _stale(need: Need, request: PlanRequest) -> str:
    """What the method's name adds when the record has ended some time ago."""
    record = known(request.history.get(need.point), request.issued_at)
    age_s = request.issued_at.timestamp() - record.time_s[-1] if len(record) else 0.0
    return f"; nothing measured for {age_s / 3600:.0f} h" if age_s > _FRESH_S else ""


def _weather(needs: Iterable[Need], made: dict[str, Forecast], request: PlanRequest) -> Weather | None:
    outdoor = next((need.point for need in needs if need.kind == "temperature"), None)
    if outdoor is None:
        return None
    return known(request.history.get(outdoor), request.issued_at), made[outdoor]


def _load(need: Need, request: PlanRequest, weather: Weather | None) -> Forecast:
    history, now = request.history.get(need.point), request.issued_at
    model = load_model(history, need.prior, now, request.site.timezone, weather)
    values = model.forecast(_times(request), now.timestamp())
    if values is not None:
        return _forecast(need, request, values, model.method)
    measured = request.values.get(need.point)
    if measured is None:
        raise PlanError(f"nothing is known of {need.point} yet: no history, no prior, no measured value")
    return _forecast(need, request, np.full(request.horizon.steps, measured), "persistence")


def _pv(need: Need, request: PlanRequest, borrowed: Sky) -> tuple[Forecast, Sky]:
    facts, site, now_s = need.facts or {}, request.site, request.issued_at.timestamp()
    plane = Plane(facts["peak_kw"], facts["tilt_deg"], facts["azimuth_deg"], site.latitude, site.longitude)
    record = known(request.history.get(need.point), request.issued_at, request.issued_at - _PV_RECORD)
    own = sky_of(plane, Known(record.time_s, np.maximum(0.0, -record.value)), now_s)
    sky = own if own.seen else borrowed
    method = "clear sky scaled by recent days" if sky.seen else "clear-sky only"
    values = -production_kw(plane, sky, _times(request), now_s)
    return _forecast(need, request, values + 0.0, method), sky


def _temperature(need: Need, request: PlanRequest) -> Forecast:
    now_s, times = request.issued_at.timestamp(), _times(request)
    record = known(request.history.get(need.point), request.issued_at, request.issued_at - _TEMPERATURE_RECORD)
    current = request.values.get(need.point)
    if current is None and len(record) and now_s - record.time_s[-1] < _FRESH_S:
        current = float(record.value[-1])
    hours = np.unique(record.time_s % DAY_S // 3600)
    if len(hours) >= 18:
        usual, at_now = (_hourly_mean(record, at, now_s) for at in (times, np.array([now_s])))
        off = 0.0 if current is None else current - float(at_now[0])
        fading = np.exp(-np.maximum(0.0, times - now_s) / (_TEMPERATURE_FADES_H * 3600))
        return _forecast(need, request, usual + off * fading, "mean of the last days at that hour")
    if current is None:
        return _forecast(need, request, np.full(len(times), _NO_DATA_C), f"no data: {_NO_DATA_C:g} °C assumed")
    swing = _swing(times, request.site.longitude) - _swing(np.array([now_s]), request.site.longitude)
    return _forecast(need, request, current + swing, "persistence with a usual daily swing")


def _hourly_mean(record: Known, time_s: Floats, now_s: float) -> Floats:
    """The record's mean by hour of day, later days counting more, in straight lines from hour to hour."""
    hour = (record.time_s % DAY_S // 3600).astype(int)
    weight = np.exp(-(now_s - record.time_s) / (_TEMPERATURE_MEMORY_DAYS * DAY_S))
    amount = np.bincount(hour, weight, 24)
    good = amount > 0
    mean = np.bincount(hour, weight * record.value, 24)[good] / amount[good]
    return np.interp(time_s % DAY_S / 3600, np.flatnonzero(good) + 0.5, mean, period=24)


def _swing(time_s: Floats, longitude_deg: float) -> Floats:
    """A usual day's course about its middle [K]: up from before sunrise to mid-afternoon, and slowly down again."""
    since = np.mod(time_s % DAY_S / 3600 + longitude_deg / 15 - _COLDEST_H, 24)
    rise = _WARMEST_H - _COLDEST_H
    share = np.where(since < rise, since / rise, 1 + (since - rise) / (24 - rise))
    return -_SWING_K * np.cos(np.pi * share)
