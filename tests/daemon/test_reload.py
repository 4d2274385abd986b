"""Another configuration for a running daemon: taken whole or not at all, and devices that stay notice nothing of it."""

from __future__ import annotations

import asyncio
import json
import signal

from ruamel.yaml import YAML

from energyctl.cli.main import run as cli
from energyctl.config.accepted import Accepted

SETPOINT = "storage.power_setpoint"


def edit(path, change):
    """Change a site file in place."""
    yaml = YAML()
    data = yaml.load(path.read_text())
    change(data)
    with path.open("w") as file:
        yaml.dump(data, file)


def without_storage(data):
    del data["devices"]["storage"], data["resources"]["battery"], data["connections"]["battery-room"]


def swapped(data):
    """The meter and the inverter at each other's unit id."""
    meter, inverter = data["devices"]["meter"], data["devices"]["inverter"]
    meter["unit"], inverter["unit"] = inverter["unit"], meter["unit"]


async def holding(bench, *args):
    """A daemon that holds the battery at 5 kW."""
    process = await bench.start("--strategy", "rules", *args)
    await bench.running()
    answer = await bench.ask("write", point=SETPOINT, value=5.0, for_s=600, reason="test")
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer
    return process


async def apply(bench, **more):
    return await bench.ask("config-apply", file=str(bench.site), **more)


def disturbed(bench, mark):
    """What the battery was told since then besides its refreshed command, by its own log."""
    wanted = {("power_setpoint", 5.0), ("setpoint_enable", 1.0), ("setpoint_timeout", 60.0), ("setpoint_mode", 1.0)}
    told = {(record.point, record.value) for record in bench.devices["storage"].log[mark:]}
    return {item for item in told if item not in wanted and item[0] != "setpoint_mode"}


def number(bench):
    return Accepted(bench.paths.config).current().number


async def test_a_configuration_is_taken_without_a_bump_and_without_a_missed_cycle(bench):
    process = await holding(bench)
    mark = len(bench.devices["storage"].log)
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    answer = await apply(bench)
    assert answer["ok"], answer
    assert (answer["result"]["number"], answer["result"]["missed_cycles"]) == (2, 0)
    before = (await bench.status())["cycle"]

    async def three_more():
        return (await bench.status())["cycle"] > before + 3

    await bench.until(three_more)
    status = await bench.status()
    assert status["import_limit_kw"] == 41.0 and status["held"][SETPOINT]["effect"] == "effective"
    assert status["missed_cycles"] == 0
    assert disturbed(bench, mark) == set()
    assert number(bench) == 2
    assert await bench.stop(process) == 0
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0


async def test_a_device_that_leaves_is_handed_back_and_comes_again(bench):
    process = await holding(bench)
    whole = bench.site.read_text()
    edit(bench.site, without_storage)
    answer = await apply(bench)
    assert answer["ok"] and answer["result"]["handed_back"] == ["storage"], answer
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0
    status = await bench.status()
    assert status["held"] == {} and "storage" not in {device["device"] for device in status["devices"]}
    bench.site.write_text(whole)
    assert (await apply(bench))["result"]["new"] == ["storage"]
    await bench.running()
    assert await bench.stop(process) == 0


async def test_a_device_that_cannot_be_handed_back_keeps_the_old_configuration(bench):
    process = await holding(bench)
    bench.devices["storage"].online = False
    edit(bench.site, without_storage)
    answer = await apply(bench)
    assert not answer["ok"] and "--abandon storage" in answer["error"] and number(bench) == 1
    assert SETPOINT in (await bench.status())["held"]
    answer = await apply(bench, abandon=["storage"])
    assert answer["ok"] and number(bench) == 2, answer
    assert (await bench.status())["held"] == {}
    assert await bench.stop(process) == 0


