"""`energyctl hil test` for real: devices on sockets, the daemon, verdicts. And that nothing is left behind, however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from energyctl.config import load_site
from energyctl.core.errors import ConfigError
from hil.run import prepare, run
from hil.scenario import load
from hil.testing.runner import run_scenario

LARISSA = Path("sites/larissa").resolve()
SITE = f"""
site: {{id: shed, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4, mode: control}}
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
LOCKSTEP = "lasts: 10 min\nstrategy: rules\n"
SCENARIOS = {
    "holds": LOCKSTEP + 'expect: ["grid import never above 60 kW"]',
    "fails": LOCKSTEP + 'expect: ["grid import never above 60 kW", "grid import never below 40 kW"]',
    "lacks": LOCKSTEP + 'events: [{fault: silent, on: "@ev"}]',
    "patched": LOCKSTEP + "patch: {grid: {import_limit: 33 kW}}",
    "mistaken": LOCKSTEP + "plant: {battery: {no_such_parameter: 1}}",
    "live": "mode: live\nlasts: 5 s\nstrategy: rules",
    "killed": "mode: live\nlasts: 12 s\nstrategy: rules\nevents: [{at: 2 s, fault: daemon-killed}]",
}


def bench(folder: Path, *names: str) -> list[str]:
    (folder / "shed.yaml").write_text(SITE)
    for name in names:
        (folder / f"{name}.yaml").write_text(SCENARIOS[name])
    return [str(folder / f"{name}.yaml") for name in ("shed", *names)]


