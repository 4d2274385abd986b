"""Zones, air handler, boiler, tank and pool: hand-worked numbers, balances for anything drawn, and steps of any size."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant.air_handler import (
    AIR_KWH_M3_K,
    AirHandlerParams,
    air_handler_step,
    fan_power,
    flow_m3_h,
    least_level,
)
from hil.plant.airing import co2_after, fresh_air_m3_h
from hil.plant.boiler import BoilerInputs, BoilerParams, BoilerState, boiler_step, efficiency, fires
from hil.plant.building import (
    Wall,
    ZoneInputs,
    ZoneParams,
    ZoneState,
    light_zone_step,
    stored_kwh,
    through_walls,
    zone_among,
    zone_step,
)
from hil.plant.curve import on_curve
from hil.plant.decay import settled
from hil.plant.pool import PoolInputs, PoolParams, PoolState, must_filter, next_day, pool_step, wanted_heat
from hil.plant.tank import TankParams, calls_for_heat, draw_for, full, tank_step
from hil.plant.tank import stored_kwh as tank_kwh

MINUTE = 1 / 60
many = settings(deadline=None, max_examples=150)
HOURS = st.floats(1 / 3600, 1.0)
TEMP = st.floats(-20.0, 45.0)
KW = st.floats(0.0, 200.0)


def balanced(change: float, *flows: float) -> bool:
    """Whether flows [kWh] add up to a change of what is stored, to 1e-9 of all that moved (and the floats of the stock)."""
    return abs(change - sum(flows)) <= 1e-9 * max(sum(map(abs, flows)), 1e-3)


# -- what returns to rest


@pytest.mark.parametrize(
    ("rate", "change"), [(0.0, 6.0), (1e-13, 6.0), (0.5, 3.0 * (1 - exp(-1.0)) / 0.5), (1e6, 3.0 / 1e6)]
)
def test_decay(rate: float, change: float) -> None:
    assert settled(3.0, rate, 2.0) == pytest.approx(change)


def test_curve() -> None:
    curve = ((0.0, 1.0), (10.0, 3.0), (20.0, 2.0))
    assert [on_curve(curve, x) for x in (-5, 0, 5, 10, 15, 20, 99)] == [1.0, 1.0, 2.0, 3.0, 2.5, 2.0, 2.0]


# -- zones

LIGHT = ZoneParams("shed", 0.5, 1.0, 3.0, 9.0, 10.0, 1.0, 0.1, 20.0, "Mo-Fr 08:00-16:00")
HEAVY = ZoneParams("a", 1.0, 5.0, 30.0, 10.0, 20.0, 4.0, 0.1, 40.0, "Mo-Fr 08:00-16:00")


def test_a_light_zone_cools_down_exponentially() -> None:
    # 20 K above outdoors, UA / C = 0.125 per hour: after 8 h a factor e is gone
    after, flows = light_zone_step(LIGHT, 20.0, 0.0, ZoneInputs(0.0, 0.0, 0.0, 0.0, 0.0), 8.0)
    assert after == pytest.approx(20.0 / 2.718281828459045)
    assert flows.outdoor_kw == pytest.approx(4.0 * (after - 20.0) / 8.0)


def test_a_light_zone_settles_where_its_losses_equal_its_gains() -> None:
    after, _ = light_zone_step(LIGHT, 0.0, 1.0, ZoneInputs(-5.0, 2.0, 1.0, 8.0, 0.1, 3.0), 1000.0)
    assert after == pytest.approx(-5.0 + (1 + 2 + 1 + 8 + 3) / 0.6)


@many
@given(TEMP, TEMP, st.floats(-50, 50), KW, KW, st.floats(-100, 100), st.floats(0, 3), st.floats(-50, 50), HOURS)
def test_a_light_zone_stores_what_flows_in(
    air: float,
    out: float,
    between: float,
    sun: float,
    people: float,
    emitter: float,
    vent: float,
    supply: float,
    h: float,
) -> None:
    after, flows = light_zone_step(LIGHT, air, between, ZoneInputs(out, sun, people, emitter, vent, supply), h)
    parts = (flows.outdoor_kw, flows.between_kw, flows.gains_kw, flows.emitter_kw, flows.supply_kw)
    assert parts[1:] == (between, sun + people, emitter, supply)
    assert balanced(4.0 * (after - air), *(kw * h for kw in parts))
    assert flows.total_kw == pytest.approx(sum(parts))


@many
@given(TEMP, TEMP, st.floats(-50, 50), KW, st.floats(-100, 100), st.floats(-50, 50))
def test_a_heavy_zone_stores_what_flows_in(
    air: float, out: float, between: float, sun: float, emitter: float, supply: float
) -> None:
    state = ZoneState(air, air - 1)
    flows = zone_among(HEAVY, state, between, ZoneInputs(out, sun, 2.0, emitter, 0.2, supply), MINUTE)
    change = 5.0 * (state.air_c - air) + 30.0 * (state.mass_c - (air - 1))
    parts = (1.2 * (out - air), between, sun + 2.0, emitter, supply)
    assert balanced(change, *(kw * MINUTE for kw in parts))
    assert flows.total_kw == pytest.approx(sum(parts), abs=1e-9)
    assert stored_kwh(HEAVY, state) == pytest.approx(5.0 * state.air_c + 30.0 * state.mass_c)


def test_one_neighbour_is_a_wall_of_two() -> None:
    one, two = ZoneState(20.0, 19.0), ZoneState(20.0, 19.0)
    inputs = ZoneInputs(0.0, 1.0, 2.0, 3.0, 0.1)
    walls = through_walls([Wall(("a", "b"), 0.5)], {"a": 20.0, "b": 24.0})
    assert zone_step(HEAVY, one, 24.0, 0.5, inputs, MINUTE) == zone_among(HEAVY, two, walls["a"], inputs, MINUTE)
    assert one == two


def test_supply_air_warms_the_air_alone() -> None:
    still, aired = ZoneState(20.0, 20.0), ZoneState(20.0, 20.0)
    zone_among(HEAVY, still, 0.0, ZoneInputs(20.0, 0.0, 0.0, 0.0, 0.0), MINUTE)
    zone_among(HEAVY, aired, 0.0, ZoneInputs(20.0, 0.0, 0.0, 0.0, 0.0, 6.0), MINUTE)
    assert aired.air_c - still.air_c == pytest.approx(6.0 * MINUTE / 5.0)
    assert aired.mass_c == still.mass_c


@many
@given(st.lists(TEMP, min_size=4, max_size=4), st.lists(st.floats(0, 2), min_size=6, max_size=6))
def test_what_goes_through_walls_leaves_one_zone_and_enters_the_other(temps: list[float], widths: list[float]) -> None:
    names = "abcd"
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    air = dict(zip(names, temps, strict=True))
    flows = through_walls([Wall(pair, kw) for pair, kw in zip(pairs, widths, strict=True)], air)
    for name in names:  # each zone by itself, the sum over all its neighbours
        own = [
            w * (air[b if name == a else a] - air[name])
            for (a, b), w in zip(pairs, widths, strict=True)
            if name in (a, b)
        ]
        assert flows[name] == pytest.approx(sum(own), abs=1e-9)
    assert sum(flows.values()) == pytest.approx(0.0, abs=1e-9)


def test_three_light_zones_come_to_the_same_end_with_half_the_step() -> None:
    walls = [Wall(("a", "b"), 0.4), Wall(("b", "c"), 0.2)]

    def end(step_h: float) -> list[float]:
        air = {"a": 25.0, "b": 15.0, "c": 5.0}
        for _ in range(round(6 / step_h)):
            between = through_walls(walls, air)
            inputs = ZoneInputs(0.0, 0.0, 0.0, 2.0, 0.0)
            air = {name: light_zone_step(LIGHT, air[name], between[name], inputs, step_h)[0] for name in air}
        return list(air.values())

    assert end(1 / 60) == pytest.approx(end(1 / 120), abs=2e-3)
    assert end(1 / 60) != pytest.approx(end(1 / 120), abs=1e-9)


# -- air handler

AHU = AirHandlerParams(
    nominal_m3_h=3600.0, nominal_fan_kw=4.0, recovery=0.5, fan_to_air=0.5, coil_heat_kw=10.0, coil_cold_kw=6.0
)
PER_K = 1.2 * 1.006  # kW/K of 3600 m3/h = 1 m3/s of standard air


@pytest.mark.parametrize(
    ("level", "m3_h", "kw"), [(0, 0, 0.0), (2, 1800, 4 * 0.5**2.7), (4, 3600, 4.0), (9, 3600, 4.0)]
)
def test_flow_levels_and_fan_power(level: int, m3_h: float, kw: float) -> None:
    assert flow_m3_h(AHU, level) == pytest.approx(m3_h)
    assert fan_power(AHU, m3_h) == pytest.approx(kw)


@pytest.mark.parametrize(("wanted", "level"), [(0.0, 0), (1.0, 1), (900.0, 1), (901.0, 2), (9999.0, 4)])
def test_least_level(wanted: float, level: int) -> None:
    assert least_level(AHU, wanted) == level


@pytest.mark.parametrize(
    ("setpoint", "outdoor", "extract", "recovered", "coil", "supply"),
    [
        # 20 K between in and out, half of it comes back, the fans add 2 kW, the coil does the rest
        (18.0, 0.0, 20.0, 10 * PER_K, 8 * PER_K - 2.0, 18.0),
        (18.0, -20.0, 20.0, 20 * PER_K, 10.0, 12.0 / PER_K),  # the coil at its end
        (18.0, 15.0, 25.0, 3 * PER_K - 2.0, 0.0, 18.0),  # bypass: all of the recovery would overshoot
        (14.0, 16.0, 25.0, 0.0, -2 * PER_K - 2.0, 14.0),  # recovery would only harm
        (18.0, 34.0, 26.0, -4 * PER_K, -6.0, 30.0 - 4.0 / PER_K),  # cold is recovered too, the coil at its end
    ],
)
def test_supply_air(
    setpoint: float, outdoor: float, extract: float, recovered: float, coil: float, supply: float
) -> None:
    flow = air_handler_step(AHU, 4, setpoint, outdoor, extract)
    assert (flow.recovered_kw, flow.coil_kw) == pytest.approx((recovered, coil))
    assert flow.supply_c == pytest.approx(supply)
    assert flow.zone_kw == pytest.approx(PER_K * (supply - extract))


def test_an_air_handler_that_is_off_does_nothing() -> None:
    flow = air_handler_step(AHU, 0, 18.0, -5.0, 20.0)
    assert (flow.flow_m3_h, flow.fan_kw, flow.coil_kw, flow.zone_kw, flow.supply_c) == (0, 0, 0, 0, 20.0)


@many
@given(st.integers(1, 4), st.floats(10, 30), TEMP, st.floats(10, 35))
def test_supply_air_has_what_recovery_fan_and_coil_gave(
    level: int, setpoint: float, out: float, extract: float
) -> None:
    flow = air_handler_step(AHU, level, setpoint, out, extract)
    enthalpy = AIR_KWH_M3_K * flow.flow_m3_h * (flow.supply_c - out)
    assert balanced(enthalpy, flow.recovered_kw, flow.fan_heat_kw, flow.coil_kw)
    assert abs(flow.recovered_kw) <= 0.5 * AIR_KWH_M3_K * flow.flow_m3_h * abs(extract - out) + 1e-9
    assert -6.0 <= flow.coil_kw <= 10.0
    if -6.0 < flow.coil_kw < 10.0:
        assert flow.supply_c == pytest.approx(setpoint)
    assert not (flow.recovered_kw > 1e-9 and flow.coil_kw < -1e-9)


def test_levels_must_rise_from_off() -> None:
    with pytest.raises(ValueError, match="must rise from 0"):
        AirHandlerParams(levels=(0.2, 1.0))


def test_the_fresh_air_that_is_needed_keeps_the_air_as_it_shall_be() -> None:
    # 20 people give 0.36 m3 of CO2 an hour; 1220 - 420 ppm are 8e-4: 450 m3/h
    assert fresh_air_m3_h(20, 1220.0) == pytest.approx(450.0)
    assert co2_after(420.0, 20, 450.0, 300.0, 1000.0) == pytest.approx(1220.0)
    half = co2_after(co2_after(420.0, 20, 450.0, 300.0, 0.25), 20, 450.0, 300.0, 0.25)
    assert half == pytest.approx(co2_after(420.0, 20, 450.0, 300.0, 0.5))


# -- boiler

BOILER = BoilerParams(rated_kw=100.0, least_share=0.25, water_kwh_k=1.0, standby_kw_k=0.02, settle_s=60.0)


@pytest.mark.parametrize(
    ("share", "return_c", "eta"),
    [(0.3, 20.0, 0.97), (0.0, 50.0, (0.92 + 0.885) / 2), (1.0, 55.0, 0.885 * 0.98), (0.65, 90.0, 0.87 * 0.99)],
)
def test_boiler_efficiency(share: float, return_c: float, eta: float) -> None:
    assert efficiency(BOILER, share, return_c) == pytest.approx(eta)


@pytest.mark.parametrize(
    ("state", "enabled", "fire"),
    [
        (BoilerState(55.0), True, True),  # 5 K below 60, band 4
        (BoilerState(57.0), True, False),
        (BoilerState(57.0, True, 999.0), True, True),
        (BoilerState(65.0, True, 999.0), True, False),
        (BoilerState(65.0, True, 100.0), True, True),  # has to fire for 240 s
        (BoilerState(91.0, True, 100.0), True, False),  # but not when it boils
        (BoilerState(55.0, False, 100.0), True, False),  # has to rest for 180 s
        (BoilerState(55.0, False, 180.0), True, True),
        (BoilerState(20.0, True, 100.0), False, False),
    ],
)
def test_when_a_boiler_fires(state: BoilerState, enabled: bool, fire: bool) -> None:
    assert fires(BOILER, state, BoilerInputs(enabled, 60.0, 10.0)) is fire


def test_a_boiler_that_modulates_by_hand() -> None:
    # 60 kW taken and 0.02 x 42 lost; the water is at its setpoint: it fires just that
    state, flow = boiler_step(BOILER, BoilerState(60.0, True, 999.0, 1), BoilerInputs(True, 60.0, 60.0, 18.0), MINUTE)
    assert flow.heat_kw == pytest.approx(60.84)
    assert flow.return_c == pytest.approx(60.0 - 60.0 / 5.0)
    eta = (0.92 + (0.885 - 0.92) * 0.3) * (1 - 0.02 * (0.6084 - 0.3) / 0.7)
    assert flow.fuel_kw == pytest.approx(60.84 / eta)
    assert flow.power_kw == pytest.approx(0.16)
    assert (state.water_c, state.starts) == (pytest.approx(60.0), 1)


@many
@given(
    st.floats(18.0, 95.0), st.booleans(), st.floats(0, 900), st.booleans(), st.floats(30, 80), st.floats(0, 150), HOURS
)
def test_what_a_boiler_burns_is_stored_given_or_lost(
    water: float, firing: bool, since: float, enabled: bool, setpoint: float, drawn: float, h: float
) -> None:
    before = BoilerState(water, firing, since)
    after, flow = boiler_step(BOILER, before, BoilerInputs(enabled, setpoint, drawn, 18.0), h)
    change = 1.0 * (after.water_c - water)
    assert balanced(change, flow.fuel_kw * h, -flow.flue_kw * h, -flow.given_kw * h, -flow.standby_kw * h)
    assert min(flow.fuel_kw, flow.flue_kw, flow.given_kw, flow.heat_kw) >= 0
    assert flow.given_kw <= drawn + 1e-9
    assert flow.heat_kw <= 100.0
    assert 18.0 - 1e-9 <= after.water_c <= max(water, 90.0) + 1e-9
    if after.firing and after.water_c < 89.9 and h < 0.02:
        assert flow.heat_kw >= 25.0 - 1e-9


def run_boiler(drawn: float, step_s: float, hours: float = 6.0) -> tuple[BoilerState, float, float]:
    state, fuel, given_kwh = BoilerState(60.0), 0.0, 0.0
    for _ in range(round(hours * 3600 / step_s)):
        state, flow = boiler_step(BOILER, state, BoilerInputs(True, 60.0, drawn, 18.0), step_s / 3600)
        fuel, given_kwh = fuel + flow.fuel_kw * step_s / 3600, given_kwh + flow.given_kw * step_s / 3600
    return state, fuel, given_kwh


def test_a_boiler_below_its_least_load_cycles_and_above_it_does_not() -> None:
    assert run_boiler(40.0, 30.0)[0].starts == 1
    # with 0.84 kW lost: 4 K at full fire, 4 K at 25 kW, 8 K out, of 1 kWh/K: some 1.07 h a cycle
    assert run_boiler(10.0, 30.0)[0].starts == pytest.approx(6 / (4 / 89.16 + 4 / 14.16 + 8 / 10.84), abs=1)


def test_a_boiler_burns_more_when_more_is_drawn() -> None:
    fuels = [run_boiler(drawn, 60.0)[1] for drawn in (0.0, 20.0, 40.0, 60.0, 80.0)]
    assert fuels == sorted(fuels)


@pytest.mark.parametrize("drawn", [40.0, 90.0])
def test_a_boiler_burns_the_same_with_half_the_step(drawn: float) -> None:
    (one, fuel, got), (two, fuel2, got2) = run_boiler(drawn, 60.0), run_boiler(drawn, 30.0)
    assert (fuel, got) == pytest.approx((fuel2, got2), rel=5e-3)
    assert one.water_c == pytest.approx(two.water_c, abs=0.05)


def test_a_boiler_switched_off_runs_cold_and_gives_no_more() -> None:
    state = BoilerState(60.0, True, 999.0)
    for _ in range(600):
        state, flow = boiler_step(BOILER, state, BoilerInputs(False, 60.0, 30.0, 18.0), MINUTE)
    assert (flow.given_kw, flow.fuel_kw) == (pytest.approx(0.0, abs=1e-6), 0.0)
    assert state.water_c == pytest.approx(18.0)


# -- tank

TANK = TankParams(volume_m3=0.4, layers=4, loss_kw_k=0.004, mixing_kw_k=0.0)
LAYER = 1.163 * 0.1
ONE = replace(TANK, layers=1)


def test_a_mixed_tank_by_hand() -> None:
    # 3 kW for an hour into 400 L that lose nothing: 3 / 0.4652 K
    temps, flow = tank_step(replace(ONE, loss_kw_k=0.0), (50.0,), 3.0, 0.0, 10.0, 20.0, 1.0)
    assert temps == (pytest.approx(50.0 + 3.0 / (1.163 * 0.4)),)
    assert (flow.heat_kw, flow.loss_kw, flow.drawn_kw) == (3.0, 0.0, 0.0)


def test_a_tank_left_alone_cools_to_the_room() -> None:
    temps, flow = tank_step(ONE, (60.0,), 0.0, 0.0, 10.0, 20.0, 100.0)
    assert temps[0] == pytest.approx(20.0 + 40.0 * exp(-0.004 * 100 / (1.163 * 0.4)))
    assert flow.loss_kw == pytest.approx(1.163 * 0.4 * (60.0 - temps[0]) / 100)


def test_a_draw_pushes_the_layers_up() -> None:
    still = replace(TANK, loss_kw_k=0.0)
    temps, flow = tank_step(still, (60.0, 50.0, 40.0, 30.0), 0.0, 0.1, 10.0, 20.0, 1.0)
    assert temps == pytest.approx((50.0, 40.0, 30.0, 10.0))
    assert (flow.drawn_c, flow.drawn_kw) == pytest.approx((60.0, 1.163 * 0.1 * 50.0))
    temps, flow = tank_step(still, (60.0, 50.0, 40.0, 30.0), 0.0, 0.025, 10.0, 20.0, 1.0)
    assert temps == pytest.approx((57.5, 47.5, 37.5, 25.0))
    temps, flow = tank_step(still, (60.0, 50.0, 40.0, 30.0), 0.0, 1.0, 10.0, 20.0, 1.0)  # all of it and more
    assert temps == pytest.approx((10.0,) * 4)
    assert flow.drawn_c == pytest.approx((60 + 50 + 40 + 30) / 4 * 0.4 + 10.0 * 0.6)


def test_a_cold_store_is_drawn_from_below() -> None:
    temps, flow = tank_step(replace(TANK, loss_kw_k=0.0), (14.0, 10.0, 8.0, 7.0), 0.0, -0.1, 14.0, 20.0, 1.0)
    assert temps == pytest.approx((14.0, 14.0, 10.0, 8.0))
    assert (flow.drawn_c, flow.drawn_kw) == pytest.approx((7.0, -1.163 * 0.1 * 7.0))


def test_heat_from_below_rises() -> None:
    # 10 K of a layer into the bottom at 30: 40 is not above 40; 20 K more mix with it
    still = replace(TANK, loss_kw_k=0.0)
    assert tank_step(still, (60.0, 50.0, 40.0, 30.0), 10 * LAYER, 0.0, 0, 0, 1.0)[0] == pytest.approx((60, 50, 40, 40))
    assert tank_step(still, (60.0, 50.0, 40.0, 30.0), 30 * LAYER, 0.0, 0, 0, 1.0)[0] == pytest.approx((60, 50, 50, 50))
    upper = replace(still, heater_layer=1)
    assert tank_step(upper, (60.0, 50.0, 40.0, 30.0), 20 * LAYER, 0.0, 0, 0, 1.0)[0] == pytest.approx((65, 65, 40, 30))


def test_the_safety_switches_end_heat_and_cold() -> None:
    still = replace(TANK, loss_kw_k=0.0, most_c=70.0, least_c=4.0)
    temps, flow = tank_step(still, (60.0, 60.0, 60.0, 60.0), 99.0, 0.0, 0, 0, 1.0)
    assert (temps, flow.heat_kw) == (pytest.approx((70.0,) * 4), pytest.approx(40 * LAYER))
    cold = replace(still, heater_layer=0)
    temps, flow = tank_step(cold, (14.0,) * 4, -99.0, 0.0, 0, 0, 1.0)
    assert (temps, flow.heat_kw) == (pytest.approx((4.0,) * 4), pytest.approx(-40 * LAYER))


@pytest.mark.parametrize(("top", "heating", "calls"), [(49.0, False, True), (52.0, False, False), (52.0, True, True), (55.0, True, False)])  # fmt: skip
def test_tank_thermostat(top: float, heating: bool, calls: bool) -> None:
    assert calls_for_heat(TANK, (top, 20.0, 20.0, 20.0), heating, 55.0) is calls


def test_the_draw_for_a_power() -> None:
    assert draw_for((60.0, 50.0), 11.63, 10.0) == pytest.approx(0.2)
    assert draw_for((9.0, 8.0), 11.63, 10.0) == 0.0


@many
@given(
    st.integers(1, 8),
    st.lists(st.floats(5, 85), min_size=8, max_size=8),
    st.integers(0, 7),
    st.floats(-60, 60),
    st.floats(-2, 2),
    st.floats(4, 70),
    TEMP,
    st.floats(0, 0.05),
    HOURS,
)
def test_a_tank_stores_what_comes_in_less_what_is_lost_and_drawn(
    n: int, temps: list[float], at: int, heat: float, draw: float, inlet: float, room: float, mixing: float, h: float
) -> None:
    params = replace(TANK, layers=n, heater_layer=at % n, sensor_layer=0, mixing_kw_k=mixing, least_c=2.0)
    before = tuple(sorted(temps[:n], reverse=True))
    after, flow = tank_step(params, before, heat, draw, inlet, room, h)
    layer = 1.163 * 0.4 / n
    change = layer * (sum(after) - sum(before))
    assert balanced(change, flow.heat_kw * h, -flow.loss_kw * h, -flow.drawn_kw * h)
    assert tank_kwh(params, after) == pytest.approx(layer * sum(after))
    assert list(after) == sorted(after, reverse=True)
    assert min(*before, inlet, room, 2.0) - 1e-6 <= min(after)
    assert max(after) <= max(*before, inlet, room, 85.0) + 1e-6
    assert 0 <= flow.heat_kw * (1 if heat >= 0 else -1) <= abs(heat)


def run_tank(params: TankParams, step_s: float) -> tuple[float, ...]:
    temps = full(params, 50.0)
    for k in range(round(4 * 3600 / step_s)):
        hour = k * step_s / 3600
        draw = 0.15 if 1.0 <= hour < 2.0 else 0.0
        temps, _ = tank_step(params, temps, 4.0 if hour < 3 else 0.0, draw, 12.0, 18.0, step_s / 3600)
    return temps


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_a_tank_comes_to_the_same_end_with_half_the_step(layers: int) -> None:
    params = replace(TANK, layers=layers, heater_layer=-1, sensor_layer=0, mixing_kw_k=0.002)
    assert run_tank(params, 60.0) == pytest.approx(run_tank(params, 30.0), abs=0.3)
    assert run_tank(params, 15.0) == pytest.approx(run_tank(params, 7.5), abs=0.05)


def test_a_layered_tank_gives_hotter_water_than_a_mixed_one() -> None:
    drawn = [
        tank_step(replace(TANK, layers=n), full(replace(TANK, layers=n), 60.0), 0, 0.3, 10.0, 20.0, 1.0)[1]
        for n in (1, 2, 4)
    ]
    kwh = [flow.drawn_kw for flow in drawn]
    assert kwh == pytest.approx([kwh[0]] * 3)  # less than a tank at once leaves at 60 degC from any

    def later(n: int) -> float:
        params = replace(TANK, layers=n, sensor_layer=0)
        temps = full(params, 60.0)
        for _ in range(30):
            temps, flow = tank_step(params, temps, 0.0, 0.6, 10.0, 20.0, MINUTE)
        return flow.drawn_c

    assert later(1) < later(2) < later(4) < later(8)


def test_a_thermostat_at_a_layer_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="sensor_layer: 3 is not one of 2 layers"):
        TankParams(layers=2, sensor_layer=3)


# -- pool

POOL = PoolParams(volume_m3=100.0, area_m2=80.0, loss_kw_k=0.5, pump_kw=1.0, heater_kw=20.0, cop=4.0)


@pytest.mark.parametrize(
    ("covered", "pump", "heat", "flows"),
    [
        (False, True, 20.0, (20.0, 0.5 * 80 * 0.7, 12.0, 1.0 + 5.0)),
        (True, True, 30.0, (20.0, 0.5 * 80 * 0.7 * 0.3, 2.4, 6.0)),
        (True, False, 20.0, (0.0, 8.4, 2.4, 0.0)),  # no heat without the pump
    ],
)
def test_a_pools_flows(covered: bool, pump: bool, heat: float, flows: tuple[float, ...]) -> None:
    _, flow = pool_step(POOL, PoolState(25.0), PoolInputs(25.0, 500.0, covered, pump, heat), MINUTE)
    assert (flow.heat_kw, flow.sun_kw, flow.evaporation_kw, flow.power_kw) == pytest.approx(flows)


def test_a_pool_settles_where_its_losses_equal_its_gains() -> None:
    after, _ = pool_step(POOL, PoolState(20.0), PoolInputs(15.0, 0.0, True, True, 10.0), 1e5)
    assert after.water_c == pytest.approx(15.0 + (10.0 - 2.4) / 0.5)


@many
@given(st.floats(5, 35), TEMP, st.floats(0, 1100), st.booleans(), st.booleans(), st.floats(0, 40), HOURS)
def test_a_pool_stores_what_flows_in(
    water: float, air: float, ghi: float, covered: bool, pump: bool, heat: float, h: float
) -> None:
    after, flow = pool_step(POOL, PoolState(water), PoolInputs(air, ghi, covered, pump, heat), h)
    change = 116.3 * (after.water_c - water)
    assert balanced(change, flow.heat_kw * h, flow.sun_kw * h, -flow.evaporation_kw * h, -flow.loss_kw * h)
    first, _ = pool_step(POOL, PoolState(water), PoolInputs(air, ghi, covered, pump, heat), h / 2)
    halves, _ = pool_step(POOL, first, PoolInputs(air, ghi, covered, pump, heat), h / 2)
    assert halves.water_c == pytest.approx(after.water_c, abs=1e-9)


def test_a_cover_keeps_a_pool_warm_at_night_and_cold_by_day() -> None:
    night = [
        pool_step(POOL, PoolState(26.0), PoolInputs(12.0, 0.0, c, False, 0.0), 8.0)[0].water_c for c in (True, False)
    ]
    day = [
        pool_step(POOL, PoolState(26.0), PoolInputs(30.0, 900.0, c, False, 0.0), 8.0)[0].water_c for c in (True, False)
    ]
    assert night[0] > night[1]
    assert day[0] < day[1]


def test_filtration_hours_are_counted_and_caught_up() -> None:
    state = PoolState(25.0)
    for _ in range(120):
        state, _ = pool_step(POOL, state, PoolInputs(25.0, 0.0, True, True, 0.0), MINUTE)
    assert state.filtered_h == pytest.approx(2.0)
    assert [must_filter(POOL, state, left) for left in (5.0, 4.0 - 1e-6, 1.0)] == [False, True, True]
    assert not must_filter(POOL, PoolState(25.0, 6.5), 0.0)
    assert next_day(state) == PoolState(state.water_c, 0.0)


@pytest.mark.parametrize(("water", "kw"), [(20.0, 20.0), (25.75, 10.0), (26.0, 0.0), (28.0, 0.0)])
def test_pool_thermostat(water: float, kw: float) -> None:
    assert wanted_heat(POOL, water, 26.0) == pytest.approx(kw)
