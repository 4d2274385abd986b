"""What the planner does around the program: who is left out, what is remembered, what it says."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Fixed, Storage
from energyctl.core.planner import GridLimits
from energyctl.core.resources import Need
from energyctl.core.timeline import flat
from optimizer.planner import planner

BATTERY = Storage(
    id="battery",
    port=AC,
    unit="kWh",
    transition=((1.0,),),
    charge_gain=(1.0,),
    discharge_gain=(-1.0,),
    drift=((0.0,),) * 3,
    initial=(0.0,),
    lower=((0.0,),) * 3,
    upper=((6.0,),) * 3,
    slack_price=(HARD,),
    max_charge_kw=(10.0,) * 3,
    max_discharge_kw=(10.0,) * 3,
)


def test_a_resource_without_its_sensor_is_left_out_and_named(request_of: Any, told: Any) -> None:
    dead = told(trouble="battery: storage.soc has no good value", id="battery")
    plan = planner.plan(request_of(Fixed("base", (3.0,)), prices=(0.1,), resources=(dead,)))
    assert plan.grid_kw == (3.0,)
    assert [r.what for r in plan.relaxed] == ["left out of the plan: battery: storage.soc has no good value"]


def test_a_zone_whose_heat_pump_is_out_is_left_out_too(request_of: Any) -> None:
    office = replace(BATTERY, id="office", port="heating")
    plan = planner.plan(request_of(Fixed("base", (3.0,) * 3), office, prices=(0.1,) * 3))
    assert [r.what for r in plan.relaxed] == [
        "left out of the plan: office: heating, which feeds it, is not in the plan"
    ]
    assert "office" not in plan.thermal_kw


def test_the_last_plan_is_remembered_by_resources(request_of: Any, told: Any) -> None:
    """From 0 to 6 kWh in the first, cheap hour; half an hour on the battery is expected at 3 kWh, in the run that began then."""
    asked = request_of(Fixed("base", (2.0, 2.0, 2.0)), BATTERY, prices=(0.1, 0.5, 0.5), limits=GridLimits(9.0, 9.0))
    plan = planner.plan(asked)
    assert plan.power_kw["battery"] == pytest.approx((4.0, -2.0, -2.0))
    listener = told((Fixed("base", (2.0,)),))
    half = asked.issued_at + timedelta(minutes=30)
    planner.plan(request_of(prices=(0.1,), start=half, previous=plan, resources=(listener,)))
    assert listener.seen["battery:state0"] == pytest.approx(2.0)
    assert (listener.seen["battery:run_start_s"], listener.seen["battery:run_end_s"]) == (-1800.0, 9000.0)


def test_a_given_forecast_is_used_as_it_is(request_of: Any, told: Any) -> None:
    needy = told((Fixed("base", (1.0, 1.0)),), needed=(Need("x.load", "load", "kW"),))
    asked = request_of(prices=(0.1, 0.1), resources=(needy,))
    given = flat("x.load", asked.horizon, 7.0, "kW", asked.issued_at, "perfect foresight")
    assert planner.plan(replace(asked, given={"x.load": given})).forecasts == {"x.load": given}


def test_a_load_that_nothing_is_known_of_is_no_plan(request_of: Any, told: Any) -> None:
    needy = told((Fixed("base", (1.0,)),), needed=(Need("site.base_load", "load", "kW"),))
    with pytest.raises(PlanError, match=r"nothing is known of site\.base_load yet"):
        planner.plan(request_of(prices=(0.1,), resources=(needy,)))


def test_request_and_plan_travel_between_processes(request_of: Any) -> None:
    asked = request_of(Fixed("base", (3.0,) * 3), BATTERY, prices=(0.1, 0.2, 0.3))
    again = pickle.loads(pickle.dumps(asked))
    plan = planner.plan(again)
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_what_could_not_be_met_is_named(request_of: Any) -> None:
    """9 kW of load behind a limit of 6 kW."""
    asked = request_of(Fixed("base", (9.0, 2.0)), prices=(0.1, 0.1), limits=GridLimits(6.0, 6.0))
    (relaxed,) = planner.plan(asked).relaxed
    assert (relaxed.what, relaxed.first_step, relaxed.last_step, relaxed.worst) == ("import limit 6 kW", 0, 0, 3.0)
