"""All kinds together: what they bind, that they are cheap to import, that mistakes are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from energyctl.core.resources import Resource, Tracks
from energyctl.resources.base_load import BaseLoad
from energyctl.resources.battery import Battery
from energyctl.resources.deferrable import Deferrable
from energyctl.resources.ev import Ev
from energyctl.resources.zone import Zone

BATTERY = {"id": "b", "power": "b.p", "soc": "b.s", "setpoint": "b.w", "capacity": "60 kWh"} | {
    "max_charge": "30 kW",
    "max_discharge": "30 kW",
}
CAR = {"id": "car", "power": "c.p", "limit": "c.l", "connected": "c.c", "charged": "c.e", "wants": "40 kWh"}
AIRING = {"id": "a", "power": "a.p", "switch": "a.s", "draws": "6 kW", "runs": "90 min", "between": "02:00-07:30"}
OFFICE = {"id": "z", "fed_by": "hp", "temp": "z.t", "setpoint": "z.s", "comfort": "office", "area": "700 m2"}


def test_the_example_site_binds_what_it_writes(bench: Any) -> None:
    writes = {
        (binding.point, binding.unit)
        for resource in bench.resources.values()
        for binding in resource.bindings()
        if binding.writes
    }
    assert writes == {
        ("inverter.power_limit", "1"),
        ("storage.power_setpoint", "kW"),
        ("heatpump.zone1_setpoint", "°C"),
        ("heatpump.zone2_setpoint", "°C"),
        ("charger.current_limit", "A"),
        ("airhandler.flush", ""),
    }


def test_a_binding_is_named_like_the_field_that_holds_it(bench: Any) -> None:
    for resource in bench.resources.values():
        for binding in resource.bindings():
            assert getattr(resource, binding.field) == binding.point


def test_what_moves_at_once_says_so(bench: Any) -> None:
    assert {name for name, resource in bench.resources.items() if isinstance(resource, Tracks)} == {
        "roof",
        "battery",
        "car",
    }


def test_the_daemon_can_load_all_kinds_without_numpy() -> None:
    names = ["base_load", "battery", "deferrable", "ev", "heat_pump", "pv", "zone"]
    code = ";".join(f"import energyctl.resources.{name}" for name in names)
    check = f"import sys;{code};sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_they_are_resources(bench: Any) -> None:
    resources: list[Resource] = list(bench.resources.values())
    assert [resource.power for resource in resources] == [
        None,
        "inverter.power",
        "storage.power",
        "heatpump.power",
        None,
        None,
        "charger.power",
        "airhandler.power",
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (Battery, BATTERY | {"capacity": 60}, "a number without a unit; write '60 kWh'"),
        (Battery, BATTERY | {"capacity": "60 kW"}, "unit 'kW' does not fit here"),
        (Battery, BATTERY | {"efficiency": "920 %"}, "efficiency must lie between 30 % and 100 %"),
        (Battery, BATTERY | {"reserve": "100 %"}, "reserve must be at least 0 % and less than 100 %"),
        (Battery, BATTERY | {"capasity": "60 kWh"}, "Extra inputs are not permitted"),
        (Ev, CAR | {"ready_by": "7.30"}, "'7.30' is not a time of day"),
        (Ev, CAR | {"min_current": "20 A", "max_current": "16 A"}, "min_current must be above 0 A and not above"),
        (Ev, CAR | {"phases": 4}, "Input should be 1, 2 or 3"),
        (Deferrable, AIRING | {"between": "02:00"}, "'02:00' is not a span of hours"),
        (Deferrable, AIRING | {"between": "02:00-03:00"}, "runs for 90 min, but its hours 02:00-03:00 have only 60"),
        (Zone, OFFICE | {"area": "-5 m2"}, "area must be positive"),
        (BaseLoad, {"id": "base", "prior": "no/such.csv"}, "no/such.csv: cannot be read"),
    ],
)
def test_a_mistake_is_named(kind: type[BaseModel], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("(", r"\(")):
        kind.model_validate(fields)


def test_a_zone_takes_outdoor_and_mode_from_its_heat_pump() -> None:
    plant = {"kind": "heat-pump", "power": "hp.p", "outdoor": "hp.out", "mode": "hp.mode", "max_power": "20 kW"}
    zone = Zone.model_validate(OFFICE, context={"resources": {"hp": plant}})
    assert (zone.outdoor, zone.mode) == ("hp.out", "hp.mode")
    own = Zone.model_validate(OFFICE | {"outdoor": "roof.temp"}, context={"resources": {"hp": plant}})
    assert (own.outdoor, own.mode) == ("roof.temp", "hp.mode")
    alone = Zone.model_validate(OFFICE)
    assert (alone.outdoor, alone.mode) == (None, None)


def test_the_prior_is_read_with_its_gaps(tmp_path: Path) -> None:
    rows = ("2018-01-01T00:00Z,6.2", "2018-01-01T01:00Z,", "2018-01-01T03:00Z,5.5")
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n" + "\n".join(rows) + "\n")
    base = BaseLoad.model_validate({"id": "base", "prior": "load.csv"}, context={"base_dir": tmp_path})
    (need,) = base.needs()
    assert need.prior is not None
    assert (need.point, need.kind, need.prior.step_s) == ("site.base_load", "load", 3600)
    assert need.prior.values == (6.2, None, None, 5.5)


def test_a_wrong_row_of_the_prior_is_named(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n2018-01-01T00:00Z,6.2\nyesterday,5\n")
    with pytest.raises(ValidationError, match=r"load\.csv, line 3: expected e\.g\."):
        BaseLoad.model_validate({"id": "base", "prior": "load.csv"}, context={"base_dir": tmp_path})
