"""The first moments of a daemon: what its first image shows, and which time the site's words belong to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta

from ruamel.yaml import YAML

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
    first = dict(reversed(rows))
    # the meter says 12 kW, the inverter gives 3, the battery nothing: 15 kW are used
    assert first["site.base_load"] == 15.0
    assert (first["meter.power"], first["inverter.power"], first["storage.soc"]) == (12.0, -3.0, 0.5)


async def test_a_device_that_is_mute_does_not_hold_the_first_cycle_up(bench):
    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen_only, "127.0.0.1", 0)
    yaml = YAML()
    data = yaml.load(bench.site.read_text())
    data["connections"]["battery-room"] |= {"port": server.sockets[0].getsockname()[1], "timeout": "60 s"}
    with bench.site.open("w") as file:
        yaml.dump(data, file)
    process = await bench.start("--strategy", "rules")

    async def second_cycle() -> bool:
        return (await bench.status())["cycle"] >= 2

    await bench.until(second_cycle)
    assert await bench.stop(process) == 0
    server.close()


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
