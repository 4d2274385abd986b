"""`energyctl hil` as a person types it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from energyctl.core.errors import ConfigError
from hil.cli import app
from hil.faults import KINDS
from hil.scenario import shipped

SITE = """
site: {id: shed, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4}
connections:
  bus: {modbus: tcp, host: 127.0.0.1, port: PORT}
devices:
  meter: {profile: eastron/sdm630@1, via: bus}
grid: {meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}
resources:
  base: {kind: base-load, prior: load.csv}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def shed(tmp_path: Path, port: int) -> Path:
    (tmp_path / "load.csv").write_text("time_utc,load_kw\n2026-01-01T00:00:00Z,5.0\n2026-01-01T01:00:00Z,6.0\n")
    (tmp_path / "shed.yaml").write_text(SITE.replace("PORT", str(port)))
    return tmp_path / "shed.yaml"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "meter   modbus    127.0.0.1:{port} unit 1  bus"),
        (("--json",), '"endpoints": {{"meter": "modbus 127.0.0.1:{port} unit 1"}}'),
    ],
)
async def test_up_shows_where_the_devices_are_and_ends_with_ctrl_c(shed, port, arguments, line):
    command = "import sys; from hil.cli import app; app(sys.argv[1:])"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "up", str(shed), "--out", str(shed.parent / "out"), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    shown = await asyncio.wait_for(child.stdout.readline(), 60)
    if not arguments:
        shown += await asyncio.wait_for(child.stdout.readline(), 5)
    assert line.format(port=port) in shown.decode()
    child.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(child.wait(), 20) == 0
    assert json.loads((shed.parent / "out" / "writes.json").read_text()) == []


async def told(*arguments: str) -> str:
    """What a command says, asked while this loop goes on."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), catch_exceptions=False)
    return result.output


async def test_faults_are_injected_shown_and_ended_while_it_runs(shed, port):
    out = shed.parent / "out"
    command = "import sys; from hil.cli import app; app(sys.argv[1:])"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "up", str(shed), "--out", str(out), "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    await asyncio.wait_for(child.stdout.readline(), 60)
    where = ("--site", str(out))
    assert "nothing is wrong" in await told("status", *where)
    begun = await told("inject", "bias", "meter.power", "by=2 kW", "--name", "high", *where)
    assert begun.startswith("high began at ")
    assert begun.endswith("until 'energyctl hil end high'\n")
    assert "high" in json.loads(await told("status", "--json", *where))["faults"][0]["name"]
    assert (await told("end", "high", *where)).startswith("high ended at ")
    with pytest.raises(ConfigError, match="no fault or stimulus is called 'bia'; did you mean 'bias'"):
        await told("inject", "bia", "meter.power", *where)
    with pytest.raises(ConfigError, match="'2': write parameters as NAME=VALUE"):
        await told("inject", "bias", "meter.power", "2", *where)
    child.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(child.wait(), 20) == 0
    events = [(event["kind"], event["subject"]) for event in json.loads((out / "events.json").read_text())]
    assert [event for event in events if event[1] == "high"] == [("began", "high"), ("ended", "high")]


COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    if command == "proxy":  # the help is the proxy's own
        return
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"energyctl hil {command} " in " ".join(shown.output.split("Example")[1].split()) + " "


def test_proxy_is_the_proxys_own_command():
    shown = CliRunner().invoke(app, ["proxy", "--help"])
    assert shown.exit_code == 0
    assert "--direction" in shown.output


def test_every_scenario_that_ships_is_listed_with_what_it_is_about():
    rows = json.loads(CliRunner().invoke(app, ["scenarios", "--json"]).output)
    assert [row["name"] for row in rows] == shipped()
    text = CliRunner().invoke(app, ["scenarios"]).output
    assert all(row["about"] in text for row in rows)


def test_every_kind_of_fault_is_listed_and_shows_its_parameters():
    rows = json.loads(CliRunner().invoke(app, ["faults", "--json"]).output)
    assert {row["kind"] for row in rows} == set(KINDS)
    for kind in KINDS:
        shown = CliRunner().invoke(app, ["faults", kind])
        assert shown.exit_code == 0
        assert KINDS[kind].about in shown.output
    with pytest.raises(ConfigError, match="did you mean 'silent'"):
        CliRunner().invoke(app, ["faults", "silnt"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no scenario 'nowhere'"),
        (["--tag", "nothing-has-it"], "no such scenario with the tag nothing-has-it"),
    ],
)
def test_a_test_of_nothing_is_a_mistake(arguments, said):
    with pytest.raises(ConfigError, match=said):
        CliRunner().invoke(app, ["test", *arguments], catch_exceptions=False)


def test_what_would_run_is_listed_with_why_something_does_not_apply(shed):
    (shed.parent / "car.yaml").write_text('about: a car\nevents: [{fault: silent, on: "@ev"}]')
    (shed.parent / "calm.yaml").write_text("about: nothing happens")
    files = [str(shed.parent / name) for name in ("shed.yaml", "car.yaml", "calm.yaml")]
    text = CliRunner().invoke(app, ["test", *files, "--list"]).output
    assert [" ".join(line.split()) for line in text.splitlines()[1:]] == [
        "car shed does not apply: the site has no ev",
        "calm shed nothing happens",
    ]
