"""Each archetype in a case that can be worked out by hand, planned and checked end to end; energy balances in all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import GridLimits
from optimizer.planner import planner

NO_BOUND = float("inf")


def battery(steps: int, **changes: Any) -> Storage:
    """4 kWh, 10 kW both ways, empty at the start, without losses unless changed."""
    return replace(
        Storage(
            id="battery",
            port=AC,
            unit="kWh",
            transition=((1.0,),),
            charge_gain=(1.0,),
            discharge_gain=(-1.0,),
            drift=((0.0,),) * steps,
            initial=(0.0,),
            lower=((0.0,),) * steps,
            upper=((4.0,),) * steps,
            slack_price=(HARD,),
            max_charge_kw=(10.0,) * steps,
            max_discharge_kw=(10.0,) * steps,
            label="charge of battery",
        ),
        **changes,
    )


def zone(steps: int, **changes: Any) -> Storage:
    """Keeps nine tenths of its temperature an hour (0 °C outside); 1 kW of heat adds half a kelvin; at least 20 °C."""
    return replace(
        Storage(
            id="office",
            port="heating",
            unit="°C",
            transition=((0.9,),),
            charge_gain=(0.5,),
            discharge_gain=(0.0,),
            drift=((0.0,),) * steps,
            initial=(20.0,),
            lower=((20.0,),) * steps,
            upper=((NO_BOUND,),) * steps,
            slack_price=(5.0,),
            max_charge_kw=(50.0,) * steps,
            max_discharge_kw=(0.0,) * steps,
            label="comfort in office",
        ),
        **changes,
    )


def balanced(plan: Plan) -> bool:
    sums = [sum(row[step] for row in plan.power_kw.values()) for step in range(plan.horizon.steps)]
    return sums == pytest.approx(list(plan.grid_kw), abs=1e-6)


def test_a_fixed_load_is_bought(request_of: Any) -> None:
    plan = planner.plan(request_of(Fixed("base", (10.0, 5.0)), prices=(0.1, 0.2)))
    assert plan.grid_kw == (10.0, 5.0)
    assert plan.cost.total == pytest.approx(10 * 0.1 + 5 * 0.2)
    assert plan.marginal_price == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize(
    ("export", "can_curtail", "pv", "cost"),
    [
        (0.05, True, -20.0, -15 * 0.05),  # 15 kWh surplus are sold
        (-0.05, True, -5.0, 0.0),  # selling would cost, so the roof is cut to the load
        (-0.05, False, -20.0, 15 * 0.05),  # ... and where it cannot be cut, one pays
    ],
)
def test_a_roof_is_cut_only_when_surplus_costs(
    request_of: Any, export: float, can_curtail: bool, pv: float, cost: float
) -> None:
    roof = Curtailable("roof", (20.0,), can_curtail=can_curtail)
    plan = planner.plan(request_of(Fixed("base", (5.0,)), roof, prices=(0.1,), export=export))
    assert plan.power_kw["roof"][0] == pytest.approx(pv)
    assert plan.cost.total == pytest.approx(cost)
    assert balanced(plan)


@pytest.mark.parametrize(
    ("eta", "bought", "cost"),
    [
        (1.0, 4.0, 0.4),  # 2 kWh for now and 2 to keep, at 0.10
        (0.9, 2 + 2 / 0.81, 0.1 * (2 + 2 / 0.81)),  # there and back 0.81
    ],
)
def test_a_battery_buys_early_what_is_dear_later(request_of: Any, eta: float, bought: float, cost: float) -> None:
    store = battery(2, charge_gain=(eta,), discharge_gain=(-1 / eta,))
    plan = planner.plan(request_of(Fixed("base", (2.0, 2.0)), store, prices=(0.1, 0.5)))
    assert plan.grid_kw == pytest.approx((bought, 0.0), abs=1e-6)
    assert plan.cost.total == pytest.approx(cost)
    assert plan.states["battery"][1][0] == pytest.approx(2 / eta)
    assert balanced(plan)


def test_wear_keeps_a_battery_still_when_the_gain_is_smaller(request_of: Any) -> None:
    # 0.05 EUR/kWh between the prices, 0.06 for in and out
    store = battery(2, charge_price=0.03, discharge_price=0.03)
    plan = planner.plan(request_of(Fixed("base", (2.0, 2.0)), store, prices=(0.10, 0.15)))
    assert plan.power_kw["battery"] == (0.0, 0.0)


def test_what_is_left_in_store_is_worth_its_terminal_value(request_of: Any) -> None:
    plan = planner.plan(request_of(battery(2, terminal_value=(0.3,)), prices=(0.2, 0.1)))
    assert plan.states["battery"] == ((0.0,), (0.0,), (4.0,))
    assert (plan.cost.energy_import, plan.cost.terminal) == pytest.approx((0.4, -1.2))


@pytest.mark.parametrize(("soc_kwh", "power"), [(-0.12, "charge"), (4.16, "discharge")])
def test_a_battery_measured_outside_its_bounds_still_has_a_plan(request_of: Any, soc_kwh: float, power: str) -> None:
    """-3 % and 104 % of 4 kWh; dear power, so that only the way back inside makes it move."""
    plan = planner.plan(request_of(battery(3, initial=(soc_kwh,)), prices=(0.04,) * 3, export=0.0))
    assert 0 <= plan.states["battery"][1][0] <= 4
    assert (plan.power_kw["battery"][0] > 0) == (power == "charge")


def test_a_bound_no_power_could_keep_is_named(request_of: Any) -> None:
    """2 kWh over and only 1 kW to get rid of it."""
    store = battery(2, initial=(6.0,), max_discharge_kw=(1.0, 1.0))
    plan = planner.plan(request_of(store, prices=(0.1, 0.1)))
    assert [r.what for r in plan.relaxed] == ["charge of battery: too high"]
    assert plan.relaxed[0].worst == pytest.approx(1.0)


def test_power_between_nothing_and_the_floor_does_not_happen(request_of: Any) -> None:
    """3 kWh wanted, but the charger gives 4 kW or nothing: 4 kWh in the cheap hour, not 3."""
    car = battery(
        2,
        id="car",
        lower=((-NO_BOUND,), (3.0,)),
        upper=((NO_BOUND,),) * 2,
        slack_price=(2.0,),
        max_discharge_kw=(0.0,) * 2,
        min_charge_kw=4.0,
    )
    plan = planner.plan(request_of(car, prices=(0.1, 0.2)))
    assert plan.power_kw["car"] == pytest.approx((4.0, 0.0))


def test_a_car_that_cannot_be_ready_is_named(request_of: Any) -> None:
    """2 h at 10 kW make 20 of the 25 kWh; 5 are short at 2 EUR each."""
    car = battery(
        2,
        id="car",
        lower=((-NO_BOUND,), (25.0,)),
        upper=((25.0,),) * 2,
        slack_price=(2.0,),
        max_discharge_kw=(0.0,) * 2,
        label="charge of car by 07:30",
    )
    plan = planner.plan(request_of(car, prices=(0.1, 0.1)))
    (short,) = plan.relaxed
    assert short.what == "charge of car by 07:30: too low"
    assert (short.first_step, short.last_step, short.worst, short.unit) == (1, 1, pytest.approx(5.0), "kWh")
    assert short.cost_eur == pytest.approx(10.0) == pytest.approx(plan.cost.slack)


def test_a_zone_takes_the_heat_that_it_loses(request_of: Any) -> None:
    """18 + 0.5 q = 20, so q = 4 kW, and at a COP of 3 and 2 it takes 4/3 and 2 kW."""
    plan = planner.plan(request_of(Converter("heating", (3.0, 2.0), (9.0, 9.0)), zone(2), prices=(0.2, 0.1)))
    assert plan.thermal_kw["office"] == pytest.approx((4.0, 4.0))
    assert plan.power_kw["heating"] == pytest.approx((4 / 3, 2.0))
    assert plan.states["office"] == ((20.0,), pytest.approx((20.0,)), pytest.approx((20.0,)))
    assert balanced(plan)


def test_a_zone_is_warmed_ahead_when_that_is_cheaper(request_of: Any) -> None:
    """A kWh of warmth an hour early costs 0.1/0.9 instead of 0.5: 8.44 kW now let it fall to 20 without heat."""
    plan = planner.plan(request_of(Converter("heating", (1.0,) * 2, (50.0,) * 2), zone(2), prices=(0.1, 0.5)))
    assert plan.thermal_kw["office"] == pytest.approx(((20 / 0.9 - 18) / 0.5, 0.0), abs=1e-6)


def test_cooling_is_a_negative_gain(request_of: Any) -> None:
    """28 °C decays to 25.2, and 22 at most: 6.4 kW of cold, at an EER of 4 it takes 1.6 kW."""
    hot = zone(1, charge_gain=(-0.5,), initial=(28.0,), lower=((-NO_BOUND,),), upper=((22.0,),))
    plan = planner.plan(request_of(Converter("heating", (4.0,), (9.0,)), hot, prices=(0.2,)))
    assert plan.thermal_kw["office"] == pytest.approx((6.4,))
    assert plan.power_kw["heating"] == pytest.approx((1.6,))


def test_two_zones_share_a_heat_pump(request_of: Any) -> None:
    """Both need 4 kW of heat, the pump gives 6: what is missing is named, and 1 K for the cheaper zone."""
    cheap = zone(1, id="hall", slack_price=(1.0,), label="comfort in hall")
    plan = planner.plan(request_of(Converter("heating", (3.0,), (2.0,)), zone(1), cheap, prices=(0.2,)))
    assert (plan.thermal_kw["office"][0], plan.thermal_kw["hall"][0]) == pytest.approx((4.0, 2.0))
    assert [(r.what, pytest.approx(r.worst)) for r in plan.relaxed] == [("comfort in hall: too cold", 1.0)]


def test_two_states_follow_their_matrix(request_of: Any) -> None:
    """Air and mass, 2 kW of heat into the air alone: air 0.5*20+0.4*18+0.5*2 = 18.2, mass 0.1*20+0.9*18 = 18.2."""
    two = zone(
        1,
        transition=((0.5, 0.4), (0.1, 0.9)),
        charge_gain=(0.5, 0.0),
        discharge_gain=(0.0, 0.0),
        drift=((0.0, 0.0),),
        initial=(20.0, 18.0),
        lower=((18.2, -NO_BOUND),),
        upper=((NO_BOUND, NO_BOUND),),
        slack_price=(5.0, 0.0),
    )
    plan = planner.plan(request_of(Converter("heating", (1.0,), (9.0,)), two, prices=(0.2,)))
    assert plan.thermal_kw["office"] == pytest.approx((2.0,))
    assert plan.states["office"][1] == pytest.approx((18.2, 18.2))


@pytest.mark.parametrize(
    ("skip_price", "row", "cost"),
    [
        (HARD, (0.0, 3.0, 3.0, 0.0), 0.6),  # two hours at 0.10 are the cheapest
        (0.5, (0.0, 0.0, 0.0, 0.0), 0.5),  # not running is cheaper still
    ],
)
def test_a_run_starts_when_it_is_cheapest(
    request_of: Any, skip_price: float, row: tuple[float, ...], cost: float
) -> None:
    run = Shiftable("pump", (3.0, 3.0), (True, True, True, False), skip_price)
    plan = planner.plan(request_of(run, prices=(0.3, 0.1, 0.1, 0.2)))
    assert plan.power_kw["pump"] == row
    assert plan.cost.total == pytest.approx(cost)
    assert [r.what for r in plan.relaxed] == ([] if skip_price == HARD else ["pump: not run"])


def test_a_run_is_whole_though_the_limit_would_like_it_in_halves(request_of: Any) -> None:
    """The relaxation spreads the run over both hours, 2 kW each; whole, it costs 2 kW over the limit of 3 somewhere."""
    run = Shiftable("pump", (4.0,), (True, True))
    plan = planner.plan(
        request_of(Fixed("base", (1.0, 1.0)), run, prices=(0.1, 0.1), limits=GridLimits(3 / 0.95, 3 / 0.95))
    )
    assert sorted(plan.power_kw["pump"]) == [0.0, 4.0]
    assert plan.cost.slack == pytest.approx(2 * 10.0)


def test_a_run_without_a_possible_start_is_no_plan(request_of: Any) -> None:
    with pytest.raises(PlanError, match="pump: must run, but there is no step"):
        planner.plan(request_of(Shiftable("pump", (3.0,), (False, False)), prices=(0.1, 0.1)))


def test_only_what_exceeds_the_months_peak_is_charged(request_of: Any) -> None:
    """10 kW for an hour at 5 EUR/kW above 7 kW: 3 kWh from the battery save 15 EUR; the fourth would only wear it."""
    store = battery(2, initial=(4.0,), discharge_price=0.2)
    load = Fixed("base", (10.0, 0.0))
    plan = planner.plan(request_of(load, store, prices=(0.1, 0.1), demand_price=5.0, peak_so_far_kw=7.0))
    assert max(plan.grid_kw) == pytest.approx(7.0)
    assert plan.cost.demand == pytest.approx(0.0, abs=1e-6)
    without = planner.plan(request_of(load, prices=(0.1, 0.1), demand_price=5.0, peak_so_far_kw=7.0))
    assert without.cost.demand == pytest.approx(15.0)


def test_co2_has_its_weight(request_of: Any) -> None:
    """0.10 + 0.08 * 1.0 = 0.18 against 0.11 + 0.08 * 0.1 = 0.118."""
    run = Shiftable("pump", (1.0,), (True, True))
    dirty_first = {"prices": (0.10, 0.11), "carbon": (1.0, 0.1)}
    assert planner.plan(request_of(run, **dirty_first)).power_kw["pump"] == (1.0, 0.0)
    weighed = planner.plan(request_of(run, **dirty_first, co2_price=0.08))
    assert weighed.power_kw["pump"] == (0.0, 1.0)
    assert (weighed.cost.co2_kg, weighed.cost.co2_eur) == pytest.approx((0.1, 0.008))


def test_an_import_limit_below_the_load_is_named(request_of: Any) -> None:
    plan = planner.plan(request_of(Fixed("base", (10.0, 4.0)), prices=(0.1, 0.1), limits=GridLimits(6.0, 6.0)))
    (over,) = plan.relaxed
    assert (over.what, over.first_step, over.last_step) == ("import limit 6 kW", 0, 0)
    assert over.worst == pytest.approx(4.0)


def test_an_export_limit_cuts_the_roof_before_it_is_broken(request_of: Any) -> None:
    roof, stiff = Curtailable("roof", (20.0,)), Curtailable("roof", (20.0,), can_curtail=False)
    limits = GridLimits(10.0, 10.0)
    cut = planner.plan(request_of(roof, prices=(0.1,), export=0.05, limits=limits))
    assert cut.grid_kw == pytest.approx((-9.5,))  # the limit less its reserve of 5 %
    assert cut.relaxed == ()
    (over,) = planner.plan(request_of(stiff, prices=(0.1,), export=0.05, limits=limits)).relaxed
    assert (over.what, over.worst) == ("export limit 10 kW", pytest.approx(10.0))
