"""An OPC UA server for the simulated devices of one link, over asyncua.

Nodes are those of the profiles' addresses, under a folder per device. A write from the wire goes to the device first; a
read-only node answers Bad_NotWritable, a wrong type Bad_TypeMismatch, a value the device does not take Bad_OutOfRange.
Timestamps are the device's virtual time. Notifications leave at once, not at the publishing interval, so that none belongs
to another step than the change it tells of. They are counted per device when they leave; one that has to wait for the
client's next publish request is counted too, and goes out with that request.

Clients get the role of a plain user, because the library lets an administrator write anything.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeService
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.user_managers import UserManager

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from hil.device import SimDevice, WriteRejected
from hil.servers import opcua_space
from hil.units import shown, taken

# the library exports these in a way that a strict type checker does not follow
ua: Any = importlib.import_module("asyncua.ua")
_VALUE = ua.AttributeIds.Value
_REJECTED = {
    "access": ua.StatusCodes.BadNotWritable,
    "address": ua.StatusCodes.BadNodeIdUnknown,
    "type": ua.StatusCodes.BadTypeMismatch,
    "value": ua.StatusCodes.BadOutOfRange,
}


@dataclass(frozen=True, slots=True)
class Secured:
    """A signed and encrypted endpoint (Basic256Sha256): the server's certificate and key, .pem or .der files."""

    certificate: Path
    private_key: Path


@dataclass(slots=True)
class _Point:
    device: SimDevice
    name: str
    spec: PointSpec
    node: Any
    kind: Any

    def value(self) -> Any:
        """What the node shows now: a DataValue in the device's unit and the node's type, bad when there is none."""
        time = self.device.time
        good, own = ua.StatusCode(), shown(self.spec, self.device.values[self.name])
        if not self.device.online:
            return self._bad(ua.StatusCodes.BadNoCommunication)
        if self.kind in (ua.VariantType.Double, ua.VariantType.Float):
            return ua.DataValue(ua.Variant(own, self.kind), good, time, time)
        if math.isnan(own):
            return self._bad(ua.StatusCodes.BadSensorFailure)
        plain = bool(own) if self.kind is ua.VariantType.Boolean else round(own)
        return ua.DataValue(ua.Variant(plain, self.kind), good, time, time)

    def _bad(self, code: int) -> Any:
        time = self.device.time
        return ua.DataValue(None, ua.StatusCode(code), SourceTimestamp=time, ServerTimestamp=time)

    def take(self, written: Any) -> int:
        """A value from the wire; the status code of what became of it."""
        if not self.device.online:
            return int(ua.StatusCodes.BadNoCommunication)
        variant = written.Value
        try:
            if self.spec.access is not Access.READ_WRITE:
                self.device.refuse(self.name, None, via="opcua", reason="read-only", kind="access")
            if variant is None or variant.VariantType is not self.kind or variant.is_array:
                self.device.refuse(self.name, None, via="opcua", reason="wrong type", kind="type")
            self.device.write(self.name, taken(self.spec, self._number(variant.Value)), via="opcua")
        except WriteRejected as rejected:
            return int(_REJECTED[rejected.kind])
        return int(ua.StatusCodes.Good)

    def _number(self, value: Any) -> float:
        return float(f"{value:.7g}") if self.kind is ua.VariantType.Float else float(value)


