"""A bench for the real daemon: simulated devices on real sockets in this process, the daemon in a process of its own.

The devices' own logs are the oracle; a test can unplug a device, make it show nonsense or refuse.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from energyctl.daemon.paths import StatePaths, address
from hil.still import Still
from hil.twin import Twin

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"


def modbus_only(folder: Path) -> Path:
    """The town hall without its BACnet and OPC UA devices; the battery on a connection of its own."""
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    data["connections"] = {
        "plant-room": {"modbus": "tcp", "host": "127.0.0.1", "port": 1, "timeout": "300 ms"},
        "battery-room": {"modbus": "tcp", "host": "127.0.0.1", "port": 1, "timeout": "300 ms"},
    }
    for device in ("heatpump", "airhandler", "charger"):
        del data["devices"][device]
    data["devices"]["storage"]["via"] = "battery-room"
    for resource in ("heating", "office", "hall", "car", "fresh-air"):
        del data["resources"][resource]
    data["safety"] = {"lease": "60 s"}
    data["resources"]["base"]["prior"] = str(LARISSA / "measured/base_load_history.csv")
    data["tariff"] = {
        "kind": "flat",
        "import_price": "0.20 EUR/kWh",
        "export_price": "0.05 EUR/kWh",
        "carbon": "265 g/kWh",
    }
    path = folder / "bench.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


class Bench:
    """The devices, and the daemons that were started on them."""

    def __init__(self, twin: Twin, devices, site: Path, state: Path) -> None:
        self.twin, self.devices, self.site, self.state = twin, devices, site, state
        self.paths = StatePaths(state)
        self.started: list[asyncio.subprocess.Process] = []

    async def start(self, *args: str, module: str = "energyctl.daemon", code: str | None = None):
        """Start a daemon (or the supervising parent by `code`) and return its process."""
        command = ["-c", code] if code else ["-m", module]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            str(self.site),
            "--state",
            str(self.state),
            *args,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=(self.state.parent / f"daemon{len(self.started)}.log").open("wb"),
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def log(self, number: int = -1) -> str:
        """What a daemon has written to its log."""
        number = len(self.started) - 1 if number == -1 else number
        return (self.state.parent / f"daemon{number}.log").read_text()

    async def ask(self, do: str, **more):
        """One request on the control socket. Raises ConnectionError while there is none."""
        with address(self.paths.socket) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=2**24)
        writer.write(json.dumps({"do": do, **more}).encode() + b"\n")
        try:
            return json.loads(await reader.readline())
        finally:
            writer.close()

    async def until(self, condition, seconds: float = 15.0):
        """Wait for a condition (plain or async) to hold; fails with the daemon's log when it does not."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                result = condition()
                result = await result if asyncio.iscoroutine(result) else result
                if result:
                    return result
            except (ConnectionError, FileNotFoundError):
                pass
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not within {seconds} s; the log:\n" + self.log()[-3000:])
            await self.twin.push()
            await asyncio.sleep(0.05)

    async def status(self):
        return (await self.ask("status"))["result"]

    async def running(self):
        """Wait until all devices that are there answer and a cycle has run."""

        async def ready():
            status = await self.status()
            online = [name for name, device in self.devices.items() if device.online]
            answers = {d["device"]: d["answers"] for d in status["devices"]}
            return status["cycle"] > 1 and all(answers[name] for name in online)

        await self.until(ready)

    def written(self, device: str, point: str) -> list[float | None]:
        """The accepted values a device got for a point, by its own log."""
        return [r.value for r in self.devices[device].log if r.point == point and r.accepted]

    async def stop(self, process, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Send a signal and wait for the end."""
        process.send_signal(number)
        return await asyncio.wait_for(process.wait(), seconds)


@pytest.fixture
def site_file(tmp_path):
    return modbus_only(tmp_path)


@pytest.fixture
async def bench(site_file, tmp_path):
    site = load_site(site_file)
    world = Still(site, datetime.now(UTC))
    world.devices["meter"].set("power", 12.0)
    world.devices["inverter"].set("power", -3.0)
    world.devices["inverter"].set("power_limit", 1.0)
    world.devices["storage"].set("soc", 0.5)
    async with Twin(site, world.devices) as twin:
        await twin.push()
        bench = Bench(twin, world.devices, twin.derive(tmp_path / "derived.yaml"), tmp_path / "state")
        yield bench
        for process in bench.started:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
