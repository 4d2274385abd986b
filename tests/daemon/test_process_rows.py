"""Process faults (matrix rows 9 to 15) with the real daemon; the devices' own logs and the system say what happened."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from energyctl.control.alarms import Alarms
from energyctl.core.boot import boot_id
from energyctl.core.clock import LiveClock
from energyctl.daemon.starts import MOST, Starts
from tests.torture import count

SETPOINT = "storage.power_setpoint"
LEASE_S = 60.0
SUPERVISED = "import sys; from energyctl.daemon.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
HANGING = """
import asyncio, sys
from energyctl.daemon import cycle, main
step = cycle.Controller.step
async def hang(self):
    if self.cycle >= {after}:
        await asyncio.Event().wait()
    await step(self)
cycle.Controller.step = hang
sys.exit(main.main())
"""
"""A daemon whose control loop waits for ever after so many cycles, while everything else of it lives."""


async def hold(bench, value=5.0):
    """An operator holds the battery at a value; returns once the device has it."""
    await bench.running()
    answer = await bench.ask("write", point=SETPOINT, value=value, for_s=600, reason="test")
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer


def local(bench):
    """Whether battery and inverter are as they were found."""
    battery, inverter = bench.devices["storage"].values, bench.devices["inverter"].values
    found = (battery["setpoint_enable"], battery["power_setpoint"], battery["setpoint_timeout"])
    return found == (0.0, 0.0, 0.0) and inverter["power_limit_enable"] == 0.0


def owned(bench):
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return {row[0] for row in store.execute("select point from owned")}


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def memory(pid):
    """Address space of a process [bytes]."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def now_s():
    return asyncio.get_running_loop().time()


async def alarms(bench):
    return {alarm["name"] for alarm in (await bench.status())["alarms"]}


async def test_row09_stopped_for_60_s_is_killed_and_local_within_the_lease(bench):
    parent = await bench.start("--strategy", "rules", code=SUPERVISED)
    await hold(bench)
    (daemon,) = [pid for pid in children(parent) if alive(pid)]
    os.kill(daemon, signal.SIGSTOP)
    begun = now_s()
    await bench.until(lambda: not alive(daemon), LEASE_S)
    killed_s = now_s() - begun
    await bench.until(lambda: local(bench), LEASE_S)
    assert 11 < killed_s <= 15 and now_s() - begun < LEASE_S  # the watchdog is 13 s
    assert await asyncio.wait_for(parent.wait(), 30) == 70 and owned(bench) == set()


class Supervisor:
    """What systemd is to a service: hears its notifications."""

    def __init__(self, folder):
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self):
        """How many watchdog messages came since the last call."""
        beats = 0
        while True:
            try:
                beats += b"WATCHDOG=1" in self._socket.recv(4096).split(b"\n")
            except BlockingIOError:
                return beats


async def test_row10_a_hung_control_loop_feeds_no_watchdog_while_the_rest_lives(bench, tmp_path, monkeypatch):
    supervisor = Supervisor(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.address)
    await bench.start("--strategy", "rules", code=HANGING.format(after=3))
    await bench.until(bench.paths.socket.exists)

    async def third():
        return (await bench.status())["cycle"] == 3

    await bench.until(third)
    await asyncio.sleep(1.0)
    assert 0 < supervisor.heard() <= 3
    await asyncio.sleep(3.0)
    assert supervisor.heard() == 0, "the watchdog was fed by something else than a completed cycle"
    status = await bench.status()
    assert status["cycle"] == 3 and status["up_s"] > 4, "the loop lives and answers"


async def test_row10_a_hung_control_loop_is_killed_and_handed_back(bench, tmp_path):
    program = tmp_path / "hanging.py"
    program.write_text(HANGING.format(after=8))
    code = (
        "import sys; import energyctl.daemon.supervise as s; s.WATCHDOG_S = 4.0; "
        f"sys.exit(s.supervise(sys.argv[1:], program=({str(program)!r},)))"
    )
    parent = await bench.start("--strategy", "rules", code=code)
    await bench.running()
    await bench.until(lambda: not local(bench))
    assert await asyncio.wait_for(parent.wait(), 40) == 70
    assert local(bench) and owned(bench) == set() and "no completed cycle for 4 s" in bench.log()


async def test_row11_sigterm_hands_everything_back(bench):
    for _ in range(count(11, quick=2, full=50)):
        process = await bench.start("--strategy", "rules")
        await hold(bench)
        begun = now_s()
        assert await bench.stop(process) == 0
        assert local(bench) and owned(bench) == set() and now_s() - begun < 10


