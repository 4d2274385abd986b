"""A battery that warms up and ages: energy and heat in balance, temperature and age by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant.battery import BatteryParams, battery_step
from hil.plant.wear import (
    WearParams,
    WornState,
    as_it_is,
    cell_power_limits,
    half_cycle_cost,
    new,
    soc,
    worn_step,
)

MINUTE = 1 / 60
BATTERY = BatteryParams(
    capacity_kwh=50.0, charge_kw=20.0, discharge_kw=20.0, curve=((0.0, 0.8), (0.5, 0.9), (1.0, 0.9)), drain_kw=0.0
)
YOUNG = WearParams(cells_kwh_k=0.1, cooling_kw_k=0.02, per_year=0.0, cycles=1e12)
"""Does not age to speak of."""


def run(wear: WearParams, state: WornState, wanted: list[float], room: float = 20.0, h: float = MINUTE) -> WornState:
    for kw in wanted:
        state, _ = worn_step(BATTERY, wear, state, kw, room, h)
    return state


@pytest.mark.parametrize("wanted", [15.0, -15.0, 3.0, 0.0, 99.0])
def test_a_young_battery_at_room_temperature_is_a_battery(wanted: float) -> None:
    energy, plain = battery_step(BATTERY, 25.0, wanted, MINUTE)
    wear = replace(YOUNG, usable_by_temp=((0.0, 1.0),))
    state, flow = worn_step(BATTERY, wear, WornState(25.0, 20.0, 1.0, 0.5), wanted, 20.0, MINUTE)
    assert (state.energy_kwh, flow.power_kw, flow.loss_kw) == pytest.approx((energy, plain.power_kw, plain.loss_kw))


@pytest.mark.parametrize(
    ("cells", "least", "most"),
    [
        (20.0, -20.0, 20.0),
        (-10.0, -7.0, 0.0),
        (0.0, -14.0, 4.0),
        (7.5, -18.5, 12.0),
        (50.0, -40 / 3, 20 / 3),
        (70, 0, 0),
    ],
)
def test_cold_and_heat_cap_the_power(cells: float, least: float, most: float) -> None:
    assert cell_power_limits(BATTERY, WearParams(), cells) == pytest.approx((least, most))


def test_cold_hides_charge_and_warmth_brings_it_back() -> None:
    # at 0 degC 85 % can be got at: the floor rises from 4 % to 1 - 0.96 x 0.85 = 18.4 %
    assert as_it_is(BATTERY, WearParams(), 0.0, 1.0).floor == pytest.approx(0.184)
    # the cold battery may end below by a breath of its rising temperature only, the energy is kept
    cold = run(replace(YOUNG, cells_kwh_k=1e6), WornState(25.0, 0.0, 1.0, 0.5), [-20.0] * 600, room=0.0)
    assert cold.energy_kwh == pytest.approx(0.184 * 50.0, abs=0.01)
    warm = run(replace(YOUNG, cells_kwh_k=1e6), replace(cold, cells_c=25.0), [-20.0] * 600, room=25.0)
    assert warm.energy_kwh == pytest.approx(0.04 * 50.0, abs=0.01)


def test_losses_warm_the_cells_as_far_as_the_room_cools_them() -> None:
    # 10 kW at 0.9: 1 kW lost, half of it in the cells; 0.5 kW / 0.02 kW/K = 25 K above the room in the long run
    wear = replace(YOUNG, cells_kwh_k=1e-5)
    state, flow = worn_step(BATTERY, wear, WornState(10.0, 25.0, 1.0, 0.2), 10.0, 20.0, MINUTE)
    assert (flow.loss_kw, flow.to_cells_kw, flow.to_room_kw) == pytest.approx((1.0, 0.5, 0.5))
    assert state.cells_c == pytest.approx(45.0)


def test_half_a_cycle_costs_by_its_depth_however_it_is_stepped() -> None:
    wear = replace(YOUNG, cycles=1000.0, fade=0.2, depth=0.8, wohler=1.5)
    assert half_cycle_cost(wear, 0.8) == pytest.approx(1e-4)
    assert half_cycle_cost(wear, 0.2) == pytest.approx(1e-4 / 8)
    for h in (MINUTE, MINUTE / 4, 0.1):
        state, steps = WornState(10.0, 20.0, 1.0, 0.2), round(2.5 / h)
        state = run(wear, state, [10.0] * steps, h=h)  # 2.5 h x 9 kW: 10 to 32.5 kWh
        cost = 1 - state.health
        assert cost == pytest.approx(half_cycle_cost(wear, 0.45), rel=2e-3)


def test_shallow_cycles_cost_less_per_energy_than_deep_ones() -> None:
    wear = replace(YOUNG, cycles=1000.0)
    deep = run(wear, WornState(10.0, 20.0, 1.0, 0.2), [10.0] * 120 + [-10.0] * 100)
    shallow = run(wear, WornState(25.0, 20.0, 1.0, 0.5), ([10.0] * 12 + [-10.0] * 10) * 10)
    assert deep.throughput_kwh == pytest.approx(shallow.throughput_kwh)
    assert 1 - shallow.health < 0.5 * (1 - deep.health)


@pytest.mark.parametrize(("cells", "energy", "share"), [(25.0, 25.0, 1.0), (35.0, 25.0, 2.0), (15.0, 25.0, 0.5), (25.0, 50.0, 1.5)])  # fmt: skip
def test_a_year_on_the_shelf(cells: float, energy: float, share: float) -> None:
    wear = replace(YOUNG, per_year=0.02)
    state, _ = worn_step(BATTERY, wear, WornState(energy, cells, 1.0, 0.5), 0.0, cells, 8760.0)
    assert 1 - state.health == pytest.approx(0.02 * share)


def test_age_takes_room_and_squeezes_out_what_no_longer_fits() -> None:
    wear = replace(YOUNG, per_year=0.02)
    half, flow = worn_step(BATTERY, wear, WornState(25.0, 25.0, 1.0, 0.5), 0.0, 25.0, 8760.0)
    assert (half.energy_kwh, flow.loss_kw, flow.squeezed_kw) == (25.0, 0.0, 0.0)
    assert soc(BATTERY, half) == pytest.approx(25.0 / 49.0)
    full, flow = worn_step(BATTERY, wear, WornState(50.0, 25.0, 1.0, 1.0), 0.0, 25.0, 8760.0)
    assert (full.energy_kwh, flow.squeezed_kw * 8760.0) == pytest.approx((48.5, 1.5))
    assert flow.loss_kw == flow.squeezed_kw
    assert soc(BATTERY, full) == pytest.approx(1.0)


def test_an_old_battery_takes_less() -> None:
    old = new(BATTERY, replace(YOUNG, initial_health=0.7))
    assert (old.energy_kwh, soc(BATTERY, old)) == pytest.approx((17.5, 0.5))
    assert run(YOUNG, old, [20.0] * 300).energy_kwh == pytest.approx(35.0)


TEMPS = st.floats(-25, 65)


@settings(deadline=None, max_examples=300)
@given(
    st.floats(0, 1), TEMPS, st.floats(0.3, 1), st.sampled_from([-1, 0, 1]), st.floats(-40, 40), TEMPS,
    st.floats(0, 500), st.floats(1 / 3600, 1.0),
)  # fmt: skip
def test_energy_and_heat_are_accounted_exactly(
    charge: float, cells: float, health: float, way: int, wanted: float, room: float, fast: float, h: float
) -> None:
    params = replace(BATTERY, drain_kw=0.05)
    wear = WearParams(per_year=fast, cycles=50.0)  # ages by the hour, so that it is seen
    before = WornState(charge * health * 50.0, cells, health, charge, way)
    after, flow = worn_step(params, wear, before, wanted, room, h)
    scale = 1e-9 * max((abs(flow.power_kw) + flow.loss_kw) * h, 1e-3)
    assert abs(after.energy_kwh - before.energy_kwh - (flow.power_kw - flow.loss_kw) * h) <= scale
    assert abs(flow.loss_kw - flow.to_cells_kw - flow.to_room_kw) * h <= scale
    warmed = 0.12 * (after.cells_c - cells)
    heat = 1e-9 * max((abs(flow.to_cells_kw) + abs(flow.cooled_kw)) * h, 1e-3)
    assert abs(warmed - (flow.to_cells_kw - flow.cooled_kw) * h) <= heat
    assert flow.loss_kw >= -1e-9
    assert 0 <= flow.squeezed_kw <= flow.loss_kw + 1e-9
    assert 0 < after.health <= health
    assert -1e-9 <= after.energy_kwh <= 50.0 * health + 1e-9


def test_a_day_is_the_same_with_half_the_step() -> None:
    wear = WearParams(per_year=0.02, cycles=3000.0)

    def day(h: float) -> WornState:
        n = round(1 / h)
        plan = [12.0] * (3 * n) + [0.0] * n + [-14.0] * (2 * n) + [4.0] * (4 * n)
        return run(wear, WornState(15.0, 10.0, 0.9, 0.33), plan, room=8.0, h=h)

    one, two = day(1 / 60), day(1 / 120)
    assert one.energy_kwh == pytest.approx(two.energy_kwh, abs=0.05)
    assert one.cells_c == pytest.approx(two.cells_c, abs=0.05)
    assert 1 - one.health == pytest.approx(1 - two.health, rel=1e-3)


def test_curves_are_checked() -> None:
    with pytest.raises(ValueError, match="charge_by_temp: shares must be from 0 to 1"):
        WearParams(charge_by_temp=((0.0, 1.2),))
    with pytest.raises(ValueError, match="usable_by_temp: shares must be above 0"):
        WearParams(usable_by_temp=((0.0, 0.0), (20.0, 1.0)))
