"""How far a point is moved to try it: a little, within limits, and so that it shows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.control.gate import PointLimits
from energyctl.control.nudge import nudge
from energyctl.core.points import ProcessImage, Sample

NOW = datetime(2026, 6, 10, 10, tzinfo=UTC)
SITE = load_site(Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml")


def moved(point, limits=None, **values):
    """The nudge of an output while points show these values."""
    resource, binding = next((r, b) for r in SITE.resources for b in r.bindings() if b.point == point)
    samples = {name.replace("__", "."): value for name, value in values.items()}
    image = ProcessImage(NOW, 1, {name: Sample(name, NOW, value) for name, value in samples.items()})
    return nudge(resource, binding, SITE.points[point], limits or PointLimits(), image)


BATTERY = "storage.power_setpoint"


@pytest.mark.parametrize(
    ("power", "soc", "value", "change"),
    [
        (0.0, 0.5, 3.0, 3.0),  # a twentieth of 60 kW, and charging is the harmless way
        (-5.0, 0.5, -2.0, 3.0),  # from what it does now
        (29.0, 0.5, 26.0, -3.0),  # no room above
        (0.0, 1.0, -1.5, -1.5),  # full: 30 kW of room, all of it below
        (0.0, 0.05, 1.5, 1.5),  # empty: all of it above
    ],
)
def test_a_battery_moves_by_a_twentieth_of_its_room(power, soc, value, change):
    found = moved(BATTERY, storage__power=power, storage__soc=soc)
    assert (found.value, found.change_kw, found.exact) == (pytest.approx(value), pytest.approx(change), True)


def test_a_battery_of_unknown_charge_moves_its_number_only_within_limits():
    assert moved(BATTERY, storage__power=0.0) == "what is there now is not known"
    found = moved(BATTERY, PointLimits(-10.0, 10.0), storage__power_setpoint=9.9)
    assert found.value == pytest.approx(8.9) and found.change_kw is None


def test_a_roof_is_cut_by_a_little_of_what_it_gives():
    found = moved("inverter.power_limit", inverter__power=-20.0, inverter__power_limit=1.0)
    assert found.value == pytest.approx(19 / 40) and found.change_kw == pytest.approx(1.0) and not found.exact


def test_a_roof_that_gives_little_shows_nothing():
    found = moved("inverter.power_limit", inverter__power=-0.4, inverter__power_limit=1.0)
    assert found.value == pytest.approx(0.95) and found.change_kw is None and "too little flows" in found.text


def test_a_car_is_slowed_down_and_without_one_only_the_number_moves():
    values = {"charger__power": 20.0, "charger__connected": 1.0, "charger__session_energy": 3.0}
    found = moved("charger.current_limit", **values)
    assert found.change_kw == pytest.approx(-0.05 * 22.08, abs=0.03) and 6 <= found.value < 32
    found = moved("charger.current_limit", charger__connected=0.0, charger__power=0.0, charger__current_limit=32.0)
    assert found.value == pytest.approx(30.4) and found.change_kw is None


@pytest.mark.parametrize(("now", "value", "sign"), [(0.0, 1.0, 1), (1.0, 0.0, -1)])
def test_a_switch_goes_to_its_other_position(now, value, sign):
    found = moved("airhandler.flush", airhandler__flush=now)
    assert found.value == value and found.change_kw * sign > 0 and not found.exact


def test_a_temperature_moves_by_no_more_than_a_step():
    found = moved("heatpump.zone1_setpoint", PointLimits(15.0, 30.0, max_step=0.5), heatpump__zone1_setpoint=29.8)
    assert found.value == pytest.approx(29.3) and found.text == "it moves no power within seconds"