async def test_row12_sigkill_while_commanding_leaves_nothing_longer_than_the_lease_and_restarts_without_a_bump(bench):
    storage = bench.devices["storage"]
    for _ in range(count(12, quick=2, full=50)):
        parent = await bench.start("--strategy", "rules", code=SUPERVISED)
        await hold(bench)
        mark, begun = len(storage.log), now_s()
        os.kill(children(parent)[0], signal.SIGKILL)
        await bench.until(lambda: local(bench), LEASE_S)
        assert now_s() - begun < LEASE_S
        assert await asyncio.wait_for(parent.wait(), 30) == 70
        again = await bench.start("--strategy", "rules")
        await bench.running()
        await bench.until(lambda: storage.values["power_setpoint"] == 5.0)  # the person's override goes on
        seen = [r.value for r in storage.log[mark:] if r.point == "power_setpoint"]
        assert seen == [0.0, 5.0], "only what was found before, then what is wanted still"
        assert await bench.stop(again) == 0
        assert local(bench) and owned(bench) == set()


async def test_row13_a_second_daemon_is_refused_every_time(bench):
    process = await bench.start("--strategy", "rules")
    await hold(bench)
    refused, wanted = 0, count(13, quick=10, full=200)
    while refused < wanted:
        seconds = [await bench.start("--strategy", "rules") for _ in range(min(5, wanted - refused))]
        assert [await asyncio.wait_for(one.wait(), 60) for one in seconds] == [9] * len(seconds)
        refused += len(seconds)
    assert (await bench.status())["missed_cycles"] <= 2 and not local(bench)
    assert await bench.stop(process) == 0


async def test_row14_a_crash_loop_ends_in_monitoring_with_an_alarm(bench):
    real = count(14, quick=2, full=MOST - 1)
    for _ in range(MOST - 1 - real):  # the others, as they would have been written down
        bench.state.mkdir(exist_ok=True)
        Starts(bench.paths.starts, LiveClock(), boot_id(), Alarms()).begin()
    for _ in range(real):
        process = await bench.start("--strategy", "rules")
        await bench.running()
        await bench.until(lambda: not local(bench))
        await bench.stop(process, signal.SIGKILL)
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert local(bench), "what the last crash left is handed back"
    mark = sum(len(device.log) for device in bench.devices.values())
    refusal = await bench.ask("write", point=SETPOINT, value=5.0, for_s=60)
    assert "refused by rule 'crash-loop'" in refusal["error"]
    await asyncio.sleep(1.5)
    assert sum(len(device.log) for device in bench.devices.values()) == mark
    assert "crash-loop" in await alarms(bench)
    assert await bench.stop(process) == 0
    await bench.start("--strategy", "rules")  # a person has stopped it in order, and starts it again
    await bench.running()
    await bench.until(lambda: not local(bench))


async def test_row15_without_file_descriptors_control_goes_on(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    await bench.until(lambda: not local(bench))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (64, 64))
    before = await bench.status()
    crowd = [await asyncio.open_unix_connection(str(bench.paths.socket)) for _ in range(80)]
    await bench.until(lambda: "Too many open files" in bench.log())
    mark = len(bench.devices["storage"].log)
    bench.devices["meter"].set("power", -9.0)  # the battery has to follow
    await bench.until(lambda: len(bench.devices["storage"].log) > mark)
    for _, writer in crowd:
        writer.close()

    async def answers():
        return (await asyncio.wait_for(bench.ask("status"), 2))["result"]

    after = await bench.until(answers)
    assert after["cycle"] > before["cycle"] and after["missed_cycles"] <= before["missed_cycles"] + 1
    assert (await bench.ask("history", point="meter.power"))["ok"], "what could not be opened can be again"
    assert await bench.stop(process) == 0 and local(bench)
    again = await bench.start("--strategy", "rules")
    await bench.running()
    assert await bench.stop(again) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_row15_out_of_memory_it_goes_on_or_is_handed_back_and_starts_again(bench):
    parent = await bench.start("--strategy", "rules", code=SUPERVISED)
    await hold(bench)
    daemon = children(parent)[0]
    resource.prlimit(daemon, resource.RLIMIT_AS, (memory(daemon) + 2**20,) * 2)
    for _ in range(20):
        try:
            await asyncio.wait_for(bench.ask("journal", limit=100_000, pad="x" * 60_000), 10)
        except (OSError, ValueError, TimeoutError):
            break
    if alive(daemon):
        cycle = (await bench.status())["cycle"]

        async def goes_on():
            return (await bench.status())["cycle"] > cycle + 1

        await bench.until(goes_on)
        os.kill(daemon, signal.SIGTERM)
    await asyncio.wait_for(parent.wait(), 40)
    assert local(bench) and owned(bench) == set()
    again = await bench.start("--strategy", "rules")
    await bench.running()
    assert await bench.stop(again) == 0
