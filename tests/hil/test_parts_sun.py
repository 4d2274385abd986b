"""A roof with dirt, shades and an inverter that is too small: all of the sun is accounted for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.measured import Weather
from hil.plant.generation import PvParams, Shade, array_kw, available_kw, pv_step

ROOF = PvParams(array_kwp=40.0, rated_kw=30.0, performance=0.9, tilt_gain=1.0, per_k=0.0)
SUN = Weather(20.0, 50.0, 1000.0)
NOON = datetime(2024, 6, 1, 12, 0)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("soiling", "shades", "array"),
    [
        (0.0, (), 36.0),
        (0.05, (), 34.2),
        (0.0, (Shade("11:00", "13:00", 0.25),), 27.0),
        (0.0, (Shade("12:00", "13:00", 0.25),), 27.0),
        (0.0, (Shade("11:00", "12:00", 0.25),), 36.0),
        (0.1, (Shade("11:00", "13:00", 0.5), Shade("06:00", "18:00", 0.5)), 8.1),
    ],
)
def test_dirt_and_shades_take_their_share(soiling: float, shades: tuple[Shade, ...], array: float) -> None:
    roof = replace(ROOF, soiling=soiling, shades=shades)
    assert array_kw(roof, SUN, NOON) == pytest.approx(array)
    assert available_kw(roof, SUN, NOON) == pytest.approx(min(30.0, array))
    assert array_kw(roof, SUN) == pytest.approx(36.0 * (1 - soiling))


@pytest.mark.parametrize(
    ("limit", "power", "clipped", "curtailed"),
    [(1.0, -30.0, 6.0, 0.0), (0.5, -15.0, 6.0, 15.0), (-1.0, 0.0, 6.0, 30.0)],
)
def test_what_the_rating_clips_and_what_the_limit_takes(
    limit: float, power: float, clipped: float, curtailed: float
) -> None:
    flow = pv_step(ROOF, SUN, limit)
    assert (flow.power_kw, flow.clipped_kw, flow.curtailed_kw) == pytest.approx((power, clipped, curtailed))


@given(st.floats(-20, 45), st.floats(0, 1400), st.floats(0, 1.2), st.floats(0, 1), st.floats(0, 1))
def test_the_array_is_power_clipped_and_curtailed(
    temp: float, ghi: float, limit: float, dirt: float, dark: float
) -> None:
    roof = PvParams(soiling=dirt, shades=(Shade("00:00", "23:00", dark),), rated_kw=25.0)
    flow = pv_step(roof, Weather(temp, 50.0, ghi), limit, NOON)
    assert flow.array_kw == pytest.approx(-flow.power_kw + flow.clipped_kw + flow.curtailed_kw, rel=1e-9, abs=1e-12)
    assert min(flow.array_kw, flow.clipped_kw, flow.curtailed_kw, -flow.power_kw) >= 0
    clean = pv_step(replace(roof, soiling=0.0), Weather(temp, 50.0, ghi), limit, NOON)
    assert clean.power_kw <= flow.power_kw
