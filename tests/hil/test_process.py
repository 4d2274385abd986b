"""The simulated site as a process, and the pair of it and the real daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from energyctl.core.errors import ConfigError, EnergyctlError
from hil.process import fitting, main
from hil.run import run_pair

LARISSA = Path("sites/larissa").resolve()
METER = f"""
site: {{id: shed, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4, mode: MODE}}
connections:
  bus: {{modbus: tcp, host: 10.0.0.5}}
devices:
  meter: {{profile: eastron/sdm630@1, via: bus}}
  storage: {{profile: sunspec/battery@1, via: bus, unit: 3}}
grid: {{meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}}
resources:
  base: {{kind: base-load, prior: {LARISSA}/measured/base_load_history.csv}}
  battery:
    kind: battery
    power: storage.power
    soc: storage.soc
    setpoint: storage.power_setpoint
    capacity: 60 kWh
    max_charge: 30 kW
    max_discharge: 30 kW
tariff: {{kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}}
"""
SCENARIO = (
    f"{{name: shed, day: 2019-01-22, lasts: 30 min, outside: {{measured: {LARISSA}/measured/winter_actual.csv}}}}\n"
)


@pytest.fixture
def shed(tmp_path: Path) -> Path:
    (tmp_path / "shed.yaml").write_text(METER.replace("MODE", "control"))
    (tmp_path / "half-hour.yaml").write_text(SCENARIO)
    return tmp_path / "shed.yaml"


@asynccontextmanager
async def process(site: Path, *arguments: str):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hil.process", str(site), "--out", str(site.parent / "out"), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        yield child, json.loads(await asyncio.wait_for(child.stdout.readline(), 60))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_a_client_that_goes_ends_the_process_which_leaves_its_files(shed):
    async with process(shed, "--scenario", str(shed.parent / "half-hour.yaml"), "--lockstep", "--step", "30") as (
        child,
        ready,
    ):
        reader, writer = await asyncio.open_unix_connection(ready["lockstep"])
        hello = json.loads(await reader.readline())
        start = datetime.fromisoformat(hello["now"])
        assert (datetime.fromisoformat(hello["end"]) - start, hello["step_s"]) == (timedelta(minutes=30), 30.0)
        for minutes in (1, 2, 30):
            writer.write(json.dumps({"advance": (start + timedelta(minutes=minutes)).isoformat()}).encode() + b"\n")
            answer = json.loads(await reader.readline())
        assert answer["done"] is True
        writer.close()
        told, _ = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 0
    assert [json.loads(line)["share"] for line in told.splitlines()] == pytest.approx([1 / 30, 2 / 30, 1.0], abs=1e-4)
    out = shed.parent / "out"
    assert (len(json.loads((out / "trace.json").read_text())), (out / "writes.json").read_text()) == (60, "[]\n")
    with pytest.raises(FileNotFoundError):
        await asyncio.open_unix_connection(ready["lockstep"])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "end of input"])
async def test_a_live_run_moves_by_itself_and_ends_cleanly(shed, how):
    scenario = str(shed.parent / "half-hour.yaml")
    async with process(shed, "--scenario", scenario, "--seconds-per-second", "600", "--stop-on-eof") as (child, ready):
        assert ready["lockstep"] is None
        host, port = ready["endpoints"]["meter"].split()[1].split(":")
        modbus = AsyncModbusTcpClient(host, port=int(port), timeout=10, retries=0)
        await modbus.connect()
        seen = set()
        async with asyncio.timeout(30):
            while len(seen) < 3:
                seen.add(tuple((await modbus.read_input_registers(52, count=2, device_id=1)).registers))
                await asyncio.sleep(0.1)
        modbus.close()
        if isinstance(how, signal.Signals):
            child.send_signal(how)
        else:
            child.stdin.close()
        assert await asyncio.wait_for(child.wait(), 20) == 0
    assert len(json.loads((shed.parent / "out" / "trace.json").read_text())) >= 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("shed.yaml --scenario town-hall-autumn", "no scenario 'town-hall-autumn'"),
        ("shed.yaml --scenario nowhere.yaml", "nowhere.yaml"),
        ("absent.yaml", "absent.yaml"),
    ],
)
def test_a_mistake_is_a_line_and_an_exit_code(shed, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(shed.parent)
    assert main(arguments.split()) == 2
    out, errors = capsys.readouterr()
    assert (out, said in errors) == ("", True)


def test_a_scenario_that_ships_fits_the_site_it_is_made_for(shed):
    from energyctl.config import load_site

    assert fitting(load_site(shed)) is None
    found = fitting(load_site(LARISSA / "town-hall.yaml"))
    assert found is not None
    assert found.name == "summer"


EVENTS = """{name: troubled, lasts: 10 min, seed: 4, events: [
  {at: 90 s, for: 45 s, fault: KIND, on: meter, name: dead},
  {at: 2 min, for: 3 min, do: load, power: 20 kW},
  {at: 3 min, for: 2 min, fault: clock-jump, by: 1 h},
  {at: 4 min, for: 150 s, fault: spike, on: meter.power, by: 5 kW, probability: 50 %}]}
