"""The OPC UA driver: nodes read in bulk with their status, written by type, told of by subscription.

OPC UA knows no claim on a point, so `relinquish` refuses. Undoing a step means writing the value read before the first. A
step that is not answered may have been carried out: it is undone with those before it, and what cannot be undone then makes
a Partial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Partial, Refused, WriteResult, Written
from energyctl.core.errors import DeviceRefused, LinkError
from energyctl.core.points import Command, Sample

from .options import DeviceOptions, LinkOptions, ProfileOptions
from .points import NodeName, Target, node_name
from .session import Connection, Session, UnknownNamespace, connected, ua
from .watch import Watches

BUILD_INFO = (
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
)
OPCUA_NAMESPACE = "http://opcfoundation.org/UA/"


class Unit:
    """A device behind the server: its nodes."""

    def __init__(self, device: Device) -> None:
        prefix = DeviceOptions.model_validate(dict(device.options)).prefix
        profile = device.profile
        self.id = device.id
        self.max_nodes = ProfileOptions.model_validate(profile.options).max_nodes
        self.targets = {
            point: Target(point, device.id, profile.points[its.name], prefix) for point, its in device.points.items()
        }
        probe = profile.identity
        self.identity = (
            [node_name(probe.address, prefix)]
            if probe is not None and probe.address
            else [NodeName(OPCUA_NAMESPACE, number) for number in BUILD_INFO]
        )


class OpcuaDriver:
    """All devices behind one OPC UA server."""

    def __init__(self, link: str, options: LinkOptions, devices: Sequence[Device], clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._units = {device.id: Unit(device) for device in devices}
        self._unit_of = {point: unit for unit in self._units.values() for point in unit.targets}
        self._watches = Watches(options.publishing, clock)
        self._session = Session(options, self._watches.connected)

    async def __aenter__(self) -> Self:
        self._session.open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._watches.close()
        finally:
            await self._session.close()

    @property
    def received(self) -> Mapping[str, int]:
        """Data-change notifications taken in so far per subscribed device."""
        return dict(self._watches.received)

    async def read(self, points: Sequence[str]) -> list[Sample]:
        """See `core.driver.Driver`."""
        if not points:
            return []
        unit = self._unit_of[points[0]]
        samples: list[Sample] = []
        for start in range(0, len(points), unit.max_nodes):
            targets = [unit.targets[point] for point in points[start : start + unit.max_nodes]]
            samples += await self._session.call(unit.id, partial(self._read, targets=targets))
        return samples

    async def write(self, command: Command) -> WriteResult:
        """See `core.driver.Driver`."""
        unit = self._units[command.device]
        steps: list[tuple[Target, bool | int | float]] = []
        for step in command.steps:
            target = unit.targets[step.point]
            try:
                steps.append((target, target.typed(step.value)))
            except ValueError as exc:
                return Refused(step.point, str(exc))
        before: list[Any] = []
        if len(steps) > 1:
            before = await self._session.call(unit.id, partial(_values, names=[target.node for target, _ in steps]))
        found = [(target, was) for (target, _), was in zip(steps, before, strict=False)]
        for done, (target, value) in enumerate(steps):
            try:
                reason = await self._put(unit, target, value)
            except LinkError as exc:
                if not found or not (stuck := await self._undo(unit, found[: done + 1])):
                    raise
                return Partial(target.point, str(exc), stuck)
            if reason:
                stuck = await self._undo(unit, found[:done])
                return Partial(target.point, reason, stuck) if stuck else Refused(target.point, reason)
        return Written()

    async def relinquish(self, point: str) -> WriteResult:
        """Always Refused: there is nothing to give up in OPC UA."""
        return Refused(point, "OPC UA knows no claim on a point")

    async def identify(self, device: str) -> str:
        """What the node named in the profile says, or the server's manufacturer, product and version.

        Raises LinkError when it cannot be read.
        """
        unit = self._units[device]
        values = await self._session.call(device, partial(_values, names=unit.identity))
        words = [_content(value) for value in values]
        if all(word is None for word in words):
            reason = values[0] if isinstance(values[0], str) else values[0].StatusCode.name
            raise LinkError(device, f"does not say who it is: {unit.identity[0].identifier}: {reason}")
        return " ".join(str(word) for word in words if word is not None)

    async def subscribe(self, points: Sequence[str], sink: Callable[[Sample], None]) -> None:
        """See `core.driver.Subscribes`. When the server is away now, its points are subscribed when it comes.

        Raises DeviceRefused for the first point that the server will not tell of, having subscribed to all others.
        """
        if not points:
            return
        unit = self._unit_of[points[0]]
        targets = [unit.targets[point] for point in points]
        self._watches.keep(self._session)
        with suppress(LinkError):
            await self._session.call(unit.id, connected)
        for target in targets:
            self._watches.want(target, sink)
        try:
            refused = await self._session.call(unit.id, partial(self._watches.add, targets=targets))
        except LinkError:
            return
        for target in refused:
            self._watches.forget(target)
        for target, reason in refused.items():
            raise DeviceRefused(unit.id, target.point, reason)

    async def _read(self, connection: Connection, targets: Sequence[Target]) -> list[Sample]:
        values = await _values(connection, [target.node for target in targets])
        now = self._clock.now()
        return [
            Sample.bad(target.point, now, value) if isinstance(value, str) else target.sample(now, value)
            for target, value in zip(targets, values, strict=True)
        ]

    async def _put(self, unit: Unit, target: Target, value: bool | int | float) -> str:
        """Write; the reason when the server says no."""

        async def write(connection: Connection) -> str:
            try:
                status = await connection.write(connection.node_id(target.node), value, target.type)
            except UnknownNamespace as exc:
                return str(exc)
            return str(status.name) if status.is_bad() else ""

        return await self._session.call(unit.id, write)

    async def _undo(self, unit: Unit, done: Sequence[tuple[Target, Any]]) -> tuple[str, ...]:
        """Put back what was found, last first; the points where that failed. A server that is gone is not asked on."""
        stuck: list[str] = []
        for at in reversed(range(len(done))):
            target, found = done[at]
            value = _content(found)
            try:
                if value is None or await self._put(unit, target, value):
                    stuck.append(target.point)
            except LinkError:
                return (*stuck, *(earlier.point for earlier, _ in reversed(done[: at + 1])))
        return tuple(stuck)


async def _values(connection: Connection, names: Sequence[NodeName]) -> list[Any]:
    """The DataValue of every node, or why it has none on this server."""
    found: list[Any] = []
    for name in names:
        try:
            found.append(connection.node_id(name))
        except UnknownNamespace as exc:
            found.append(str(exc))
    asked = [node for node in found if not isinstance(node, str)]
    values = iter(await connection.read(asked) if asked else [])
    return [node if isinstance(node, str) else next(values) for node in found]


def _content(value: Any) -> Any:
    """What a DataValue holds, None when it is bad or empty."""
    if isinstance(value, str) or value.Value is None:
        return None
    return None if value.StatusCode is not None and value.StatusCode.is_bad() else value.Value.Value
