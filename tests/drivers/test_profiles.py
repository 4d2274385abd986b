"""Every profile that is shipped: it is a Profile, its protocol's driver accepts it, and the town hall's have the agreed points."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.core.driver import Device, DriverFactory, Link, Scalar
from energyctl.core.points import Access, Write
from energyctl.core.profile import Profile

FOLDER = Path(__file__).parents[2] / "drivers" / "profiles"
FILES = sorted(FOLDER.glob("*.yaml"))
LINKS: dict[str, dict[str, Scalar]] = {
    "modbus": {"transport": "tcp", "host": "127.0.0.1"},
    "bacnet": {"transport": "ip", "host": "127.0.0.1"},
    "opcua": {"transport": "tcp", "url": "opc.tcp://127.0.0.1:4840"},
}
DEVICES: dict[str, dict[str, Scalar]] = {"modbus": {"unit": 1}, "bacnet": {"device": 1100}, "opcua": {}}
RW = "rw"
POINTS = {
    "eastron/sdm630@1": {
        "power": "kW",
        "voltage_l1_n": "V",
        "voltage_l2_n": "V",
        "voltage_l3_n": "V",
        "current_l1": "A",
        "current_l2": "A",
        "current_l3": "A",
        "power_l1": "kW",
        "power_l2": "kW",
        "power_l3": "kW",
        "frequency": "Hz",
        "energy_import": "kWh",
        "energy_export": "kWh",
        "power_factor": "1",
    },
    "sunspec/pv-inverter@1": {
        "power": "kW",
        "energy": "kWh",
        "rated_power": "kW",
        "state": "",
        "power_limit": "1 rw",
        "power_limit_enable": " rw",
        "power_limit_timeout": "s rw",
    },
    "sunspec/battery@1": {
        "power": "kW",
        "soc": "1",
        "capacity": "kWh",
        "power_setpoint": "kW rw",
        "setpoint_enable": " rw",
        "setpoint_mode": " rw",
        "setpoint_timeout": "s rw",
    },
    "generic/boiler@1": {
        "power": "kW",
        "supply_temp": "°C",
        "return_temp": "°C",
        "fuel_power": "kW",
        "supply_setpoint": "°C rw",
        "enable": " rw",
    },
    "generic/hot-water-tank@1": {"top_temp": "°C", "bottom_temp": "°C", "power": "kW", "setpoint": "°C rw"},
    "generic/pool@1": {
        "power": "kW",
        "water_temp": "°C",
        "air_temp": "°C",
        "cover": "",
        "setpoint": "°C rw",
        "pump": " rw",
    },
    "generic/pump-station@1": {
        "power": "kW",
        "level": "1",
        "inflow": "m3/h",
        "outflow": "m3/h",
        "pumps_running": "",
        "pumps_wanted": " rw",
    },
}


def load(path: Path) -> Profile:
    return Profile.model_validate(YAML(typ="safe").load(path))


def by_name(name: str) -> Profile:
    return next(profile for profile in map(load, FILES) if profile.profile == name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_driver_accepts_it(path: Path) -> None:
    profile = load(path)
    factory: DriverFactory = import_module(f"drivers.{profile.protocol}").factory
    link = Link("l", profile.protocol, LINKS[profile.protocol])
    assert list(factory.check(link, [Device("d", profile, DEVICES[profile.protocol])])) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_file_is_named_after_it(path: Path) -> None:
    assert path.stem == load(path).profile.partition("@")[0].replace("/", "_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_watchdog_names_a_point_that_a_command_sets(path: Path) -> None:
    profile = load(path)
    if profile.watchdog.kind == "reversion":
        assert profile.watchdog.point is not None
        leased = {step.set for spec in profile.points.values() for step in spec.command if step.to == "lease"}
        assert leased == {profile.watchdog.point}
        assert profile.points[profile.watchdog.point].unit == "s"


@pytest.mark.parametrize("name", POINTS)
def test_the_agreed_points_are_there(name: str) -> None:
    points = by_name(name).points_of("d").values()
    shown = {p.name: p.unit + (" rw" if p.access is Access.READ_WRITE else "") for p in points}
    assert shown == POINTS[name]


@pytest.mark.parametrize(
    ("name", "point", "value", "steps"),
    [
        (
            "sunspec/pv-inverter@1",
            "power_limit",
            0.4,
            [("power_limit_timeout", 60.0), ("power_limit", 0.4), ("power_limit_enable", 1.0)],
        ),
        (
            "sunspec/battery@1",
            "power_setpoint",
            -12.5,
            [("setpoint_timeout", 60.0), ("setpoint_mode", 1.0), ("power_setpoint", -12.5), ("setpoint_enable", 1.0)],
        ),
    ],
)
def test_a_setpoint_becomes_these_steps(name: str, point: str, value: float, steps: list[tuple[str, float]]) -> None:
    command = by_name(name).command("d", point, value, 60.0)
    assert command.steps == tuple(Write(f"d.{step}", number) for step, number in steps)


def test_only_the_meters_power_is_polled_fast() -> None:
    points = by_name("eastron/sdm630@1").points
    assert [name for name, spec in points.items() if spec.poll == "fast"] == ["power"]
