"""The commands against the real daemon and simulated devices on real sockets, from start to hand-back."""

from __future__ import annotations

import getpass
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

TOWN_HALL = Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml"
START_WITHIN_S = 60.0


def _first_line(stream: IO[str]) -> str:
    readable, _, _ = select.select([stream], [], [], START_WITHIN_S)
    assert readable, "nothing said in time"
    return stream.readline()


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Path]:
    """The town hall's devices on free ports; gives the site file that points there."""
    command = [sys.executable, "-m", "hil.process", str(TOWN_HALL), "--out", str(tmp_path / "sim")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield Path(json.loads(_first_line(process.stdout))["site"])
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def running(simulated: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """`energyctl run` on the simulated site."""
    command = [sys.executable, "-c", "from energyctl.cli.main import main; main()"]
    log = (state / "log").open("w")
    process = subprocess.Popen([*command, "run", str(simulated), "--state", str(state)], stderr=log, text=True)
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while not (state / "control.sock").exists():
            assert process.poll() is None and time.monotonic() < deadline, (state / "log").read_text()
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=40)
        log.close()


def _await(cli, *args, until) -> Any:
    """Ask until the answer is as wanted; a daemon needs a cycle or two."""
    deadline = time.monotonic() + 30
    while not until(answer := cli(*args, "--json").json):
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    return answer


def test_from_start_to_hand_back(cli, running, state, monkeypatch):
    monkeypatch.setenv("ENERGYCTL_STATE", os.fspath(state))
    _await(cli, "device", "list", until=lambda devices: len(devices) == 6 and all(d["answers"] for d in devices))
    soc = _await(cli, "point", "get", "storage.soc", until=lambda found: found[0]["quality"] == "good")[0]
    assert 0 < soc["value"] <= 1 and soc["unit"] == "1"

    written = cli("point", "write", "storage.power_setpoint", "3 kW", "--for", "2m")
    assert (written.code, written.out) == (0, "storage.power_setpoint: 3 kW for 2m: effective\n"), written.err
    held = cli("status", "--json").json["held"]["storage.power_setpoint"]
    assert (held["value"], held["source"]) == (3.0, f"operator:{getpass.getuser()}")
    _await(cli, "point", "get", "storage.power", until=lambda found: abs(found[0]["value"] - 3.0) < 0.5)
    assert "operator" in cli("status").out

    refused = cli("point", "write", "heatpump.zone1_setpoint", "41 °C", "--for", "2m")
    assert refused.code == 5 and "refused by rule" in refused.err
    assert cli("point", "write", "storage.soc", "50 %", "--for", "2m").code == 5
    assert cli("point", "release", "storage.power_setpoint").out == "storage.power_setpoint: released\n"
    assert cli("point", "history", "storage.power", "--since", "1m", "--json").json

    planned = cli("plan", "run", "--json")
    assert planned.code == 0, planned.err
    assert set(json.loads(planned.out)["power_kw"]) >= {"base", "roof", "battery"}
    assert "battery" in cli("plan", "explain").out and "EUR/kWh" in cli("plan", "show").out

    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=40) == 0, (state / "log").read_text()
    down = cli("status", "--json").json
    assert down["running"] is False and down["owned"] == [], "every device was handed back"
    assert cli("point", "get", "storage.soc", "--json").json[0]["value"] is not None
    assert cli("plan", "show", "--hours", "1").code == 0
    assert cli("point", "write", "storage.power_setpoint", "3 kW", "--for", "2m").code == 8
