"""Battery, roof and car: what they can do, what a plan or a rule means for them, how far they can move at once."""

from __future__ import annotations

from datetime import UTC, datetime
from math import sqrt
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.resources import Target
from energyctl.core.timeline import flat

EVENING = datetime(2019, 1, 22, 18, 30, tzinfo=UTC)  # 20:30 in Larissa


def test_a_battery_is_a_storage_in_kilowatt_hours(bench: Any) -> None:
    """60 kWh at 40 %, 92 % there and back: sqrt(0.92) = 0.9592 each way; a quarter of an hour per step."""
    (store,) = bench["battery"].flexibility(bench.outlook(bench.horizon(4), {"storage.soc": 0.4}))
    assert store.initial == pytest.approx((24.0,))
    assert (store.charge_gain[0], store.discharge_gain[0]) == pytest.approx((0.2398, -0.2606), abs=1e-4)
    assert (store.lower[0], store.upper[0]) == ((6.0,), (60.0,))
    # what is left is worth the usual price less what getting it out loses and wears: 0.9592 * 0.1 - 0.02
    assert store.terminal_value[0] == pytest.approx(sqrt(0.92) * 0.1 - 0.02)


def test_a_battery_without_its_charge_cannot_be_planned(bench: Any) -> None:
    with pytest.raises(PlanError, match=r"battery: storage\.soc has no good value"):
        bench["battery"].flexibility(bench.outlook(bench.horizon(4), {}))


@pytest.mark.parametrize(
    ("power", "value", "reason"),
    [
        (12.0, 12.0, "plan: charge 12.0 kW, power costs 0.10 EUR/kWh now"),
        (-7.5, -7.5, "plan: discharge 7.5 kW, power costs 0.10 EUR/kWh now"),
        (0.01, 0.0, "plan: rest"),
    ],
)
def test_a_battery_follows_its_plan(bench: Any, power: float, value: float, reason: str) -> None:
    plan = bench.plan(bench.horizon(1), power={"battery": (power,)})
    assert bench["battery"].follow(plan, 0, bench.image(), bench.site) == (
        Target("storage.power_setpoint", value, reason),
    )


def test_left_out_of_the_plan_it_is_left_alone(bench: Any) -> None:
    plan = bench.plan(bench.horizon(1))
    for name in ("battery", "roof", "office"):
        assert bench[name].follow(plan, 0, bench.image(), bench.site) == ()


@pytest.mark.parametrize(
    ("soc", "least", "most"),
    [(0.5, -30.0, 30.0), (0.1, 0.0, 30.0), (0.08, 0.0, 30.0), (1.0, -30.0, 0.0), (1.04, -30.0, 0.0)],
)
def test_a_battery_moves_within_its_charge(bench: Any, soc: float, least: float, most: float) -> None:
    room = bench["battery"].adjustable(None, bench.image(storage__power=5.0, storage__soc=soc))
    assert (room.measured_kw, room.planned_kw, room.least_kw, room.most_kw) == (5.0, 0.0, least, most)
    assert (room.order, room.may_track) == (0, True)


def test_a_battery_of_unknown_state_does_not_move(bench: Any) -> None:
    assert bench["battery"].adjustable(None, bench.image(storage__power=5.0, storage__soc=None)) is None
    assert bench["battery"].adjustable(None, bench.image(storage__power=None, storage__soc=0.5)) is None


def test_a_target_stays_within_the_battery(bench: Any) -> None:
    assert bench["battery"].target_for(44.0, bench.image(), "x") == Target("storage.power_setpoint", 30.0, "x")
    assert bench["battery"].target_for(-44.0, bench.image(), "x").value == -30.0


def test_a_roof_can_give_what_is_forecast(bench: Any) -> None:
    outlook = bench.outlook(bench.horizon(3), {}, {"inverter.power": (-12.0, 0.0, 0.1)})
    (roof,) = bench["roof"].flexibility(outlook)
    assert (roof.available_kw, roof.can_curtail) == ((12.0, 0.0, 0.0), True)


@pytest.mark.parametrize(
    ("planned", "limit"),
    [(-20.0, None), (-10.0, 0.25), (0.0, 0.0)],
)
def test_a_roof_is_limited_only_when_the_plan_cuts_it(bench: Any, planned: float, limit: float | None) -> None:
    """20 kW forecast of a 40 kWp roof."""
    horizon = bench.horizon(1)
    forecast = flat("inverter.power", horizon, -20.0, "kW", horizon.start, "test")
    plan = bench.plan(horizon, power={"roof": (planned,)}, forecasts={"inverter.power": forecast})
    targets = [(t.point, t.value) for t in bench["roof"].follow(plan, 0, bench.image(), bench.site)]
    assert targets == ([] if limit is None else [("inverter.power_limit", limit)])


