"""The four BACnet services a controller needs, as bytes: read many properties, write one, subscribe, be notified.

Pure. bacpypes3's own codec knows every type there is and takes many times as long, which on a polled site would be most
of the work a controller does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .tags import Kind, Tags, Value, unsigned

OBJECT_TYPES: dict[str, tuple[int, Kind]] = {
    "analog-input": (0, "real"),
    "analog-output": (1, "real"),
    "analog-value": (2, "real"),
    "binary-input": (3, "enumerated"),
    "binary-output": (4, "enumerated"),
    "binary-value": (5, "enumerated"),
    "loop": (12, "real"),
    "multi-state-input": (13, "unsigned"),
    "multi-state-output": (14, "unsigned"),
    "multi-state-value": (19, "unsigned"),
    "accumulator": (23, "unsigned"),
    "pulse-converter": (24, "real"),
    "integer-value": (45, "signed"),
    "large-analog-value": (46, "double"),
    "positive-integer-value": (48, "unsigned"),
}
"""Object types whose present-value is a number: type number and how that number is written."""

DEVICE = 8
FIRMWARE_REVISION, MODEL_NAME, VENDOR_NAME = 44, 70, 121
PRESENT_VALUE, PRIORITY_ARRAY, STATUS_FLAGS = 85, 87, 111

UNCONFIRMED_COV, SUBSCRIBE_COV, READ_MULTIPLE, WRITE = 2, 5, 14, 15
"""Service choices; the first of the unconfirmed services, the others of the confirmed ones."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One property of one object; `object` is type << 22 | instance."""

    object: int
    property: int
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The device's error for one property, by number."""

    error_class: int
    error_code: int


@dataclass(frozen=True, slots=True)
class Notification:
    """A change of value: which subscription, which object, and the properties it tells of."""

    process: int
    object: int
    values: dict[int, Value]


def object_id(text: str) -> int:
    """ "analog-value,3" as a number. Raises ValueError saying what would be right."""
    name, _, instance = text.partition(",")
    if name not in OBJECT_TYPES:
        raise ValueError(f"'{name}' is not an object type with a number; known: {', '.join(OBJECT_TYPES)}")
    if not instance.strip().isdigit() or int(instance) > 4194302:
        raise ValueError(f"'{text}' has no instance number; write '{name},1'")
    return OBJECT_TYPES[name][0] << 22 | int(instance)


def read_request(refs: Sequence[Ref]) -> bytes:
    """ReadPropertyMultiple for `refs`; those of one object should stand together."""
    out = bytearray()
    current = None
    for ref in refs:
        if ref.object != current:
            out += b"" if current is None else b"\x1f"
            out += b"\x0c" + ref.object.to_bytes(4, "big") + b"\x1e"
            current = ref.object
        out += unsigned(0, ref.property, context=True)
        out += b"" if ref.index is None else unsigned(1, ref.index, context=True)
    return bytes(out + b"\x1f")


def read_answer(data: bytes) -> dict[Ref, list[Value] | Failed]:
    """What ReadPropertyMultiple answered, by property. Raises ValueError when the bytes make no sense."""
    results: dict[Ref, list[Value] | Failed] = {}
    tags = Tags(data)
    while tags.left:
        target = int.from_bytes(tags.context(0), "big")
        tags.opening(1)
        while not tags.at_closing(1):
            name = int.from_bytes(tags.context(2), "big")
            index = int.from_bytes(tags.context(3), "big") if tags.at_context(3) else None
            ref = Ref(target, name, index)
            if tags.at_opening(4):
                results[ref] = tags.values(4)
            else:
                results[ref] = failure(tags.values(5))
    return results


def failure(values: Sequence[Value]) -> Failed:
    """An error's class and code out of its two values. Raises ValueError when it has not two."""
    match values:
        case [int(error_class), int(error_code), *_]:
            return Failed(error_class, error_code)
    raise ValueError("an error without class and code")


def error_answer(data: bytes) -> Failed:
    """The class and code of an Error PDU."""
    tags = Tags(data)
    return failure(list(tags.rest()))


def write_request(target: int, value: bytes, priority: int) -> bytes:
    """WriteProperty of present-value at a priority; `value` is from `encode`."""
    head = b"\x0c" + target.to_bytes(4, "big") + unsigned(1, PRESENT_VALUE, context=True)
    return head + b"\x3e" + value + b"\x3f" + unsigned(4, priority, context=True)


def subscribe_request(process: int, target: int, lifetime_s: int | None) -> bytes:
    """SubscribeCOV with unconfirmed notifications for `lifetime_s`; None cancels."""
    head = unsigned(0, process, context=True) + b"\x1c" + target.to_bytes(4, "big")
    return head if lifetime_s is None else head + b"\x29\x00" + unsigned(3, lifetime_s, context=True)


def notification(data: bytes) -> Notification:
    """An UnconfirmedCOVNotification. Raises ValueError when the bytes make no sense."""
    tags = Tags(data)
    process = int.from_bytes(tags.context(0), "big")
    tags.context(1)
    target = int.from_bytes(tags.context(2), "big")
    tags.context(3)
    tags.opening(4)
    values: dict[int, Value] = {}
    while not tags.at_closing(4):
        name = int.from_bytes(tags.context(0), "big")
        if tags.at_context(1):
            tags.context(1)
        found = tags.values(2)
        values[name] = found[0] if found else None
        if tags.at_context(3):
            tags.context(3)
    return Notification(process, target, values)