class OpcuaServer:
    """Serves devices at `url`, between `async with`.

    `prefixes` by device id are put before the device's node ids, where one server has several devices of a type.
    """

    def __init__(
        self,
        devices: Sequence[SimDevice],
        prefixes: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        user: str | None = None,
        password: str | None = None,
        secured: Secured | None = None,
    ) -> None:
        self.devices = {device.id: device for device in devices}
        self.host, self.port = host, port
        self._prefixes = prefixes or {}
        self._secured = secured
        self._iserver = _InternalServer(_Users(user, password), self._take)
        self._server = Server(iserver=self._iserver)
        self._points: dict[Any, _Point] = {}
        self._named: dict[tuple[str, str], _Point] = {}
        self._online = dict.fromkeys(self.devices, True)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"opc.tcp://{self.host}:{self.port}"

    async def __aenter__(self) -> OpcuaServer:
        server = self._server
        await server.init()
        server.disable_clock()
        server.set_server_name("energyctl simulated devices")
        server.set_endpoint(self.url)
        if self._secured is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
            await server.load_certificate(self._secured.certificate)
            await server.load_private_key(self._secured.private_key)
        for device in self.devices.values():
            await self._add(device)
        await server.start()
        bound: Any = server.bserver
        self.port = bound._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    async def push(self) -> Mapping[str, int]:
        """Show what the physics set and publish it; notifications per device id, sent or certain to be."""
        for device in self.devices.values():
            for point in self._due(device):
                await self._iserver.aspace.write_attribute_value(point.node, _VALUE, point.value())
        await self._iserver.subscription_service.publish_all()
        return self._iserver.counts.total(self._iserver.subscription_service.subscriptions.values())

    def _due(self, device: SimDevice) -> Iterable[_Point]:
        changed = device.take_changes()
        if self._online[device.id] is device.online:
            return [self._named[device.id, name] for name in changed]
        self._online[device.id] = device.online
        return [point for (owner, _), point in self._named.items() if owner == device.id]

    async def _take(self, item: Any) -> int | None:
        """A write from the wire: its status code, None when the node is none of ours."""
        point = self._points.get(item.NodeId)
        if point is None or item.AttributeId != _VALUE:
            return None
        status = point.take(item.Value)
        if status == ua.StatusCodes.Good:
            await self._iserver.aspace.write_attribute_value(point.node, _VALUE, point.value())
            await self._iserver.subscription_service.publish_all()
        return status

    async def _add(self, device: SimDevice) -> None:
        spaces = {spec.address["ns"] for spec in device.profile.points.values()}
        index = {uri: await self._server.register_namespace(uri) for uri in sorted(spaces)}
        home = min(index.values())
        folder = await self._server.nodes.objects.add_folder(ua.NodeId(device.id, home), f"{home}:{device.id}")
        for name, spec in device.profile.points.items():
            address = spec.address
            node = ua.NodeId(self._prefixes.get(device.id, "") + address["id"], index[address["ns"]])
            point = _Point(device, name, spec, node, ua.VariantType[address["type"]])
            variable = await folder.add_variable(node, f"{node.NamespaceIndex}:{name}", 0, point.kind)
            await self._iserver.aspace.write_attribute_value(node, _VALUE, point.value())
            if spec.access is Access.READ_WRITE:
                await variable.set_writable()
            self._points[node] = self._named[device.id, name] = point
            self._iserver.counts.owner[node] = device.id
        device.take_changes()
        await self._add_identity(device, folder)

    async def _add_identity(self, device: SimDevice, folder: Any) -> None:
        profile = device.profile
        if profile.identity is None or "id" not in profile.identity.address:
            return
        address, wanted = profile.identity.address, profile.identity.contains
        index = await self._server.register_namespace(address["ns"])
        text = profile.model if wanted in profile.model else wanted
        node = ua.NodeId(self._prefixes.get(device.id, "") + address["id"], index)
        await folder.add_variable(node, f"{index}:Model", text, ua.VariantType.String)


class _Users(UserManager):
    """Everybody is a plain user; with a name and password set, only whoever knows them."""

    def __init__(self, user: str | None, password: str | None) -> None:
        self._expected = (user, password)

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        if self._expected[0] is not None and (username, password) != self._expected:
            return None
        return User(role=UserRole.User)


@dataclass
class _Counts:
    """Data-change notifications that have left, per device id."""

    owner: dict[Any, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def add(self, subscription: Any, into: dict[str, int]) -> None:
        """Count what is queued in a subscription."""
        items = subscription.monitored_item_srv._monitored_items
        for monitored, queued in subscription._triggered_datachanges.items():
            device = self.owner.get(items[monitored].read_value_id.NodeId) if monitored in items else None
            if device is not None:
                into[device] = into.get(device, 0) + len(queued)

    def total(self, subscriptions: Iterable[Any]) -> dict[str, int]:
        """What has left and what is queued."""
        counts = {device: self.left.get(device, 0) for device in dict.fromkeys(self.owner.values())}
        for subscription in subscriptions:
            self.add(subscription, counts)
        return counts


class _Subscriptions(SubscriptionService):
    """Subscriptions that count what leaves."""

    counts: _Counts

    async def create_subscription(self, *args: Any, **options: Any) -> Any:
        result = await super().create_subscription(*args, **options)
        subscription: Any = self.subscriptions[result.SubscriptionId]
        pop = subscription._pop_triggered_datachanges

        def counted(publish_result: Any) -> None:
            self.counts.add(subscription, self.counts.left)
            pop(publish_result)

        subscription._pop_triggered_datachanges = counted
        return result

    async def create_monitored_items(self, params: Any) -> list[Any]:
        results = list(await super().create_monitored_items(params))
        await self.publish_all()
        return results

    async def publish_all(self) -> None:
        """Send every change that is queued, as far as clients have asked for it."""
        for subscription in list(self.subscriptions.values()):
            if subscription._triggered_datachanges:
                await subscription.publish_results()


class _Attributes(AttributeService):
    """Writes of clients to the devices' nodes go to the devices."""

    take: Callable[[Any], Any]

    async def write(self, params: Any, user: Any = User(role=UserRole.Admin)) -> list[Any]:  # noqa: B008
        if user.role == UserRole.Admin:
            return list(await super().write(params, user))
        statuses: list[Any] = []
        for item in params.NodesToWrite:
            status = await self.take(item)
            if status is None:
                statuses += await super().write(ua.WriteParameters([item]), user)
            else:
                statuses.append(ua.StatusCode(status))
        return statuses


class _InternalServer(InternalServer):
    subscription_service: _Subscriptions

    def __init__(self, users: _Users, take: Callable[[Any], Any]) -> None:
        super().__init__(user_manager=users)
        self.counts = _Counts()
        self.aspace.force_server_timestamp = False
        self.attribute_service = _Attributes(self.aspace)
        self.attribute_service.take = take
        self.subscription_service = _Subscriptions(self.aspace, iserver=self)
        self.subscription_service.counts = self.counts
        self.isession.subscription_service = self.subscription_service

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:
        opcua_space.fill(self.node_mgt_service)
