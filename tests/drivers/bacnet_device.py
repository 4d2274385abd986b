"""A BACnet device for tests: bacpypes3's own stack on a real UDP port, with faults to order and a log of what it took."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from bacpypes3.basetypes import StatusFlags
from bacpypes3.errors import ExecutionError
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.analog import AnalogInputObject, AnalogOutputObject, AnalogValueObject, AnalogValueObjectCmd
from bacpypes3.local.binary import BinaryOutputObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.multistate import MultiStateOutputObject
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import Null, Real

KINDS = {
    "analog-input": AnalogInputObject,
    "analog-output": AnalogOutputObject,
    "analog-value": AnalogValueObjectCmd,
    "binary-output": BinaryOutputObject,
    "multi-state-output": MultiStateOutputObject,
}


class Faults:
    """What the device does wrong now."""

    def __init__(self) -> None:
        self.mute = False
        self.delay_s = 0.0
        self.unreadable: set[str] = set()
        self.unwritable: dict[str, int] = {}
        """Object → how many more writes it takes."""
        self.flags: dict[str, list[int]] = {}
        self.dumb: dict[str, float] = {}
        """Objects of which the next write is carried out and not answered; the device is mute for so long after it [s]."""
        self.poison: set[str] = set()
        """Objects for whose sake a whole request to read many is turned down."""

    def speak(self) -> None:
        """Answer again."""
        self.mute = False


class App(NormalApplication):  # type: ignore[misc]
    """The stack, obeying `faults` and logging writes as (object, value or None, priority)."""

    def __init__(self, device: BacnetDevice, own: DeviceObject, address: IPv4Address) -> None:
        super().__init__(own, address)
        self._device = device

    async def indication(self, apdu: Any) -> None:
        if self._device.faults.mute:
            return
        await super().indication(apdu)

    async def response(self, apdu: Any) -> None:
        if self._device.faults.mute:
            return
        await asyncio.sleep(self._device.faults.delay_s)
        await super().response(apdu)

    async def do_ReadPropertyMultipleRequest(self, apdu: Any) -> None:  # noqa: N802
        self._device.reads.append([str(spec.objectIdentifier) for spec in apdu.listOfReadAccessSpecs])
        if self._device.faults.poison.intersection(self._device.reads[-1]):
            raise ExecutionError(errorClass="object", errorCode="unknownObject")
        await super().do_ReadPropertyMultipleRequest(apdu)

    async def do_WritePropertyRequest(self, apdu: Any) -> None:  # noqa: N802
        target = str(apdu.objectIdentifier)
        left = self._device.faults.unwritable.get(target)
        if left is not None:
            if left == 0:
                raise ExecutionError(errorClass="property", errorCode="writeAccessDenied")
            self._device.faults.unwritable[target] = left - 1
        silent_s = self._device.faults.dumb.pop(target, None)
        if silent_s is not None:
            self._device.faults.mute = True
            asyncio.get_running_loop().call_later(silent_s, self._device.faults.speak)
        await super().do_WritePropertyRequest(apdu)
        value = apdu.propertyValue.cast_out(type(self.get_object_id(apdu.objectIdentifier).presentValue), null=True)
        self._device.writes.append((target, None if isinstance(value, Null) else float(value), apdu.priority))


class BacnetDevice:
    """`values` by object name, e.g. {"analog-input,1": 20.5}; `plain` objects have no priority array."""

    def __init__(self, instance: int, values: dict[str, float], plain: dict[str, float] | None = None) -> None:
        self.instance, self.values, self.plain = instance, values, plain or {}
        self.faults = Faults()
        self.writes: list[tuple[str, float | None, int | None]] = []
        self.reads: list[list[str]] = []
        self.port = free_port()
        self.app: App | None = None

    async def start(self) -> None:
        own = DeviceObject(
            objectIdentifier=("device", self.instance),
            objectName=f"device {self.instance}",
            vendorName="Acme",
            modelName="Thermo 9",
            firmwareRevision="1.2",
        )
        self.app = App(self, own, IPv4Address(f"127.0.0.1:{self.port}"))
        for name, value in self.values.items():
            self.app.add_object(self._object(KINDS[name.partition(",")[0]], name, value))
        for name, value in self.plain.items():
            self.app.add_object(self._object(AnalogValueObject, name, value))
        await self.app.normal.server._local_transport_ready.wait()

    async def stop(self) -> None:
        if self.app is not None:
            self.app.close()
            self.app = None
            await asyncio.sleep(0.01)

    def object(self, name: str) -> Any:
        assert self.app is not None
        kind, _, number = name.partition(",")
        return next(
            thing
            for thing in self.app.objectIdentifier.values()
            if str(thing.objectIdentifier[0]) == kind and thing.objectIdentifier[1] == int(number)
        )

    def send(self, datagram: bytes, port: int) -> None:
        """Send any bytes from the device's own port."""
        assert self.app is not None
        self.app.normal.server.local_transport.sendto(datagram, ("127.0.0.1", port))

    async def command(self, name: str, value: float, priority: int) -> None:
        """Somebody else writes an analog object."""
        await self.object(name).write_property("presentValue", Real(value), None, priority)

    def slot(self, name: str, priority: int) -> float | None:
        """What a slot of an object's priority array holds."""
        found = self.object(name).priorityArray[priority - 1]
        return None if found.null is not None else float(getattr(found, found._choice))

    def _object(self, kind: type, name: str, value: float) -> Any:
        faults = self.faults

        class Faulty(kind):  # type: ignore[misc,valid-type]
            async def read_property(self, attr: Any, index: Any = None) -> Any:
                if name in faults.unreadable and str(attr) == "present-value":
                    raise ExecutionError(errorClass="property", errorCode="readAccessDenied")
                if name in faults.flags and str(attr) == "status-flags":
                    return StatusFlags(faults.flags[name])
                return await super().read_property(attr, index)

        kind_name, _, number = name.partition(",")
        present = value if kind_name.startswith("analog") else int(value)
        details: dict[str, Any] = {"numberOfStates": 4} if kind_name.startswith("multi") else {}
        if kind_name.startswith("analog") and "input" not in kind_name:
            details["covIncrement"] = 0.01
        return Faulty(
            objectIdentifier=(kind_name, int(number)),
            objectName=name,
            presentValue=present,
            statusFlags=[],
            eventState="normal",
            outOfService=False,
            **details,
        )


def free_port() -> int:
    """A UDP port nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
