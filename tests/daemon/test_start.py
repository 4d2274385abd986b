"""The first moments of a daemon: what its first image shows, and which time the site's words belong to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta

from energyctl.daemon.lockstep import Lockstep, SiteClock

START = datetime(2026, 1, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def test_the_first_cycle_has_heard_every_device(bench):
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert await bench.stop(process) == 0
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        rows = store.execute(
            "SELECT p.name, s.value FROM sample s JOIN point p ON p.id = s.point_id ORDER BY s.ts"
        ).fetchall()
    first = {name: value for name, value in reversed(rows)}
    # the meter says 12 kW, the inverter gives 3, the battery nothing: 15 kW are used
    assert first["site.base_load"] == 15.0
    assert (first["meter.power"], first["inverter.power"], first["storage.soc"]) == (12.0, -3.0, 0.5)


async def test_an_absent_device_delays_the_first_cycle_by_a_second_at_most(bench):
    bench.devices["storage"].online = False
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert (await bench.status())["cycle"] > 1
    assert await bench.stop(process) == 0


async def test_what_arrives_while_the_site_moves_belongs_to_the_time_it_moves_to(tmp_path):
    """A site that answers a request to move only when told to; meanwhile its devices tell of changes."""
    answer = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"now": START.isoformat(), "end": None, "step_s": 60}).encode() + b"\n")
        to = json.loads(await reader.readline())["advance"]
        await answer.wait()
        writer.write(json.dumps({"now": to, "pushed": {}}).encode() + b"\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
    site = Lockstep(lambda: None)
    await site.connect(tmp_path / "s")
    clock = SiteClock(site)
    assert clock.now() == START
    moving = asyncio.create_task(site.advance(START + MINUTE))
    await asyncio.sleep(0)
    assert clock.now() == START + MINUTE
    answer.set()
    await asyncio.wait_for(moving, 5)
    site.close()
    server.close()