@pytest.mark.parametrize(
    ("measured", "limit", "wanted", "planned", "least"),
    [
        (-25.0, 1.0, 1.0, -25.0, -25.0),  # free: it gives all there is
        (-25.0, 0.625, 1.0, -40.0, -40.0),  # held at 25 of 40 kW: nobody knows what it could give
        (-12.0, 0.625, 1.0, -12.0, -12.0),  # limited, but the sun gives less
        (-25.0, 1.0, 0.5, -20.0, -25.0),  # the plan wants 20
        (0.02, 1.0, 1.0, 0.0, 0.0),  # at night it takes a little itself
    ],
)
def test_how_far_a_roof_can_move(
    bench: Any, measured: float, limit: float, wanted: float, planned: float, least: float
) -> None:
    image = bench.image(inverter__power=measured, inverter__power_limit=limit)
    room = bench["roof"].adjustable(Target("inverter.power_limit", wanted, ""), image)
    assert (room.planned_kw, room.least_kw, room.most_kw, room.may_track) == (planned, least, 0.0, False)


def test_a_car_wants_its_energy_by_half_past_seven(bench: Any) -> None:
    """20:30 to 07:30 local are 44 quarters; 3 phases of 32 A at 230 V are 22.08 kW, at 6 A 4.14 kW."""
    values = {"charger.connected": 1.0, "charger.session_energy": 12.0}
    (car,) = bench["car"].flexibility(bench.outlook(bench.horizon(96, EVENING), values))
    assert car.initial == (12.0,)
    assert [step for step, bound in enumerate(car.lower) if bound == (40.0,)] == [43]
    assert (car.max_charge_kw[43], car.max_charge_kw[44]) == (pytest.approx(22.08), 0.0)
    assert (car.min_charge_kw, car.slack_price) == (pytest.approx(4.14), (2.0,))


def test_a_horizon_that_ends_before_the_car_leaves_asks_for_less(bench: Any) -> None:
    """Two quarters before 07:30 lie beyond the horizon: 11.04 of the 40 kWh may come then."""
    values = {"charger.connected": 1.0, "charger.session_energy": 0.0}
    (car,) = bench["car"].flexibility(bench.outlook(bench.horizon(42, EVENING), values))
    assert car.lower[41] == pytest.approx((40 - 11.04,))


@pytest.mark.parametrize("values", [{}, {"charger.connected": 0.0}])
def test_no_car_no_flexibility(bench: Any, values: dict[str, float]) -> None:
    assert bench["car"].flexibility(bench.outlook(bench.horizon(4), values)) == ()


def test_a_car_already_past_its_wish_asks_for_nothing(bench: Any) -> None:
    values = {"charger.connected": 1.0, "charger.session_energy": 41.0}
    (car,) = bench["car"].flexibility(bench.outlook(bench.horizon(96, EVENING), values))
    assert (car.initial, car.upper[0]) == ((41.0,), (41.0,))


@pytest.mark.parametrize(
    ("row", "amps"),
    [
        ((11.04,), 16.0),  # 11.04 kW / (3 * 0.23 kV)
        ((4.14,), 6.0),
        ((3.0,), 0.0),  # below the floor, in the later part of a plan
        ((0.0,), 0.0),
        (None, 6.0),  # plugged in after the plan was made
    ],
)
def test_a_car_follows_the_plan_in_amperes(bench: Any, row: tuple[float, ...] | None, amps: float) -> None:
    plan = bench.plan(bench.horizon(1), power={} if row is None else {"car": row})
    (target,) = bench["car"].follow(plan, 0, bench.image(charger__connected=1.0), bench.site)
    assert (target.point, target.value) == ("charger.current_limit", pytest.approx(amps))


def test_with_no_car_there_is_nothing_to_set(bench: Any) -> None:
    plan = bench.plan(bench.horizon(1), power={"car": (11.0,)})
    for image in (bench.image(charger__connected=0.0), bench.image(charger__connected=None), bench.image()):
        assert bench["car"].follow(plan, 0, image, bench.site) == ()
        assert bench["car"].rule(image.time, image, bench.site) == ()


def test_by_rule_a_car_is_charged_at_once_and_the_roof_is_free(bench: Any) -> None:
    image = bench.image(charger__connected=1.0)
    assert [target.value for target in bench["car"].rule(image.time, image, bench.site)] == [32.0]
    assert bench["roof"].rule(image.time, image, bench.site) == ()
    assert bench["battery"].rule(image.time, image, bench.site) == ()


def test_how_far_a_car_can_move(bench: Any) -> None:
    image = bench.image(charger__connected=1.0, charger__power=7.0, charger__session_energy=12.0)
    room = bench["car"].adjustable(Target("charger.current_limit", 16.0, ""), image)
    assert (room.measured_kw, room.planned_kw, room.least_kw, room.most_kw) == pytest.approx((7.0, 11.04, 0.0, 22.08))
    full = bench.image(charger__connected=1.0, charger__power=0.0, charger__session_energy=40.0)
    room = bench["car"].adjustable(Target("charger.current_limit", 16.0, ""), full)
    assert (room.planned_kw, room.most_kw) == (0.0, 0.0)
