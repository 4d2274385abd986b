"""The independent check finds every error planted in a good plan, and none in a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Flexibility, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import GridLimits
from optimizer import planner as planning
from optimizer.check import faults
from optimizer.planner import planner

BATTERY = Storage(
    id="battery",
    port=AC,
    unit="kWh",
    transition=((1.0,),),
    charge_gain=(0.9,),
    discharge_gain=(-1 / 0.9,),
    drift=((0.0,),) * 3,
    initial=(2.0,),
    lower=((0.0,),) * 3,
    upper=((4.0,),) * 3,
    slack_price=(HARD,),
    max_charge_kw=(3.0,) * 3,
    max_discharge_kw=(3.0,) * 3,
    charge_price=0.02,
    discharge_price=0.02,
    label="charge of battery",
)
OFFICE = replace(
    BATTERY,
    id="office",
    port="heating",
    unit="°C",
    transition=((0.9,),),
    charge_gain=(0.5,),
    discharge_gain=(0.0,),
    initial=(20.0,),
    lower=((20.0,),) * 3,
    upper=((24.0,),) * 3,
    slack_price=(5.0,),
    max_charge_kw=(20.0,) * 3,
    max_discharge_kw=(0.0,) * 3,
    label="comfort in office",
)
FLEXIBILITIES: tuple[Flexibility, ...] = (
    Fixed("base", (5.0, 6.0, 7.0)),
    Curtailable("roof", (1.0, 2.0, 0.0)),
    BATTERY,
    Converter("heating", (3.0, 3.0, 3.0), (4.0,) * 3),
    OFFICE,
    Shiftable("pump", (1.0, 2.0), (True, True, False)),
)


def row(table: str, name: str, *values: float) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, **{table: {**getattr(plan, table), name: values}})


def nudged(table: str, name: str, by: float) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        values = getattr(plan, table)[name]
        return replace(plan, **{table: {**getattr(plan, table), name: (values[0] + by, *values[1:])}})

    return change


def states(name: str, step: int, by: float) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        old = [list(state) for state in plan.states[name]]
        old[step][0] += by
        return replace(plan, states={**plan.states, name: tuple(map(tuple, old))})

    return change


@pytest.fixture
def asked(request_of: Any) -> Any:
    return request_of(*FLEXIBILITIES, prices=(0.3, 0.1, 0.4), limits=GridLimits(20.0, 20.0))


def test_a_good_plan_has_no_faults(asked: Any) -> None:
    assert faults(planner.plan(asked), FLEXIBILITIES, asked) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (states("battery", 2, 0.1), "battery, step 1: state 0 is"),
        (states("battery", 0, 0.5), "battery: starts at"),
        (nudged("power_kw", "battery", 0.01), "resources draw"),
        (nudged("power_kw", "base", 0.5), "base, step 0: 5.5000 kW instead of 5.0000"),
        (nudged("power_kw", "roof", -0.5), "roof, step 0: -1.5000 kW is outside"),
        (nudged("power_kw", "heating", 9.0), "heating, step 0"),
        (nudged("thermal_kw", "office", 1.0), "heating, step 0: delivers"),
        (nudged("power_kw", "pump", 1.0), "pump"),
        (row("power_kw", "pump", 0.0, 0.0, 1.0), "pump: starts at step 2, where it may not"),
        (row("power_kw", "pump", 0.0, 0.0, 0.0), "pump: must run and does not"),
        (row("power_kw", "battery", float("nan"), 0.0, 0.0), "battery: expected 3 finite values"),
        (row("power_kw", "battery", 0.0, 0.0), "battery: expected 3 finite values"),
        (lambda plan: replace(plan, grid_kw=(1.0, *plan.grid_kw[1:])), "the grid gives 1.0000 kW"),
        (lambda plan: replace(plan, cost=replace(plan.cost, energy_import=0.0)), "cost of import: 0.0000 EUR stated"),
        (lambda plan: replace(plan, cost=replace(plan.cost, wear=9.0)), "cost of wear: 9.0000 EUR stated"),
        (
            lambda plan: replace(plan, power_kw={k: v for k, v in plan.power_kw.items() if k != "roof"}),
            "roof: expected",
        ),
    ],
)
def test_a_planted_error_is_found(asked: Any, planted: Callable[[Plan], Plan], found: str) -> None:
    wrong = faults(planted(planner.plan(asked)), FLEXIBILITIES, asked)
    assert any(found in line for line in wrong), wrong


def test_a_soft_bound_may_be_left_only_by_name(request_of: Any) -> None:
    cold = replace(OFFICE, max_charge_kw=(1.0,) * 3)
    flexibilities = (Converter("heating", (3.0,) * 3, (4.0,) * 3), cold)
    asked = request_of(*flexibilities, prices=(0.1,) * 3)
    plan = planner.plan(asked)
    assert [r.what for r in plan.relaxed] == ["comfort in office: too cold"]
    silent = faults(replace(plan, relaxed=()), flexibilities, asked)
    assert len(silent) == 3
    assert all("leaves its bounds and the plan is silent" in line for line in silent)


def test_a_broken_grid_limit_must_be_named(request_of: Any) -> None:
    asked = request_of(Fixed("base", (9.0,)), prices=(0.1,), limits=GridLimits(6.0, 6.0))
    plan = planner.plan(asked)
    assert faults(plan, asked.resources[0].flexibilities, asked) == []
    silent = faults(replace(plan, relaxed=()), asked.resources[0].flexibilities, asked)
    assert silent == ["step 0: 9.000 kW at the grid breaks a limit that the plan does not name"]


def test_a_hard_bound_may_not_be_left_even_by_name(asked: Any, request_of: Any) -> None:
    """Four hours' discharge out of two kilowatt-hours, states and sums made to fit."""
    store = replace(
        BATTERY, drift=((0.0,),), lower=((0.0,),), upper=((4.0,),), max_charge_kw=(3.0,), max_discharge_kw=(3.0,)
    )
    one = request_of(Fixed("base", (5.0,)), store, prices=(0.3,))
    plan = planner.plan(one)
    emptied = replace(
        plan,
        power_kw={**plan.power_kw, "battery": (-2.7,)},
        states={"battery": ((2.0,), (-1.0,))},
        grid_kw=(2.3,),
        cost=replace(plan.cost, energy_import=0.69, wear=0.054),
    )
    wrong = faults(emptied, one.resources[0].flexibilities, one)
    assert any("breaks a hard bound" in line for line in wrong), wrong


def test_a_plan_that_fails_its_check_is_never_returned(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = planning.read_plan
    monkeypatch.setattr(planning, "read_plan", lambda *args: states("battery", 2, 1.0)(honest(*args)))
    with pytest.raises(PlanError, match="did not stand up to its check: battery, step 1"):
        planner.plan(asked)