async def test_row25_two_devices_that_swap_are_noticed_and_need_to_be_meant(bench):
    process = await holding(bench)
    mark = len(bench.devices["storage"].log)
    edit(bench.site, swapped)
    asked = await bench.ask("config-plan", file=str(bench.site), online=True)
    assert asked["ok"], asked
    plan = asked["result"]
    assert "'meter' and 'inverter' have changed places" in plan["replaced"]["meter"]
    assert set(plan["replaced"]) == {"meter", "inverter"}
    answer = await apply(bench)
    assert not answer["ok"] and "another device behind the same id" in answer["error"]
    assert "--replace" in answer["error"] and number(bench) == 1
    assert not (await apply(bench, replace=["meter"]))["ok"]
    assert disturbed(bench, mark) == set()
    answer = await apply(bench, replace=["meter", "inverter"])
    assert answer["ok"] and number(bench) == 2
    assert disturbed(bench, mark) == set()
    assert await bench.stop(process) == 0


async def test_rollback_goes_back_and_a_restart_does_not_undo_it(bench):
    process = await holding(bench)
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    assert (await apply(bench))["ok"]
    answer = await bench.ask("config-rollback")
    assert answer["ok"] and answer["result"]["number"] == 3 and answer["result"]["left_aside"], answer
    assert (await bench.status())["import_limit_kw"] != 41.0
    assert await bench.stop(process) == 0
    again = await bench.start("--strategy", "rules")
    await bench.running()
    status = await bench.status()
    assert status["import_limit_kw"] != 41.0
    assert "config-not-taken" in {alarm["name"] for alarm in status["alarms"]}
    assert (await apply(bench))["ok"]
    assert (await bench.status())["import_limit_kw"] == 41.0
    assert await bench.stop(again) == 0


async def test_sighup_takes_the_site_file_again(bench):
    process = await holding(bench)
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    process.send_signal(signal.SIGHUP)
    await bench.until(lambda: number(bench) == 2)
    bench.site.write_text("site: {id: x")
    process.send_signal(signal.SIGHUP)

    async def alarmed():
        return "config-not-taken" in {alarm["name"] for alarm in (await bench.status())["alarms"]}

    await bench.until(alarmed)
    assert number(bench) == 2 and SETPOINT in (await bench.status())["held"]
    assert await bench.stop(process) == 0


async def test_row25_a_device_that_says_it_is_another_one_is_not_written_to_until_that_is_meant(bench):
    process = await holding(bench)
    await bench.until(lambda: "storage" in json.loads(bench.paths.pins.read_text()))
    assert await bench.stop(process) == 0
    pins = json.loads(bench.paths.pins.read_text())
    pins["storage"]["identity"] = "the battery that was here before"
    bench.paths.pins.write_text(json.dumps(pins))
    mark = len(bench.devices["storage"].log)
    process = await bench.start("--strategy", "rules")
    await bench.running()

    async def alarmed():
        return "another-device" in {alarm["name"] for alarm in (await bench.status())["alarms"]}

    await bench.until(alarmed)
    answer = await bench.ask("write", point=SETPOINT, value=5.0, for_s=600)
    assert not answer["ok"] and "identity" in answer["error"] and "--replace storage" in answer["error"]
    assert bench.devices["storage"].log[mark:] == []
    assert (await apply(bench, replace=["storage"]))["ok"]
    await bench.until(lambda: json.loads(bench.paths.pins.read_text())["storage"]["epoch"] == 2)
    answer = await bench.ask("write", point=SETPOINT, value=5.0, for_s=600)
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer
    assert not await alarmed()
    assert await bench.stop(process) == 0


