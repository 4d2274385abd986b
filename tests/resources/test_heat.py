"""Heat pump and zones: physics against worked numbers and an independent matrix exponential, setpoints by plan and rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from energyctl.core.errors import PlanError
from energyctl.core.resources import Target
from energyctl.core.timeline import flat
from energyctl.resources.thermal import Thermal, discretise, thermal

NIGHT = datetime(2019, 1, 22, 1, tzinfo=UTC)  # Tuesday, 03:00 in Larissa
NOON = datetime(2019, 1, 22, 10, tzinfo=UTC)
OUTDOOR = "heatpump.outdoor_temp"


@pytest.mark.parametrize(
    ("outdoor", "sense", "cop"),
    [
        (0.0, "heat", 0.42 * 308.15 / 35 * 0.9),  # supply 35 °C: 3.70, less a tenth for frost
        (6.0, "heat", 0.42 * 302.15 / 23),  # supply 29 °C, no frost: 5.52
        (-10.0, "heat", 0.42 * 318.15 / 55),  # supply 45 °C: 2.43
        (15.0, "heat", 0.42 * 301.15 / 13),  # supply 28 °C, no lower: 9.7, but no more than 6.5
        (30.0, "cool", 0.42 * 280.15 / 33),  # from 7 °C to 40 °C: 3.57
    ],
)
def test_cop_is_a_share_of_carnot(bench: Any, outdoor: float, sense: Any, cop: float) -> None:
    assert bench["heating"].cop(outdoor, sense) == pytest.approx(min(cop, 6.5))


@pytest.mark.parametrize(
    ("mode", "outdoor", "cop"),
    [(1.0, 10.0, 0.42 * 301.15 / 18), (2.0, 10.0, 0.42 * 280.15 / 13), (None, 30.0, 0.42 * 280.15 / 33)],
)
def test_the_mode_switch_decides_and_without_it_the_weather(
    bench: Any, mode: float | None, outdoor: float, cop: float
) -> None:
    values = {} if mode is None else {"heatpump.mode": mode}
    (pump,) = bench["heating"].flexibility(bench.outlook(bench.horizon(2), values, {OUTDOOR: outdoor}))
    assert pump.ratio == pytest.approx((min(cop, 6.5),) * 2)
    assert pump.max_input_kw == (20.0, 20.0)


@pytest.mark.parametrize("hours", [0.25, 1.0])
def test_the_discretisation_is_exact(hours: float) -> None:
    zone = thermal(700.0, "1980-2010", "medium", None, None)
    m = np.array(
        [
            [-(zone.loss + zone.coupling) / zone.air, zone.coupling / zone.air],
            [zone.coupling / zone.mass, -zone.coupling / zone.mass],
        ]
    )
    # the integral of the exponential from the exponential of the augmented matrix
    whole = expm(np.block([[m, np.diag([1 / zone.air, 1 / zone.mass])], [np.zeros((2, 4))]]) * hours)
    a, b = discretise(zone, hours)
    assert np.allclose(a, whole[:2, :2], atol=1e-12)
    assert np.allclose(b, whole[:2, 2:], atol=1e-12)


def test_a_zone_settles_where_losses_meet_gains() -> None:
    """1 kW/K of loss and 12 kW of heat: 12 K above outdoors, air and mass alike."""
    a, b = discretise(Thermal(1.0, 16.0, 6.0, 32.0), 0.25)
    air, mass = 0.0, 0.0
    for _ in range(3000):
        air, mass = (a[i][0] * air + a[i][1] * mass + b[i][0] * 12.0 for i in (0, 1))
    assert (air, mass) == pytest.approx((12.0, 12.0))


def test_priors_go_by_area_age_and_weight() -> None:
    """700 m2 of 1980-2010, medium: 1.12 kW/K, 5.83 and 32.1 kWh/K; stated values count for more."""
    prior = thermal(700.0, "1980-2010", "medium", None, None)
    assert (prior.loss, prior.air, prior.mass) == pytest.approx((1.12, 700 * 30 / 3600, 700 * 165 / 3600))
    stated = thermal(700.0, "before-1980", "medium", 0.9, 39.0)
    assert (stated.loss, stated.air + stated.mass, stated.mass / stated.air) == pytest.approx((0.9, 39.0, 5.5))


def outlook(bench: Any, start: datetime, steps: int, air: float = 20.0, outdoor: float = 5.0, **more: float) -> Any:
    values = {"heatpump.zone1_temp": air, "heatpump.mode": 1.0} | {k.replace("__", ":"): v for k, v in more.items()}
    return bench.outlook(bench.horizon(steps, start), values, {OUTDOOR: outdoor, "office:sun": 0.0})


def test_a_zone_is_warm_when_people_come(bench: Any) -> None:
    """07:30 to 17:00 local. The step that ends at 07:30 must end in the band (0.2 K inside), the one ending at 17:00 not."""
    (office,) = bench["office"].flexibility(outlook(bench, NIGHT, 96))
    horizon = bench.horizon(96, NIGHT)
    warm = [horizon.time(step + 1) for step, (low, _) in enumerate(office.lower) if low == 20.2]
    assert (warm[0], warm[-1]) == (
        datetime(2019, 1, 22, 5, 30, tzinfo=UTC),
        datetime(2019, 1, 22, 14, 45, tzinfo=UTC),
    )
    assert {low for low, _ in office.lower} == {20.2, 16.2}
    assert office.port == "heating"
    # 0.5 EUR per K, hour and 100 m2, for 700 m2 and a quarter of an hour
    assert office.slack_price[0] == pytest.approx(0.5 * 7 / 4)


@pytest.mark.parametrize(("mode", "sign"), [(1.0, 1), (2.0, -1)])
def test_cold_takes_warmth_away(bench: Any, mode: float, sign: int) -> None:
    seen = outlook(bench, NIGHT, 4)
    seen = replace(seen, values={**seen.values, "heatpump.mode": mode})
    (office,) = bench["office"].flexibility(seen)
    assert office.charge_gain[0] * sign > 0
    assert office.charge_gain[1] * sign > 0


def test_heat_adds_up_to_what_is_delivered(bench: Any) -> None:
    """10 kW for a quarter of an hour are 2.5 kWh, in the air and in the mass, less what they lose meanwhile."""
    (office,) = bench["office"].flexibility(outlook(bench, NIGHT, 1))
    air, mass = (10 * gain for gain in office.charge_gain)
    assert air * 700 * 30 / 3600 + mass * 700 * 165 / 3600 == pytest.approx(2.5, rel=0.02)


def test_an_empty_zone_at_night_drifts_towards_outdoors(bench: Any) -> None:
    """No people, no sun, 20 inside and 5 outside: 1.12 kW/K * 15 K = 16.8 kW lost, of 38 kWh/K together."""
    (office,) = bench["office"].flexibility(outlook(bench, NIGHT, 1))
    air, mass = (
        sum(a * x for a, x in zip(row, office.initial, strict=True)) + drift
        for row, drift in zip(office.transition, office.drift[0], strict=True)
    )
    lost = (20 - air) * 700 * 30 / 3600 + (20 - mass) * 700 * 165 / 3600
    assert lost == pytest.approx(16.8 / 4, rel=0.03)


def test_the_mass_is_where_the_last_plan_expected_it(bench: Any) -> None:
    """Expected 19.5 and 18.0; the air is 0.4 K warmer than expected, so the mass is taken to be 0.06 K warmer."""
    (known,) = bench["office"].flexibility(outlook(bench, NIGHT, 1, air=19.9, office__state0=19.5, office__state1=18.0))
    (fresh,) = bench["office"].flexibility(outlook(bench, NIGHT, 1, air=19.9))
    assert known.initial == pytest.approx((19.9, 18.06))
    assert fresh.initial == (19.9, 19.9)


def test_a_zone_without_its_thermometer_cannot_be_planned(bench: Any) -> None:
    with pytest.raises(PlanError, match=r"office: heatpump\.zone1_temp has no good value"):
        bench["office"].flexibility(bench.outlook(bench.horizon(1), {}, {OUTDOOR: 5.0}))


@pytest.mark.parametrize(
    ("start", "mode", "heat", "states", "setpoint"),
    [
        (NOON, 1.0, 8.0, ((19.0,), (20.6,)), 20.6),  # heating: to where the plan wants it
        (NOON, 1.0, 0.0, ((21.5,), (21.2,)), 20.2),  # coasting in use: the thermostat guards the band
        (NIGHT, 1.0, 0.0, ((19.0,), (18.8,)), 16.2),  # coasting at night: it does not heat against the plan
        (NIGHT, 1.0, 9.0, ((15.0,), (15.5,)), 16.0),  # never below setback
        (NOON, 1.0, 9.0, ((25.9,), (27.0,)), 26.0),  # never heated beyond the band
        (NOON, 2.0, 8.0, ((26.5,), (25.4,)), 25.4),  # cooling
        (NOON, 2.0, 0.0, ((24.0,), (24.5,)), 25.8),  # coasting while it cools: the upper edge
        (NIGHT, 2.0, 0.0, ((24.0,), (24.5,)), 29.8),
    ],
)
def test_a_zone_follows_its_plan(
    bench: Any, start: datetime, mode: float, heat: float, states: Any, setpoint: float
) -> None:
    plan = bench.plan(bench.horizon(1, start), thermal={"office": (heat,)}, states={"office": states})
    (target,) = bench["office"].follow(plan, 0, bench.image(start, heatpump__mode=mode), bench.site)
    assert (target.point, target.value) == ("heatpump.zone1_setpoint", pytest.approx(setpoint))


def test_a_bad_mode_is_judged_by_the_plans_weather(bench: Any) -> None:
    horizon = bench.horizon(1, NOON)
    forecast = flat(OUTDOOR, horizon, 33.0, "°C", NOON, "test")
    plan = bench.plan(
        horizon, thermal={"office": (0.0,)}, states={"office": ((24.0,), (24.5,))}, forecasts={OUTDOOR: forecast}
    )
    assert bench["office"].follow(plan, 0, bench.image(heatpump__mode=None), bench.site)[0].value == pytest.approx(25.8)


@pytest.mark.parametrize(
    ("local", "mode", "air", "setpoint"),
    [
        ("05:29", 1.0, 18.0, 16.0),
        ("05:30", 1.0, 18.0, 20.0),  # two hours before people come
        ("16:59", 1.0, 20.0, 20.0),
        ("17:00", 1.0, 20.0, 16.0),
        ("12:00", 2.0, 27.0, 26.0),
        ("20:00", 2.0, 27.0, 30.0),
        ("12:00", None, 27.0, 26.0),  # no mode: warm rooms are taken to be cooled
        ("12:00", None, 21.0, 20.0),
    ],
)
def test_without_a_plan_a_zone_keeps_office_hours(
    bench: Any, local: str, mode: float | None, air: float, setpoint: float
) -> None:
    hour, minute = map(int, local.split(":"))
    now = datetime(2019, 1, 21, 22, tzinfo=UTC) + timedelta(hours=hour, minutes=minute)
    image = bench.image(now, heatpump__mode=mode, heatpump__zone1_temp=air)
    (target,) = bench["office"].rule(now, image, bench.site)
    assert target.value == setpoint


def test_the_heat_pump_itself_is_told_nothing(bench: Any) -> None:
    image = bench.image()
    assert bench["heating"].rule(image.time, image, bench.site) == ()
    assert bench["heating"].follow(bench.plan(bench.horizon(1)), 0, image, bench.site) == ()
    assert isinstance(bench["office"].rule(image.time, image, bench.site)[0], Target)
