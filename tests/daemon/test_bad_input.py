"""Carelessness on the real path: signals at bad moments, state folders that are wrong or full, sites edited between runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.daemon.paths import StatePaths

SUPERVISED = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
SETPOINT = "storage.power_setpoint"


def edit(path, change):
    """Change a site file in place."""
    yaml = YAML()
    data = yaml.load(path.read_text())
    change(data)
    with path.open("w") as file:
        yaml.dump(data, file)


async def hold(bench):
    """An operator holds the battery at 5 kW; returns once the device has it."""
    await bench.running()
    answer = await bench.ask("write", point=SETPOINT, value=5.0, for_s=600)
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer


async def held_and_killed(bench):
    """A daemon that was killed while the battery obeyed it."""
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    assert bench.devices["storage"].values["setpoint_enable"] == 1.0


async def ended(process):
    return await asyncio.wait_for(process.wait(), 40)


async def alarms(bench):
    return {(alarm["name"], alarm["subject"]): alarm["text"] for alarm in (await bench.status())["alarms"]}


def owned(bench):
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return {row[0] for row in store.execute("select point from owned")}


def children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


async def test_ctrl_c_while_the_daemon_still_starts_is_a_stop(bench):
    parent = await bench.start("--strategy", "rules", code=SUPERVISED)
    await bench.until(lambda: children(parent))
    os.killpg(parent.pid, signal.SIGINT)  # the child cannot have its handlers yet: it is importing
    assert await ended(parent) == 0, bench.log()
    assert "Traceback" not in bench.log() and "killed" not in bench.log()
    assert not bench.paths.socket.exists()


async def test_ctrl_c_again_and_again_does_not_disturb_the_hand_back(bench):
    parent = await bench.start("--strategy", "rules", code=SUPERVISED)
    await hold(bench)
    with contextlib.suppress(ProcessLookupError):  # until all of them have ended
        while parent.returncode is None:
            os.killpg(parent.pid, signal.SIGINT)
            await asyncio.sleep(0.01)
    assert await ended(parent) == 0, bench.log()
    assert "Traceback" not in bench.log() and "killed" not in bench.log()
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0 and owned(bench) == set()


async def test_a_state_folder_that_will_not_do_is_one_line(bench, tmp_path):
    bench.state = tmp_path / "a-file"
    bench.state.touch()
    process = await bench.start("--strategy", "rules")
    assert await ended(process) == 7
    assert len(bench.log().splitlines()) == 1 and "no state can be kept there: File exists" in bench.log()
    assert "--state" in bench.log()
    assert all(device.log == [] for device in bench.devices.values())


async def test_a_state_folder_may_have_a_name_too_long_for_a_socket(bench, tmp_path):
    bench.state = tmp_path / ("x" * 120)
    bench.paths = StatePaths(bench.state)
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    assert await bench.stop(process) == 0


async def test_a_disk_full_at_the_end_is_said_and_the_next_start_hands_back_again(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (8192, 8192))

    async def failing():
        return ("store-failing", "store") in await alarms(bench)

    await bench.until(failing)
    assert await bench.stop(process) == 1
    assert "handed back, but that could not be written down" in bench.log()
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0
    assert SETPOINT in owned(bench)
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await ended(tool) == 0
    assert owned(bench) == set()


def without_battery(data):
    del data["devices"]["storage"], data["resources"]["battery"], data["connections"]["battery-room"]


async def test_a_held_device_that_left_the_site_file_is_an_alarm_until_it_is_handed_back(bench):
    await held_and_killed(bench)
    whole = bench.site.read_text()
    edit(bench.site, without_battery)
    bench.devices["storage"].online = False
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert "the site file no longer has this point" in (await alarms(bench))["not-released", SETPOINT]
    assert f"hand back {SETPOINT}" in bench.log()
    await bench.stop(process)
    bench.devices["storage"].online = True
    bench.site.write_text(whole)
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await ended(tool) == 0
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0 and owned(bench) == set()


async def test_the_state_of_another_site_that_still_holds_points_is_refused(bench):
    await held_and_killed(bench)
    whole, mark = bench.site.read_text(), len(bench.devices["storage"].log)
    edit(bench.site, lambda d: d["site"].update(id="another"))
    for module in ("energyctl.daemon", "energyctl.daemon.handback"):
        assert await ended(await bench.start(module=module)) == 2
        assert "belongs to site 'larissa-town-hall'" in bench.log() and "Traceback" not in bench.log()
    assert len(bench.devices["storage"].log) == mark
    bench.site.write_text(whole)
    assert await ended(await bench.start(module="energyctl.daemon.handback")) == 0
    edit(bench.site, lambda d: d["site"].update(id="another"))  # nothing is held any more: the folder may change hands
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert await bench.stop(process) == 0


async def test_an_import_limit_below_the_load_is_planned_around_and_said(bench):
    edit(bench.site, lambda d: d["grid"].update(import_limit="2 kW"))
    edit(bench.site, lambda d: d["resources"].pop("battery"))  # nothing that could help
    await bench.start()

    async def planned():
        return (await bench.status())["guided_by"] == "plan"

    await bench.until(planned, 40)
    assert any("import limit 2 kW" in what for what in (await bench.status())["plan_not_met"])

    async def command(*words):
        program = "from energyctl.cli.main import main; main()"
        args = (sys.executable, "-c", program, *words, "--state", str(bench.state))
        done = await asyncio.to_thread(subprocess.run, args, capture_output=True, text=True, check=True)
        return done.stdout

    assert "Not met: import limit 2 kW" in await command("plan", "explain")
    assert "the plan cannot meet: import limit 2 kW" in await command("status")
    assert ("limit-exceeded", "grid") in await alarms(bench)  # the meter shows 12 kW


async def test_prices_that_end_tomorrow_are_an_alarm_and_no_reason_to_stop(bench, tmp_path):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [f"{today + timedelta(hours=hour):%Y-%m-%dT%H:%MZ},{80 + hour}" for hour in range(-24, 30)]
    (tmp_path / "prices.csv").write_text("time_utc,price_eur_per_mwh\n" + "\n".join(rows) + "\n")
    tariff = {"kind": "day-ahead", "file": str(tmp_path / "prices.csv"), "carbon": "265 g/kWh"}
    edit(bench.site, lambda d: d.update(tariff=tariff))
    await bench.start()

    async def planned():
        return (await bench.status())["guided_by"] == "plan"

    await bench.until(planned, 40)
    told = await alarms(bench)
    end = today + timedelta(hours=30)
    assert f"the first {end:%Y-%m-%d %H:%M} UTC" in told["price-missing", "tariff"], told
    assert ("carbon-missing", "tariff") not in told


async def _http(reader, writer):
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


async def _mute(reader, writer):
    await reader.read()
    writer.close()


@pytest.mark.parametrize("service", [_http, _mute], ids=["http", "mute"])
async def test_the_port_of_another_service_costs_that_device_alone(bench, service):
    server = await asyncio.start_server(service, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    edit(bench.site, lambda d: d["connections"]["battery-room"].update(port=port))
    bench.devices["storage"].online = False
    process = await bench.start("--strategy", "rules")
    await bench.running()

    async def lost():
        return ("device-lost", "storage") in await alarms(bench)

    await bench.until(lost, 20)
    assert str(port) in (await alarms(bench))["device-lost", "storage"]
    assert "Traceback" not in bench.log()
    assert await bench.stop(process) == 0
    server.close()
