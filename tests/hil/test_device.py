"""What a simulated device takes, what it refuses, and what its log says of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hil.device import SimDevice, WriteRejected
from hil.units import shown, taken

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def test_a_taken_write_shows_and_is_logged_with_its_time(make_device):
    battery = make_device("storage", "sunspec/battery@1")
    battery.write("power_setpoint", -12.5, via="modbus fc 16")
    assert battery.values["power_setpoint"] == -12.5
    assert battery.written == {"power_setpoint": NOON}
    (record,) = battery.log
    assert (record.time, record.device, record.point, record.value, record.via, record.accepted) == (
        NOON,
        "storage",
        "power_setpoint",
        -12.5,
        "modbus fc 16",
        True,
    )


@pytest.mark.parametrize(
    ("profile", "point", "value", "reason", "kind"),
    [
        ("sunspec/pv-inverter@1", "power_limit", 1.2, "outside 0 to 1", "value"),
        ("sunspec/pv-inverter@1", "power_limit", -0.1, "outside 0 to 1", "value"),
        ("sunspec/pv-inverter@1", "power_limit", float("nan"), "not a finite number", "value"),
        ("sunspec/pv-inverter@1", "power_limit_enable", 2.0, "neither 0 nor 1", "value"),
        ("sunspec/battery@1", "setpoint_mode", 7.0, "not one of [0, 1]", "value"),
        ("generic/ev-charger@1", "current_limit", 40.0, "outside 0 to 32", "value"),
        ("sunspec/battery@1", "soc", 0.5, "read-only", "access"),
        ("sunspec/battery@1", "socks", 0.5, "no such point", "address"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_logged(make_device, profile, point, value, reason, kind):
    device = make_device("dev", profile)
    before = dict(device.values)
    with pytest.raises(WriteRejected) as caught:
        device.write(point, value, via="test")
    assert (caught.value.reason, caught.value.kind) == (reason, kind)
    assert device.values == before
    assert [(r.point, r.accepted, r.reason) for r in device.log] == [(point, False, reason)]


def test_a_guard_refuses_with_its_own_reason(make_device):
    charger = make_device("charger", "generic/ev-charger@1")
    charger.guard = lambda point, value: "locked by the installer" if point == "current_limit" else ""
    with pytest.raises(WriteRejected, match="locked by the installer"):
        charger.write("current_limit", 10.0)
    charger.write("failsafe_timeout", 60.0)


def test_while_commanded_the_devices_own_choice_waits(make_device):
    pump = make_device("heatpump", "generic/heat-pump-2zone@1", zone1_setpoint=20.0)
    pump.write("zone1_setpoint", 23.0, via="bacnet prio 10", effective=23.0)
    pump.set("zone1_setpoint", 17.0)
    assert (pump.commanded("zone1_setpoint"), pump.values["zone1_setpoint"]) == (True, 23.0)
    pump.relinquish("zone1_setpoint", via="bacnet relinquish prio 10")
    assert (pump.commanded("zone1_setpoint"), pump.values["zone1_setpoint"]) == (False, 17.0)
    assert [(r.value, r.via) for r in pump.log] == [(23.0, "bacnet prio 10"), (None, "bacnet relinquish prio 10")]


def test_changes_are_told_once_and_only_when_something_changed(make_device):
    meter = make_device("meter", "eastron/sdm630@1")
    meter.take_changes()
    meter.set("power", 4.2)
    meter.set("frequency", 50.0)
    meter.set("frequency", 50.0)
    assert meter.take_changes() == {"power": 4.2, "frequency": 50.0}
    meter.set("power", 4.2)
    assert meter.take_changes() == {}


def test_the_timer_of_a_write_starts_again_with_the_same_value(make_device):
    charger: SimDevice = make_device("charger", "generic/ev-charger@1")
    charger.write("current_limit", 16.0)
    charger.time = NOON + timedelta(seconds=40)
    charger.write("current_limit", 16.0)
    assert charger.written["current_limit"] == NOON + timedelta(seconds=40)


@pytest.mark.parametrize(
    ("profile", "point", "canonical", "device"),
    [
        ("eastron/sdm630@1", "power", 12.345, 12345.0),
        ("sunspec/pv-inverter@1", "power", -31.2, 31200.0),
        ("sunspec/pv-inverter@1", "energy", 4200.0, 4_200_000.0),
        ("sunspec/pv-inverter@1", "power_limit", 0.655, 65.5),
        ("sunspec/battery@1", "power_setpoint", 8.0, -8000.0),
        ("generic/heat-pump-2zone@1", "zone1_temp", 20.5, 20.5),
        ("generic/ahu@1", "fan_speed", 0.4, 40.0),
    ],
)
def test_units_and_signs_of_the_devices(make_device, profile, point, canonical, device):
    spec = make_device("dev", profile).profile.points[point]
    assert shown(spec, canonical) == pytest.approx(device)
    assert taken(spec, device) == pytest.approx(canonical)


def test_a_device_that_forgets_is_its_own_master_and_says_so(make_device):
    device = make_device("heatpump", "generic/heat-pump-2zone@1", zone1_setpoint=20.0)
    device.write("zone1_setpoint", 23.0, effective=23.0)
    device.take_changes()
    device.lapse("zone1_setpoint")
    assert (device.values["zone1_setpoint"], device.commanded("zone1_setpoint")) == (20.0, False)
    assert "zone1_setpoint" not in device.written
    assert device.take_changes() == {"zone1_setpoint": 20.0}


def test_a_write_beside_the_server_is_a_write_that_the_server_learns_of(make_device):
    device = make_device("charger", "generic/ev-charger@1")
    device.take_changes()
    device.write("current_limit", 10.0, via="opcua")
    assert device.take_changes() == {}
    device.write_beside("current_limit", 12.0, via="rival")
    assert device.take_changes() == {"current_limit": 12.0}
    assert [(write.value, write.via) for write in device.log] == [(10.0, "opcua"), (12.0, "rival")]


def test_a_device_takes_of_a_write_what_it_makes_of_it(make_device):
    device = make_device("charger", "generic/ev-charger@1")
    device.ail.takes["current_limit"] = [lambda value: value / 2, lambda value: value - 1]
    device.write("current_limit", 20.0)
    assert (device.values["current_limit"], device.log[0].value) == (9.0, 20.0)
