"""Commissioning on real devices that answer to what they are told: planted mistakes are found, and control waits for it."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from hil.faults import Bench as Faults
from hil.faults import make
from hil.plant import build
from hil.scenario import load
from hil.twin import Twin

from .conftest import LARISSA, Bench

RULES = ("--strategy", "rules")
BASE_KW = 12.345


class Alive:
    """The least physics: a battery obeys while it is told to, an inverter keeps its limit, the meter sees the sum."""

    def __init__(self, devices, twin):
        self.devices, self.twin = devices, twin

    def step(self):
        storage, inverter, meter = (self.devices[name] for name in ("storage", "inverter", "meter"))
        told = storage.values["setpoint_enable"] == 1
        storage.set("power", storage.values["power_setpoint"] if told else 0.0)
        limit = inverter.values["power_limit"] if inverter.values["power_limit_enable"] == 1 else 1.0
        inverter.set("power", -min(20.0, 40.0 * limit))
        meter.set("power", BASE_KW + storage.values["power"] + inverter.values["power"] + 10.0)
        for name in ("voltage_l1_n", "voltage_l2_n", "voltage_l3_n"):
            meter.set(name, 230.12)

    async def run(self):
        while True:
            self.step()
            await self.twin.push()
            await asyncio.sleep(0.05)


@pytest.fixture
async def site(bench):
    """The bench with physics, and with commissioning required; control periods are short."""
    yaml = YAML()
    data = yaml.load(bench.site.read_text())
    data["safety"]["require_commissioning"] = True
    data["site"]["period"] = "200 ms"
    with bench.site.open("w") as file:
        yaml.dump(data, file)
    bench.devices["storage"].set("capacity", 60.0)
    bench.devices["inverter"].set("state", 4.0)
    task = asyncio.create_task(Alive(bench.devices, bench.twin).run())
    yield bench
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def plant(bench, mistake):
    """Plant a mistake; ends with the test."""
    fault = make(mistake)
    site = load_site(bench.site)
    fault.check(site)
    world = type("World", (), {"devices": bench.devices, "time": bench.devices["meter"].time})
    return fault.begin(Faults(site, world, bench.twin))


async def commission(bench, device):
    """Walk through a device over the socket; its findings and whether it passed."""
    findings = (await bench.ask("commission-look", device=device))["result"]
    known = {one["device"]: one for one in (await bench.ask("commission"))["result"]}
    for point in known[device]["outputs"]:
        findings += (await bench.ask("commission-move", point=point))["result"]["findings"]
    kept = (await bench.ask("commission-keep", device=device, who="Eleni"))["result"]
    return findings, kept["passed"]


def wrong(findings):
    return {(one["point"], one["what"]) for one in findings if one["verdict"] == "wrong"}


async def blocked(bench, device):
    return next(one["writes_blocked"] for one in (await bench.status())["devices"] if one["device"] == device)


async def test_control_waits_for_commissioning_and_comes_with_it(site):
    await site.start(*RULES)
    await site.running()
    await site.until(lambda: refused(site))
    assert site.devices["storage"].log == []
    text = await blocked(site, "storage")
    assert text == f"storage is not commissioned; run 'energyctl commission {site.site} --device storage'"

    found, passed = await commission(site, "storage")
    assert passed and not wrong(found)
    told = {(one["point"], one["what"]): one for one in found}
    moved = ("effect", "meter", "hand-back", "write")
    assert all(told["storage.power_setpoint", what]["verdict"] == "right" for what in moved)
    assert site.written("storage", "power_setpoint")[0] == pytest.approx(3.0)  # a twentieth of its 60 kW of room
    await site.until(lambda: says(site, "storage", "meter is not commissioned"))  # its own record alone is not enough

    found, passed = await commission(site, "meter")
    assert passed
    await site.until(lambda: site.devices["storage"].values["setpoint_enable"] == 1)
    assert await blocked(site, "storage") is None and "inverter is not" in await blocked(site, "inverter")


async def says(bench, device, words):
    return words in (await blocked(bench, device) or "")


async def refused(bench):
    lines = (await bench.ask("journal", limit=200))["result"]
    return [line for line in lines if line["kind"] == "refused" and "rule 'commissioned'" in line["detail"]]


MISTAKES = [
    ({"fault": "sign-flipped", "on": "meter.power"}, "storage", ("storage.power_setpoint", "meter")),
    ({"fault": "unit-mistake", "on": "meter.power", "factor": "W/kW"}, "meter", ("meter.power", "reading")),
    ({"fault": "word-swap", "on": "meter"}, "meter", ("meter.voltage_l1_n", "reading")),
    ({"fault": "sign-flipped", "on": "inverter.power"}, "inverter", ("inverter.power", "reading")),
    ({"fault": "unit-mistake", "on": "inverter.power", "factor": 0.1}, "inverter", ("inverter.power_limit", "meter")),
    ({"fault": "sign-flipped", "on": "storage.power"}, "storage", ("storage.power_setpoint", "effect")),
    ({"fault": "unit-mistake", "on": "storage.power", "factor": 0.1}, "storage", ("storage.power_setpoint", "effect")),
    ({"fault": "unit-mistake", "on": "storage.soc", "factor": "1/%"}, "storage", ("storage.soc", "reading")),
    ({"fault": "unit-mistake", "on": "meter.power", "factor": 0.1}, "storage", ("storage.power_setpoint", "meter")),
    ({"fault": "deaf", "on": "storage.power_setpoint"}, "storage", ("storage.power_setpoint", "write")),
]


@pytest.mark.parametrize(
    ("mistake", "device", "expected"), MISTAKES, ids=[f"{m['fault']} {m['on']}" for m, _, _ in MISTAKES]
)
async def test_row31_a_planted_mistake_is_found(site, mistake, device, expected):
    undo = plant(site, mistake)
    assert undo is not None
    await site.start(*RULES, code=QUICK)
    await site.running()
    found, passed = await commission(site, device)
    assert expected in wrong(found), found
    assert not passed
    await site.until(
        lambda: says(site, "storage", "not pass commissioning" if device == "storage" else "not commissioned")
    )
    before = len(site.devices["storage"].log)
    await asyncio.sleep(1.0)
    assert len(site.devices["storage"].log) == before
    assert site.devices["storage"].values["setpoint_enable"] == 0


QUICK = """
import sys
from energyctl.daemon import commissioning
commissioning.EFFECT_S = commissioning.TAKEN_S = 2.0
from energyctl.daemon.main import main
sys.exit(main())
"""


async def test_a_record_that_was_changed_counts_no_more(site):
    await site.start(*RULES)
    await site.running()
    for device in ("meter", "storage"):
        assert (await commission(site, device))[1]
    await site.until(lambda: site.devices["storage"].values["setpoint_enable"] == 1)
    folder = site.paths.commissioned
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    path = folder / "storage.json"
    document = json.loads(path.read_text())
    assert document["record"]["who"] == "Eleni" and document["record"]["identity"] == "SunSpec Battery storage 1"
    document["record"]["who"] = "Nikos"
    path.write_text(json.dumps(document))

    await site.until(lambda: says(site, "storage", "is not as it was signed"))
    await site.until(lambda: site.devices["storage"].values["setpoint_enable"] == 0)


async def test_a_device_in_control_is_commissioned_again_beside_the_plan(site):
    await site.start(*RULES)
    await site.running()
    for device in ("meter", "storage"):
        assert (await commission(site, device))[1]
    await site.until(lambda: site.devices["storage"].values["setpoint_enable"] == 1)
    found, passed = await commission(site, "storage")
    assert passed, found
    await site.until(lambda: site.devices["storage"].values["setpoint_enable"] == 1)


async def test_nothing_is_recorded_before_all_was_tried(site):
    await site.start(*RULES)
    await site.running()
    await site.ask("commission-look", device="storage")
    answer = await site.ask("commission-keep", device="storage", who="Eleni")
    assert answer == {
        "ok": False,
        "error": "storage: storage.power_setpoint still to be tried",
        "exit_code": 2,
    }
    dry = (await site.ask("commission-move", point="storage.power_setpoint", dry=True))["result"]
    assert dry["would"] == "set it to 3 kW, which changes power by +3 kW" and site.devices["storage"].log == []


async def test_the_command_walks_without_a_daemon_and_leaves_nothing(site):
    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from energyctl.cli.main import main; main()",
            "commission",
            str(site.site),
            "--state",
            str(site.state),
            "--json",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 90)
        return process.returncode, json.loads(out), err.decode()

    code, results, _ = await run("--dry-run", "--device", "storage")
    assert code == 0 and results[0]["record"] is None and site.devices["storage"].log == []
    code, results, text = await run("--yes", "--who", "Eleni")
    assert code == 0, results
    assert [one["device"] for one in results] == ["meter", "inverter", "storage"]
    assert "one is started that controls nothing" in text
    assert site.devices["storage"].values["setpoint_enable"] == 0
    assert site.devices["inverter"].values["power_limit"] == 1.0
    assert not site.paths.socket.exists()
    await site.start(*RULES)
    await site.running()
    assert await blocked(site, "storage") is None


async def test_the_town_hall_on_three_protocols_passes_at_noon(tmp_path):
    """The shipped site with its physics: meter and battery (Modbus), heat pump (BACnet), charger (OPC UA)."""
    path = LARISSA / "town-hall.yaml"
    scenario = load("town-hall-winter")
    site = load_site(path)
    world = build(
        site, scenario, start=datetime.now(UTC).replace(hour=11, minute=0, second=0, microsecond=0), row_s=1.0
    )
    begun, start = time.monotonic(), world.time
    async with Twin(site, world.devices) as twin:

        async def live():
            while True:
                world.step(start + timedelta(seconds=time.monotonic() - begun))
                await twin.push()
                await asyncio.sleep(0.25)

        task = asyncio.create_task(live())
        bench = Bench(twin, world.devices, twin.derive(tmp_path / "derived.yaml"), tmp_path / "state")
        try:
            await bench.start(*RULES, "--at-most", "monitor", code=QUICK)
            await bench.running()
            for device in ("meter", "storage", "heatpump", "charger"):
                found, passed = await commission(bench, device)
                assert passed, found
            assert not [r for name in ("inverter", "airhandler") for r in world.devices[name].log]
            assert {r.value for r in world.devices["heatpump"].log if r.point == "zone1_setpoint"} >= {None}
        finally:
            task.cancel()
            for process in bench.started:
                await bench.stop(process)
    assert world.devices["storage"].values["setpoint_enable"] == 0
