"""BACnet/IP messages: BVLL, network layer and APDU headers (ANSI/ASHRAE 135, annex J and clauses 6 and 20), and what the
requests say that a simulated device serves."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import bacnet_codec as codec

_BVLL, _UNICAST, _BROADCAST, _FORWARDED = 0x81, 0x0A, 0x0B, 0x04
_VERSION, _NETWORK_MESSAGE, _DESTINATION, _SOURCE, _EXPECTING_REPLY = 1, 0x80, 0x20, 0x08, 0x04
_HOPS = 0xFF
_EVERYWHERE = 0xFFFF
_LONGEST = (50, 128, 206, 480, 1024, 1476)
"""Octets by the code in a request's second octet (clause 20.1.2.5)."""
_KINDS = {0: "confirmed", 1: "unconfirmed", 2: "acknowledged", 5: "acknowledged", 6: "acknowledged", 7: "acknowledged"}
_SEGMENTED = 0x08


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we talk to: a UDP address and, behind a router, the network and address there as they stand in a header."""

    address: tuple[str, int]
    beyond: bytes = b""


@dataclass(frozen=True, slots=True)
class Apdu:
    """A message for us; "acknowledged" stands for any end of one of our own requests."""

    kind: str
    peer: Peer
    service: int
    body: bytes = b""
    invoke: int = 0
    longest: int = _LONGEST[-1]
    """The longest answer that the other side takes, headers of lower layers aside."""
    segmented: bool = False


def unpacked(data: bytes, address: tuple[str, int]) -> Apdu | None:
    """The message in a datagram; None when there is none, or none for us."""
    try:
        return _unpacked(data, address)
    except (IndexError, struct.error):
        return None


def _unpacked(data: bytes, address: tuple[str, int]) -> Apdu | None:
    kind, function, length = struct.unpack_from(">BBH", data)
    if kind != _BVLL or length != len(data) or function not in (_UNICAST, _BROADCAST, _FORWARDED):
        return None
    at = 10 if function == _FORWARDED else 4
    version, control, at = data[at], data[at + 1], at + 2
    if version != _VERSION or control & _NETWORK_MESSAGE:
        return None
    beyond = b""
    if control & _DESTINATION:
        if struct.unpack_from(">H", data, at)[0] != _EVERYWHERE:
            return None
        at += 3 + data[at + 2]
    if control & _SOURCE:
        end = at + 3 + data[at + 2]
        beyond, at = data[at:end], end
    return _apdu(data[at + bool(control & _DESTINATION) :], Peer(address, beyond))


def _apdu(data: bytes, peer: Peer) -> Apdu | None:
    kind = _KINDS.get(data[0] >> 4)
    match kind:
        case "unconfirmed":
            return Apdu(kind, peer, data[1], data[2:])
        case "acknowledged":
            return Apdu(kind, peer, 0, invoke=data[1])
        case "confirmed":
            longest = _LONGEST[min(data[1] & 0x0F, len(_LONGEST) - 1)]
            if data[0] & _SEGMENTED:
                return Apdu(kind, peer, 0, invoke=data[2], segmented=True)
            return Apdu(kind, peer, data[3], data[4:], data[2], longest)
    return None


def packed(apdu: bytes, peer: Peer) -> bytes:
    """A datagram that carries a message to a peer."""
    control = _EXPECTING_REPLY if apdu[0] >> 4 == 0 else 0
    if peer.beyond:
        network = bytes([_VERSION, control | _DESTINATION]) + peer.beyond + bytes([_HOPS])
    else:
        network = bytes([_VERSION, control])
    return struct.pack(">BBH", _BVLL, _UNICAST, 4 + len(network) + len(apdu)) + network + apdu


@dataclass(frozen=True, slots=True)
class Reference:
    """One property of one object, or one element of it."""

    kind: int
    instance: int
    number: int
    index: int | None = None


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A value for a property, and its priority where one is given."""

    what: Reference
    values: Sequence[codec.Tag]
    priority: int | None


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """A subscription to an object; without `confirmed` and `lifetime_s` it ends one."""

    process: int
    kind: int
    instance: int
    confirmed: bool | None
    lifetime_s: int | None


def read_request(body: bytes) -> Reference:
    """What ReadProperty asks for. Raises Malformed."""
    fields = _fields(codec.tags(body))
    return _reference(fields)


def read_multiple_request(body: bytes) -> list[tuple[int, int, list[tuple[int, int | None]]]]:
    """What ReadPropertyMultiple asks for: by object its properties and indices. Raises Malformed."""
    asked: list[tuple[int, int, list[tuple[int, int | None]]]] = []
    inside = False
    for tag in codec.tags(body):
        if tag.kind in ("opening", "closing"):
            inside = tag.kind == "opening"
        elif not inside:
            asked.append((*_object(tag.data), []))
        elif tag.number == 0 and asked:
            asked[-1][2].append((_whole(tag.data), None))
        elif tag.number == 1 and asked and asked[-1][2]:
            asked[-1][2][-1] = (asked[-1][2][-1][0], _whole(tag.data))
        else:
            raise codec.Malformed
    return asked


def write_request(body: bytes) -> WriteRequest:
    """What WriteProperty wants. Raises Malformed."""
    found = list(codec.tags(body))
    ends = [at for at, tag in enumerate(found) if tag.kind in ("opening", "closing") and tag.number == 3]
    if len(ends) < 2:
        raise codec.Malformed
    fields = _fields([*found[: ends[0]], *found[ends[-1] + 1 :]])
    priority = _whole(fields[4]) if 4 in fields else None
    return WriteRequest(_reference(fields), found[ends[0] + 1 : ends[-1]], priority)


def subscribe_request(body: bytes) -> SubscribeRequest:
    """What SubscribeCOV wants. Raises Malformed."""
    fields = _fields(codec.tags(body))
    if not {0, 1} <= fields.keys():
        raise codec.Malformed
    confirmed = bool(_whole(fields[2])) if 2 in fields else None
    lifetime = _whole(fields[3]) if 3 in fields else None
    return SubscribeRequest(_whole(fields[0]), *_object(fields[1]), confirmed, lifetime)


def _fields(found: Iterable[codec.Tag]) -> dict[int, bytes]:
    return {tag.number: tag.data for tag in found}


def _reference(fields: dict[int, bytes]) -> Reference:
    if not {0, 1} <= fields.keys():
        raise codec.Malformed
    return Reference(*_object(fields[0]), _whole(fields[1]), _whole(fields[2]) if 2 in fields else None)


def _object(data: bytes) -> tuple[int, int]:
    if len(data) != 4:
        raise codec.Malformed
    number = int.from_bytes(data, "big")
    return number >> 22, number & 0x3FFFFF


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "big")
