"""The devices of a site on real sockets: a server per link, as the site file's connections say.

A Modbus TCP link is one port with a device per unit id, a serial one a pseudo-terminal that is as slow as the real line, a
BACnet device is a UDP port of its own, an OPC UA link is one server for all devices on it. Ports are free ones, or the site's
own where those are on this machine. With `proxied` there is a line in front of every server (see `hil.proxy`), and clients
come in through it; a serial line has one always.

`derive` writes a copy of the site file that points at them, makes paths of files absolute, and changes nothing else, except
that what is about the real network is left out: the simulated servers take connections from any address of this machine. An
OPC UA link that is secured stays so: same policy, mode, user and password, with certificates made for the run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from energyctl.config import Site
from energyctl.core.driver import Device, Link, Scalar
from energyctl.core.errors import ConfigError

from .device import SimDevice
from .proxy import Framing, Line, TcpProxy, UdpProxy
from .proxy.trunk import Trunk
from .rewrite import rewritten

REAL = {"bacnet": ("local_address", "local_port")}
"""Options of a connection that mean nothing to simulated devices."""
LOCAL = ("127.0.0.1", "localhost", "::1", "")
CLIENT_URI = "urn:energyctl:client"
"""What a client's certificate says who it is, where the site file does not (OPC UA)."""
NO_CEREMONY = {"require_commissioning": False}
"""Simulated devices break nothing: a derived site may control them at once."""
OPEN = "none"
"""OPC UA without security."""


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


@dataclass(frozen=True, slots=True)
class _Seat:
    """An address on a server; whoever sits there answers. Those of one `family` can change places."""

    family: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


