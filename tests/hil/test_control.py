"""A live simulation on request: faults come and go while it runs, and it can be found, asked and left."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from energyctl.config import load_site
from energyctl.core.errors import ConfigError, DaemonDown
from hil import control
from hil.faults import Bench, Schedule
from hil.still import Still
from hil.twin import Twin

SITE = """
site: {id: kiosk, timezone: Europe/Athens, latitude: 39.6, longitude: 22.4, mode: monitor}
connections: {bus: {modbus: tcp, host: 10.0.0.5}}
devices:
  meter: {profile: eastron/sdm630@1, via: bus}
  storage: {profile: sunspec/battery@1, via: bus, unit: 3}
grid: {meter: meter.power, import_limit: 60 kW, export_limit: 30 kW}
resources: {base: {kind: base-load}}
tariff: {kind: flat, import_price: 0.2 EUR/kWh, export_price: 0.05 EUR/kWh}
"""


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "kiosk.yaml").write_text(SITE)
    return tmp_path / "kiosk.yaml"


@asynccontextmanager
async def running(site: Path, *arguments: str):
    out = site.parent / "out"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hil.process", str(site), "--out", str(out), "--stop-on-eof", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield json.loads(await asyncio.wait_for(child.stdout.readline(), 60)), out
    finally:
        child.stdin.close()
        assert await asyncio.wait_for(child.wait(), 20) == 0


async def asked(function, *arguments, **named):
    return await asyncio.to_thread(function, *arguments, **named)


async def meter_answers(ready: dict, wait: float = 0.3) -> float | None:
    """What the meter says of the power [W], None when it says nothing."""
    host, port = ready["endpoints"]["meter"].split()[1].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(wait):
            writer.write(struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 52, 2))
            return struct.unpack(">f", (await reader.readexactly(13))[9:])[0]
    except TimeoutError:
        return None
    finally:
        writer.close()


def events(out: Path) -> list[dict]:
    return json.loads((out / "events.json").read_text())


async def test_faults_come_and_go_while_a_simulation_runs(kiosk):
    async with running(kiosk) as (ready, out):
        assert isinstance(await meter_answers(ready, 5.0), float)
        begun = await asked(control.inject, out, {"fault": "silent", "on": "meter"}, name="dead")
        assert (begun["name"], begun["kind"], begun["until"]) == ("dead", "silent", None)
        assert await meter_answers(ready) is None
        standing = await asked(control.standing, kiosk)
        assert [(one["name"], one["kind"], one["on"]) for one in standing] == [("dead", "silent", "meter")]
        status = await asked(control.status, "kiosk")
        assert (status["site"], status["faults"]) == ("kiosk", standing)
        assert {one["device"] for one in status["endpoints"]} == {"meter", "storage"}
        await asked(control.end, None, "dead")
        assert isinstance(await meter_answers(ready, 5.0), float)
        shown = await asked(control.put, out / control.SOCKET, "storage.soc", "55 %")
        assert (shown["kind"], shown["value"]) == ("reading-set", "55 %")
    told = [(event["kind"], event["subject"]) for event in events(out) if event["kind"] in ("began", "ended")]
    assert told == [("began", "dead"), ("ended", "dead"), ("began", "reading-set"), ("ended", "reading-set")]


async def test_a_fault_for_a_while_ends_by_itself_at_its_instant(kiosk):
    async with running(kiosk) as (ready, out):
        begun = await asked(control.inject, out, {"fault": "half-open", "on": "bus"}, "400 ms")
        assert await meter_answers(ready, 0.1) is None
        async with asyncio.timeout(5):
            while await asked(control.standing, out):
                await asyncio.sleep(0.05)
        assert isinstance(await meter_answers(ready, 5.0), float)
        start, until = (datetime.fromisoformat(begun[key]) for key in ("began", "until"))
        assert until - start == timedelta(seconds=0.4)
    ended = next(event for event in events(out) if event["kind"] == "ended")
    assert datetime.fromisoformat(ended["time"]) == until


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda out: control.inject(out, {"fault": "silnt", "on": "meter"}), "did you mean 'silent'"),
        (lambda out: control.inject(out, {"fault": "silent", "on": "metre"}), "did you mean 'meter'"),
        (lambda out: control.inject(out, {"fault": "silent", "on": "meter"}, "5"), "for: '5': a number without a unit"),
        (lambda out: control.inject(out, {"fault": "clock-jump", "by": "1 h"}), "possible in a lockstep run only"),
        (lambda out: control.inject(out, {}), "needs one 'fault: KIND'"),
        (lambda out: control.end(out, "dead"), "nothing called 'dead' stands"),
        (lambda out: control.put(out, "meter.pwer", "5 kW"), "did you mean 'meter.power'"),
        (lambda out: control.ask(out, "reboot"), "one of end, inject, list, set, start, status"),
    ],
)
async def test_a_request_that_cannot_be_is_answered_in_words(kiosk, served, do, said):
    with pytest.raises(ConfigError) as wrong:
        await asked(do, served)
    assert said in str(wrong.value)


@pytest.fixture
async def standing_still(kiosk, tmp_path):
    """A simulation in this process whose time nobody moves: its folder, its control, and when it pushed."""
    site = load_site(kiosk)
    world = Still(site, datetime(2026, 1, 14, tzinfo=UTC))
    async with Twin(site, world.devices, proxied=True) as twin:
        pushed, push = [], twin.push
        twin.push = lambda: pushed.append(sorted(schedule.standing)) or push()
        schedule = Schedule((), Bench(site, world, twin), world.log)
        asked_of = control.Control(schedule, twin)
        with control.serving(asked_of, site.id, tmp_path) as server:
            await server.start()
            yield SimpleNamespace(out=tmp_path, control=asked_of, pushed=pushed, world=world)
            await server.stop()
    assert list((tmp_path / "run" / "energyctl-hil").iterdir()) == []


@pytest.fixture
def served(standing_still):
    """The folder of a simulation that must not have done anything."""
    yield standing_still.out
    assert standing_still.world.log.events == []


async def test_what_is_asked_for_is_told_to_subscribers_and_wakes_whoever_moves_the_time(standing_still):
    await asked(control.inject, standing_still.out, {"fault": "silent", "on": "meter"})
    assert (standing_still.pushed, standing_still.control.woken.is_set()) == ([["silent"]], True)
    async with standing_still.control.moving:
        ending = asyncio.create_task(asked(control.end, standing_still.out, "silent"))
        await asyncio.sleep(0.1)
        assert not ending.done(), "nothing changes while the world moves"
    await asyncio.wait_for(ending, 5)
    assert standing_still.pushed == [["silent"], []]


async def test_a_daemon_that_hangs_goes_on_when_the_simulation_ends(kiosk):
    state = kiosk.parent / "out" / "state"
    state.mkdir(parents=True)
    listens = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)"
    )
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", listens, str(state / "control.sock"))
    try:
        async with running(kiosk) as (_, out):
            await asked(control.inject, out, {"fault": "daemon-hung"})
            await _comes_to(daemon.pid, "T")
        await _comes_to(daemon.pid, "S")
    finally:
        daemon.kill()
        await daemon.wait()
    assert [event["text"] for event in events(out) if event["kind"] == "daemon"] == ["hung", "resumed"]


async def _comes_to(pid: int, state: str) -> None:
    async with asyncio.timeout(5):
        while _process_state(pid) != state:
            await asyncio.sleep(0.01)


def _process_state(pid: int) -> str:
    """proc(5): T is stopped, S is sleeping."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_simulation_that_does_not_run_is_told_so(kiosk):
    with pytest.raises(DaemonDown, match="no simulation of 'kiosk' is running"):
        control.status(kiosk)
    with pytest.raises(ConfigError, match="0 simulations are running"):
        control.status(None)


async def test_nothing_is_left_to_be_found_by_those_who_come_later(kiosk, served):
    assert await asked(control.find, "kiosk") == served / control.SOCKET
    with pytest.raises(DaemonDown, match="no simulation of 'kisk' is running; did you mean 'kiosk'"):
        await asked(control.find, "kisk")


async def test_a_link_that_leads_nowhere_is_no_simulation(kiosk, tmp_path):
    (tmp_path / "run" / "energyctl-hil").mkdir(parents=True)
    (tmp_path / "run" / "energyctl-hil" / "kiosk.sock").symlink_to(tmp_path / "gone.sock")
    with pytest.raises(DaemonDown):
        control.find("kiosk")
