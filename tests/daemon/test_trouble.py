"""Trouble on the real path: wrong addresses, unplugged devices, nonsense from sensors, refusals. The rest goes on."""

from __future__ import annotations

import asyncio
import math

import pytest
from ruamel.yaml import YAML


def edit(path, change):
    """Change a site file in place."""
    yaml = YAML()
    data = yaml.load(path.read_text())
    change(data)
    with path.open("w") as file:
        yaml.dump(data, file)


async def device(bench, name):
    return next(d for d in (await bench.status())["devices"] if d["device"] == name)


async def alarms(bench):
    return {(alarm["name"], alarm["subject"]): alarm["text"] for alarm in (await bench.status())["alarms"]}


async def test_a_wrong_host_costs_that_device_alone(bench):
    # 192.0.2.0/24 is for documentation: nobody answers there
    edit(bench.site, lambda d: d["connections"]["battery-room"].update(host="192.0.2.1"))
    bench.devices["storage"].online = False
    process = await bench.start("--strategy", "rules")
    await bench.running()
    await bench.until(lambda: _has(bench, "device-lost", "storage"), 20)
    assert (await device(bench, "meter"))["answers"] and not (await device(bench, "storage"))["answers"]
    refusal = await bench.ask("write", point="storage.power_setpoint", value=5.0, for_s=60)
    assert (refusal["ok"], refusal["exit_code"]) == (False, 5)
    assert "refused by rule 'device': storage does not answer" in refusal["error"]
    assert await bench.stop(process) == 0


async def _has(bench, name, subject):
    return (name, subject) in await alarms(bench)


async def test_a_wrong_unit_id_is_said_to_be_the_devices_silence(bench):
    edit(bench.site, lambda d: d["devices"]["inverter"].update(unit=77))
    bench.devices["inverter"].online = False
    await bench.start("--strategy", "rules")
    await bench.running()
    await bench.until(lambda: _has(bench, "device-lost", "inverter"), 20)
    assert "is its unit id right?" in (await alarms(bench))[("device-lost", "inverter")]
    assert (await device(bench, "meter"))["answers"]


async def test_a_device_unplugged_in_mid_run_and_plugged_in_again(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    storage = bench.devices["storage"]
    await bench.until(lambda: storage.values["setpoint_enable"] == 1.0)
    storage.online = False
    await bench.until(lambda: _has(bench, "device-lost", "storage"), 20)
    soc = next(p for p in (await bench.ask("points", match="storage.soc"))["result"])
    assert soc["quality"] == "bad" and soc["value"] is None and soc["reason"]
    before = (await bench.status())["cycle"]
    await asyncio.sleep(1.5)
    status = await bench.status()
    assert (
        status["cycle"] > before and status["missed_cycles"] == 0 and status["grid_kw"] == pytest.approx(12.0, abs=0.01)
    )
    storage.online = True

    async def back():
        return (await device(bench, "storage"))["answers"] and not await _has(bench, "device-lost", "storage")

    await bench.until(back, 15)
    assert await bench.stop(process) == 0
    assert storage.values["setpoint_enable"] == 0.0


async def test_a_device_that_is_gone_at_the_end_stays_owned_and_is_handed_back_later(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    storage = bench.devices["storage"]
    await bench.until(lambda: storage.values["setpoint_enable"] == 1.0)
    storage.online = False
    assert await bench.stop(process) == 1
    assert "its own timer will end our command" in bench.log()
    storage.online = True
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await asyncio.wait_for(tool.wait(), 30) == 0
    assert storage.values["setpoint_enable"] == 0.0


async def test_nan_from_the_meter_is_bad_data_and_moves_nothing(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    bench.devices["meter"].set("power", math.nan)
    await bench.until(lambda: _has(bench, "meter-lost", "meter.power"), 20)
    meter = (await bench.ask("points", match="meter.power"))["result"][0]
    assert meter["value"] is None and meter["quality"] == "bad"
    # without a meter the battery must not go on discharging into the unknown nor charge
    await bench.until(lambda: bench.devices["storage"].values["power_setpoint"] == 0.0)
    assert all(math.isfinite(v) for v in bench.written("storage", "power_setpoint"))


async def test_a_device_that_refuses_is_tried_twice_and_then_left_alone(bench):
    storage = bench.devices["storage"]
    storage.guard = lambda name, value: "locked by the installer" if name == "power_setpoint" else ""
    process = await bench.start("--strategy", "rules")
    await bench.running()
    await bench.until(lambda: _has(bench, "not-effective", "storage.power_setpoint"), 20)
    tries = [r for r in storage.log if r.point == "power_setpoint" and not r.accepted]
    assert len(tries) == 2
    await asyncio.sleep(2)
    assert len([r for r in storage.log if r.point == "power_setpoint" and not r.accepted]) == 2
    # what came before the refused step of the command was undone
    assert storage.values["setpoint_enable"] == 0.0 and storage.values["setpoint_timeout"] == 0.0
    await bench.stop(process)


@pytest.mark.parametrize(
    ("point", "value", "seconds", "words"),
    [
        ("storage.power_setpoint", 1e6, 60, "refused by rule 'limits'"),
        ("storage.power_setpoint", math.nan, 60, "refused by rule 'finite'"),
        ("storage.soc", 0.5, 60, "refused by rule 'writable'"),
        ("storage.nothing", 0.5, 60, "no point 'storage.nothing'"),
        ("storage.power_setpoint", 5.0, 0, "refused by rule 'duration'"),
        ("storage.power_setpoint", 5.0, 1e9, "refused by rule 'duration'"),
        ("storage.setpoint_timeout", 33.0, 60, "refused by rule 'part'"),
    ],
)
async def test_what_the_gate_refuses_never_reaches_the_device(bench, point, value, seconds, words):
    await bench.start("--strategy", "rules")
    await bench.running()
    answer = await bench.ask("write", point=point, value=value, for_s=seconds)
    assert not answer["ok"] and words in answer["error"]
    got = [r.value for d in bench.devices.values() for r in d.log]
    assert value not in got and all(map(math.isfinite, got))  # NaN is equal to nothing, so it has to be looked for


@pytest.mark.parametrize(
    "line", [b"hello\n", b"{}\n", b'{"do": "nonsense"}\n', b'{"do": "write"}\n', b'{"do": "write", "point": 7, "value": "x"}\n', b"[]\n", b"\xff\xfe\n"]
)  # fmt: skip
async def test_nonsense_on_the_socket_is_answered_and_harms_nobody(bench, line):
    await bench.start("--strategy", "rules")
    await bench.running()
    reader, writer = await asyncio.open_unix_connection(str(bench.paths.socket))
    writer.write(line)
    assert b'"ok": false' in await reader.readline()
    writer.close()
    assert (await bench.status())["cycle"] > 0


@pytest.mark.parametrize("do", ["history", "release"])
async def test_a_point_that_is_not_there_is_the_askers_mistake(bench, do):
    await bench.start("--strategy", "rules")
    await bench.running()
    answer = await bench.ask(do, point="storage.nothing")
    assert (answer["ok"], answer["exit_code"]) == (False, 2) and "no point 'storage.nothing'" in answer["error"]


async def test_monitor_mode_writes_nothing(bench):
    edit(bench.site, lambda d: d["site"].update(mode="monitor"))
    process = await bench.start("--strategy", "rules")
    await bench.running()
    await asyncio.sleep(1.5)
    assert (
        "refused by rule 'mode'"
        in (await bench.ask("write", point="storage.power_setpoint", value=1.0, for_s=9))["error"]
    )
    assert await bench.stop(process) == 0
    assert all(device.log == [] for device in bench.devices.values())
