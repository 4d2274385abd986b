"""An OPC UA server for the simulated devices of one link, over asyncua.

Nodes are those of the profiles' addresses, under a folder per device. A write from the wire goes to the device first; a
read-only node answers Bad_NotWritable, a wrong type Bad_TypeMismatch, a value the device does not take Bad_OutOfRange.
Timestamps are the device's virtual time. Notifications leave at once, not at the publishing interval, so that none belongs
to another step than the change it tells of. They are counted per device when they leave; one that has to wait for the
client's next publish request is counted too, and goes out with that request.

Clients get the role of a plain user, because the library lets an administrator write anything.

What ails a device shows as bad status codes, one without a value as Bad_SensorFailure. A request that touches a silent device
is not answered, while the same session is served on. Nodes with numeric ids move with their device's; browsing still finds
them where they were. A device that has the server for itself takes its connections along when it restarts.
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
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.user_managers import UserManager

from energyctl.core.errors import ConfigError
from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from hil.device import SimDevice, WriteRejected
from hil.servers import opcua_space
from hil.units import shown, taken

# the library exports these in a way that a strict type checker does not follow
ua: Any = importlib.import_module("asyncua.ua")
SERVER_URI = "urn:energyctl:simulated-devices"
"""What the server's certificate must say who it is."""
_VALUE = ua.AttributeIds.Value
_REJECTED = {
    "access": ua.StatusCodes.BadNotWritable,
    "address": ua.StatusCodes.BadNodeIdUnknown,
    "type": ua.StatusCodes.BadTypeMismatch,
    "value": ua.StatusCodes.BadOutOfRange,
}


@dataclass(frozen=True, slots=True)
class Secured:
    """A secured endpoint: the server's certificate (.der) and key (.pem), and the policy with its mode."""

    certificate: Path
    private_key: Path
    policy: str = "Basic256Sha256_SignAndEncrypt"


@dataclass(slots=True)
class _Seat:
    """A place on the server and the device that is there; two of the same type can change places."""

    id: str
    device: SimDevice
    points: dict[str, _Point] = field(default_factory=dict)
    shown: object = None
    """What the device was like when it was last shown as a whole."""

    @property
    def state(self) -> object:
        """All that changes how every point is shown."""
        ail = self.device.ail
        return (self.device, self.device.online, ail.exception, frozenset(ail.refused), ail.moved_by)

    def due(self) -> Iterable[_Point]:
        """The points to show anew; none while the device is silent."""
        if self.device.ail.silent:
            return []
        changed, before, self.shown = self.device.take_changes(), self.shown, self.state
        return self.points.values() if before != self.shown else [self.points[name] for name in changed]


