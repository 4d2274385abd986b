"""The devices of a site on real sockets: a server per link, as the site file's connections say.

A Modbus link is one TCP port with a device per unit id, a BACnet device is a UDP port of its own, an OPC UA link is one
server for all devices on it. Ports are free ones, or the site's own where those are on this machine. `derive` writes a
copy of the site file that points at them, makes paths of files absolute, and changes nothing else, except that what is
about the real network is left out: the simulated servers take open connections, from any address of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from ruamel.yaml import YAML

from energyctl.config import Site
from energyctl.core.driver import Device, Link, Scalar
from energyctl.core.errors import ConfigError

from .device import SimDevice

REAL = {
    "bacnet": ("local_address", "local_port"),
    "opcua": ("user", "password", "security", "mode", "certificate", "private_key", "server_certificate"),
}
"""Options of a connection that mean nothing to simulated devices."""
LOCAL = ("127.0.0.1", "localhost", "::1", "")


class SimServer(Protocol):
    """What a server of any protocol can do."""

    async def push(self) -> Mapping[str, int]:
        """Show what the physics set; notifications sent so far per device id, all of this step's included."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a device answers: the connection it is on, and an address for people."""

    device: str
    link: str
    protocol: str
    address: str


@dataclass
class _Moved:
    """What the derived site file says instead: options by connection id and by device id."""

    links: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    devices: dict[str, dict[str, Scalar]] = field(default_factory=dict)


class Twin:
    """Servers for a site's devices; `async with` starts and stops them."""

    def __init__(self, site: Site, devices: Mapping[str, SimDevice], *, site_ports: bool = False) -> None:
        self._site, self._devices, self._site_ports = site, devices, site_ports
        self._servers: list[SimServer] = []
        self._moved = _Moved()
        self._stack = AsyncExitStack()
        self.endpoints: list[Endpoint] = []

    async def __aenter__(self) -> Self:
        try:
            for link in self._site.links:
                behind = [device for device in self._site.devices.values() if self._site.link_of[device.id] == link.id]
                await self._start(link, behind)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def push(self) -> dict[str, int]:
        """Show what the physics set on every server; notifications sent so far per device id that has any."""
        counts: dict[str, int] = {}
        for server in self._servers:
            counts.update(await server.push())
        return counts

    def derive(self, path: Path, timeout: str | None = None) -> Path:
        """Write the site file with the connections replaced by where the servers are. Returns `path`.

        `timeout` replaces those of the connections: in lockstep an answer that is late, because the machine is busy, is an
        answer.
        """
        yaml = YAML()
        yaml.width = 4096
        yaml.preserve_quotes = True
        data = yaml.load(self._site.path.read_text(encoding="utf-8"))
        _absolute(data, self._site.path.resolve().parent)
        for link in self._site.links:
            for real in REAL.get(link.protocol, ()):
                data["connections"][link.id].pop(real, None)
            data["connections"][link.id].update(self._moved.links.get(link.id, {}))
            if timeout is not None:
                data["connections"][link.id]["timeout"] = timeout
        for device, options in self._moved.devices.items():
            data["devices"][device].update(options)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(data, file)
        return path

    async def _start(self, link: Link, behind: Sequence[Device]) -> None:
        starters: Mapping[str, Callable[[Link, Sequence[Device]], Any]] = {
            "modbus": self._modbus,
            "bacnet": self._bacnet,
            "opcua": self._opcua,
        }
        start = starters.get(link.protocol)
        if start is None:
            raise ConfigError(
                f"connections.{link.id}: '{link.protocol}' has no simulated devices; there are {', '.join(starters)}"
            )
        if not behind:
            return
        try:
            await start(link, behind)
        except OSError as error:
            raise ConfigError(
                f"connections.{link.id}: cannot listen on {_place(link.options)}: {error.strerror}; "
                "is another simulation running?"
            ) from error

    async def _modbus(self, link: Link, behind: Sequence[Device]) -> None:
        from .servers.modbus import ModbusServer

        units = {int(device.options.get("unit", 1)): self._devices[device.id] for device in behind}
        host, port = self._own(link.options, 502)
        server = await self._stack.enter_async_context(ModbusServer(units, host, port))
        self._servers.append(server)
        host, port = server.address
        self._moved.links[link.id] = {"host": host, "port": port}
        for unit, device in units.items():
            self._note(device.id, link, f"{host}:{port} unit {unit}")

    async def _bacnet(self, link: Link, behind: Sequence[Device]) -> None:
        from .servers.bacnet import BacnetServer

        for index, device in enumerate(behind):
            options = {**link.options, **device.options}
            host, port = self._own(options, 47808) if index == 0 or "port" in device.options else (LOCAL[0], 0)
            instance = int(device.options.get("device", index + 1))
            server = await self._stack.enter_async_context(BacnetServer(self._devices[device.id], instance, host, port))
            self._servers.append(server)
            host, port = server.address
            self._moved.links.setdefault(link.id, {"host": host, "port": port})
            if index or "host" in device.options or "port" in device.options:
                self._moved.devices[device.id] = {"host": host, "port": port}
            self._note(device.id, link, f"{host}:{port} device {instance}")

    async def _opcua(self, link: Link, behind: Sequence[Device]) -> None:
        from .servers.opcua import OpcuaServer

        host, port = self._own(_of_url(str(link.options.get("url", ""))), 4840)
        prefixes = {device.id: str(device.options.get("prefix", "")) for device in behind}
        devices = [self._devices[device.id] for device in behind]
        server = await self._stack.enter_async_context(OpcuaServer(devices, prefixes, host, port))
        self._servers.append(server)
        self._moved.links[link.id] = {"url": server.url}
        for device in behind:
            self._note(device.id, link, server.url)

    def _own(self, options: Mapping[str, Scalar], standard: int) -> tuple[str, int]:
        """Where to listen: the site's own port when that is wanted and on this machine, else a free one."""
        host = str(options.get("host", LOCAL[0]))
        if self._site_ports and host in LOCAL:
            return LOCAL[0], int(options.get("port", standard))
        return LOCAL[0], 0

    def _note(self, device: str, link: Link, address: str) -> None:
        self.endpoints.append(Endpoint(device, link.id, link.protocol, address))


def _of_url(url: str) -> dict[str, Scalar]:
    place = url.partition("//")[2].partition("/")[0]
    host, _, port = place.rpartition(":")
    return {"host": host, "port": int(port)} if port.isdigit() else {"host": place}


def _place(options: Mapping[str, Scalar]) -> str:
    return str(options.get("url") or f"{options.get('host', LOCAL[0])}:{options.get('port', '(standard port)')}")


def _absolute(node: Any, base: Path) -> None:
    """Make every text that names an existing file, seen from `base`, an absolute path, in place."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        if isinstance(value, str):
            if "/" in value or "." in value:
                path = base / value
                if len(value) < 250 and path.is_file():
                    node[key] = str(path)
        else:
            _absolute(value, base)
