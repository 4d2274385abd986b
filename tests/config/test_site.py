"""The town hall as the rest of the program gets it, and secrets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.config import Site, load_site
from energyctl.core.errors import ConfigError
from energyctl.core.planner import Goals, GridLimits
from energyctl.core.timeline import Horizon

ROOT = Path(__file__).parents[2]
Spoil = Callable[..., Path]


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(ROOT / "sites" / "larissa" / "town-hall.yaml")


def test_head(site: Site) -> None:
    assert (site.id, site.name, site.currency) == ("larissa-town-hall", "Larissa town hall", "EUR")
    assert (site.mode, site.period_s, site.timezone) == ("control", 1.0, "Europe/Athens")
    assert (site.view.timezone, site.view.latitude, site.view.longitude) == ("Europe/Athens", 39.64, 22.42)
    assert site.path == ROOT / "sites" / "larissa" / "town-hall.yaml"


def test_links(site: Site) -> None:
    links = {link.id: link for link in site.links}
    assert {name: link.protocol for name, link in links.items()} == {
        "plant-room": "modbus",
        "bms": "bacnet",
        "building-server": "opcua",
    }
    assert links["plant-room"].options == {"transport": "tcp", "host": "127.0.0.1", "port": 15020, "timeout": 1.0}
    assert links["bms"].options == {"transport": "ip", "host": "127.0.0.1", "port": 47809, "priority": 10}
    assert links["building-server"].options == {"transport": "tcp", "url": "opc.tcp://127.0.0.1:48400"}


def test_devices_and_points(site: Site) -> None:
    assert set(site.devices) == {"meter", "inverter", "storage", "heatpump", "airhandler", "charger"}
    assert site.devices["storage"].options == {"unit": 3}
    assert site.devices["heatpump"].profile.profile == "generic/heat-pump-2zone@1"
    assert site.link_of == {
        "meter": "plant-room",
        "inverter": "plant-room",
        "storage": "plant-room",
        "heatpump": "bms",
        "airhandler": "building-server",
        "charger": "building-server",
    }
    assert site.meter == "meter.power"
    assert site.points["storage.soc"].unit == "1"
    assert set(site.points) == {point for device in site.devices.values() for point in device.points}


def test_resources(site: Site) -> None:
    kinds = {resource.id: resource.kind for resource in site.resources}
    assert kinds == {
        "base": "base-load",
        "roof": "pv",
        "battery": "battery",
        "heating": "heat-pump",
        "office": "zone",
        "hall": "zone",
        "car": "ev",
        "fresh-air": "deferrable",
    }
    battery = next(resource for resource in site.resources if resource.id == "battery")
    assert battery.capacity == 60.0  # type: ignore[attr-defined]
    assert battery.efficiency == pytest.approx(0.92)  # type: ignore[attr-defined]
    base = next(resource for resource in site.resources if resource.id == "base")
    assert len(base.prior.values) > 1000, "read from the file beside the site file"  # type: ignore[attr-defined]


def test_limits_safety_goals_planner(site: Site) -> None:
    assert site.limits == GridLimits(60.0, 30.0)
    assert site.goals == Goals(0.08, 0.002)
    assert (site.safety.bacnet_priority, site.safety.lease_s) == (10, 60.0)
    assert site.safety.accept_no_watchdog == ("heatpump", "airhandler")
    assert site.safety.point_limits == {
        "heatpump.zone1_setpoint": (15.0, 30.0),
        "heatpump.zone2_setpoint": (15.0, 31.0),
    }
    assert site.safety.point_intervals == {"airhandler.flush": 600.0}
    assert [i.text for i in site.safety.interlocks] == ["storage.soc > 105 %"]
    settings = site.planner
    assert (settings.use, settings.every_s, settings.horizon_s, settings.step_s) == ("scipy", 900.0, 129_600.0, 900)


@pytest.mark.parametrize(
    ("written", "ramps", "dwells"),
    [
        ("{ramp: 3 K/min}", {"heatpump.zone1_setpoint": 0.05}, {}),
        (
            "{ramp: 3 K/h, min_on: 10 min}",
            {"heatpump.zone1_setpoint": 3 / 3600},
            {"heatpump.zone1_setpoint": (600.0, 0.0)},
        ),
        ("{min_on: 10 min, min_off: 5 min}", {}, {"heatpump.zone1_setpoint": (600.0, 300.0)}),
    ],
)
def test_how_fast_and_how_often_a_point_may_change(
    spoil: Spoil, written: str, ramps: dict[str, float], dwells: dict[str, tuple[float, float]]
) -> None:
    site = load_site(spoil("{min: 15 °C, max: 30 °C}", written))
    assert site.safety.point_ramps == pytest.approx(ramps) and site.safety.point_dwells == dwells


def test_comfort(site: Site) -> None:
    office = site.view.comfort["office"]
    monday_ten = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
    assert office.band(monday_ten, site.timezone) == (20.0, 26.0)
    assert office.band(monday_ten.replace(day=11), site.timezone) == (16.0, 30.0)


def test_the_tariff_answers(site: Site) -> None:
    rates = site.tariff.rates(Horizon(datetime(2019, 1, 28, 12, tzinfo=UTC), 900, 96))
    assert not any(rates.guessed)
    assert all(
        buy == pytest.approx(sell + 0.075) for buy, sell in zip(rates.import_price, rates.export_price, strict=True)
    )
    assert all(0.0 < carbon < 1.0 for carbon in rates.carbon)


def test_what_may_be_left_out(spoil: Spoil) -> None:
    path = spoil()
    text = path.read_text("utf-8")
    path.write_text(text[: text.index("goals:")].replace("  mode: control # off, monitor", "  # off, monitor"), "utf-8")
    site = load_site(path)
    assert site.goals == Goals(0.0, 0.002)
    assert (site.mode, site.planner.use) == ("monitor", "scipy")


def test_a_connection_that_must_not_feed_in(spoil: Spoil) -> None:
    assert load_site(spoil("export_limit: 30 kW", "export_limit: 0 kW")).limits == GridLimits(60.0, 0.0)


WITH_SECRET = (
    "{modbus: tcp, host: 127.0.0.1,",
    "{modbus: tcp, host: {secret: gateway},",
    "goals:",
    "secrets: {gateway: {env: GATEWAY}}\ngoals:",
)


def secret(site: Site) -> object:
    return next(link for link in site.links if link.protocol == "modbus").options["host"]


def test_a_secret_is_read_only_to_run_and_never_shown(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    path = spoil(*WITH_SECRET)
    monkeypatch.setenv("GATEWAY", "canary-4711")
    assert secret(load_site(path)) == "***"
    site = load_site(path, resolve_secrets=True)
    assert secret(site) == "canary-4711"
    assert "canary-4711" not in repr(site)


def test_a_secret_from_a_file(spoil: Spoil, site_dir: Path) -> None:
    (site_dir / "password.txt").write_text("canary-4711\n")
    path = spoil(*WITH_SECRET[:3], "secrets: {gateway: {file: password.txt}}\ngoals:")
    assert secret(load_site(path, resolve_secrets=True)) == "canary-4711"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{env: GATEWAY}", "environment variable GATEWAY is empty or not set"),
        ("{file: nowhere.txt}", "nowhere.txt cannot be read (No such file or directory)"),
    ],
)
def test_a_secret_that_is_not_there_matters_only_to_run(
    spoil: Spoil, monkeypatch: pytest.MonkeyPatch, spec: str, words: str
) -> None:
    monkeypatch.delenv("GATEWAY", raising=False)
    path = spoil(*WITH_SECRET[:3], f"secrets: {{gateway: {spec}}}\ngoals:")
    load_site(path)
    with pytest.raises(ConfigError) as caught:
        load_site(path, resolve_secrets=True)
    line = path.read_text("utf-8")[: path.read_text("utf-8").index("secrets:")].count("\n") + 1
    assert str(caught.value).startswith(f"{path}:{line}: secrets.gateway: ")
    assert words in str(caught.value)
    assert "connections.plant-room.host needs it" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        ("hunter2", "secrets.gateway", "must be a section: {env: NAME_OF_VARIABLE} or {file: PATH}"),
        ("{env: A, file: b}", "secrets.gateway", "write {env: NAME_OF_VARIABLE} or {file: PATH}"),
        ("{envv: A}", "secrets.gateway.envv", "did you mean 'env'?"),
    ],
)
def test_secrets_written_wrongly(spoil: Spoil, spec: str, path: str, words: str) -> None:
    file = spoil(*WITH_SECRET[:3], f"secrets: {{gateway: {spec}}}\ngoals:")
    with pytest.raises(ConfigError) as caught:
        load_site(file)
    assert any(f": {path}: " in problem and words in problem for problem in caught.value.problems), str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_does_not_show_in_what_a_driver_complains_about(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    """The OPC UA driver says "'...' must end in .der or .pem"; what stands there is a secret."""
    monkeypatch.setenv("GATEWAY", "canary-4711")
    path = spoil("{opcua: tcp,", "{opcua: tcp, certificate: {secret: gateway},", *WITH_SECRET[2:])
    with pytest.raises(ConfigError, match=r"connections.building-server.certificate: '\*\*\*' must end in"):
        load_site(path, resolve_secrets=True)


def test_files_that_options_name_are_beside_the_site_file(spoil: Spoil, site_dir: Path) -> None:
    names = {"certificate": "own.pem", "private_key": "own-key.pem", "server_certificate": "server.der"}
    for name in names.values():
        (site_dir / name).touch()
    options = ", ".join(f"{key}: {name}" for key, name in names.items())
    site = load_site(spoil("{opcua: tcp,", f"{{opcua: tcp, security: Basic256Sha256, {options},"))
    link = next(link for link in site.links if link.protocol == "opcua")
    assert {key: link.options[key] for key in names} == {key: str(site_dir / name) for key, name in names.items()}


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just words\n", "42\n"])
def test_a_file_that_is_no_site_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"site.yaml:1: .*must begin with sections \(site, connections, devices"):
        load_site(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read: No such file"):
        load_site(tmp_path / "none.yaml")