@dataclass(slots=True)
class _Point:
    seat: _Seat
    name: str
    spec: PointSpec
    node: Any
    kind: Any

    @property
    def device(self) -> SimDevice:
        """Whose point it is now."""
        return self.seat.device

    @property
    def moved_by(self) -> int:
        """How far its node is from where it was."""
        return self.device.ail.moved_by if isinstance(self.node.Identifier, int) else 0

    def value(self) -> Any:
        """What the node shows now: a DataValue in the device's unit and the node's type, bad when there is none."""
        trouble = self._trouble()
        if trouble is not None:
            return self._bad(trouble)
        raw = self.device.ail.raw.get(self.name)
        own = shown(self.spec, self.device.reading(self.name)) if raw is None else raw
        if math.isnan(own):
            return self._bad(ua.StatusCodes.BadSensorFailure)
        time = self.device.time
        return ua.DataValue(ua.Variant(self._typed(own), self.kind), ua.StatusCode(), time, time)

    def _typed(self, own: float) -> float | int | bool:
        if self.kind in (ua.VariantType.Double, ua.VariantType.Float):
            return own
        return bool(own) if self.kind is ua.VariantType.Boolean else round(own)

    def _trouble(self) -> int | None:
        """The status code of a point that cannot be spoken to."""
        if not self.device.online:
            return int(ua.StatusCodes.BadNoCommunication)
        if self.device.ail.exception is not None:
            return int(ua.StatusCodes.BadDeviceFailure)
        return int(ua.StatusCodes.BadNotReadable) if self.name in self.device.ail.refused else None

    def _bad(self, code: int) -> Any:
        time = self.device.time
        return ua.DataValue(None, ua.StatusCode(code), SourceTimestamp=time, ServerTimestamp=time)

    def take(self, written: Any) -> int:
        """A value from the wire; the status code of what became of it."""
        if not self.device.online:
            return int(ua.StatusCodes.BadNoCommunication)
        if self.device.ail.exception is not None:
            return int(ua.StatusCodes.BadDeviceFailure)
        variant = written.Value
        try:
            if self.name in self.device.ail.refused:
                self.device.refuse(self.name, None, via="opcua", reason="refused for now", kind="access")
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
        self._seats = {device.id: _Seat(device.id, device) for device in devices}
        self.host, self.port = host, port
        self._prefixes = prefixes or {}
        self._secured = secured
        self._iserver = _InternalServer(_Users(user, password), self._show, self._take)
        self._server = _Server(iserver=self._iserver)
        self._points: dict[Any, _Point] = {}
        self._boots = self._all_boots()

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
            await server.set_application_uri(SERVER_URI)
            server.set_security_policy([ua.SecurityPolicyType[self._secured.policy]])
            await server.load_certificate(self._secured.certificate)
            await server.load_private_key(self._secured.private_key)
        for seat in self._seats.values():
            await self._add(seat)
        await server.start()
        bound: Any = server.bserver
        self.port = bound._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    async def push(self) -> Mapping[str, int]:
        """Show what the physics set and publish it; notifications per device id, sent or certain to be."""
        if self._boots != self._all_boots():
            self._boots = self._all_boots()
            if len(self._seats) == 1:
                self._server.drop_connections()
        for seat in self._seats.values():
            for point in seat.due():
                shown = self._moved_away if point.moved_by else point.value()
                await self._iserver.aspace.write_attribute_value(point.node, _VALUE, shown)
        await self._iserver.subscription_service.publish_all()
        return self._iserver.counts.total(self._iserver.subscription_service.subscriptions.values())

    def device_at(self, seat: str) -> SimDevice:
        """The device at a place, which has the id of the device that was there first."""
        return self._seats[seat].device

    def put(self, seat: str, device: SimDevice) -> None:
        """Let another device of the same type answer at a place."""
        self._seats[seat].device = device

    def _all_boots(self) -> int:
        return sum(seat.device.boots for seat in self._seats.values())

    @property
    def _moved_away(self) -> Any:
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))

    def _at(self, node: Any) -> _Point | None:
        """The point that has this node id now."""
        point = self._points.get(node)
        if point is not None and not point.moved_by:
            return point
        for seat in self._seats.values() if isinstance(node.Identifier, int) else ():
            before = ua.NodeId(node.Identifier - seat.device.ail.moved_by, node.NamespaceIndex)
            point = self._points.get(before) if seat.device.ail.moved_by else None
            if point is not None and point.seat is seat:
                return point
        return None

    def _show(self, item: Any) -> Any:
        """What a read from the wire shows: a DataValue, None when the node is none of ours. Raises Unanswered."""
        point = self._at(item.NodeId)
        if point is None:
            return self._moved_away if item.NodeId in self._points else None
        if point.device.ail.silent:
            raise Unanswered
        return point.value() if item.AttributeId == _VALUE else None

    async def _take(self, item: Any) -> int | None:
        """A write from the wire: its status code, None when the node is none of ours. Raises Unanswered."""
        point = self._at(item.NodeId)
        if point is None or item.AttributeId != _VALUE:
            return int(ua.StatusCodes.BadNodeIdUnknown) if item.NodeId in self._points and point is None else None
        if point.device.ail.silent:
            raise Unanswered
        status = point.take(item.Value)
        if status == ua.StatusCodes.Good:
            await self._iserver.aspace.write_attribute_value(point.node, _VALUE, point.value())
            await self._iserver.subscription_service.publish_all()
        return status

    async def _add(self, seat: _Seat) -> None:
        device = seat.device
        spaces = {spec.address["ns"] for spec in device.profile.points.values()}
        index = {uri: await self._server.register_namespace(uri) for uri in sorted(spaces)}
        home = min(index.values())
        folder = await self._server.nodes.objects.add_folder(ua.NodeId(device.id, home), f"{home}:{device.id}")
        for name, spec in device.profile.points.items():
            address = spec.address
            node = ua.NodeId(self._identifier(device.id, address["id"]), index[address["ns"]])
            if node in self._points:
                other = self._points[node].seat.id
                raise ConfigError(f"devices.{device.id}: node {address['id']} of {address['ns']} is {other}'s already")
            point = _Point(seat, name, spec, node, ua.VariantType[address["type"]])
            variable = await folder.add_variable(node, f"{node.NamespaceIndex}:{name}", 0, point.kind)
            await self._iserver.aspace.write_attribute_value(node, _VALUE, point.value())
            if spec.access is Access.READ_WRITE:
                await variable.set_writable()
            self._points[node] = seat.points[name] = point
            self._iserver.counts.owner[node] = device.id
        device.take_changes()
        seat.shown = seat.state
        await self._add_identity(device, folder)

    def _identifier(self, device: str, own: str | int) -> str | int:
        """A node's identifier with the device's prefix; a number has none."""
        return self._prefixes.get(device, "") + own if isinstance(own, str) else own

    async def _add_identity(self, device: SimDevice, folder: Any) -> None:
        profile = device.profile
        if profile.identity is None or "id" not in profile.identity.address:
            return
        address, wanted = profile.identity.address, profile.identity.contains
        index = await self._server.register_namespace(address["ns"])
        text = profile.model if wanted in profile.model else wanted
        node = ua.NodeId(self._identifier(device.id, address["id"]), index)
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
    show: Callable[[Any], Any]

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
        for item in params.ItemsToCreate:
            self.show(item.ItemToMonitor)
        results = list(await super().create_monitored_items(params))
        await self.publish_all()
        return results

    async def publish_all(self) -> None:
        """Send every change that is queued, as far as clients have asked for it."""
        for subscription in list(self.subscriptions.values()):
            if subscription._triggered_datachanges:
                await subscription.publish_results()


