"""Mistakes people make in a site file, one a row: what was typed, where the message points, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from energyctl.config import load_site
from energyctl.core.errors import ConfigError

Spoil = Callable[..., Path]


class Mistake(NamedTuple):
    old: str
    new: str
    at: str
    """A text that stands in the line the message must name, and in no other."""
    path: str
    words: tuple[str, ...]


MISTAKES = {
    "unknown section": Mistake("goals:", "gaols:", "gaols:", "gaols", ("unknown section", "did you mean 'goals'")),
    "unknown key": Mistake("  period:", "  perriod:", "perriod", "site.perriod", ("unknown key", "'period'")),
    "unknown key of a resource": Mistake(
        "capacity: 60", "capcity: 60", "capcity", "resources.battery.capcity", ("unknown key", "mean 'capacity'")
    ),
    "unknown key in a tariff": Mistake(
        "import_adder:", "import_addder:", "import_addder", "tariff.import_addder", ("unknown key", "'import_adder'")
    ),
    "unknown key in a comfort": Mistake(
        "heat: 20 °C,", "heat: 20 °C, hot: 1 K,", "hot: 1", "comfort.office.hot", ("unknown key 'hot'",)
    ),
    "unknown key in a limit": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{min: 15 °C, maxx: 30 °C}",
        "maxx",
        "safety.limits.heatpump.zone1_setpoint.maxx",
        ("unknown key", "did you mean 'max'"),
    ),
    "key twice": Mistake(
        "  reserve: 10 %", "  soc: storage.soc", "soc: storage.soc\n    wear", "resources.battery.soc", ("twice",)
    ),
    "device twice": Mistake(
        "  charger: {profile",
        "  meter: {profile",
        "  meter: {profile: generic/ev",
        "devices.meter",
        ("twice", "line 22"),
    ),
    "section twice": Mistake(
        "goals:", "grid: {}\ngoals:", "grid: {}", "grid", ("'grid' is here twice", "first on line")
    ),
    "missing section": Mistake("tariff:", "tarif:", "tarif:", "tarif", ("unknown section", "'tariff'")),
    "missing key": Mistake("  timezone: Europe/Athens\n", "", "site:", "site.timezone", ("missing", "Europe/Athens")),
    "no unit": Mistake(
        "import_limit: 60 kW", "import_limit: 60", "import_limit: 60", "grid.import_limit", ("'60 kW'",)
    ),
    "wrong unit": Mistake(
        "import_limit: 60 kW", "import_limit: 60 kWh", "import_limit: 60", "grid.import_limit", ("'60 kWh'", "write kW")
    ),
    "unit that is none": Mistake(
        "capacity: 60 kWh", "capacity: 60 kwh", "60 kwh", "resources.battery.capacity", ("unit 'kwh'", "kWh")
    ),
    "no number": Mistake(
        "export_limit: 30 kW", "export_limit: thirty kW", "thirty", "grid.export_limit", ("'thirty kW'", "number")
    ),
    "number too large": Mistake(
        "import_limit: 60 kW", "import_limit: 1e999 kW", "1e999", "grid.import_limit", ("too large",)
    ),
    "import limit zero": Mistake(
        "import_limit: 60 kW", "import_limit: 0 kW", "import_limit: 0", "grid.import_limit", ("more than 0 kW",)
    ),
    "export limit negative": Mistake(
        "export_limit: 30 kW", "export_limit: -30 kW", "-30 kW", "grid.export_limit", ("'-30 kW'", "positive number")
    ),
    "unknown timezone": Mistake(
        "Europe/Athens", "Europe/Athen", "Athen", "site.timezone", ("unknown timezone", "mean 'Europe/Athens'")
    ),
    "latitude": Mistake("latitude: 39.64", "latitude: 99.64", "99.64", "site.latitude", ("at most 90",)),
    "latitude as text": Mistake(
        "latitude: 39.64", "latitude: 39,64", "39,64", "site.latitude", ("'39,64'", "must be a number")
    ),
    "mode": Mistake("mode: control", "mode: controll", "controll", "site.mode", ("must be", "did you mean 'control'")),
    "period": Mistake("period: 1 s", "period: 5 min", "period: 5", "site.period", ("0.1 s to 60 s",)),
    "id": Mistake("id: larissa-town-hall", "id: Larissa Town", "Larissa Town", "site.id", ("lower-case",)),
    "device id": Mistake("  charger: {", "  Charger.1: {", "Charger.1", "devices.Charger.1", ("lower-case",)),
    "unknown profile": Mistake(
        "eastron/sdm630@1",
        "eastron/sdm360@1",
        "sdm360",
        "devices.meter.profile",
        ("unknown", "mean 'eastron/sdm630@1'"),
    ),
    "no profile": Mistake(
        "  airhandler: {profile: generic/ahu@1, via",
        "  airhandler: {via",
        "airhandler: {via",
        "devices.airhandler.profile",
        ("is missing",),
    ),
    "unknown connection": Mistake(
        "ahu@1, via: building-server",
        "ahu@1, via: bulding-server",
        "bulding",
        "devices.airhandler.via",
        ("no such connection", "mean 'building-server'"),
    ),
    "wrong protocol": Mistake(
        "via: bms, device: 1100",
        "via: plant-room, device: 1100",
        "device: 1100",
        "devices.heatpump.via",
        ("speaks bacnet", "is modbus"),
    ),
    "unknown protocol": Mistake(
        "{bacnet: ip, host: 127.0.0.1, port: 47809}",
        "{bacnt: ip, host: 127.0.0.1}",
        "bacnt",
        "connections.bms",
        ("no key names a protocol", "mean 'bacnet'"),
    ),
    "two protocols": Mistake(
        "{bacnet: ip,",
        "{bacnet: ip, modbus: tcp,",
        "modbus: tcp, host: 127.0.0.1, port: 47809",
        "connections.bms.modbus",
        ("one protocol",),
    ),
    "same device twice": Mistake(
        "unit: 3",
        "unit: 3}\n  spare: {profile: sunspec/battery@1, via: plant-room, unit: 3",
        "  spare",
        "devices.spare",
        ("same device as devices.storage",),
    ),
    "unknown option": Mistake(
        "port: 15020, timeout", "prot: 15020, timeout", "prot:", "connections.plant-room.prot", ("port",)
    ),
    "unknown device option": Mistake(
        "plant-room, unit: 1}", "plant-room, unti: 1}", "unti:", "devices.meter.unti", ("unit",)
    ),
    "list for an option": Mistake(
        "timeout: 1 s", "timeout: [1]", "timeout: [1]", "connections.plant-room.timeout", ("single value",)
    ),
    "option without value": Mistake(
        "timeout: 1 s", "timeout: ", "timeout: ", "connections.plant-room.timeout", ("no value",)
    ),
    "meter point": Mistake(
        "meter: meter.power", "meter: meter.pwr", "meter.pwr", "grid.meter", ("mean 'meter.power'",)
    ),
    "meter unit": Mistake(
        "meter: meter.power", "meter: meter.frequency", "meter.frequency", "grid.meter", ("is in Hz", "kW is needed")
    ),
    "unknown kind": Mistake("{kind: pv,", "{kind: pvv,", "pvv", "resources.roof.kind", ("unknown kind", "mean 'pv'")),
    "no kind": Mistake("{kind: pv, power", "{power", "roof: {power", "resources.roof", ("has no kind",)),
    "id inside a resource": Mistake(
        "{kind: pv, power", "{kind: pv, id: r, power", "id: r", "resources.roof.id", ("the id is 'roof' already",)
    ),
    "missing point": Mistake(
        "soc: storage.soc",
        "soc: storage.scc",
        "storage.scc",
        "resources.battery.soc",
        ("no such point", "'storage.soc'"),
    ),
    "missing device of a point": Mistake(
        "power: charger.power", "power: chager.power", "chager", "resources.car.power", ("mean 'charger.power'",)
    ),
    "read-only point": Mistake(
        "limit: charger.current_limit",
        "limit: charger.session_energy",
        "limit: charger.session",
        "resources.car.limit",
        ("is in kWh, but A is needed",),
    ),
    "point of another unit": Mistake(
        "temp: heatpump.zone1_temp",
        "temp: heatpump.power",
        "heatpump.power, setpoint",
        "resources.office.temp",
        ("is in kW, but °C",),
    ),
    "read-only setpoint": Mistake(
        "setpoint: heatpump.zone1_setpoint",
        "setpoint: heatpump.zone1_temp",
        "setpoint: heatpump.zone1_temp",
        "resources.office.setpoint",
        ("read-only", "mean 'heatpump.zone1_setpoint'"),
    ),
    "point written twice": Mistake(
        "setpoint: heatpump.zone2_setpoint, comfort",
        "setpoint: heatpump.zone1_setpoint, comfort",
        "zone1_setpoint, comfort: public",
        "resources.hall.setpoint",
        ("resources.office.setpoint sets this",),
    ),
    "power measured twice": Mistake(
        "power: storage.power\n",
        "power: inverter.power\n",
        "power: inverter.power\n    soc",
        "resources.battery.power",
        ("resources.roof.power measures",),
    ),
    "grid meter as a resource": Mistake(
        "power: storage.power\n",
        "power: meter.power\n",
        "power: meter.power\n    soc",
        "resources.battery.power",
        ("grid.meter measures",),
    ),
    "fed by nothing": Mistake(
        "office: {kind: zone, fed_by: heating",
        "office: {kind: zone, fed_by: heatin",
        "heatin,",
        "resources.office.fed_by",
        ("no such resource", "mean 'heating'"),
    ),
    "fed by a zone": Mistake(
        "office: {kind: zone, fed_by: heating",
        "office: {kind: zone, fed_by: hall",
        "fed_by: hall",
        "resources.office.fed_by",
        ("is a zone too",),
    ),
    "unknown comfort": Mistake(
        "comfort: office, area", "comfort: ofice, area", "ofice", "resources.office.comfort", ("mean 'office'",)
    ),
    "comfort upside down": Mistake(
        "heat: 20 °C", "heat: 27 °C", "heat: 27", "comfort.office.heat", ("below cool (26 °C)",)
    ),
    "tight setback": Mistake(
        "setback_heat: 16 °C", "setback_heat: 21 °C", "setback_heat: 21", "comfort.office.setback_heat", ("tighter",)
    ),
    "comfort out of reach": Mistake(
        "cool: 27 °C, setback_heat: 15 °C, setback_cool: 31 °C",
        "cool: 27 °C, setback_heat: 15 °C, setback_cool: 32 °C",
        "setback_cool: 32",
        "comfort.public.setback_cool",
        ("32 °C cannot be set", "15 °C to 31 °C"),
    ),
    "hours": Mistake("Mo-Fr 08:00-15:00", "Mon-Fri 8-15", "Mon-Fri", "comfort.public.occupied", ("Mo-Fr 07:00-18:00",)),
    "limits overlap": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{min: 31 °C, max: 30 °C}",
        "{min: 31",
        "safety.limits.heatpump.zone1_setpoint.min",
        ("'31 °C'", "below max (30 °C)"),
    ),
    "limit outside the device's": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{min: 5 °C, max: 30 °C}",
        "{min: 5",
        "safety.limits.heatpump.zone1_setpoint.min",
        ("device's own limits, 10 °C to 35 °C",),
    ),
    "limit in another unit": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{min: 15 kW, max: 30 °C}",
        "15 kW",
        "safety.limits.heatpump.zone1_setpoint.min",
        ("unit 'kW' does not fit", "°C"),
    ),
    "limit of nothing": Mistake(
        "heatpump.zone2_setpoint: {min",
        "heatpump.zone3_setpoint: {min",
        "zone3",
        "safety.limits.heatpump.zone3_setpoint",
        ("no such point", "zone"),
    ),
    "limit of a read-only point": Mistake(
        "heatpump.zone2_setpoint: {min",
        "heatpump.zone2_temp: {min",
        "zone2_temp: {",
        "safety.limits.heatpump.zone2_temp",
        ("read-only", "'heatpump.zone2_setpoint'"),
    ),
    "the building's priority": Mistake(
        "bacnet_priority: 10", "bacnet_priority: 8", "priority: 8", "safety.bacnet_priority", ("9 to 16",)
    ),
    "no watchdog": Mistake(
        "[heatpump, airhandler]",
        "[heatpump]",
        "  airhandler: {profile",
        "devices.airhandler",
        ("airhandler.flush", "no watchdog", "accept_no_watchdog: [heatpump, airhandler]"),
    ),
    "watchdog of nobody": Mistake(
        "[heatpump, airhandler]",
        "[heatpump, airhandler, chargr]",
        "chargr",
        "safety.accept_no_watchdog[2]",
        ("no such device", "'charger'"),
    ),
    "step in the wrong unit": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{step: 2 kW}",
        "step: 2 kW",
        "safety.limits.heatpump.zone1_setpoint.step",
        ("unit 'kW' does not fit", "K"),
    ),
    "ramp without a time": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{ramp: 2 K}",
        "ramp: 2 K",
        "safety.limits.heatpump.zone1_setpoint.ramp",
        ("write it per s, min or h", "'10 K/min'"),
    ),
    "ramp in the wrong unit": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{ramp: 2 kW/min}",
        "ramp: 2 kW/min",
        "safety.limits.heatpump.zone1_setpoint.ramp",
        ("unit 'kW' does not fit", "K"),
    ),
    "least time on that is a week": Mistake(
        "{min: 15 °C, max: 30 °C}",
        "{min_on: 7 d}",
        "min_on: 7 d",
        "safety.limits.heatpump.zone1_setpoint.min_on",
        ("0 s to 24 h",),
    ),
    "interlock that is no condition": Mistake(
        "storage.soc > 105 %",
        "storage is empty",
        "storage is empty",
        "safety.interlocks[0].when",
        ("like 'storage.soc < 5 %'",),
    ),
    "interlock on a point that is not there": Mistake(
        "storage.soc > 105 %",
        "storage.sok < 5 %",
        "storage.sok",
        "safety.interlocks[0].when",
        ("no such point", "storage.soc"),
    ),
    "interlock in the wrong unit": Mistake(
        "storage.soc > 105 %",
        "storage.soc < 5 kW",
        "storage.soc < 5 kW",
        "safety.interlocks[0].when",
        ("unit 'kW' does not fit",),
    ),
    "lease": Mistake("lease: 60 s", "lease: 2 h", "lease: 2 h", "safety.lease", ("10 s to 15 min",)),
    "planner": Mistake("use: scipy", "use: scippy", "scippy", "planner.use", ("no such planner", "mean 'scipy'")),
    "planner step": Mistake("step: 15 min", "step: 7 min", "7 min", "planner.step", ("5 min, 15 min",)),
    "planner every": Mistake("every: 15 min", "every: 45 min", "45 min", "planner.every", ("60 min, or every 2 h",)),
    "planner never": Mistake("every: 15 min", "every: 24 h", "24 h", "planner.every", ("plans are made every",)),
    "horizon": Mistake("horizon: 36 h", "horizon: 36 min", "36 min", "planner", ("whole number of steps",)),
    "tariff kind": Mistake("kind: day-ahead", "kind: dayahead", "dayahead", "tariff.kind", ("mean 'day-ahead'",)),
    "tariff file": Mistake("greek_profile", "greek_profil", "greek_profil", "tariff.file", ("no such file", "prices")),
    "carbon": Mistake("measured/carbon.csv", "265 g", "265 g", "tariff.carbon", ("kg/kWh",)),
    "secret in clear": Mistake(
        "{opcua: tcp,",
        "{opcua: tcp, user: bob, password: hunter2,",
        "hunter2",
        "connections.building-server.password",
        ("must not stand in a site file", "{secret: NAME}"),
    ),
    "secret in an address": Mistake(
        "opc.tcp://127", "opc.tcp://bob:hunter2@127", "hunter2", "connections.building-server.url", ("password",)
    ),
    "secret of no name": Mistake(
        "{opcua: tcp,",
        "{opcua: tcp, user: bob, password: {secret: bms},",
        "secret: bms",
        "connections.building-server.password.secret",
        ("has no 'bms'",),
    ),
    "tag": Mistake(
        "id: larissa-town-hall", "id: !!str larissa-town-hall", "!!str", "site.id", ("tags such as '!!str'",)
    ),
    "tab": Mistake("  period: 1 s", "\tperiod: 1 s", "\tperiod", "", ("a tab; indent with spaces",)),
    "open bracket": Mistake("unit: 2}", "unit: 2", "  storage: {", "", ("'{' is not closed",)),
    "unquoted colon": Mistake("name: Larissa town", "name: Larissa: town", "Larissa: town", "", ("quotes",)),
}


ALONE = (
    set(MISTAKES)
    - {name for name in MISTAKES if "secret" in name}
    - {"device twice", "device id", "point written twice"}
)
"""Those others break more than they are, and that is told as well."""


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named_where_it_is(name: str, spoil: Spoil) -> None:
    mistake = MISTAKES[name]
    path = spoil(mistake.old, mistake.new)
    text = path.read_text("utf-8")
    assert text.count(mistake.at) == 1
    line = text.count("\n", 0, text.index(mistake.at)) + 1
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    start = f"{path}:{line}: {mistake.path + ': ' if mistake.path else ''}"
    found = [problem for problem in caught.value.problems if problem.startswith(start)]
    assert found, f"nothing begins with {start!r}:\n{caught.value}"
    for words in mistake.words:
        assert any(words in problem for problem in found), f"{words!r} is not in:\n" + "\n".join(found)
    assert name not in ALONE or len(caught.value.problems) == 1, str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not re.search(r"extra inputs|value error|should be|input_value|pydantic", str(caught.value), re.IGNORECASE)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(spoil: Spoil) -> None:
    names = ["period", "unknown connection", "import limit zero", "unknown key of a resource", "missing point", "hours"]
    names += ["limits overlap", "planner step", "unknown key in a tariff", "secret in clear", "point written twice"]
    path = spoil(*(text for name in names for text in MISTAKES[name][:2]))
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    for name in names:
        assert any(f": {MISTAKES[name].path}: " in problem for problem in caught.value.problems), name
    lines = [int(problem.removeprefix(f"{path}:").partition(":")[0]) for problem in caught.value.problems]
    assert lines == sorted(lines)
