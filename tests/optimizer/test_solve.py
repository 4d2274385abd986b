"""Whole numbers only where they are needed, the same answer every time, and words when there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Curtailable, Fixed, Shiftable, Storage
from energyctl.core.plan import Plan, PlanStatus, Provenance
from energyctl.core.planner import Goals, GridLimits, SolverSettings
from optimizer import solve as solving
from optimizer.planner import planner
from optimizer.problem import assemble

FULL = Storage(
    id="battery",
    port=AC,
    unit="kWh",
    transition=((1.0,),),
    charge_gain=(0.9,),
    discharge_gain=(-1 / 0.9,),
    drift=((0.0,),) * 2,
    initial=(4.0,),
    lower=((0.0,),) * 2,
    upper=((4.0,),) * 2,
    slack_price=(HARD,),
    max_charge_kw=(10.0,) * 2,
    max_discharge_kw=(10.0,) * 2,
)


def bare(plan: Plan) -> Plan:
    """A plan without the times it took."""
    return replace(plan, provenance=Provenance("", termination=plan.provenance.termination, gap=plan.provenance.gap))


def test_grid_never_flows_both_ways(request_of: Any) -> None:
    """Importing is paid 0.10 and exporting 0.05 on top: the relaxation runs in circles, the plan imports the load alone."""
    asked = request_of(Fixed("base", (5.0, 5.0)), prices=(-0.1, 0.1), export=0.05)
    problem = assemble(asked.resources[0].flexibilities, asked)
    relaxed, _ = solving._relaxation(problem.arrays, asked.settings)
    assert relaxed is not None
    assert solving._Broken.of(problem, relaxed.x).pairs[0].tolist() == [0]
    plan = planner.plan(asked)
    assert plan.grid_kw == pytest.approx((5.0, 5.0))
    assert plan.cost.total == pytest.approx(-0.5 + 0.5)


def test_a_battery_does_not_burn_power_that_is_paid_for(request_of: Any) -> None:
    """At -1 EUR/kWh a full battery would charge and discharge at once; it may first give 3.6 kWh and take them back.

    Step 0 gives 3.6 (at the negative price that costs 3.6), step 1 takes 4/0.9 back; or neither. Whichever: one way a step.
    """
    asked = request_of(Fixed("base", (5.0, 5.0)), FULL, prices=(-1.0, -1.0), export=-1.0)
    plan = planner.plan(asked)
    level = 4.0
    for power, (state,) in zip(plan.power_kw["battery"], plan.states["battery"][1:], strict=True):
        level += 0.9 * power if power > 0 else power / 0.9
        assert state == pytest.approx(level)


def test_two_runs_of_one_request_give_one_plan(request_of: Any) -> None:
    flexibilities = (Fixed("base", (5.0,) * 4), Curtailable("roof", (3.0,) * 4), Shiftable("pump", (2.0,), (True,) * 4))
    asked = request_of(*flexibilities, prices=(0.1,) * 4, export=0.05)
    assert bare(planner.plan(asked)) == bare(planner.plan(asked))


def test_the_last_plan_is_kept_where_nothing_speaks_against_it(request_of: Any) -> None:
    """Discharging in either hour is worth the same; what the last plan said tips the scales, without it the later changes."""
    store = replace(FULL, charge_gain=(1.0,), discharge_gain=(-1.0,), drift=((0.0,),) * 2, max_charge_kw=(0.0,) * 2)
    asked = request_of(Fixed("base", (4.0, 4.0)), store, prices=(0.2, 0.2), goals=Goals(change_price=0.002))
    first = planner.plan(asked)
    for row in ((-4.0, 0.0), (0.0, -4.0), (-1.5, -2.5)):
        previous = replace(first, power_kw={**first.power_kw, "battery": row})
        assert planner.plan(replace(asked, previous=previous)).power_kw["battery"] == pytest.approx(row, abs=1e-6)


def test_a_last_plan_with_another_step_does_not_count(request_of: Any) -> None:
    asked = request_of(Fixed("base", (4.0, 4.0)), FULL, prices=(0.2, 0.3))
    first = planner.plan(asked)
    other = replace(first, horizon=replace(first.horizon, step_s=1800))
    assert planner.plan(replace(asked, previous=other)).grid_kw == first.grid_kw


def test_an_incumbent_beyond_the_gap_is_called_feasible(request_of: Any) -> None:
    """Two runs of 4 kW in hours with room for 3 each: the relaxation breaks the limit by 1 kW, whole runs by 1 kW each."""
    runs = [Shiftable(f"pump{i}", (4.0,), (True, True, True)) for i in range(2)]
    limits = GridLimits(3 / 0.95, 3.0)
    asked = request_of(*runs, prices=(0.1, 0.1, 0.1), limits=limits, settings=SolverSettings(node_limit=0))
    plan = planner.plan(asked)
    assert plan.status in (PlanStatus.FEASIBLE, PlanStatus.OPTIMAL)
    assert plan.cost.slack == pytest.approx(20.0)  # 1 kW over in two hours
    strict = planner.plan(replace(asked, settings=SolverSettings()))
    assert strict.cost.total == pytest.approx(20.8)


def test_contradictory_physics_says_what_may_not_give_way(request_of: Any) -> None:
    """A tank that must be at 10 kWh at the end and can take only 1 kW, hard."""
    tank = replace(
        FULL, id="tank", initial=(4.0,), lower=((0.0,), (3.0,)), drift=((-2.0,), (9.0,)), max_discharge_kw=(0.0, 0.0)
    )
    plan = planner.plan(request_of(tank, prices=(0.1, 0.1)))  # 4 - 2 + 9 = 11 > 4 whatever is done: physics, so allowed
    assert plan.states["tank"][2][0] >= 10.9
    empty = replace(FULL, id="tank", upper=((4.0,), (1.0,)), max_discharge_kw=(0.0, 0.0), lower=((0.0,), (2.0,)))
    with pytest.raises(PlanError, match="contradictory; what may not give way: tank"):
        planner.plan(request_of(empty, prices=(0.1, 0.1)))
