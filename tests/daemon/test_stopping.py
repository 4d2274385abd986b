"""Emergency stop and draining with the real daemon and the real commands; the devices' own logs say what was written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture import count

SETPOINT = "storage.power_setpoint"
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
"""No file of the process may grow: as on a full disk, a file can be made and nothing written into it."""


async def energyctl(bench, *words, before=""):
    """A command line in a process of its own; returns it when it has ended."""
    program = f"{before}from energyctl.cli.main import main; main()"
    command = [sys.executable, "-c", program, *words, "--state", str(bench.state)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=90)


async def hold(bench, value=5.0):
    """An operator holds the battery at a value; returns once the device has it."""
    await bench.running()
    answer = await bench.ask("write", point=SETPOINT, value=value, for_s=600, reason="test")
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer


def local(bench):
    """Whether the battery is as it was found."""
    values = bench.devices["storage"].values
    return (values["setpoint_enable"], values["power_setpoint"], values["setpoint_timeout"]) == (0.0, 0.0, 0.0)


def writes(bench):
    return sum(len(device.log) for device in bench.devices.values())


async def quiet(bench, seconds=1.5):
    """Nothing more may reach any device."""
    mark = writes(bench)
    await asyncio.sleep(seconds)
    assert writes(bench) == mark, "something was written while the emergency stop stood"


async def alarms(bench):
    return {alarm["name"] for alarm in (await bench.status())["alarms"]}


def owned(bench):
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return {row[0] for row in store.execute("select point from owned")}


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


async def test_estop_hands_everything_back_and_stays_until_cleared(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    done = await energyctl(bench, "estop", "--reason", "smoke in the plant room")
    assert done.returncode == 0 and "everything is handed back" in done.stdout, done
    assert local(bench)
    await quiet(bench)
    for value in (5.0, 0.0):  # people neither
        refusal = await bench.ask("write", point=SETPOINT, value=value, for_s=60)
        assert refusal["exit_code"] == 5 and "refused by rule 'estop'" in refusal["error"]
    status = await bench.status()
    assert "smoke in the plant room" in status["estop"] and "estop" in await alarms(bench)
    assert all("emergency stop" in device["writes_blocked"] for device in status["devices"])
    assert "EMERGENCY STOP" in (await energyctl(bench, "status")).stdout
    assert await bench.stop(process) == 0
    assert "EMERGENCY STOP" in (await energyctl(bench, "status")).stdout, "also without a daemon"
    again = await bench.start("--strategy", "rules")
    await bench.running()
    await quiet(bench)
    assert (await energyctl(bench, "estop", "clear")).stdout == "the emergency stop is cleared\n"
    await bench.until(lambda: bench.devices["storage"].values["power_setpoint"] == 5.0)  # the override still stands
    assert "estop" not in await alarms(bench)
    assert await bench.stop(again) == 0


async def test_estop_with_the_planner_killed(bench):
    process = await bench.start()
    await hold(bench)
    for child in children(process):
        os.kill(child, signal.SIGKILL)
    done = await energyctl(bench, "estop")
    assert done.returncode == 0 and local(bench), done
    await quiet(bench)


async def test_estop_with_a_full_disk(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
    done = await energyctl(bench, "estop", before=FULL_DISK)
    assert done.returncode == 0 and local(bench), done
    assert bench.paths.estop.exists()
    await quiet(bench)
    assert "estop" in await alarms(bench)


async def test_estop_where_nothing_can_be_written_at_all_is_kept_in_mind(bench):
    await bench.start("--strategy", "rules")
    await hold(bench)
    hidden = bench.state.with_name("hidden")
    bench.state.rename(hidden)  # its socket goes with it, the daemon knows its old name alone
    answer = await _ask_at(hidden / "control.sock", {"do": "estop", "reason": "fire", "wait_s": 5})
    assert answer["ok"] and not answer["result"]["left"] and local(bench), answer
    assert not (hidden / "estop").exists()
    await quiet(bench)
    hidden.rename(bench.state) if not bench.state.exists() else None


async def _ask_at(path, request):
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(json.dumps(request).encode() + b"\n")
    try:
        return json.loads(await reader.readline())
    finally:
        writer.close()


async def test_estop_with_a_device_unplugged_hands_it_back_when_it_returns(bench):
    await bench.start("--strategy", "rules")
    await hold(bench)
    storage = bench.devices["storage"]
    storage.online = False
    done = await energyctl(bench, "estop")
    assert done.returncode == 1 and SETPOINT in done.stdout, done
    assert bench.devices["inverter"].values["power_limit_enable"] == 0.0
    storage.online = True
    await bench.until(lambda: local(bench), 30)
    await quiet(bench)


async def test_estop_during_writes(bench):
    """People write as fast as they can when it is pressed, at a moment that differs every time."""
    luck = random.Random(4)
    await bench.start("--strategy", "rules")
    await bench.running()
    for _ in range(count(36, quick=4, full=100)):
        busy = [asyncio.create_task(bench.ask("write", point=SETPOINT, value=v, for_s=60)) for v in range(1, 9)]
        await asyncio.sleep(luck.uniform(0, 1.5))
        answer = await bench.ask("estop", reason="test", wait_s=10)
        assert answer["result"]["left"] == {}
        mark = writes(bench)
        assert local(bench)
        await asyncio.gather(*busy)
        await asyncio.sleep(1.2)
        assert writes(bench) == mark and local(bench)
        await bench.ask("override-clear", match="*")
        await bench.ask("estop-clear")


async def test_estop_without_a_daemon_hands_back_and_holds_from_the_first_cycle(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    assert not local(bench)
    done = await energyctl(bench, "estop")
    assert done.returncode == 0 and local(bench) and owned(bench) == set(), done
    mark = writes(bench)
    await bench.start("--strategy", "rules")
    await bench.running()
    await quiet(bench)
    assert writes(bench) == mark and "estop" in await alarms(bench)


@pytest.fixture
def small_disk(bench):
    """A file system of its own for the state folder; returns what fills it to the last byte."""
    bench.state.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", bench.state], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("may not mount a file system here")
    yield lambda: fill(bench.state / "ballast")
    subprocess.run(["umount", "--lazy", bench.state], check=True)


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


async def test_estop_without_a_daemon_on_a_full_disk(bench, small_disk):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    await bench.stop(process, signal.SIGKILL)
    small_disk()
    done = await energyctl(bench, "estop")
    assert local(bench) and bench.paths.estop.exists(), done
    await bench.start("--strategy", "rules")
    await bench.running()
    await bench.until(lambda: local(bench))
    await quiet(bench)
    assert "estop" in await alarms(bench)


async def test_estop_of_a_hung_daemon_kills_it_and_hands_back(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    process.send_signal(signal.SIGSTOP)
    done = await energyctl(bench, "estop")
    assert done.returncode == 0 and "did not answer within 5 s; it is killed" in done.stderr, done
    assert local(bench) and owned(bench) == set()
    assert await asyncio.wait_for(process.wait(), 5) == -signal.SIGKILL


async def test_drain_hands_everything_back_and_ends_the_daemon(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    done = await energyctl(bench, "drain")
    assert (done.returncode, done.stdout) == (0, "everything is handed back, and the daemon has ended\n"), done
    assert await asyncio.wait_for(process.wait(), 5) == 0
    assert local(bench) and owned(bench) == set()
    again = await bench.start("--strategy", "rules")  # it is no lasting state
    await bench.running()
    await bench.until(lambda: not local(bench))
    assert await bench.stop(again) == 0


async def test_drain_says_what_is_not_handed_back(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    bench.devices["storage"].online = False
    done = await energyctl(bench, "drain", "--within", "1s")
    assert done.returncode == 10 and SETPOINT in done.stdout, done
    assert await asyncio.wait_for(process.wait(), 5) == 10
    assert SETPOINT in owned(bench)
