"""Overrides with the real daemon and the real commands: set by pattern, kept over a restart, over by themselves."""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
import subprocess
import sys

SETPOINT = "storage.power_setpoint"


async def override(bench, *words):
    program = "from energyctl.cli.main import main; main()"
    command = [sys.executable, "-c", program, "override", *words, "--state", str(bench.state)]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )


def battery(bench):
    return bench.devices["storage"].values["power_setpoint"]


async def test_an_override_by_pattern_is_shown_survives_a_restart_and_is_cleared(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    done = await override(bench, "set", "storage.*_setpoint", "3 kW", "--for", "2h", "--reason", "evening event")
    assert done.returncode == 0 and "effective" in done.stdout and battery(bench) == 3.0, done
    (shown,) = (await bench.status())["overrides"]
    assert (shown["point"], shown["value"], shown["by"]) == (SETPOINT, 3.0, getpass.getuser())
    assert shown["reason"] == "evening event" and 7100 < shown["left_s"] <= 7200
    await bench.stop(process, signal.SIGKILL)
    again = await bench.start("--strategy", "rules")
    await bench.running()
    (shown,) = (await bench.status())["overrides"]
    assert (shown["value"], shown["by"]) == (3.0, getpass.getuser()) and 7000 < shown["left_s"] <= 7200
    await bench.until(lambda: battery(bench) == 3.0)
    listed = await override(bench, "list")
    assert "evening event" in listed.stdout and "(119 min)" in listed.stdout
    assert (await override(bench, "clear", "*")).stdout == f"{SETPOINT}: cleared\n"
    await bench.until(lambda: battery(bench) != 3.0)
    assert json.loads((await override(bench, "list", "--json")).stdout) == []
    journal = (await bench.ask("journal", limit=1000))["result"]
    told = [(e["source"], e["detail"]) for e in journal if e["kind"] == "note" and e["point"] == SETPOINT]
    assert (f"operator:{getpass.getuser()}", f"override cleared by {getpass.getuser()}") in told
    assert await bench.stop(again) == 0


async def test_one_refused_point_refuses_all(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    mark = {name: len(device.log) for name, device in bench.devices.items()}
    values = {"inverter.power_limit": 0.5, SETPOINT: 31.0}
    answer = await bench.ask("override", values=values, for_s=60, reason="test")
    assert answer["exit_code"] == 5 and "refused by rule 'limits': 31 kW is outside" in answer["error"]
    await asyncio.sleep(1.2)
    assert bench.written("inverter", "power_limit")[mark["inverter"] :] == []
    assert (await bench.ask("overrides"))["result"] == []


MISTAKES = (
    (("set", "storage.*", "5 kW", "--for", "1h"), 2, "reason"),
    (("set", "nothing.*", "5 kW", "--for", "1h", "--reason", "x"), 2, "no point that can be written to matches"),
    (("set", "storage.*", "5 °C", "--for", "1h", "--reason", "x"), 2, "unit '°C' does not fit"),
    (("set", "storage.*", "50 kW", "--for", "1h", "--reason", "x"), 5, "refused by rule 'limits'"),
    (("set", "storage.*", "5 kW", "--for", "25h", "--reason", "x"), 5, "refused by rule 'duration'"),
    (("clear", "storage.*"), 0, ""),
)


async def test_mistakes_are_said(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    for words, code, said in MISTAKES:
        done = await override(bench, *words)
        assert done.returncode == code and said in done.stderr, done
    assert (await bench.ask("overrides"))["result"] == []


async def test_the_user_is_who_the_system_says_not_who_the_request_says(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    await bench.ask("write", point=SETPOINT, value=2.0, for_s=60, user="the mayor", source="the mayor")
    (shown,) = (await bench.ask("overrides"))["result"]
    assert shown["by"] == getpass.getuser()


async def test_it_ends_by_itself_and_control_works_around_it_meanwhile(bench):
    await bench.start("--strategy", "rules")
    await bench.running()
    # the meter shows 12 kW: the rule discharges, the override charges
    await bench.until(lambda: battery(bench) < 0)
    await bench.ask("override", values={SETPOINT: 4.0}, for_s=2, reason="test")
    assert battery(bench) == 4.0
    held = (await bench.status())["held"][SETPOINT]
    assert held["source"].startswith("operator:")
    await bench.until(lambda: battery(bench) < 0)
    assert (await bench.ask("overrides"))["result"] == []
