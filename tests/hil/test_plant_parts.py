"""Each part of the simulated building against numbers worked out by hand."""

from dataclasses import replace
from datetime import datetime

import pytest

from hil.measured import Weather
from hil.plant.airing import AhuParams, ahu_power, co2_step
from hil.plant.battery import BatteryParams, battery_step, efficiency, power_limits
from hil.plant.building import ZoneInputs, ZoneParams, ZoneState, stored_kwh, zone_step
from hil.plant.ev import EvParams, EvState, Visit, come_and_go, ev_step, missing_kwh
from hil.plant.generation import PvParams, available_kw, pv_power
from hil.plant.heat_pump import HeatPumpParams, full_cop, gathered, heat_pump_step, supply_temp, thermostat

MINUTE = 1 / 60
BATTERY = BatteryParams(
    capacity_kwh=50.0, charge_kw=20.0, discharge_kw=20.0, curve=((0.0, 0.8), (0.5, 0.9), (1.0, 0.9)), drain_kw=0.0
)
ZONE = ZoneParams(
    name="a", ua_kw_k=1.0, air_kwh_k=5.0, mass_kwh_k=30.0, air_mass_kw_k=10.0, window_m2=20.0, people_kw=4.0,
    base_share=0.1, emitter_kw=40.0, occupied="Mo-Fr 08:00-16:00", sun_to_air=0.5, people_to_air=0.5, emitter_to_air=0.5,
)  # fmt: skip


@pytest.mark.parametrize(("share", "eta"), [(0.0, 0.8), (0.25, 0.85), (0.5, 0.9), (1.0, 0.9), (1.2, 0.9)])
def test_battery_efficiency_lies_on_its_curve(share: float, eta: float) -> None:
    assert efficiency(BATTERY, share) == pytest.approx(eta)


@pytest.mark.parametrize(
    ("energy", "wanted", "power", "stored"),
    [
        (25.0, 10.0, 10.0, 10.0 * 0.9),  # half power: 0.9 of it arrives
        (25.0, 5.0, 5.0, 5.0 * 0.85),
        (25.0, -10.0, -10.0, -10.0 / 0.9),
        (25.0, 90.0, 20.0, 18.0),  # the rating
        (25.0, 0.0, 0.0, 0.0),
        (47.5, 90.0, 20.0 * 0.6, 12.0 * 0.9),  # 95 %: half way down to a fifth
        (3.5, -90.0, -10.0, -10.0 / 0.9),  # 7 %: half way from 10 % to the floor of 4 %
        (2.0, -90.0, 0.0, 0.0),
    ],
)
def test_battery_power_and_what_is_stored(energy: float, wanted: float, power: float, stored: float) -> None:
    after, flow = battery_step(BATTERY, energy, wanted, MINUTE)
    assert flow.power_kw == pytest.approx(power)
    assert (after - energy) / MINUTE == pytest.approx(stored)
    assert flow.power_kw == pytest.approx(stored + flow.loss_kw)
    assert flow.loss_kw >= 0


def test_a_battery_never_holds_more_than_it_can_nor_goes_below_its_floor() -> None:
    energy = 25.0
    for wanted in [20.0] * 300 + [-20.0] * 600:
        energy, _ = battery_step(BATTERY, energy, wanted, MINUTE)
        assert 2.0 - 1e-9 <= energy <= 50.0 + 1e-9
    assert power_limits(BATTERY, 2.0) == (0.0, 20.0)


def test_an_idle_battery_loses_its_drain() -> None:
    after, flow = battery_step(BatteryParams(drain_kw=0.06), 30.0, 0.0, 1.0)
    assert after == pytest.approx(29.94)
    assert (flow.power_kw, flow.loss_kw) == (0.0, pytest.approx(0.06))


@pytest.mark.parametrize(("wanted", "stored"), [(10.0, 10.0 * 0.9 - 0.5), (-10.0, -10.0 / 0.9 - 0.5)])
def test_a_working_battery_loses_its_drain_too(wanted: float, stored: float) -> None:
    after, flow = battery_step(replace(BATTERY, drain_kw=0.5), 25.0, wanted, MINUTE)
    assert (after - 25.0) / MINUTE == pytest.approx(stored)
    assert flow.loss_kw == pytest.approx(wanted - stored)


