"""Alarms of the real daemon: acknowledged on disk, taken over by the next run, cleared when gone, sent to a webhook."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys

import pytest
from ruamel.yaml import YAML

from .test_webhook import Server


async def energyctl(bench, *args):
    """A command in a process of its own: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from energyctl.cli.main import main; main()",
        *args,
        "--state",
        str(bench.state),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def standing(bench):
    alarms = (await bench.ask("alarms"))["result"]
    return {(alarm["name"], alarm["subject"]): alarm for alarm in alarms}


async def lost(bench, device="storage"):
    return ("device-lost", device) in await standing(bench)


def journal(bench, name):
    """(kind, subject, source, reason) of the journal's lines about an alarm, as another reader sees the file."""
    with sqlite3.connect(bench.paths.store) as store:
        rows = store.execute("SELECT kind, point, source, reason, detail FROM journal ORDER BY id").fetchall()
    return [row[:4] for row in rows if row[4].startswith(f"{name}:")]


async def test_an_acknowledgement_survives_a_kill_and_what_is_gone_at_the_start_is_cleared(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    bench.devices["storage"].online = False
    bench.devices["inverter"].online = False
    await bench.until(lambda: lost(bench, "storage"), 20)
    await bench.until(lambda: lost(bench, "inverter"), 20)
    code, out, err = await energyctl(bench, "alarm", "ack", "device-lost", "storage", "--note", "fuse is out")
    assert (code, err) == (0, "") and "acknowledged by" in out
    code, _, err = await energyctl(bench, "alarm", "ack", "device-lost", "meter")
    assert code == 2 and "no alarm 'device-lost meter' stands; there are" in err
    await bench.stop(process, signal.SIGKILL)

    bench.devices["inverter"].online = True
    process = await bench.start("--strategy", "rules")
    await bench.running()
    alarm = (await standing(bench))["device-lost", "storage"]
    assert alarm["note"] == "fuse is out" and alarm["acknowledged_by"]
    code, out, _ = await energyctl(bench, "alarm", "list")
    assert code == 0 and "fuse is out" in out
    # the inverter answers again: its alarm goes, once things have settled, and the other one stays
    await bench.until(lambda: _gone(bench, "inverter"), 45)
    assert (await standing(bench))["device-lost", "storage"]["note"] == "fuse is out"
    bench.devices["storage"].online = True
    await bench.until(lambda: _gone(bench, "storage"), 20)
    assert await bench.stop(process) == 0
    told = journal(bench, "device-lost")
    assert sorted(told[:2]) == [("alarm", "inverter", "", ""), ("alarm", "storage", "", "")]
    assert (told[2][0], told[2][1], told[2][3]) == ("note", "storage", "fuse is out") and told[2][2]
    assert told[3:] == [("cleared", "inverter", "", ""), ("cleared", "storage", "", "")]
    code, out, _ = await energyctl(bench, "alarm", "list", "--all", "--json")
    happened = [(line["what"], line["subject"]) for line in json.loads(out) if line["name"] == "device-lost"]
    assert happened[2:] == [("acknowledged", "storage"), ("cleared", "inverter"), ("cleared", "storage")]


async def _gone(bench, device):
    return not await lost(bench, device)


async def test_a_spoilt_alarm_file_is_put_aside_and_the_site_is_controlled(bench):
    bench.state.mkdir(parents=True)
    (bench.state / "alarms.json").write_text('{"alarms": [{"name"')
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert "alarms of an earlier run are not known" in bench.log()
    assert (bench.state / "alarms.corrupt").exists()
    assert await bench.stop(process) == 0


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


async def test_the_webhook_of_a_running_daemon_is_told_and_one_that_hangs_costs_no_cycle(bench, server, monkeypatch):
    yaml = YAML()
    data = yaml.load(bench.site.read_text())
    data["secrets"] = {"hook": {"env": "HOOK_SECRET"}}
    data["alarms"] = {"webhook": {"url": server.url, "secret": {"secret": "hook"}}}
    with bench.site.open("w") as file:
        yaml.dump(data, file)
    monkeypatch.setenv("HOOK_SECRET", "s3cr3t-of-the-hook")
    server.answers = [500]
    process = await bench.start("--strategy", "rules")
    await bench.running()

    def heard(event, name):
        return any(m["event"] == event and m["alarm"]["name"] == name for m in server.messages)

    bench.devices["storage"].online = False
    await bench.until(lambda: heard("raised", "device-lost"), 20)
    await bench.ask("acknowledge", name="device-lost", subject="storage", note="on it")
    await bench.until(lambda: heard("acknowledged", "device-lost"), 20)
    server.slow_s = 8.0
    bench.devices["storage"].online = True
    before = (await bench.status())["cycle"], (await bench.status())["missed_cycles"]
    await bench.until(lambda: heard("cleared", "device-lost"), 20)
    await asyncio.sleep(2.0)
    status = await bench.status()
    assert status["missed_cycles"] == before[1] and status["cycle"] > before[0]
    assert await bench.stop(process, seconds=10) == 0
    assert "s3cr3t" not in bench.log()
