"""Modes on real devices: shadow tells and writes nothing, monitor beside control, off is not even asked, trials end."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

RULES = ("--strategy", "rules")


def rewrite(bench, site=None, devices=None):
    """Change modes in the bench's site file."""
    yaml = YAML()
    data = yaml.load(bench.site.read_text())
    data["site"]["mode"] = site or data["site"]["mode"]
    for name, mode in (devices or {}).items():
        data["devices"][name]["mode"] = mode
    with bench.site.open("w") as file:
        yaml.dump(data, file)


def log(bench):
    return [record for device in bench.devices.values() for record in device.log]


async def would(bench):
    lines = (await bench.ask("journal", limit=500))["result"]
    return [line for line in lines if line["kind"] == "would"]


async def test_shadow_writes_nothing_and_tells_what_it_would(bench):
    rewrite(bench, "shadow")
    daemon = await bench.start(*RULES)
    await bench.running()
    # 12 kW are bought; by the rules the battery would deliver them
    lines = await bench.until(lambda: would(bench))
    shown = (await bench.ask("shadow"))["result"]
    status = await bench.status()
    assert lines[0]["point"] == "storage.power_setpoint" and lines[0]["value"] == pytest.approx(-12, abs=0.5)
    assert shown["devices"] == ["inverter", "meter", "storage"] and shown["count"] == len(await would(bench))
    assert {one["point"]: one["value"] for one in shown["last"]} == {"storage.power_setpoint": lines[-1]["value"]}
    assert status["held"] == {} and status["refused"] == 0
    refused = await bench.ask("write", point="storage.power_setpoint", value=5.0, for_s=60)
    assert refused["exit_code"] == 5 and "rule 'mode'" in refused["error"]
    await bench.stop(daemon)
    assert log(bench) == []


async def test_shadow_says_with_a_plan_what_it_is_expected_to_save(bench):
    rewrite(bench, "shadow")
    await bench.start()
    await bench.running()

    async def planned():
        found = (await bench.ask("shadow"))["result"]
        return found if found["saving"] else None

    found = await bench.until(planned, 60)
    saving = found["saving"]
    assert saving["hours"] == 36
    expected = saving["energy_evenly_eur"] - saving["energy_by_plan_eur"] - saving["wear_eur"]
    assert saving["eur"] == pytest.approx(expected, abs=0.002)
    assert log(bench) == []


@pytest.mark.parametrize("mode", ["monitor", "shadow"])
async def test_a_device_in_control_does_not_count_on_one_that_is_not(bench, mode):
    rewrite(bench, "control", {"storage": mode})
    bench.devices["meter"].set("power", -50.0)  # 20 kW above what may be fed in; the battery could take all of it
    bench.devices["inverter"].set("power", -40.0)
    await bench.start(*RULES)
    await bench.running()
    await bench.until(lambda: bench.written("inverter", "power_limit"))
    assert bench.devices["storage"].log == []
    assert bool(await would(bench)) == (mode == "shadow")
    status = await bench.status()
    assert {one["device"]: one["mode"] for one in status["devices"]} == {
        "meter": "control",
        "inverter": "control",
        "storage": mode,
    }
    blocked = {one["device"]: one["writes_blocked"] for one in status["devices"]}
    assert blocked["inverter"] is None and f"storage is in mode '{mode}'" in blocked["storage"]


async def test_what_is_off_is_not_asked_and_says_so(bench):
    rewrite(bench, "control", {"storage": "off"})
    bench.devices["storage"].online = False  # would be an alarm if anybody asked
    await bench.start(*RULES)
    await bench.running()
    status = await bench.status()
    (soc,) = (await bench.ask("points", match="storage.soc"))["result"]
    storage = next(one for one in status["devices"] if one["device"] == "storage")
    assert soc["quality"] == "bad" and soc["reason"].startswith("switched off")
    assert storage["reads"] == storage["errors"] == 0
    assert not [alarm for alarm in status["alarms"] if alarm["subject"].startswith("storage")]
    (load,) = (await bench.ask("points", match="site.base_load"))["result"]
    assert load["quality"] == "good" and load["value"] == pytest.approx(12 + 3)


async def test_nothing_goes_further_than_the_daemon_is_told(bench):
    rewrite(bench, "control")
    daemon = await bench.start(*RULES, "--at-most", "monitor")
    await bench.running()
    assert (await bench.status())["mode"] == "monitor"
    await bench.until(lambda: cycles(bench, 5))
    await bench.stop(daemon)
    assert log(bench) == []


async def cycles(bench, count):
    return (await bench.status())["cycle"] >= count