def test_a_zone_settles_where_its_losses_equal_its_gains() -> None:
    # 10 kW into a zone that loses 1 kW/K against 0 degC: air settles at 10 degC, mass 0.5 K above (5 kW through 10 kW/K)
    state = ZoneState(10.0, 10.0)
    for _ in range(60 * 24 * 20):
        zone_step(ZONE, state, 0.0, 0.0, ZoneInputs(0.0, 4.0, 2.0, 4.0, 0.0), MINUTE)
    assert state.air_c == pytest.approx(10.0, abs=1e-3)
    assert state.mass_c == pytest.approx(10.5, abs=1e-3)


def test_a_zone_stores_exactly_what_flows_in() -> None:
    state = ZoneState(20.0, 19.0)
    before = stored_kwh(ZONE, state)
    flows = zone_step(ZONE, state, 22.0, 0.5, ZoneInputs(-5.0, 3.0, 2.0, 15.0, 0.2), MINUTE)
    assert flows.outdoor_kw == pytest.approx(-25 * 1.2)
    assert flows.between_kw == pytest.approx(1.0)
    assert flows.total_kw == pytest.approx(-30 + 1 + 5 + 15)
    assert stored_kwh(ZONE, state) - before == pytest.approx(flows.total_kw * MINUTE, abs=1e-9)


@pytest.mark.parametrize(
    ("temp", "humidity", "supply", "cop"),
    [
        (8.0, 90.0, 28.0, 0.40 * 301.15 / 20.0),  # the curve's lower end: 35.5 - 8.4 is below 28
        (-10.0, 90.0, 46.0, 0.40 * 319.15 / 56.0),  # too cold for much frost
        (0.0, 90.0, 35.5, 0.40 * 308.65 / 35.5 * 0.92),
        (0.0, 70.0, 35.5, 0.40 * 308.65 / 35.5),
        (26.0, 50.0, 28.0, 6.5),  # 14.7 by Carnot: no machine does that
    ],
)
def test_heating_cop(temp: float, humidity: float, supply: float, cop: float) -> None:
    weather = Weather(temp, humidity, 0.0)
    assert supply_temp(HeatPumpParams(), "heat", temp) == pytest.approx(supply)
    assert full_cop(HeatPumpParams(), "heat", weather) == pytest.approx(cop)


def test_cooling_cop() -> None:
    # chilled water at 8 degC, heat rejected 11 K above 32 degC: lift 35 K
    assert full_cop(HeatPumpParams(), "cool", Weather(32.0, 40.0, 0.0)) == pytest.approx(0.40 * 281.15 / 35.0)


def test_a_heat_pump_that_is_asked_too_much_gives_all_zones_the_same_share() -> None:
    params, weather = HeatPumpParams(standby_kw=0.1), Weather(-10.0, 50.0, 0.0)
    flow = heat_pump_step(params, "heat", weather, (60.0, 30.0), 99.0)
    assert flow.power_kw == pytest.approx(19.0 + 0.1)
    assert flow.heat_kw[0] == pytest.approx(2 * flow.heat_kw[1])
    assert sum(flow.heat_kw) == pytest.approx(19.0 * full_cop(params, "heat", weather))


def test_at_half_load_half_of_the_part_load_loss_shows() -> None:
    params, weather = HeatPumpParams(standby_kw=0.0, part_load_loss=0.10), Weather(30.0, 50.0, 0.0)
    full = full_cop(params, "cool", weather)
    flow = heat_pump_step(params, "cool", weather, (9.5 * full * 0.95, 0.0), 99.0)
    assert flow.power_kw == pytest.approx(9.5)
    assert flow.cop == pytest.approx(full * 0.95)
    assert flow.heat_kw == (pytest.approx(-9.5 * full * 0.95), 0.0)