class Unanswered(BaseException):
    """A request that nobody answers; no error, so that the library does not answer with one."""


class _Connection(OPCUAProtocol):
    """A client's connection, on which some requests stay without an answer."""

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        try:
            return bool(await super()._process_one_msg(header, buf))
        except Unanswered:
            return True


class _BinaryServer(BinaryServer):
    def _make_protocol(self) -> OPCUAProtocol:
        return _Connection(self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)


class _Server(Server):
    """The library's server with our connections."""

    async def start(self) -> None:
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = _BinaryServer(self.iserver, str(host), port or 0, self.limits)
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except OSError:
            await self.iserver.stop()
            raise

    def drop_connections(self) -> None:
        """Reset every client."""
        for client in list(self.bserver.clients) if self.bserver else ():
            if client.transport is not None:
                client.transport.abort()


class _Attributes(AttributeService):
    """Reads and writes of the devices' nodes go to the devices."""

    show: Callable[[Any], Any]
    take: Callable[[Any], Any]

    def read(self, params: Any) -> list[Any]:
        return [self._read(item) for item in params.NodesToRead]

    def _read(self, item: Any) -> Any:
        shown = self.show(item)
        return self._aspace.read_attribute_value(item.NodeId, item.AttributeId) if shown is None else shown

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

    def __init__(self, users: _Users, show: Callable[[Any], Any], take: Callable[[Any], Any]) -> None:
        super().__init__(user_manager=users)
        self.counts = _Counts()
        self.aspace.force_server_timestamp = False
        self.attribute_service = _Attributes(self.aspace)
        self.attribute_service.show, self.attribute_service.take = show, take
        self.subscription_service = _Subscriptions(self.aspace, iserver=self)
        self.subscription_service.counts, self.subscription_service.show = self.counts, show
        self.isession.subscription_service = self.subscription_service

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:
        opcua_space.fill(self.node_mgt_service)