def alive(folder: Path) -> list[str]:
    """The command lines of processes that have something of `folder` in them."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and int(place.parent.name) != os.getpid():
            found.append(command)
    return found


def hil_test(*arguments: str) -> subprocess.Popen[str]:
    code = "import sys; from energyctl.cli.main import main; main(['hil', 'test', *sys.argv[1:]])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@dataclass(frozen=True)
class Ran:
    """One command with all the scenarios at once."""

    folder: Path
    code: int
    told: str
    verdicts: Mapping[str, Mapping[str, Any]]

    def left(self, name: str, file: str) -> Any:
        """What a scenario left behind."""
        return json.loads((self.folder / "out" / name / file).read_text())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("runner")
    command = hil_test(*bench(folder, *SCENARIOS), "--json", "--junit", f"{folder}/r.xml", "--out", f"{folder}/out")
    shown, told = command.communicate(timeout=180)
    assert shown, told
    return Ran(folder, command.returncode, told, {one["scenario"]: one for one in json.loads(shown)})


def test_every_scenario_ends_as_it_must(ran):
    assert {name: one["status"] for name, one in ran.verdicts.items()} == {
        "holds": "passed",
        "fails": "failed",
        "lacks": "not-applicable",
        "patched": "passed",
        "mistaken": "error",
        "live": "passed",
        "killed": "passed",
    }
    assert ran.code == 2, "there is a mistake in one of the files"
    assert not alive(ran.folder)


def test_a_failure_is_told_in_words_with_where_its_evidence_lies(ran):
    told = ran.told.splitlines()
    assert any("fails: failed" in line for line in told)
    assert any("grid import never below 40 kW" in line for line in told)
    assert any(f"evidence: {ran.folder}/out/fails" in line for line in told)
    assert "4 passed, 1 failed, 1 error, 1 not applicable" in told[-1]
    assert [one["ok"] for one in ran.verdicts["fails"]["findings"]].count(False) == 1


def test_what_is_judged_is_what_the_bench_recorded(ran):
    rows = ran.left("fails", "trace.json")
    imports = [sum(row["powers_kw"].values()) for row in rows]
    assert sum(row["seconds"] for row in rows) == pytest.approx(600, abs=60)
    text = next(one["text"] for one in ran.verdicts["fails"]["findings"] if not one["ok"])
    seen = [float(number) for number in re.findall(r"(-?[\d.]+) kW", text)]
    assert seen == pytest.approx([min(imports), max(imports)], abs=0.01)


def test_a_patch_is_what_the_daemon_ran_with(ran):
    site = load_site(ran.folder / "out" / "patched" / "shed.yaml")
    assert (site.limits.import_kw, site.limits.export_kw) == (33.0, 30.0)


def test_mistakes_that_show_only_when_it_runs_are_told_as_such(ran):
    assert "no_such_parameter" in ran.verdicts["mistaken"]["problem"]


def test_the_daemon_runs_as_in_a_building_and_hands_back_when_told_to_stop(ran):
    daemon = [event for event in ran.left("live", "events.json") if event["kind"] == "daemon"]
    assert [event["text"] for event in daemon] == ["started", "ended"]
    assert daemon[-1]["data"]["code"] == 0
    last = {write["point"]: write["value"] for write in ran.left("live", "writes.json")}
    assert last["setpoint_enable"] == 0.0
    assert ran.verdicts["live"]["simulated_s"] == pytest.approx(5, abs=5)


def test_a_killed_daemon_is_noted_and_its_parent_hands_back(ran):
    daemon = [event for event in ran.left("killed", "events.json") if event["kind"] == "daemon"]
    assert [event["text"] for event in daemon] == ["started", "killed", "ended"]
    assert daemon[-1]["data"]["code"] == 70
    writes = ran.left("killed", "writes.json")
    assert {write["point"]: write["value"] for write in writes}["setpoint_enable"] == 0.0


def test_the_report_counts_the_same(ran):
    root = ElementTree.parse(ran.folder / "r.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("7", "1", "1", "1")


def test_the_scenario_that_ran_lies_beside_its_evidence(ran):
    again = load(ran.folder / "out" / "patched" / "given" / "scenario.yaml")
    assert (again.name, again.site) == ("patched", str(ran.folder / "shed.yaml"))


async def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["holds", "live"])
async def test_a_run_that_is_cancelled_leaves_nothing(tmp_path, name):
    site, scenario = map(Path, bench(tmp_path, name))
    running = asyncio.create_task(run(site, load(scenario), tmp_path / "out"))
    await wait_for(lambda: any("energyctl.daemon" in line for line in alive(tmp_path)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_command_that_is_stopped_or_killed_leaves_nothing(tmp_path, number):
    command = hil_test(*bench(tmp_path, "live"), "--out", str(tmp_path / "out"))
    await wait_for(lambda: sum("energyctl.daemon" in line for line in alive(tmp_path)) > 0)
    command.send_signal(number)
    begun = time.monotonic()
    command.communicate(timeout=40)
    assert command.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    await wait_for(lambda: not alive(tmp_path))
    assert time.monotonic() - begun < 20


async def test_a_patch_that_does_not_suit_the_site_is_a_mistake(tmp_path):
    site, scenario = map(Path, bench(tmp_path, "patched"))
    wrong = scenario.with_name("wrong.yaml")
    wrong.write_text("patch: {grid: {import_limt: 5 kW}}")
    verdict = await run_scenario(site, load(wrong), tmp_path / "out")
    assert (verdict.status, verdict.mistake) == ("error", True)
    assert "with the scenario's patch: " in verdict.problem
    with pytest.raises(ConfigError):
        prepare(site, load(wrong), tmp_path / "again")


def test_what_an_earlier_run_left_is_replaced(tmp_path):
    site, scenario = map(Path, bench(tmp_path, "holds"))
    out = tmp_path / "out"
    prepare(site, load(scenario), out)
    (out / "state").mkdir()
    for name in ("events.json", "state/energyctl.sqlite", "mine.txt"):
        (out / name).write_text("old")
    again = prepare(site, load(out / "given" / "scenario.yaml"), out)
    assert (again.scenario.name, sorted(path.name for path in out.iterdir())) == ("holds", ["given", "mine.txt"])


def test_a_seed_is_what_ran(tmp_path):
    site, scenario = map(Path, bench(tmp_path, "holds"))
    given = prepare(site, load(scenario), tmp_path / "out", seed=4711)
    assert load(given.scenario.file).seed == 4711
