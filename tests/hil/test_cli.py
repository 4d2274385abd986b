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

from hil.cli import app

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


@pytest.mark.parametrize("command", ["up", "run"])
def test_help_shows_an_example(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: energyctl hil {command} sites/larissa/town-hall.yaml" in " ".join(shown.output.split())