async def test_a_changed_file_is_taken_by_a_start_but_not_another_device(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert await bench.stop(process) == 0
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert (await bench.status())["import_limit_kw"] == 41.0 and number(bench) == 2
    assert await bench.stop(process) == 0
    edit(bench.site, swapped)
    process = await bench.start("--strategy", "rules")
    await bench.running()
    status = await bench.status()
    text = next(alarm["text"] for alarm in status["alarms"] if alarm["name"] == "config-not-taken")
    assert "changed places" in text and "number 2" in text and number(bench) == 2
    assert status["grid_kw"] == 12.0  # the meter is still where it was
    assert await bench.stop(process) == 0
    process = await bench.start("--strategy", "rules", "--replace", "meter", "--replace", "inverter")
    await bench.until(lambda: number(bench) == 3)
    assert await bench.stop(process) == 0


async def test_a_connection_that_cannot_be_opened_keeps_the_old_configuration(bench):
    code = (
        "import sys\n"
        "from energyctl.daemon.links import Links\n"
        "enter, seen = Links._enter, []\n"
        "async def failing(self, wanted, driver):\n"
        "    seen.append(1)\n"
        "    if len(seen) == 3: raise OSError('the port is taken')\n"
        "    await enter(self, wanted, driver)\n"
        "Links._enter = failing\n"
        "from energyctl.daemon.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = await bench.start("--strategy", "rules", code=code)
    await bench.running()
    assert (await bench.ask("write", point=SETPOINT, value=5.0, for_s=600))["ok"]
    mark = len(bench.devices["storage"].log)
    edit(bench.site, lambda d: d["connections"]["battery-room"].update(timeout="400 ms"))
    answer = await apply(bench)
    assert not answer["ok"] and "the port is taken" in answer["error"] and number(bench) == 1
    await bench.running()
    reads = {device["device"]: device["reads"] for device in (await bench.status())["devices"]}

    async def read_again():
        return all(d["reads"] > reads[d["device"]] for d in (await bench.status())["devices"])

    await bench.until(read_again)
    assert SETPOINT in (await bench.status())["held"] and disturbed(bench, mark) == set()
    answer = await apply(bench)
    assert answer["ok"] and answer["result"]["reconnected"] == ["storage"], answer
    await bench.until(read_again)
    assert SETPOINT in (await bench.status())["held"] and disturbed(bench, mark) == set()
    assert await bench.stop(process) == 0


async def energyctl(capsys, *words):
    """A command in this process; its exit code and what it said."""
    capsys.readouterr()
    code = await asyncio.to_thread(cli, [str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out + said.err


async def test_the_commands_from_diff_to_rollback(bench, capsys):
    here = (bench.site, "--state", bench.state)
    code, said = await energyctl(capsys, "config", "plan", *here)
    assert code == 0 and "new devices:" in said and "to apply it" in said
    code, said = await energyctl(capsys, "config", "apply", *here)
    assert code == 0 and "number 1 is in force" in said and "no daemon is running" in said, said
    process = await holding(bench)
    assert (await energyctl(capsys, "config", "diff", *here)) == (0, "no differences\n")
    assert "nothing would change; number 1" in (await energyctl(capsys, "config", "plan", *here))[1]
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    limit = (await bench.status())["import_limit_kw"]
    code, said = await energyctl(capsys, "config", "diff", *here)
    assert code == 0 and f"grid.import_limit: {limit:g} kW -> 41 kW" in said
    code, said = await energyctl(capsys, "config", "plan", *here, "--online")
    assert code == 0 and f"stay in control:\n  {SETPOINT}" in said and "undisturbed:" in said
    assert (await energyctl(capsys, "config", "apply", *here)) == (0, "number 2 is in force; 0 cycles missed\n")
    code, said = await energyctl(capsys, "config", "rollback", *here, "--to", 1)
    assert code == 0 and "number 3 is in force" in said and "the site file says something else" in said
    assert (await energyctl(capsys, "config", "rollback", *here, "--to", 99))[0] == 2
    code, said = await energyctl(capsys, "config", "versions", *here)
    assert code == 0 and "rollback to 1" in said
    edit(bench.site, swapped)
    code, said = await energyctl(capsys, "config", "apply", *here)
    assert code == 2 and "'meter' and 'inverter' have changed places" in said and "--replace" in said
    bench.site.write_text("site: [")
    assert (await energyctl(capsys, "config", "plan", *here))[0] == 2
    assert number(bench) == 3 and await bench.stop(process) == 0


async def test_what_a_killed_daemon_left_is_handed_back_whatever_has_become_of_the_site_file(bench):
    process = await holding(bench)
    await bench.stop(process, signal.SIGKILL)
    bench.site.write_text("site: {half of a fi")
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await asyncio.wait_for(tool.wait(), 30) == 0, bench.log()
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0
