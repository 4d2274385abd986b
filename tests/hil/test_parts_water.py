"""Reservoir, pumps and well: water by hand and in balance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant.water import WaterParams, WaterState, by_level, water_step

WATER = WaterParams(volume_m3=100.0, pumps=3, pump_m3_h=20.0, head_m=50.0, eta=0.5, dry_share=0.4)
PUMP_KW = 9.81 / 3600 * 50.0 / 0.5 * 20.0
WELL = replace(WATER, well_m3=10.0, yield_m3_h=5.0)


@pytest.mark.parametrize(
    ("stored", "wanted", "demand", "after", "flows"),
    [
        (50.0, 2.0, 30.0, 55.0, (40.0, 30.0, 0.0, 0.0)),
        (50.0, 9.0, 30.0, 65.0, (60.0, 30.0, 0.0, 0.0)),  # there are three
        (50.0, 1.4, 0.0, 60.0, (20.0, 0.0, 0.0, 0.0)),  # and they run whole
        (50.0, -1.0, 0.0, 50.0, (0.0, 0.0, 0.0, 0.0)),
        (95.0, 3.0, 10.0, 100.0, (60.0, 10.0, 40.0, 0.0)),  # 5 m3 fit in half an hour, 20 overflow
        (5.0, 0.0, 30.0, 0.0, (0.0, 10.0, 0.0, 20.0)),
    ],
)
def test_half_an_hour_of_a_reservoir(
    stored: float, wanted: float, demand: float, after: float, flows: tuple[float, ...]
) -> None:
    state, flow = water_step(WATER, WaterState(stored), wanted, demand, 0.5)
    assert state.stored_m3 == pytest.approx(after)
    found = (flow.pumped_m3_h, flow.given_m3_h, flow.overflow_m3_h, flow.unserved_m3_h)
    assert found == pytest.approx(flows)
    assert flow.power_kw == pytest.approx(PUMP_KW * flow.pumped_m3_h / 20.0, rel=1e-3)


def test_electricity_is_that_of_lifting() -> None:
    # 20 m3 by 50 m at half efficiency: 20 000 kg x 9.81 x 50 / 0.5 / 3.6e6 = 5.45 kWh
    _, flow = water_step(WATER, WaterState(50.0), 1, 0.0, 1.0)
    assert flow.power_kw == pytest.approx(5.45, rel=1e-3)


def test_a_well_that_runs_dry() -> None:
    # 20 m3/h wanted; 10 m3 and 5 m3/h are there: in an hour 15 m3 come, a quarter of it dry
    state, flow = water_step(WELL, WaterState(0.0, 10.0), 1, 0.0, 1.0)
    assert (state.stored_m3, state.well_m3, state.dry_h) == pytest.approx((15.0, 0.0, 0.25))
    assert flow.power_kw == pytest.approx(WATER.pump_kw * (0.75 + 0.4 * 0.25))
    state, flow = water_step(WELL, state, 0, 0.0, 1.0)
    assert (state.well_m3, state.dry_h) == pytest.approx((5.0, 0.25))


def test_starts_are_counted_pump_by_pump() -> None:
    state = WaterState(50.0)
    for wanted in (0, 2, 3, 3, 1, 2, 0):
        state, _ = water_step(WATER, state, wanted, 20.0, 0.1)
    assert (state.starts, state.running) == (2 + 1 + 1, 0)


@pytest.mark.parametrize(("stored", "running", "pumps"), [(49.0, 0, 3), (60.0, 2, 2), (60.0, 0, 0), (91.0, 3, 0)])
def test_level_switches(stored: float, running: int, pumps: int) -> None:
    assert by_level(WATER, WaterState(stored, running=running)) == pumps


@settings(deadline=None, max_examples=300)
@given(
    st.floats(0, 100), st.floats(0, 10), st.integers(0, 3), st.floats(-1, 5), st.floats(0, 300), st.floats(1 / 3600, 2)
)
def test_no_water_is_made_or_lost(stored: float, well: float, was: int, wanted: float, demand: float, h: float) -> None:
    for params in (WATER, WELL):
        held = min(well, params.well_m3)
        state, flow = water_step(params, WaterState(stored, held, was), wanted, demand, h)
        moved = (abs(flow.pumped_m3_h) + flow.given_m3_h + flow.overflow_m3_h) * h
        change = (flow.pumped_m3_h - flow.given_m3_h - flow.overflow_m3_h) * h
        assert abs(state.stored_m3 - stored - change) <= 1e-9 * max(moved, 1e-3)
        assert abs(state.well_m3 - held - (flow.into_well_m3_h - flow.pumped_m3_h) * h) <= 1e-9 * max(moved, 1e-3)
        assert flow.given_m3_h + flow.unserved_m3_h == pytest.approx(demand)
        assert 0 <= state.stored_m3 <= 100.0 + 1e-9
        assert 0 <= state.well_m3 <= params.well_m3 + 1e-9
        assert min(flow.pumped_m3_h, flow.given_m3_h, flow.overflow_m3_h, flow.power_kw) >= 0
        assert flow.unserved_m3_h >= -1e-9


def test_a_day_by_level_switches_is_the_same_with_half_the_step() -> None:
    def day(step_h: float) -> tuple[WaterState, float]:
        state, kwh = WaterState(60.0, 10.0), 0.0
        for _ in range(round(24 / step_h)):
            state, flow = water_step(WATER, state, by_level(WATER, state), 15.0, step_h)
            kwh += flow.power_kw * step_h
        return state, kwh

    (one, kwh), (two, kwh2) = day(1 / 60), day(1 / 120)
    assert one.starts == two.starts
    assert one.stored_m3 == pytest.approx(two.stored_m3, abs=5.0)
    assert kwh == pytest.approx(kwh2, rel=0.02)
