"""An OPC UA server for tests, in a thread of its own, and a proxy in front of it that mutes, delays and cuts the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager
from cryptography.hazmat.primitives.serialization import Encoding

Result = TypeVar("Result")

FIRST, SECOND = 2, 3
"""The numbers of the namespace."""


class Users(UserManager):
    """Anybody reads as a plain user; whoever names himself must be operator/secret. The library's admin bypasses access."""

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        if username is None or (username, password) == ("operator", "secret"):
            return User(role=UserRole.User)
        return None


class OpcuaDevice:
    """`nodes` of one namespace: identifier → (variant type, value, writable). Every node is there under two numbers of the

    namespace, of which only `index` answers.
    """

    def __init__(self, namespace: str, nodes: dict[str, tuple[str, Any, bool]]) -> None:
        self.namespace, self.nodes = namespace, nodes
        self.index = FIRST
        self.writes: list[tuple[str, Any]] = []
        self.refused: dict[str, int] = {}
        """Identifier → how many more writes it takes."""
        self.slow: dict[str, float] = {}
        """Identifier → how long after it was carried out its next write is answered [s]."""
        self.reads: list[int] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.server: Any = None

    def start(self, security: tuple[Path, Path] | None = None, trusted: Path | None = None) -> None:
        """Serve without security, and with it too when given a certificate and key."""
        self._thread.start()
        self.run(self._start(security, trusted))

    def stop(self) -> None:
        self.run(self.server.stop())
        self.run(_end_all_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def value(self, identifier: str) -> Any:
        """What a node holds."""
        return self._attribute(identifier).Value.Value

    def show(self, identifier: str, value: Any = None, status: int | None = None) -> None:
        """Change a node's value, or its status; back to the beginning with neither."""
        kind, initial, _ = self.nodes[identifier]
        variant = ua.Variant(initial if value is None else value, ua.VariantType[kind])
        data = ua.DataValue(variant, ua.StatusCode(ua.StatusCodes.Good if status is None else status))
        self.run(self.server.write_attribute_value(ua.NodeId(identifier, self.index), data))

    def number(self, index: int) -> None:
        """Give the namespace another number, as a restart may."""
        self.index = index
        others = ["urn:extra"] * (index - FIRST)
        array = ["http://opcfoundation.org/UA/", "urn:freeopcua:python:server", *others, self.namespace]
        self.run(self.server.nodes.namespace_array.write_value(array))

    def offer_security(self, offered: bool) -> None:
        """Whether a new connection may be secured."""
        self.server.bserver.set_policies(self.server._policies[: None if offered else 1])

    def reset(self) -> None:
        self.refused.clear()
        self.slow.clear()
        self.number(FIRST)
        self.offer_security(True)
        for identifier in self.nodes:
            self.show(identifier)
        self.writes.clear()
        self.reads.clear()

    def _attribute(self, identifier: str) -> Any:
        aspace = self.server.iserver.aspace
        return aspace.read_attribute_value(ua.NodeId(identifier, self.index), ua.AttributeIds.Value)

    async def _start(self, security: tuple[Path, Path] | None, trusted: Path | None) -> None:
        self.server = Server(user_manager=Users())
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if security is not None:
            policies.append(ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt)
            await self.server.load_certificate(str(security[0]))
            await self.server.load_private_key(str(security[1]))
        if trusted is not None:
            self.server.set_certificate_validator(_trust_only(trusted))
        self.server.set_security_policy(policies)
        assert await self.server.register_namespace(self.namespace) == FIRST
        for index in (FIRST, SECOND):
            for identifier, (kind, value, writable) in self.nodes.items():
                variant = ua.Variant(value, ua.VariantType[kind])
                name = f"{index}:{identifier}"
                node = await self.server.nodes.objects.add_variable(ua.NodeId(identifier, index), name, variant)
                if writable:
                    await node.set_writable()
        self._intercept()
        await self.server.start()
        self.port = self.server.bserver._server.sockets[0].getsockname()[1]

    def _intercept(self) -> None:
        service = self.server.iserver.attribute_service
        write, read = service.write, service.read

        async def taking(params: Any, user: Any = None) -> Any:
            results = []
            for item in params.NodesToWrite:
                name = item.NodeId.Identifier
                if item.NodeId.NamespaceIndex not in (0, self.index):
                    results.append(ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
                    continue
                if self.refused.get(name) == 0:
                    results.append(ua.StatusCode(ua.StatusCodes.BadOutOfRange))
                    continue
                one = ua.WriteParameters(NodesToWrite=[item])
                results += await write(one, user)
                if results[-1].is_good() and name in self.slow:
                    await asyncio.sleep(self.slow.pop(name))
                if results[-1].is_good():
                    if name in self.refused:
                        self.refused[name] -= 1
                    if isinstance(name, str):
                        self.writes.append((name, item.Value.Value.Value))
            return results

        def giving(params: Any) -> Any:
            if isinstance(params.NodesToRead[0].NodeId.Identifier, str):
                self.reads.append(len(params.NodesToRead))
            gone = ua.DataValue(None, ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
            there = [item.NodeId.NamespaceIndex in (0, self.index) for item in params.NodesToRead]
            return [value if ok else gone for value, ok in zip(read(params), there, strict=True)]

        service.write, service.read = taking, giving


async def _end_all_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _trust_only(trusted: Path) -> Callable[..., Coroutine[Any, Any, None]]:
    certificate = trusted.read_bytes()

    async def validate(cert: Any, _: Any) -> None:
        if cert.public_bytes(Encoding.DER) != certificate:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    return validate


class Wire:
    """A TCP proxy to `target`; `cut` closes it and everything on it."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.mute, self.delay_s = False, 0.0
        self.accepted = 0
        """Connections so far."""
        self._prompt = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        await asyncio.sleep(0.01)

    def heal(self) -> None:
        """Answer at once again; what was swallowed is lost, and its connection with it."""
        if self.mute:
            self.hang_up()
        self.mute, self.delay_s = False, 0.0
        self._prompt.set()
        self._prompt = asyncio.Event()

    def hang_up(self) -> None:
        """End the connections there are; new ones are welcome."""
        for writer in self._open:
            writer.close()
        self._open.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._open |= {writer, far_writer}
        for source, sink, answers in ((reader, far_writer, False), (far_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if answers and self.delay_s:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._prompt.wait(), self.delay_s)
                if not (answers and self.mute):
                    sink.write(data)
        sink.close()
