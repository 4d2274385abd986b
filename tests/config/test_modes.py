"""Modes in the site file, and which resources take part in what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from energyctl.config.partaking import mode_of, partaking
from energyctl.core.errors import ConfigError

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"


def town_hall(tmp_path, site_mode, **modes):
    """The town hall with other modes; dashes in device ids are not needed."""
    for name in ("measured", "prices"):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(LARISSA / name)
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    data["site"]["mode"] = site_mode
    for device, mode in modes.items():
        data["devices"][device]["mode"] = mode
    path = tmp_path / "site.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


@pytest.mark.parametrize(
    ("site", "device", "effective"),
    [
        ("control", None, "control"),
        ("control", "shadow", "shadow"),
        ("control", "off", "off"),
        ("shadow", "control", "shadow"),
        ("monitor", "control", "monitor"),
        ("monitor", "off", "off"),
        ("off", "control", "off"),
    ],
)
def test_a_device_never_goes_further_than_the_site(tmp_path, site, device, effective):
    loaded = load_site(town_hall(tmp_path, site, **({} if device is None else {"storage": device})))
    assert loaded.modes["storage"] == effective
    assert loaded.modes["charger"] == site
    assert "mode" not in loaded.devices["storage"].options


def test_at_most_takes_every_device_down(tmp_path):
    loaded = load_site(town_hall(tmp_path, "control", storage="off", charger="shadow")).at_most("monitor")
    assert loaded.mode == "monitor"
    assert {loaded.modes[name] for name in ("meter", "inverter", "charger")} == {"monitor"}
    assert loaded.modes["storage"] == "off"


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        ({"storage": "contrl"}, "devices.storage.mode: 'contrl': must be one of off, monitor, shadow, control"),
        ({"storage": True}, "devices.storage.mode: true: must be one of off, monitor, shadow, control"),
        ({"meter": "off"}, "devices.meter.mode: 'off': grid.meter is on it; a site that is not off needs its meter"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, modes, message):
    with pytest.raises(ConfigError) as caught:
        load_site(town_hall(tmp_path, "control", **modes))
    assert message in str(caught.value)


EVERYBODY = ["base", "roof", "battery", "heating", "office", "hall", "car", "fresh-air"]


@pytest.mark.parametrize(
    ("site", "modes", "left"),
    [
        ("control", {}, EVERYBODY),
        ("control", {"storage": "shadow"}, EVERYBODY),
        ("control", {"storage": "monitor"}, [name for name in EVERYBODY if name != "battery"]),
        ("control", {"storage": "off", "charger": "off"}, [n for n in EVERYBODY if n not in ("battery", "car")]),
        ("control", {"inverter": "monitor"}, EVERYBODY),
        ("control", {"inverter": "off"}, [name for name in EVERYBODY if name != "roof"]),
        ("control", {"heatpump": "monitor"}, ["base", "roof", "battery", "car", "fresh-air"]),
        ("monitor", {}, EVERYBODY),
        ("off", {}, ["base"]),
    ],
)
def test_who_takes_part(tmp_path, site, modes, left):
    assert [one.id for one in partaking(load_site(town_hall(tmp_path, site, **modes)))] == left


def test_a_roof_that_is_only_monitored_cannot_be_cut(tmp_path):
    site = load_site(town_hall(tmp_path, "control", inverter="monitor"))
    roof = next(one for one in partaking(site) if one.id == "roof")
    assert roof.limit is None and roof.power == "inverter.power"
    assert next(one for one in site.resources if one.id == "roof").limit == "inverter.power_limit"


def test_the_mode_of_a_resource_is_that_of_what_it_writes_to(tmp_path):
    site = load_site(town_hall(tmp_path, "control", storage="shadow"))
    assert {one.id: mode_of(site, one) for one in partaking(site)} == {
        **dict.fromkeys(EVERYBODY, "control"),
        "battery": "shadow",
    }
