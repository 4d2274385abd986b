"""The objects of a simulated BACnet device and what each shows of its properties, as bytes.

A point is one object. Points that may be written are commandable: a write goes into its slot of the priority array, Null
gives the slot up, and the lowest slot in use is what holds. The relinquish default is the device's own doing
(`SimDevice.defaults`). Slots hold for as long as the device says that the point is commanded: a restart forgets them.

What ails the device is acted out here as far as values go: readings (a Real shows NaN; a number without one is marked as a
fault), raw numbers, refused points, instances that have moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from energyctl.core.points import Access
from energyctl.core.profile import PointSpec
from hil.device import SimDevice, WriteRejected
from hil.units import shown, taken

from . import bacnet_codec as codec

KINDS = {
    "analog-input": 0,
    "analog-output": 1,
    "analog-value": 2,
    "binary-input": 3,
    "binary-output": 4,
    "binary-value": 5,
    "multi-state-input": 13,
    "multi-state-output": 14,
    "multi-state-value": 19,
}
"""Object types by name (clause 21, BACnetObjectType)."""
DEVICE = 8
UNITS = {"°C": 62, "K": 63, "kW": 48, "W": 47, "kWh": 19, "Wh": 18, "%": 98, "A": 3, "V": 5, "Hz": 27, "ppm": 96} | {
    "bar": 55,
    "Pa": 53,
    "m³": 80,
    "m³/h": 135,
    "l/min": 88,
    "s": 73,
    "min": 72,
    "h": 71,
}
"""Engineering units by number; others are shown as without."""
NO_UNITS = 95

PROPERTIES = {
    "application-software-version": 12,
    "apdu-timeout": 11,
    "cov-increment": 22,
    "current-command-priority": 431,
    "database-revision": 155,
    "description": 28,
    "device-address-binding": 30,
    "event-state": 36,
    "firmware-revision": 44,
    "max-apdu-length-accepted": 62,
    "model-name": 70,
    "number-of-apdu-retries": 73,
    "number-of-states": 74,
    "object-identifier": 75,
    "object-list": 76,
    "object-name": 77,
    "object-type": 79,
    "out-of-service": 81,
    "polarity": 84,
    "present-value": 85,
    "priority-array": 87,
    "property-list": 371,
    "protocol-object-types-supported": 96,
    "protocol-revision": 139,
    "protocol-services-supported": 97,
    "protocol-version": 98,
    "relinquish-default": 104,
    "segmentation-supported": 107,
    "status-flags": 111,
    "system-status": 112,
    "units": 117,
    "vendor-identifier": 120,
    "vendor-name": 121,
}
NAMES = {number: name for name, number in PROPERTIES.items()}
PRESENT_VALUE, STATUS_FLAGS = PROPERTIES["present-value"], PROPERTIES["status-flags"]
PROPERTY_LIST = PROPERTIES["property-list"]
_ALWAYS = [PROPERTIES[name] for name in ("object-identifier", "object-name", "object-type", "property-list")]

SLOTS = range(1, 17)
VENDOR = 999
"""A vendor id that nobody has (the library of many test tools uses it)."""
MAX_APDU = 1476
SEGMENTATION_NONE = 3
_SERVICES = (5, 12, 14, 15, 26, 34)
"""Bits of protocol-services-supported: SubscribeCOV, the three of reading and writing, I-Am, Who-Is."""

Shown = bytes | list[bytes]
"""A property: one value, or the elements of an array."""


class Failure(Exception):
    """A BACnet error."""

    def __init__(self, error_class: int, code: int) -> None:
        self.error_class, self.code = error_class, code
        super().__init__(f"class {error_class}, code {code}")


UNKNOWN_OBJECT = Failure(1, 31)
UNKNOWN_PROPERTY = Failure(2, 32)
NOT_AN_ARRAY = Failure(2, 50)
NO_SUCH_INDEX = Failure(2, 42)
READ_DENIED = Failure(2, 27)
WRITE_DENIED = Failure(2, 40)
WRONG_TYPE = Failure(2, 9)
OUT_OF_RANGE = Failure(2, 37)
NO_SUCH_PRIORITY = Failure(5, 80)
TROUBLE = Failure(0, 25)
"""class device, operational-problem: a device that cannot do anything."""


class Point:
    """A point as an object, and its slots as canonical values."""

    def __init__(self, device: SimDevice, name: str, spec: PointSpec) -> None:
        self.device, self.name, self.spec = device, name, spec
        kind, _, number = str(spec.address["object"]).partition(",")
        self.kind, self._instance = KINDS[kind], int(number)
        self._analog, self._binary = kind.startswith("analog"), kind.startswith("binary")
        self.writable = spec.access is Access.READ_WRITE
        self._slots: dict[int, float] = {}
        self._properties: Mapping[int, Callable[[], Shown]] = {
            PROPERTIES[name]: show for name, show in self._shows(kind)
        }

    @property
    def instance(self) -> int:
        """Where it is now."""
        return self._instance + self.device.ail.moved_by

    @property
    def properties(self) -> Iterable[int]:
        """What can be read, property-list aside."""
        return self._properties

    @property
    def slots(self) -> dict[int, float]:
        """Who commands it; nobody, once the device has forgotten."""
        if self._slots and not self.device.commanded(self.name):
            self._slots = {}
        return self._slots

    def read(self, number: int) -> Shown:
        """A property. Raises Failure."""
        if self.name in self.device.ail.refused:
            raise READ_DENIED
        if number == PROPERTY_LIST:
            return _listed(self._properties)
        if number not in self._properties:
            raise UNKNOWN_PROPERTY
        return self._properties[number]()

    def notice(self) -> bytes:
        """What subscribers are told: the present value and the status flags."""
        return b"".join(
            codec.context(0, number) + codec.enclosed(2, show())
            for number, show in ((PRESENT_VALUE, self.present_value), (STATUS_FLAGS, self._flags))
        )

    def present_value(self) -> bytes:
        """The reading, or a raw number in its place."""
        raw = self.device.ail.raw.get(self.name)
        return self._encoded(shown(self.spec, self.device.reading(self.name)) if raw is None else raw)

    def write(self, number: int, written: codec.Tag, slot: int) -> None:
        """A write from the wire; Null gives the slot up. Raises Failure."""
        if slot not in SLOTS:
            raise NO_SUCH_PRIORITY
        try:
            if self.name in self.device.ail.refused:
                self.device.refuse(self.name, None, via=f"bacnet prio {slot}", reason="refused for now", kind="access")
            if number != PRESENT_VALUE:
                via = f"bacnet {NAMES.get(number, number)}"
                self.device.refuse(self.name, None, via=via, reason="read-only property", kind="access")
            if written.number == codec.NULL:
                self.command(None, slot, f"bacnet relinquish prio {slot}")
            else:
                self.command(taken(self.spec, self._number(written)), slot, f"bacnet prio {slot}")
        except WriteRejected as rejected:
            raise OUT_OF_RANGE if rejected.kind == "value" else WRITE_DENIED from rejected

    def command(self, value: float | None, slot: int, via: str) -> None:
        """Put a canonical value into a slot, None to give the slot up. Raises WriteRejected."""
        if value is None:
            self._give_up(slot, via)
            return
        slots = {**self.slots, slot: value}
        self.device.write(self.name, value, via=via, effective=slots[min(slots)])
        if self.name not in self.device.ail.deaf:
            self._slots = slots

    def _give_up(self, slot: int, via: str) -> None:
        if not self.writable:
            self.device.refuse(self.name, None, via=via, reason="read-only", kind="access")
        slots = {held: value for held, value in self.slots.items() if held != slot}
        self.device.relinquish(self.name, via=via, effective=slots[min(slots)] if slots else None)
        self._slots = slots

    def _number(self, written: codec.Tag) -> float:
        """A wire value as a float; a Real as the shortest decimal with the same 32 bits."""
        fitting = codec.REAL if self._analog else codec.ENUMERATED if self._binary else codec.UNSIGNED
        number = codec.number_of(written) if written.number == fitting else None
        if number is None:
            raise WRONG_TYPE
        return float(f"{number:.7g}") if self._analog else number

    def _encoded(self, own: float) -> bytes:
        if self._analog:
            return codec.real(own)
        whole = 0 if math.isnan(own) else max(0, round(own))
        return codec.enumerated(whole) if self._binary else codec.unsigned(whole)

    def _flags(self) -> bytes:
        fault = not self._analog and math.isnan(self.device.reading(self.name))
        return codec.bits((False, fault, False, False))

    def _priority_array(self) -> list[bytes]:
        slots = self.slots
        return [self._encoded(shown(self.spec, slots[slot])) if slot in slots else codec.null() for slot in SLOTS]

    def _shows(self, kind: str) -> Iterable[tuple[str, Callable[[], Shown]]]:
        yield "object-identifier", lambda: codec.object_id(self.kind, self.instance)
        yield "object-name", lambda: codec.characters(self.name)
        yield "object-type", lambda: codec.enumerated(self.kind)
        yield "present-value", self.present_value
        yield "status-flags", self._flags
        yield "event-state", lambda: codec.enumerated(0)
        yield "out-of-service", lambda: codec.boolean(False)
        if self._analog:
            yield "units", lambda: codec.enumerated(UNITS.get(self.spec.unit, NO_UNITS))
            yield "cov-increment", lambda: codec.real(0.0)
        elif kind.startswith("multi"):
            yield "number-of-states", lambda: codec.unsigned(max([2, *self.spec.choices.values()]))
        elif not kind.endswith("value"):
            yield "polarity", lambda: codec.enumerated(0)
        if self.writable:
            yield "priority-array", self._priority_array
            yield (
                "relinquish-default",
                lambda: self._encoded(shown(self.spec, self.device.defaults[self.name])),
            )
            yield (
                "current-command-priority",
                lambda: codec.unsigned(min(self.slots)) if self.slots else codec.null(),
            )


class Node:
    """A device: its device object and an object per point."""

    def __init__(self, device: SimDevice, instance: int) -> None:
        self.device, self.instance = device, instance
        self.points = [Point(device, name, spec) for name, spec in device.profile.points.items()]
        self._by_place = {(point.kind, point._instance): point for point in self.points}
        self._properties: Mapping[int, Callable[[], Shown]] = {PROPERTIES[name]: show for name, show in self._shows()}

    def point(self, kind: int, instance: int) -> Point:
        """The point that is there now. Raises Failure."""
        point = self._by_place.get((kind, instance - self.device.ail.moved_by))
        if point is None:
            raise UNKNOWN_OBJECT
        return point

    def is_own(self, kind: int, instance: int) -> bool:
        """Whether this is the device object; 4194303 is whichever device is asked (clause 15.5.2)."""
        return kind == DEVICE and instance in (self.instance, 4194303)

    def read(self, kind: int, instance: int, number: int) -> Shown:
        """A property of an object. Raises Failure."""
        if not self.is_own(kind, instance):
            return self.point(kind, instance).read(number)
        if number == PROPERTY_LIST:
            return _listed(self._properties)
        if number not in self._properties:
            raise UNKNOWN_PROPERTY
        return self._properties[number]()

    def has(self, kind: int, instance: int) -> bool:
        """Whether there is such an object now."""
        moved = instance - self.device.ail.moved_by
        return self.is_own(kind, instance) or (kind, moved) in self._by_place

    def properties(self, kind: int, instance: int) -> Iterable[int]:
        """What an object has, property-list aside. Raises Failure."""
        return self._properties if self.is_own(kind, instance) else self.point(kind, instance).properties

    def _objects(self) -> list[bytes]:
        own = codec.object_id(DEVICE, self.instance)
        return [own, *(codec.object_id(point.kind, point.instance) for point in self.points)]

    def _shows(self) -> Iterable[tuple[str, Callable[[], Shown]]]:
        profile = self.device.profile
        texts = {
            "object-name": self.device.id,
            "vendor-name": profile.vendor,
            "model-name": profile.model,
            "firmware-revision": "1",
            "application-software-version": "1",
            "description": profile.description,
        }
        yield "object-identifier", lambda: codec.object_id(DEVICE, self.instance)
        yield from ((name, partial(codec.characters, text)) for name, text in texts.items())
        numbers = {
            "vendor-identifier": VENDOR,
            "protocol-version": 1,
            "protocol-revision": 19,
            "max-apdu-length-accepted": MAX_APDU,
            "apdu-timeout": 3000,
            "number-of-apdu-retries": 3,
            "database-revision": 1,
        }
        yield from ((name, partial(codec.unsigned, number)) for name, number in numbers.items())
        yield "object-type", lambda: codec.enumerated(DEVICE)
        yield "system-status", lambda: codec.enumerated(0)
        yield "segmentation-supported", lambda: codec.enumerated(SEGMENTATION_NONE)
        yield "protocol-services-supported", lambda: codec.bits([bit in _SERVICES for bit in range(40)])
        kinds = {DEVICE, *KINDS.values()}
        yield "protocol-object-types-supported", lambda: codec.bits([kind in kinds for kind in range(60)])
        yield "object-list", self._objects
        yield "device-address-binding", lambda: b""


def _listed(properties: Iterable[int]) -> list[bytes]:
    """The property list, which leaves itself and the three that every object has out (clause 12.1.1.4)."""
    return [codec.enumerated(number) for number in properties if number not in _ALWAYS]
