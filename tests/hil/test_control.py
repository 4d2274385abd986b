"""A live simulation on request: faults come and go while it runs, and it can be found, asked and left."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from energyctl.core.errors import ConfigError, DaemonDown
from hil import control

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
async def served(kiosk, tmp_path):
    """The folder of a simulation in this process, that stands still."""
    from datetime import UTC

    from energyctl.config import load_site
    from hil.faults import Bench, Schedule
    from hil.still import Still
    from hil.twin import Twin

    site = load_site(kiosk)
    world = Still(site, datetime(2026, 1, 14, tzinfo=UTC))
    async with Twin(site, world.devices, proxied=True) as twin:
        schedule = Schedule((), Bench(site, world, twin), world.log)
        with control.serving(control.Control(schedule, twin), site.id, tmp_path) as server:
            await server.start()
            yield tmp_path
            await server.stop()
    assert world.log.events == []


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