def test_a_compressor_gathers_speed() -> None:
    params, weather = HeatPumpParams(ramp_kw_min=3.0, standby_kw=0.1), Weather(0.0, 50.0, 0.0)
    powers = [0.1]
    for _ in range(8):
        powers.append(heat_pump_step(params, "heat", weather, (99.0, 0.0), gathered(params, powers[-1], 60.0)).power_kw)
    assert powers[1:] == pytest.approx([3.1, 6.1, 9.1, 12.1, 15.1, 18.1, 19.1, 19.1])
    assert heat_pump_step(params, "heat", weather, (0.0, 0.0), 19.0).power_kw == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("error", "integral", "demand", "after"),
    [
        (2.0, 0.0, 40.0, 0.0),  # all it has; the integral does not wind up against the stop
        (0.4, 0.0, 40.0 * (0.5 + 0.0125), 0.0125),
        (0.0, 0.3, 12.0, 0.3),
        (-2.0, 0.0, 0.0, 0.0),
    ],
)
def test_thermostat(error: float, integral: float, demand: float, after: float) -> None:
    params = HeatPumpParams(band_k=0.8, reset_s=2400.0)
    assert thermostat(params, 40.0, error, integral, 60.0) == pytest.approx((demand, after))


@pytest.mark.parametrize(
    ("temp", "ghi", "limit", "available", "power"),
    [
        (5.0, 500.0, 1.0, 40 * 0.5 * 0.9 * (1 - 0.004 * -5), -18.36),  # cells at 20 degC
        (30.0, 1000.0, 1.0, 40 * 0.9 * (1 - 0.004 * 35), -30.0),  # 30.96 kW, clipped
        (5.0, 500.0, 0.2, 18.36, -6.0),
        (5.0, 0.0, 1.0, 0.0, 0.0),
    ],
)
def test_pv(temp: float, ghi: float, limit: float, available: float, power: float) -> None:
    params = PvParams(array_kwp=40.0, rated_kw=30.0, performance=0.9, tilt_gain=1.0)
    found = available_kw(params, Weather(temp, 50.0, ghi))
    assert found == pytest.approx(min(available, 30.0))
    assert pv_power(params, found, limit) == pytest.approx(power)


CAR = EvParams(visits=(Visit("16:40", "07:40", 10.0),), car_max_kw=11.0, taper=0.2)


@pytest.mark.parametrize(
    ("charged", "limit", "power"),
    [
        (0.0, 32.0, 11.0),  # 22 kW offered, the car takes 11
        (0.0, 10.0, 6.9),
        (0.0, 6.0, 4.14),
        (0.0, 5.9, 0.0),
        (9.0, 32.0, 5.5),  # half way through the taper
        (10.0, 32.0, 0.0),
    ],
)
def test_what_a_car_takes(charged: float, limit: float, power: float) -> None:
    state, found = ev_step(CAR, EvState(0, charged), limit, MINUTE)
    assert found == pytest.approx(power)
    assert state.charged_kwh - charged == pytest.approx(power * MINUTE)


def test_a_car_that_has_just_come_talks_before_it_charges() -> None:
    state, powers = EvState(0, 0.0, 0.0, 0.0), []
    for _ in range(3):
        state, power = ev_step(CAR, state, 32.0, 0.5 * MINUTE)
        powers.append(power)
    assert powers == [0.0, 0.0, 11.0]


def test_cars_come_and_go_and_may_leave_unfinished() -> None:
    state = come_and_go(CAR, EvState(), datetime(2019, 1, 22, 3))  # noqa: DTZ001
    assert (state.visit, missing_kwh(CAR, state)) == (0, 10.0)
    state = come_and_go(CAR, EvState(0, 7.0), datetime(2019, 1, 22, 7, 40))  # noqa: DTZ001
    assert (state.visit, state.unserved_kwh) == (None, pytest.approx(3.0))
    state = come_and_go(CAR, state, datetime(2019, 1, 22, 16, 40))  # noqa: DTZ001
    assert (state.visit, state.charged_kwh, state.unserved_kwh) == (0, 0.0, pytest.approx(3.0))


def test_air_handler() -> None:
    params = AhuParams(fan_kw=0.5, flush_kw=5.6)
    assert [ahu_power(params, *state) for state in ((False, False), (True, False), (True, True))] == [0.0, 0.5, 6.1]
    # 60 people, 2000 m3/h: settles at 420 + 1e6 x 0.018 x 60 / 2000 = 960 ppm
    assert co2_step(params, 500.0, 1.0, True, False, 100.0) == pytest.approx(960.0)
    assert co2_step(params, 960.0, 0.0, False, True, 100.0) == pytest.approx(420.0)
