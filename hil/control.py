"""The control socket of a live simulation: faults and stimuli on request, and what stands now.

`Control` serves it, as the daemon serves its own: line JSON, for the same user and root only. The other functions ask, for
the command line and for tests. A simulation is found by its output folder, its socket, its site file or its site's id: a link
in a folder of this user's names the last one that was started for a site.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from energyctl.config.problems import did_you_mean
from energyctl.config.yaml_source import read_yaml
from energyctl.core.errors import ConfigError, DaemonDown, EnergyctlError
from energyctl.core.units import parse_quantity
from energyctl.daemon.paths import address
from energyctl.daemon.server import ControlServer, Handler

from .faults import Planned, Schedule, make
from .twin import Twin

SOCKET = "control.sock"
TIMEOUT_S = 30.0
Where = str | Path | None
"""A socket, an output folder, a site file, a site's id; None: the only simulation that runs."""


class Control:
    """What a live simulation does when it is asked. `moving` is held by whoever moves the world; `woken` ends a wait."""

    def __init__(self, schedule: Schedule, twin: Twin, held: Sequence[Planned] = ()) -> None:
        self.moving = asyncio.Lock()
        self.woken = asyncio.Event()
        self._schedule, self._twin, self._held = schedule, twin, held

    def table(self) -> Mapping[str, Handler]:
        """The handlers by what they are asked."""
        return {
            "start": self._start,
            "inject": self._inject,
            "end": self._end,
            "list": self._list,
            "status": self._status,
            "set": self._set,
        }

    async def _start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """From now on count the times of the events that were held back until the daemon is there."""
        async with self._changing():
            self._schedule.plan(self._held)
            self._held = ()
        return {"began": _now(self._schedule)}

    async def _inject(self, request: Mapping[str, Any]) -> dict[str, Any]:
        fault = make(request["fault"])
        for_s = request.get("for")
        if isinstance(for_s, str):
            for_s = _seconds(for_s)
        async with self._changing():
            name = await self._schedule.begin(fault, str(request.get("name") or ""), for_s)
        standing = self._schedule.standing.get(name)
        until = standing.until if standing else None
        return {"name": name, "began": _now(self._schedule), "until": _text(until), **fault.parameters()}

    async def _end(self, request: Mapping[str, Any]) -> dict[str, Any]:
        async with self._changing():
            await self._schedule.end(str(request["name"]))
        return {"name": request["name"], "ended": _now(self._schedule)}

    async def _list(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"name": one.name, "since": one.since.isoformat(), "until": _text(one.until), **one.fault.parameters()}
            for one in self._schedule.standing.values()
        ]

    async def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        bench = self._schedule.bench
        endpoints = [
            {"device": one.device, "connection": one.link, "protocol": one.protocol, "address": one.address}
            for one in self._twin.endpoints
        ]
        return {
            "site": bench.site.id,
            "time": _now(self._schedule),
            "endpoints": endpoints,
            "faults": await self._list({}),
        }

    async def _set(self, request: Mapping[str, Any]) -> dict[str, Any]:
        shown = {"kind": "reading-set", "on": request["point"], "value": request["value"]}
        return await self._inject({"fault": shown})

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """The world stands still; subscribers learn of the change at the end of it."""
        async with self.moving:
            yield
            await self._twin.push()
        self.woken.set()


def _now(schedule: Schedule) -> str:
    return schedule.bench.world.time.isoformat()


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _seconds(text: str) -> float:
    try:
        return parse_quantity(text, "s")
    except ValueError as error:
        raise ConfigError(f"for: '{text}': {error}") from None


@contextmanager
def serving(control: Control, site_id: str | None, out: Path) -> Iterator[ControlServer]:
    """The server of a control, findable by site id (None: only by its folder) while the context lasts.

    The caller starts and stops it.
    """
    path = out.absolute() / SOCKET
    if site_id is None:
        yield ControlServer(path, control.table())
        return
    link = _links() / f"{site_id}.sock"
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    try:
        yield ControlServer(path, control.table())
    finally:
        with suppress(OSError):
            if link.readlink() == path:
                link.unlink()


def find(where: Where = None) -> Path:
    """The socket of a running simulation. Raises ConfigError saying which there are."""
    if where is None:
        running = _running()
        if len(running) != 1:
            raise ConfigError(
                f"{len(running)} simulations are running; say which{did_you_mean('', running, 'there are')}"
            )
        return running[next(iter(running))]
    path = Path(where)
    if path.is_socket():
        return path
    if (path / SOCKET).is_socket():
        return path / SOCKET
    site = str(read_yaml(path).data["site"]["id"]) if path.is_file() else str(where)
    running = _running()
    if site not in running:
        raise DaemonDown(f"no simulation of '{site}' is running{did_you_mean(site, running, 'there are')}")
    return running[site]


def inject(where: Where, fault: Mapping[str, Any], for_: float | str | None = None, name: str = "") -> dict[str, Any]:
    """Begin a fault or stimulus, {"fault": KIND, "on": ..., parameters}, for seconds or "10 min", or until it is ended.

    Returns its name, when it began and until when it stands. Raises ConfigError for what cannot be.
    """
    return dict(ask(where, "inject", fault=dict(fault), name=name, **{"for": for_}))


def end(where: Where, name: str) -> dict[str, Any]:
    """End a fault that stands, by its name. Raises ConfigError when none of that name does."""
    return dict(ask(where, "end", name=name))


def standing(where: Where) -> list[dict[str, Any]]:
    """The faults that stand: name, since, until, kind, target, on and parameters."""
    return list(ask(where, "list"))


def status(where: Where) -> dict[str, Any]:
    """Site, simulated time, endpoints of the devices, standing faults."""
    return dict(ask(where, "status"))


def put(where: Where, point: str, value: str | float | bool) -> dict[str, Any]:
    """Have a device show a value of a point, with its unit."""
    return dict(ask(where, "set", point=point, value=value))


def ask(where: Where, do: str, **fields: Any) -> Any:
    """One request to a running simulation; its result. Raises DaemonDown, ConfigError or EnergyctlError with its words."""
    path = find(where)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            with address(path) as name:
                connection.connect(name)
            connection.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        except OSError as error:
            raise DaemonDown(f"the simulation at {path} does not answer: {error.strerror or error}") from None
    answer = json.loads(line) if line else {"error": f"the simulation at {path} has ended"}
    if answer.get("ok"):
        return answer["result"]
    wrong = answer.get("exit_code") == ConfigError.exit_code
    raise (ConfigError if wrong else EnergyctlError)(str(answer["error"]))


def _links() -> Path:
    """This user's folder of links to running simulations."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "energyctl-hil" if runtime else Path(tempfile.gettempdir()) / f"energyctl-hil-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return base


def _running() -> dict[str, Path]:
    """The sockets of running simulations by site id; links that lead nowhere are left out."""
    return {link.stem: link.resolve() for link in sorted(_links().glob("*.sock")) if link.is_socket()}
