"""The town hall on real sockets, and clients that other people wrote to ask it.

Oracle: what a test sets on the devices, as a number written down by hand for the wire, and the devices' own logs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from hil.still import Still
from hil.twin import Twin

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "build" / "interop" / "node_modules"
START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def found(program: str) -> str:
    """The path of a program; the test fails when it is not there."""
    path = shutil.which(program)
    if path is None:
        pytest.fail(f"{program} is not installed; run make interop, as root or after installing {program}")
    return path


class Peer:
    """A JavaScript client, asked a line at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, do: str, **request):
        """The result of a verb. Raises RuntimeError with the client's own words when it failed."""
        self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        if not line:
            raise RuntimeError("the client ended; its last words are on its error output")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


@asynccontextmanager
async def peer(script: str, *args: str):
    """A client running `script` of this folder."""
    if not CLIENTS.is_dir():
        pytest.fail(f"{CLIENTS} is not there; run make interop")
    process = await asyncio.create_subprocess_exec(
        found("node"),
        str(Path(__file__).parent / script),
        *args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={**os.environ, "NODE_PATH": str(CLIENTS)},
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        await process.wait()


def free_port() -> int:
    """A UDP port of this machine that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def hall(tmp_path):
    """The town hall's devices; `show` sets values [canonical] by "device.point" and puts them on the wire."""
    site = load_site(ROOT / "sites/larissa/town-hall.yaml")
    world = Still(site, START)
    async with Twin(site, world.devices) as twin:
        links = YAML(typ="safe").load(twin.derive(tmp_path / "derived.yaml"))["connections"]

        async def show(values) -> None:
            for name, value in values.items():
                device, _, point = name.partition(".")
                world.devices[device].set(point, value)
            await twin.push()

        def log(device: str) -> list[tuple[str, float | None, bool]]:
            return [(r.point, r.value, r.accepted) for r in world.devices[device].log]

        yield SimpleNamespace(devices=world.devices, links=links, show=show, push=twin.push, log=log)


def points(hall, *devices: str) -> set[str]:
    """ "device.point" of every point of these devices."""
    return {f"{device}.{point}" for device in devices for point in hall.devices[device].profile.points}
