"""Sites of any devices for tests of the simulated plant: profiles and resources as data, nothing on any wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from energyctl.config import Site, load_site
from energyctl.core.driver import Device
from energyctl.core.profile import Profile
from hil.outside import Outside

TOWN_HALL = Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml"
DAY = datetime(2026, 1, 14, tzinfo=ZoneInfo("Europe/Athens")).astimezone(UTC)
CALM = Outside.model_validate({"load_flicker": 0, "cloud_flicker": 0})
RW = {"access": "rw"}
METER = {
    "power": {"unit": "W"},
    "power_l1": {"unit": "W"},
    "current_l1": {"unit": "A"},
    "energy_import": {"unit": "Wh"},
}


@dataclass
class Course:
    """What a world has to know of a scenario."""

    seed: int = 1
    plant: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outside: Outside = CALM
    begin: datetime = DAY

    def start(self, timezone: str) -> datetime:
        return self.begin


def profile(kind: str, points: Mapping[str, Any], name: str = "acme/thing@1", **more: Any) -> Profile:
    """A profile that nobody ships."""
    data = {"profile": name, "vendor": "Acme", "model": "X", "kind": kind, "protocol": "modbus", "points": points}
    return Profile.model_validate(data | more)


def site(
    devices: Mapping[str, Profile], *resources: Any, meter: str = "meter.power", limit_kw: float = 60.0, **fields: Any
) -> Site:
    """The town hall's tariff and place with other devices and resources; the grid meter is there unless given."""
    known = {"meter": profile("meter", METER, "acme/meter@1")} | dict(devices)
    plain = load_site(TOWN_HALL)
    found = {name: Device(name, made) for name, made in known.items()}
    limits = replace(plain.limits, import_kw=limit_kw)
    return replace(plain, devices=found, resources=tuple(resources), meter=meter, limits=limits, **fields)
