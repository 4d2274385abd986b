"""The expected saving, against figures worked out by hand."""

from datetime import UTC, datetime

import pytest

from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance
from energyctl.core.timeline import Horizon
from energyctl.planning.saving import saving

START = datetime(2026, 1, 14, tzinfo=UTC)


def plan(power_kw, grid_kw, buy, sell, wear=0.0):
    return Plan(
        issued_at=START,
        horizon=Horizon(START, 3600, len(grid_kw)),
        status=PlanStatus.OPTIMAL,
        power_kw=power_kw,
        thermal_kw={},
        states={},
        grid_kw=tuple(grid_kw),
        import_price=tuple(buy),
        export_price=tuple(sell),
        cost=CostSplit(wear=wear),
        provenance=Provenance("by hand"),
    )


def test_moving_a_car_to_the_cheap_hour():
    # 10 kWh at 0.10 instead of 5 at 0.10 and 5 at 0.30; the base of 2 kW costs the same either way
    found = saving(plan({"car": (10.0, 0.0)}, (12.0, 2.0), (0.1, 0.3), (0.0, 0.0)), ["car"])
    assert (found.planned_eur, found.even_eur) == (pytest.approx(1.8), pytest.approx(2.8))
    assert found.eur == pytest.approx(1.0) and found.hours == 2


def test_a_battery_is_worth_the_spread_less_losses_and_wear():
    # takes 5 at 0.10, gives 4 at 0.40: evenly that is 0.5 kW of losses in each hour
    found = saving(plan({"battery": (5.0, -4.0)}, (11.0, 2.0), (0.1, 0.4), (0.0, 0.0), wear=0.2), ["battery"])
    assert found.even_eur == pytest.approx(6.5 * 0.1 + 6.5 * 0.4)
    assert found.eur == pytest.approx(3.25 - 1.9 - 0.2)


def test_emptying_a_store_saves_nothing_by_itself():
    found = saving(plan({"battery": (-4.0, -4.0)}, (2.0, 2.0), (0.2, 0.2), (0.0, 0.0)), ["battery"])
    assert found.eur == 0.0


def test_what_only_gives_and_what_is_not_asked_about_stay_as_planned():
    both = plan({"roof": (-8.0, 0.0), "car": (10.0, 0.0)}, (4.0, 2.0), (0.1, 0.3), (0.0, 0.0), wear=0.5)
    assert saving(both, ["roof"]).eur == 0.0
    assert saving(both, []).eur == 0.0


def test_surplus_is_sold_at_its_own_price():
    # the car takes 6 in the hour of surplus: 4 of 10 are sold; evenly 7 are sold and 3 bought
    found = saving(plan({"car": (6.0, 0.0)}, (-4.0, 0.0), (0.3, 0.3), (0.05, 0.05)), ["car"])
    assert found.planned_eur == pytest.approx(-0.2)
    assert found.even_eur == pytest.approx(-0.35 + 0.9)
