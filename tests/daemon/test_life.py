"""The life of a daemon on real sockets: start, control, stop, crash, hang; the devices' logs say what happened."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.store import plan_from_json


async def hold(bench, value=5.0, seconds=600):
    """An operator holds the battery at a value; returns once the device has it."""
    await bench.running()
    answer = await bench.ask("write", point="storage.power_setpoint", value=value, for_s=seconds, reason="test")
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer
    assert bench.devices["storage"].values["power_setpoint"] == pytest.approx(value)


def owned(bench):
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return {row[0] for row in store.execute("select point from owned")}


async def test_an_operators_write_reaches_the_device_and_a_stop_hands_it_back(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    assert bench.written("storage", "setpoint_enable")[-1] == 1.0
    # the timer is armed with the lease before the value
    points = [r.point for r in bench.devices["storage"].log[:4]]
    assert points == ["setpoint_timeout", "setpoint_mode", "power_setpoint", "setpoint_enable"]
    assert bench.devices["storage"].log[0].value == 60.0
    assert await bench.stop(process) == 0
    values = bench.devices["storage"].values
    assert (values["setpoint_enable"], values["power_setpoint"], values["setpoint_timeout"]) == (0.0, 0.0, 0.0)
    assert owned(bench) == set()


async def test_ctrl_c_in_a_terminal_hands_back(bench):
    code = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
    parent = await bench.start("--strategy", "rules", code=code)
    await hold(bench)
    os.killpg(parent.pid, signal.SIGINT)  # a terminal sends it to parent and child alike
    assert await asyncio.wait_for(parent.wait(), 30) == 0
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0 and owned(bench) == set()


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


async def test_kill_9_is_handed_back_by_the_parent_within_the_lease(bench):
    code = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
    parent = await bench.start("--strategy", "rules", code=code)
    await hold(bench)
    loop = asyncio.get_running_loop()
    killed = loop.time()
    os.kill(children(parent)[0], signal.SIGKILL)
    await bench.until(lambda: bench.devices["storage"].values["setpoint_enable"] == 0.0, 30)
    assert loop.time() - killed < 60
    assert await asyncio.wait_for(parent.wait(), 30) == 70
    assert owned(bench) == set() and "SIGKILL" in bench.log()


async def test_a_hung_daemon_is_killed_and_handed_back(bench):
    code = "import sys; import energyctl.daemon.supervise as s; s.WATCHDOG_S = 3.0; sys.exit(s.supervise(sys.argv[1:]))"
    parent = await bench.start("--strategy", "rules", code=code)
    await hold(bench)
    os.kill(children(parent)[0], signal.SIGSTOP)
    await bench.until(lambda: bench.devices["storage"].values["setpoint_enable"] == 0.0, 30)
    assert await asyncio.wait_for(parent.wait(), 30) == 70
    assert "no completed cycle for 3 s" in bench.log()


async def test_when_parent_and_daemon_are_killed_the_next_start_hands_back_first(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    assert bench.devices["storage"].values["setpoint_enable"] == 1.0 and "storage.power_setpoint" in owned(bench)
    mark = len(bench.devices["storage"].log)
    again = await bench.start("--strategy", "rules")
    await bench.running()
    first = [(r.point, r.value) for r in bench.devices["storage"].log[mark : mark + 4]]
    assert first == [
        ("setpoint_enable", 0.0),
        ("power_setpoint", 0.0),
        ("setpoint_mode", 0.0),
        ("setpoint_timeout", 0.0),
    ]
    assert await bench.stop(again) == 0


async def test_what_a_killed_daemon_left_on_an_absent_device_is_restored_in_the_end(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    storage = bench.devices["storage"]
    storage.online = False
    again = await bench.start("--strategy", "rules")
    await bench.running()
    storage.online, mark = True, len(storage.log)
    await bench.until(lambda: len(storage.log) > mark, 30)
    await asyncio.sleep(1.0)
    # whatever guided it since then: what is restored is what was there before the first daemon, not what that one left
    assert await bench.stop(again) == 0
    assert (storage.values["setpoint_enable"], storage.values["power_setpoint"]) == (0.0, 0.0)
    assert owned(bench) == set()


async def test_the_daemon_stops_when_its_parent_is_killed(bench):
    code = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
    parent = await bench.start("--strategy", "rules", code=code)
    await hold(bench)
    parent.kill()
    await bench.until(lambda: bench.devices["storage"].values["setpoint_enable"] == 0.0, 30)
    await bench.until(lambda: owned(bench) == set(), 10)


async def test_handback_alone_releases_what_a_dead_daemon_left(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await asyncio.wait_for(tool.wait(), 30) == 0
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0 and owned(bench) == set()


async def test_handback_refuses_to_work_against_a_living_daemon(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    tool = await bench.start(module="energyctl.daemon.handback")
    assert await asyncio.wait_for(tool.wait(), 30) == 9
    assert "another energyctl daemon is running" in bench.log()
    assert bench.devices["storage"].values["setpoint_enable"] == 1.0
    assert await bench.stop(process) == 0


async def test_a_second_daemon_is_refused(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    second = await bench.start("--strategy", "rules")
    assert await asyncio.wait_for(second.wait(), 30) == 9
    assert "another energyctl daemon is running" in bench.log()


async def test_a_write_ends_with_its_time(bench):
    await bench.start("--strategy", "rules")
    await hold(bench, seconds=2.0)
    # afterwards the rule has the battery again: surplus and load are balanced, the meter shows 12 kW
    await bench.until(lambda: bench.devices["storage"].values["power_setpoint"] != 5.0)


async def test_with_a_planner_the_plan_guides(bench):
    await bench.start()

    async def planned():
        status = await bench.status()
        return status["guided_by"] == "plan" and status["plans_made"] >= 1

    await bench.until(planned, 40)
    plan = plan_from_json((await bench.ask("plan"))["result"])
    assert len(plan.grid_kw) == 144 and "battery" in plan.power_kw and plan.issued_at <= datetime.now(UTC)


async def test_a_killed_planner_costs_one_plan_and_no_cycle(bench):
    process = await bench.start()
    await bench.until(bench.paths.socket.exists, 20)

    async def planned():
        return (await bench.status())["plans_made"] >= 1

    await bench.until(planned, 40)
    before = (await bench.status())["cycle"]
    for child in children(process):
        os.kill(child, signal.SIGKILL)
    await bench.ask("replan")  # may meet the dead process, or already a new one
    assert (await bench.ask("replan"))["ok"]

    async def recovered():
        status = await bench.status()
        return status["plans_made"] >= 2 and status["cycle"] > before and status["missed_cycles"] <= 1

    await bench.until(recovered, 30)
    assert await bench.stop(process) == 0


def test_running_as_a_module_names_its_options():
    done = subprocess.run(
        [sys.executable, "-m", "energyctl.daemon", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "--lockstep" in done.stdout
