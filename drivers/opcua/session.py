"""The one connection to an OPC UA server: made when it is needed, dropped when it fails, made anew at the next call.

Nothing is asked twice. A request that gets no answer in time costs the connection, because a server that hangs and a cable
that was pulled look the same, and because answers to a dropped connection can reach nobody.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.crypto import security_policies
from cryptography.exceptions import InvalidSignature

from energyctl.core.errors import GarbledError, LinkError, LinkTimeout

from .options import LinkOptions
from .points import NodeName

ua: Any = importlib.import_module("asyncua.ua")
"""The library exports its names in a way that a strict type checker does not follow."""

SESSION_MS = 120_000
"""A session we left without a goodbye dies at the server after this long."""
PROBE_S = 10.0
"""How often the library asks an idle server whether it is alive."""

NONSENSE = (ValueError, TypeError, struct.error)
"""What the library's decoding raises for bytes that make no sense, and its reading of files for a bad certificate."""

Result = TypeVar("Result")

logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it logs a traceback for every failure that we raise as well


class UnknownNamespace(Exception):
    """The server has no such namespace."""


class Connection:
    """A connected client with the server's namespaces as they are numbered now."""

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self.client = client
        self._index = {uri: index for index, uri in enumerate(namespaces)}

    @property
    def alive(self) -> bool:
        """False once the transport is gone."""
        return self.client.state is UaClientState.CONNECTED

    def node_id(self, name: NodeName) -> Any:
        """A node's id on this server. Raises UnknownNamespace."""
        if name.namespace not in self._index:
            raise UnknownNamespace(f"the server has no namespace '{name.namespace}'")
        return ua.NodeId(name.identifier, self._index[name.namespace])

    async def read(self, nodes: Sequence[Any]) -> list[Any]:
        """The DataValues of nodes."""
        values: list[Any] = await self.client.uaclient.read_attributes(list(nodes), ua.AttributeIds.Value)
        return values

    async def write(self, node: Any, value: bool | int | float, kind: str) -> Any:
        """Write one value without a timestamp, which many servers refuse; the status."""
        data = ua.DataValue(ua.Variant(value, ua.VariantType[kind]), None)
        (status,) = await self.client.uaclient.write_attributes([node], [data], ua.AttributeIds.Value)
        return status


class Session:
    """Hands out the connection, and turns the library's failures into this project's."""

    def __init__(self, options: LinkOptions, connected: Callable[[Connection], Awaitable[None]]) -> None:
        self._options, self._connected = options, connected
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.open = False

    async def call(self, device: str, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do `work` on the connection. Raises LinkError, LinkTimeout, GarbledError; UnknownNamespace passes."""
        try:
            connection = await self._get()
        except TimeoutError as exc:
            raise LinkTimeout(device, f"no answer from {self._options.url} to connecting{self._doubt()}") from exc
        except (OSError, ua.UaError, InvalidSignature, *NONSENSE) as exc:
            raise LinkError(device, f"cannot connect to {self._options.url}: {explain(exc)}{self._doubt()}") from exc
        try:
            async with asyncio.timeout(self._options.timeout):
                return await work(connection)
        except TimeoutError as exc:
            self._drop(connection)
            wait = f"{self._options.timeout:g} s"
            raise LinkTimeout(device, f"no answer from {self._options.url} within {wait}") from exc
        except (OSError, ua.UaError) as exc:
            self._drop(connection)
            raise LinkError(device, f"{self._options.url}: {explain(exc)}") from exc
        except NONSENSE as exc:
            self._drop(connection)
            raise GarbledError(device, f"{self._options.url}: an answer that makes no sense: {exc}") from exc

    def _doubt(self) -> str:
        """A server that does not like our security often just falls silent."""
        return "" if self._options.security == "none" else "; do the certificates and the security policy fit?"

    async def close(self) -> None:
        """Say goodbye and close."""
        self.open = False
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection is not None:
            await self._leave(self._connection.client)
            self._connection = None
        if self._closing:
            await asyncio.wait(self._closing)

    async def _get(self) -> Connection:
        """The connection; all who find none wait for the same attempt."""
        if not self.open:
            raise ConnectionError("the connection is closed")
        if self._connection is not None and not self._connection.alive:
            self._drop(self._connection)
        if self._connection is not None:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._attempted)
        return await asyncio.shield(self._connecting)

    def _attempted(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()

    async def _connect(self) -> Connection:
        client = self._client()
        try:
            async with asyncio.timeout(2 * self._options.timeout):
                await self._secure(client)
                await client.connect()
                self._connection = Connection(client, await client.get_namespace_array())
                await self._connected(self._connection)
                return self._connection
        except BaseException:
            self._connection = None
            self._abandon(client)
            raise

    def _client(self) -> Client:
        options = self._options
        client = Client(options.url, timeout=options.timeout, watchdog_intervall=max(PROBE_S, options.timeout))
        client.session_timeout = SESSION_MS
        client.name = client.description = "energyctl"
        client.application_uri = options.application_uri
        if options.user is not None and options.password is not None:
            client.set_user(options.user)
            client.set_password(options.password)
        return client

    async def _secure(self, client: Client) -> None:
        options = self._options
        if options.security == "none":
            return
        await client.set_security(
            getattr(security_policies, f"SecurityPolicy{options.security}"),
            certificate=options.certificate or "",
            private_key=options.private_key or "",
            server_certificate=options.server_certificate or "",
            mode=ua.MessageSecurityMode[options.mode],
        )

    def _drop(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None
        self._abandon(connection.client)

    def _abandon(self, client: Client) -> None:
        """Cut the transport now and clean up behind."""
        client.disconnect_socket()
        task = asyncio.create_task(self._leave(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _leave(self, client: Client) -> None:
        with suppress(TimeoutError, OSError, ua.UaError):
            async with asyncio.timeout(self._options.timeout):
                await client.disconnect()


async def connected(_: Connection) -> None:
    """Work that asks for nothing but the connection."""


def explain(exc: Exception) -> str:
    """A library error in the protocol's own words, or the operating system's."""
    if isinstance(exc, ua.UaStatusCodeError):
        return str(ua.StatusCode(exc.code).name)
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__
