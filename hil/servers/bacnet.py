"""A BACnet/IP device for a simulated device: one application on its own UDP port, an object per point.

Points that may be written are commandable: a write goes into its slot of the priority array, Null gives the slot up, and
the lowest slot in use is what holds. The relinquish default is the device's own doing (`SimDevice.defaults`). Points that
may not be written refuse it, inputs included. Any change of a value is notified to subscribers (increment 0).

`update` shows what the physics set; `flush` returns when every notification that follows from it has left the socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from bacpypes3.app import Application
from bacpypes3.appservice import ApplicationServiceAccessPoint
from bacpypes3.basetypes import EngineeringUnits, PriorityValue
from bacpypes3.comm import ApplicationServiceElement, bind
from bacpypes3.errors import ExecutionError
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.ipv4.link import NormalLinkLayer
from bacpypes3.local.analog import AnalogInputObject, AnalogOutputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryInputObject, BinaryOutputObject, BinaryValueObject
from bacpypes3.local.cmd import Commandable
from bacpypes3.local.cov import GenericCriteria
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.multistate import MultiStateInputObject, MultiStateOutputObject, MultiStateValueObject
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import Null, PropertyIdentifier, Real, Unsigned

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from hil.device import SimDevice, WriteRejected
from hil.units import shown, taken

KINDS: dict[str, type] = {
    "analog-input": AnalogInputObject,
    "analog-output": AnalogOutputObject,
    "analog-value": AnalogValueObject,
    "binary-input": BinaryInputObject,
    "binary-output": BinaryOutputObject,
    "binary-value": BinaryValueObject,
    "multi-state-input": MultiStateInputObject,
    "multi-state-output": MultiStateOutputObject,
    "multi-state-value": MultiStateValueObject,
}
UNITS = {
    "°C": "degreesCelsius",
    "kW": "kilowatts",
    "W": "watts",
    "kWh": "kilowattHours",
    "%": "percent",
    "A": "amperes",
    "V": "volts",
    "ppm": "partsPerMillion",
}
LOWEST = 16
"""The slot of a write that names none (clause 19.2.1)."""


class BacnetServer:
    """Serves one device. `async with` binds and closes; `address` is where it listens; `sent` counts notifications."""

    def __init__(self, device: SimDevice, instance: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self.device = device
        self.instance = instance
        self.address = (host, port)
        self._points: dict[str, _Point] = {}
        self._app: _Application | None = None

    async def __aenter__(self) -> BacnetServer:
        bound = _bind(*self.address)
        self.address = bound.getsockname()
        self._app = _Application(self.device, self._device_object(), bound)
        for name, spec in self.device.profile.points.items():
            point = _Point(self.device, name, spec)
            self._points[name] = point
            self._app.add_object(point.object)
        await self._app.link.server._local_transport_ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._app is not None:
            self._app.link.close()
            await asyncio.sleep(0)

    @property
    def sent(self) -> int:
        """COV notifications sent so far."""
        return 0 if self._app is None else self._app.sent

    async def push(self) -> Mapping[str, int]:
        """Show what the physics set; every notification of it has left when this returns. Counts sent per device id."""
        if self._app is None:
            return {}
        self._app.asap.dccEnableDisable = "enable" if self.device.online else "disable"
        self.device.take_changes()
        for point in self._points.values():
            point.show()
        await self._app.settle()
        return {self.device.id: self._app.sent}

    def _device_object(self) -> Any:
        profile = self.device.profile
        return DeviceObject(
            objectIdentifier=("device", self.instance),
            objectName=self.device.id,
            vendorName=profile.vendor,
            modelName=profile.model,
            firmwareRevision="1",
            description=profile.description,
        )


class _Point:
    """One point as a BACnet object, and its slots as canonical values."""

    def __init__(self, device: SimDevice, name: str, spec: PointSpec) -> None:
        self.device, self.name, self.spec = device, name, spec
        self.kind, _, number = str(spec.address["object"]).partition(",")
        self.writable = spec.access is Access.READ_WRITE
        self.slots: dict[int, float] = {}
        self._shown = self._source()
        self.object = _object_class(self.kind, self.writable)(
            objectIdentifier=(self.kind, int(number)),
            objectName=name,
            presentValue=self._raw(self._shown),
            statusFlags=[],
            eventState="normal",
            outOfService=False,
            **self._details(),
        )
        self.object._point = self

    def show(self) -> None:
        """Bring the object up to what the device shows; a commandable object gets it as its relinquish default."""
        value = self._source()
        if value == self._shown:
            return
        self._shown = value
        if self.writable:
            self.object.relinquishDefault = self._raw(value)
            self.object.recalculating()
        else:
            self.object.presentValue = self._raw(value)

    def take(self, value: Any, slot: int) -> None:
        """A write of the present value from the wire, `Null` to give the slot up. Raises WriteRejected."""
        via = f"bacnet prio {slot}"
        if isinstance(value, Null):
            self._give_up(slot)
            return
        wanted = taken(self.spec, self._number(value))
        slots = {**self.slots, slot: wanted}
        self.device.write(self.name, wanted, via=via, effective=slots[min(slots)])
        self.slots = slots

    def _give_up(self, slot: int) -> None:
        if not self.writable:
            self.device.refuse(self.name, None, via=f"bacnet relinquish prio {slot}", reason="read-only", kind="access")
        self.slots.pop(slot, None)
        held = self.slots[min(self.slots)] if self.slots else None
        self.device.relinquish(self.name, via=f"bacnet relinquish prio {slot}", effective=held)

    def _source(self) -> float:
        return self.device.defaults[self.name] if self.writable else self.device.values[self.name]

    def _raw(self, value: float) -> Any:
        own = shown(self.spec, value)
        if self.kind.startswith("analog"):
            return Real(own)
        if self.kind.startswith("binary"):
            return "active" if own else "inactive"
        return Unsigned(round(own))

    def _number(self, value: Any) -> float:
        """A wire value as a float; a Real as the shortest decimal with the same 32 bits."""
        return float(f"{float(value):.7g}") if self.kind.startswith("analog") else float(int(value))

    def _details(self) -> dict[str, Any]:
        if self.kind.startswith("analog"):
            return {"units": EngineeringUnits(UNITS.get(self.spec.unit, "noUnits")), "covIncrement": 0.0}
        if self.kind.startswith("multi"):
            return {"numberOfStates": max([2, *self.spec.choices.values()])}
        return {}


class _OnTheWire:
    """What a client may do to an object: write the present value of a point that may be written, and nothing else."""

    _point: _Point

    async def write_property(
        self, attr: Any, value: Any, index: int | None = None, priority: int | None = None
    ) -> None:
        if isinstance(attr, int):
            attr = PropertyIdentifier(attr).attr
        slot = LOWEST if priority is None else priority
        try:
            if attr != "presentValue":
                via = f"bacnet {attr}"
                self._point.device.refuse(self._point.name, None, via=via, reason="read-only property", kind="access")
            self._point.take(value, slot)
        except WriteRejected as rejected:
            raise _error(rejected) from rejected
        self.relinquishDefault = self._point._raw(self._point._source())
        self.priorityArray[slot - 1] = PriorityValue(value)  # type: ignore[attr-defined]


def _error(rejected: WriteRejected) -> Exception:
    code = "valueOutOfRange" if rejected.kind == "value" else "writeAccessDenied"
    error: Exception = ExecutionError(errorClass="property", errorCode=code)
    return error


def _object_class(kind: str, writable: bool) -> Any:
    base = KINDS[kind]
    bases = (_OnTheWire, Commandable, base) if writable and not issubclass(base, Commandable) else (_OnTheWire, base)
    # a multi-state object has no increment, so the library's criteria for it would fail on the first change
    extra = {"_cov_criteria": GenericCriteria} if kind.startswith("multi") else {}
    return type(base.__name__, bases, extra)


class _Application(NormalApplication):  # type: ignore[misc]
    """The library's stack over a socket that is bound already (its own would share the port with a stale process)."""

    def __init__(self, device: SimDevice, device_object: Any, bound: socket.socket) -> None:
        Application.__init__(self)
        self.sent = 0
        self._device = device
        self._leaving: set[asyncio.Task[Any]] = set()
        address = IPv4Address("{}:{}".format(*bound.getsockname()))
        self.asap = ApplicationServiceAccessPoint(device_object, self.device_info_cache)
        self.nsap = NetworkServiceAccessPoint()
        self.nse = NetworkServiceElement()
        bind(self.nse, self.nsap)
        bind(self, self.asap, self.nsap)
        self.link = NormalLinkLayer(address, bind_socket=bound)
        self.nsap.bind(self.link, address=address)
        self.add_object(device_object)

    def cov_notification(self, cov: Any, apdu: Any) -> None:
        """Send a notification and remember it until it has left (confirmed: until it was acknowledged)."""
        if not self._device.online:
            return
        self.sent += 1
        if cov.confirmed:
            sending: Any = self.request(apdu)
        else:
            sending = asyncio.ensure_future(ApplicationServiceElement.request(self, apdu))
        self._leaving.add(sending)
        sending.add_done_callback(self._leaving.discard)

    async def settle(self) -> None:
        """Send now what is due, and wait until it is out."""
        for detection in list(self._cov_detections.values()):
            if detection._execute_handle is not None:
                detection._execute_handle.cancel()
                detection._execute()
        if self._leaving:
            await asyncio.wait(set(self._leaving))


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
