"""Generated requests on every way a person has to a device (matrix row 35); the devices' own logs say what got through."""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from tests.torture import count

SPANS = {
    ("storage", "power_setpoint"): (-30.0, 30.0),
    ("inverter", "power_limit"): (0.0, 1.0),
    ("storage", "setpoint_enable"): (0.0, 1.0),
    ("storage", "setpoint_mode"): (0.0, 1.0),
    ("storage", "setpoint_timeout"): (0.0, 60.0),
    ("inverter", "power_limit_enable"): (0.0, 1.0),
    ("inverter", "power_limit_timeout"): (0.0, 60.0),
}
"""What may ever be written on this bench, by hand from the site file and the two profiles; a timer gets the lease or zero."""
TAKES = ("storage.power_setpoint", "inverter.power_limit")
OTHERS = (
    "storage.setpoint_enable", "storage.setpoint_mode", "storage.setpoint_timeout", "storage.soc", "storage.power",
    "inverter.power", "inverter.power_limit_enable", "meter.power", "site.base_load", "storage.*", "storage.", "", "*",
    "storage.power_setpoint ", "STORAGE.POWER_SETPOINT", "nothing.at_all", 7, None, True, ["storage.power_setpoint"],
)  # fmt: skip
WRONG = (
    math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, 30.001, -30.001, 31, 1e6, -1e6, 5e7, 2**31, -(2**31), 65535,
    32767, -32768, "5", "5 kW", "nan", "", None, True, False, [5.0], {"value": 5.0},
)  # fmt: skip
DURATIONS = (60, 60, 60, 1, 0.5, 0, -1, 86400, 86401, 1e12, math.nan, math.inf, "60", None, True)
NO_GATE = """
import sys
from energyctl.control import gate
gate.check = lambda wish, state, now_s: None
from energyctl.daemon.main import main
sys.exit(main())
"""


def quick_cycles(bench):
    """Five cycles a second, so that an admitted request is answered soon."""
    yaml = YAML()
    data = yaml.load(bench.site.read_text())
    data["site"]["period"] = "0.2 s"
    with bench.site.open("w") as file:
        yaml.dump(data, file)


def generated(luck):
    """A request, and whether it is one that must be admitted."""
    point = luck.choice(TAKES if luck.random() < 0.6 else OTHERS)
    fits = {"storage.power_setpoint": luck.uniform(-30, 30), "inverter.power_limit": luck.uniform(0, 1)}
    value = fits[point] if point in TAKES and luck.random() < 0.3 else luck.choice(WRONG)
    for_s = luck.choice(DURATIONS)
    if luck.random() < 0.5:
        return {"do": "write", "point": point, "value": value, "for_s": for_s}
    try:
        return {"do": "override", "values": {point: value}, "for_s": for_s}
    except TypeError:
        return {"do": "override", "values": point, "for_s": for_s}


def bypasses(bench):
    """What reached a device and may not, by the devices' own logs."""
    found = []
    for name, device in bench.devices.items():
        for record in device.log:
            low, high = SPANS.get((name, record.point), (math.nan, math.nan))
            if record.value is None or not low <= record.value <= high:
                found.append((name, record.point, record.value))
    return found


async def asked(bench, requests):
    """The answers to requests, a few at a time."""
    at_once = asyncio.Semaphore(16)

    async def one(request):
        async with at_once:
            reader, writer = await asyncio.open_unix_connection(str(bench.paths.socket), limit=2**24)
            writer.write(json.dumps(request).encode() + b"\n")
            try:
                return json.loads(await asyncio.wait_for(reader.readline(), 30))
            finally:
                writer.close()

    return await asyncio.gather(*(one(request) for request in requests))


async def test_row35_generated_requests_on_the_socket(bench):
    quick_cycles(bench)
    await bench.start("--strategy", "rules")
    await bench.running()
    luck, wanted = random.Random(35), count(35, quick=100, full=1000)
    answers = await asked(bench, [generated(luck) for _ in range(wanted)])
    admitted = [answer for answer in answers if answer["ok"]]
    refused = [answer for answer in answers if not answer["ok"]]
    assert bypasses(bench) == []
    assert 0 < len(admitted) < wanted / 3 and all(answer["error"] for answer in refused)
    rules = {answer["error"].split("'")[1] for answer in refused if answer["error"].startswith("refused by rule")}
    assert rules >= {"limits", "finite", "type", "writable", "known-point", "duration", "part"}
    assert (await bench.status())["missed_cycles"] <= 5 and "Traceback" not in bench.log()


async def test_row35_the_oracle_sees_a_broken_gate(bench):
    quick_cycles(bench)
    await bench.start("--strategy", "rules", code=NO_GATE)
    await bench.running()
    await bench.ask("write", point="storage.power_setpoint", value=31.0, for_s=60)
    await bench.until(lambda: bypasses(bench))
    assert bypasses(bench)[0] == ("storage", "power_setpoint", pytest.approx(31.0))


CLI_POINTS = (*TAKES, "storage.setpoint_enable", "storage.soc", "meter.power", "nothing.at_all", "*", "storage.*")
CLI_VALUES = (
    "31 kW", "-30.5 kW", "nan", "nan kW", "inf kW", "1e999 kW", "5", "5 °C", "0,5 kW", "200 %", "-1 %", "on", "", "0x1F kW",
    "31000 W", "1 MW", "５ kW", "5 kW", "50 %",
)  # fmt: skip


async def test_row35_generated_commands(bench):
    quick_cycles(bench)
    await bench.start("--strategy", "rules")
    await bench.running()
    luck = random.Random(35)
    for _ in range(count(35, quick=5, full=100)):
        verb = luck.choice((("point", "write"), ("override", "set")))
        more = ("--yes",) if verb[0] == "override" else ()
        words = (
            *verb,
            luck.choice(CLI_POINTS),
            luck.choice(CLI_VALUES),
            "--for",
            luck.choice(("1m", "0s", "-1m", "2d")),
        )
        program = "from energyctl.cli.main import main; main()"
        command = [sys.executable, "-c", program, *words, "--reason", "test", *more, "--state", str(bench.state)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 2, 5) and "Traceback" not in done.stderr, (words, done)
        assert done.returncode == 0 or done.stderr.strip(), words
    assert bypasses(bench) == []