class Twin:
    """Servers for a site's devices; `async with` starts and stops them.

    `proxied` puts a line in front of every server. `paced` keeps serial lines to their baud rate; in lockstep, where time is
    not the clock's, it only costs. `seed` is the luck of the lines.
    """

    def __init__(
        self,
        site: Site,
        devices: Mapping[str, SimDevice],
        *,
        site_ports: bool = False,
        proxied: bool = False,
        paced: bool = True,
        seed: int = 0,
    ) -> None:
        self._site, self._devices = site, devices
        self._site_ports, self._proxied, self._paced, self._seed = site_ports, proxied, paced, seed
        self._moved = _Moved()
        self._lines: dict[str, Line] = {}
        self._seats: dict[str, _Seat] = {}
        self._stack = AsyncExitStack()
        self._folder: Path | None = None
        self.servers: list[SimServer] = []
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
        for server in self.servers:
            counts.update(await server.push())
        return counts

    def line(self, name: str) -> Line:
        """The line in front of a connection, or of a device: where they share one, the connection's. Raises ConfigError."""
        if name in self._lines:
            return self._lines[name]
        if name not in self._site.devices and name not in {link.id for link in self._site.links}:
            raise ConfigError(f"'{name}' is neither a connection nor a device; there is {', '.join(self._lines)}")
        raise ConfigError(f"there is no line in front of '{name}': the simulation was started without")

    def swap(self, one: str, other: str) -> None:
        """Whoever answers at the addresses of two devices changes places; again, and all is as before. Raises ConfigError."""
        for name in (one, other):
            if name not in self._seats:
                raise ConfigError(f"'{name}' is no device with an address; there is {', '.join(self._seats)}")
        first, second = self._seats[one], self._seats[other]
        if first.family != second.family:
            raise ConfigError(
                f"'{one}' ({first.family}) and '{other}' ({second.family}) cannot answer at each other's address"
            )
        here, there = first.get(), second.get()
        first.put(there)
        second.put(here)

    def derive(self, path: Path, timeout: str | None = None) -> Path:
        """Write the site file with the connections replaced by where the servers are. Returns `path`.

        `timeout` replaces those of the connections: in lockstep an answer that is late, because the machine is busy, is an
        answer.
        """

        def move(data: Any) -> None:
            for link in self._site.links:
                for real in REAL.get(link.protocol, ()):
                    data["connections"][link.id].pop(real, None)
                data["connections"][link.id].update(self._moved.links.get(link.id, {}))
                if timeout is not None:
                    data["connections"][link.id]["timeout"] = timeout
            for device, options in self._moved.devices.items():
                data["devices"][device].update(options)
            data["safety"] = {**(data.get("safety") or {}), **NO_CEREMONY}

        return rewritten(self._site.path, path, move, [self._site.path.resolve().parent])

    # -- one link after the other --------------------------------------------------------------------------------------

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
        units = self._units(behind)
        server, at = await (self._rtu if link.options.get("transport") == "rtu" else self._modbus_tcp)(link, units)
        for unit, device in units.items():
            self._seats[device.id] = _Seat("modbus", *_item(server.units, unit))
            self._note(device.id, link, f"{at} unit {unit}")

    async def _modbus_tcp(self, link: Link, units: Mapping[int, SimDevice]) -> tuple[Any, str]:
        from .servers.modbus import ModbusServer

        wanted = self._own(link.options, 502)
        server = await self._serve(ModbusServer(units, *self._behind_line(wanted)))
        host, port = await self._tcp_line(link, units.values(), server.address, wanted, "modbus")
        self._moved.links[link.id] = {"host": host, "port": port}
        return server, f"{host}:{port}"

    async def _rtu(self, link: Link, units: Mapping[int, SimDevice]) -> tuple[Any, str]:
        from .servers.rtu import RtuServer

        baudrate = int(link.options.get("baudrate", 19200))
        path = self._own_folder() / link.id
        server = await self._serve(RtuServer(units, path, baudrate, paced=self._paced, seed=self._seed))
        self._lines |= dict.fromkeys([link.id, *(device.id for device in units.values())], server.line)
        # a pseudo-terminal has no parity, and some C libraries say so
        self._moved.links[link.id] = {"device": str(path), "parity": "N"}
        return server, str(path)

    async def _bacnet(self, link: Link, behind: Sequence[Device]) -> None:
        from .servers.bacnet import BacnetServer

        for index, device in enumerate(behind):
            options = {**link.options, **device.options}
            wanted = self._own(options, 47808) if index == 0 or "port" in device.options else (LOCAL[0], 0)
            instance = int(device.options.get("device", index + 1))
            server = await self._serve(BacnetServer(self._devices[device.id], instance, *self._behind_line(wanted)))
            host, port = await self._udp_line(device.id, server.address, wanted)
            self._seats[device.id] = _Seat("bacnet", *_attribute(server, "node"))
            self._moved.links.setdefault(link.id, {"host": host, "port": port})
            if index or "host" in device.options or "port" in device.options:
                self._moved.devices[device.id] = {"host": host, "port": port}
            self._note(device.id, link, f"{host}:{port} device {instance}")
        if self._proxied:
            self._lines[link.id] = Trunk([self._lines[device.id] for device in behind])

    async def _opcua(self, link: Link, behind: Sequence[Device]) -> None:
        from .servers.opcua import OpcuaServer

        wanted = self._own(_of_url(str(link.options.get("url", ""))), 4840)
        prefixes = {device.id: str(device.options.get("prefix", "")) for device in behind}
        devices = [self._devices[device.id] for device in behind]
        secrets = {} if link.options.get("security", OPEN) == OPEN else self._secured(link)
        server = await self._serve(OpcuaServer(devices, prefixes, *self._behind_line(wanted), **secrets))
        host, port = await self._tcp_line(link, devices, (server.host, server.port), wanted, "opcua")
        url = f"opc.tcp://{host}:{port}"
        self._moved.links.setdefault(link.id, {})["url"] = url
        for device in devices:
            self._seats[device.id] = _Seat(f"opcua {device.profile.profile}", *_place_of(server, device.id))
            self._note(device.id, link, url)

    def _secured(self, link: Link) -> dict[str, Any]:
        """Options of the server; what clients need goes into the derived file."""
        from .certificates import issue
        from .servers.opcua import SERVER_URI, Secured

        folder, options = self._own_folder(), link.options
        server, server_key = issue(folder, f"{link.id}-server", SERVER_URI)
        client, client_key = issue(folder, f"{link.id}-client", str(options.get("application_uri", CLIENT_URI)))
        self._moved.links[link.id] = {
            "certificate": str(client),
            "private_key": str(client_key),
            "server_certificate": str(server),
        }
        policy = f"{options['security']}_{options.get('mode', 'SignAndEncrypt')}"
        return {
            "user": options.get("user"),
            "password": options.get("password"),
            "secured": Secured(server, server_key, policy),
        }

    # -- what they share -----------------------------------------------------------------------------------------------

    async def _serve(self, server: Any) -> Any:
        self.servers.append(await self._stack.enter_async_context(server))
        return server

    def _units(self, behind: Sequence[Device]) -> dict[int, SimDevice]:
        units: dict[int, SimDevice] = {}
        for device in behind:
            unit = int(device.options.get("unit", 1))
            if unit in units:
                raise ConfigError(
                    f"devices.{device.id}.unit: {unit} is {units[unit].id}'s already; simulated devices need a unit each"
                )
            units[unit] = self._devices[device.id]
        return units

    def _behind_line(self, wanted: tuple[str, int]) -> tuple[str, int]:
        """Where the server itself listens: any port when a line has the one that is wanted."""
        return (LOCAL[0], 0) if self._proxied else wanted

    async def _tcp_line(
        self,
        link: Link,
        behind: Any,
        server: tuple[str, int],
        wanted: tuple[str, int],
        framing: Framing,
    ) -> tuple[str, int]:
        """Put a line in front of a server where that is wanted; where clients reach it."""
        if not self._proxied:
            return server
        line = TcpProxy(server, *wanted, framing=framing, seed=self._seed)
        await self._stack.enter_async_context(line)
        self._lines |= dict.fromkeys([link.id, *(device.id for device in behind)], line)
        return line.address

    async def _udp_line(self, device: str, server: tuple[str, int], wanted: tuple[str, int]) -> tuple[str, int]:
        if not self._proxied:
            return server
        line = UdpProxy(server, *wanted, seed=self._seed)
        await self._stack.enter_async_context(line)
        self._lines[device] = line
        return line.address

    def _own_folder(self) -> Path:
        """A folder that goes with the twin."""
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hil-twin-")))
        return self._folder

    def _own(self, options: Mapping[str, Scalar], standard: int) -> tuple[str, int]:
        """Where to listen: the site's own port when that is wanted and on this machine, else a free one."""
        host = str(options.get("host", LOCAL[0]))
        if self._site_ports and host in LOCAL:
            return LOCAL[0], int(options.get("port", standard))
        return LOCAL[0], 0

    def _note(self, device: str, link: Link, address: str) -> None:
        self.endpoints.append(Endpoint(device, link.id, link.protocol, address))


def _item(mapping: dict[Any, Any], key: Any) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: mapping[key], lambda value: mapping.__setitem__(key, value)


def _attribute(thing: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(thing, name), lambda value: setattr(thing, name, value)


def _place_of(server: Any, seat: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: server.device_at(seat), lambda device: server.put(seat, device)


def _of_url(url: str) -> dict[str, Scalar]:
    place = url.partition("//")[2].partition("/")[0]
    host, _, port = place.rpartition(":")
    return {"host": host, "port": int(port)} if port.isdigit() else {"host": place}


def _place(options: Mapping[str, Scalar]) -> str:
    return str(options.get("url") or f"{options.get('host', LOCAL[0])}:{options.get('port', '(standard port)')}")