"""


async def advanced(shed: Path, scenario: str, out: str) -> tuple[list[dict], str]:
    """The answers to ten minutes of advancing, and the derived site file; everything else is in `out`."""
    (shed.parent / "troubled.yaml").write_text(scenario)
    answers = []
    arguments = ("--scenario", str(shed.parent / "troubled.yaml"), "--lockstep", "--out", str(shed.parent / out))
    async with process(shed, *arguments) as (child, ready):
        reader, writer = await asyncio.open_unix_connection(ready["lockstep"])
        start = datetime.fromisoformat(json.loads(await reader.readline())["now"])
        for minute in range(1, 11):
            writer.write(json.dumps({"advance": (start + timedelta(minutes=minute)).isoformat()}).encode() + b"\n")
            answers.append(json.loads(await reader.readline()))
        writer.close()
        await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 0
    return answers, (shed.parent / out / "shed.yaml").read_text()


async def test_what_a_scenario_does_happens_at_its_instants_and_alike_in_every_run(shed):
    answers, derived = await advanced(shed, EVENTS.replace("KIND", "silent"), "a")
    assert "timeout: 1 s" in derived
    assert [answer["clock_off_s"] for answer in answers] == [0, 0, 3600, 3600, 0, 0, 0, 0, 0, 0]
    events = json.loads((shed.parent / "a" / "events.json").read_text())
    start = datetime.fromisoformat(answers[0]["now"]) - timedelta(minutes=1)
    told = [
        ((datetime.fromisoformat(event["time"]) - start).total_seconds(), event["kind"], event["subject"])
        for event in events
        if event["kind"] in ("began", "ended")
    ]
    assert told == [
        (90, "began", "dead"),
        (120, "began", "load"),
        (135, "ended", "dead"),
        (180, "began", "clock-jump"),
        (240, "began", "spike"),
        (300, "ended", "load"),
        (300, "ended", "clock-jump"),
        (390, "ended", "spike"),
    ]
    trace = json.loads((shed.parent / "a" / "trace.json").read_text())
    assert sum(row["seconds"] for row in trace) == 600
    base = [row["powers_kw"]["base"] for row in trace]
    assert min(base[3:5]) > 20 + max(base[:2]) - 5
    again, _ = await advanced(shed, EVENTS.replace("KIND", "silent"), "b")
    assert again == answers
    for name in ("trace.json", "writes.json", "events.json"):
        assert (shed.parent / "a" / name).read_bytes() == (shed.parent / "b" / name).read_bytes()
    _, patient = await advanced(shed, EVENTS.replace("KIND", "sign-flipped"), "c")
    assert "timeout: 30 s" in patient


def test_what_cannot_happen_on_a_site_is_told_before_anything_starts(shed, capsys):
    (shed.parent / "odd.yaml").write_text("{name: odd, events: [{at: 1 min, fault: deaf, on: meter.power}]}")
    assert main([str(shed), "--scenario", str(shed.parent / "odd.yaml"), "--lockstep"]) == 2
    assert "event 'deaf': deaf: on: 'meter.power' is never written" in capsys.readouterr().err


async def test_a_pair_runs_to_its_end_and_hands_the_battery_back(shed):
    shares: list[float] = []
    out = shed.parent / "pair"
    result = await run_pair(shed, str(shed.parent / "half-hour.yaml"), "rules", out, shares.append)
    assert len(json.loads(result.trace.read_text())) == 30
    assert result.simulated_s >= 28 * 60
    assert (shares == sorted(shares), shares[-1]) == (True, 1.0)
    writes = json.loads(result.writes.read_text())
    assert {write["device"] for write in writes} == {"storage"}
    last = {write["point"]: write["value"] for write in writes}
    assert last["setpoint_enable"] == 0.0
    assert any((result.state).iterdir())


async def test_a_daemon_that_fails_is_told_with_the_end_of_its_log(shed):
    out = shed.parent / "pair"
    out.mkdir()
    (out / "state").write_text("a file where a folder should be")
    with pytest.raises(EnergyctlError, match="the daemon failed: "):
        await run_pair(shed, str(shed.parent / "half-hour.yaml"), "rules", out)
    assert not _children()


async def test_a_mistake_in_the_files_is_told_as_one(shed):
    with pytest.raises(ConfigError, match=r"^no scenario 'none'; there are"):
        await run_pair(shed, "none", "rules", shed.parent / "pair")
    assert not _children()


async def test_a_pair_that_is_cancelled_leaves_no_process(shed):
    running = asyncio.create_task(run_pair(shed, str(shed.parent / "half-hour.yaml"), "rules", shed.parent / "pair"))
    async with asyncio.timeout(30):
        while not _children():
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _children()


def _children() -> list[str]:
    """Processes of ours that still run."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
