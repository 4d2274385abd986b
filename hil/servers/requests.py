"""What Modbus units answer to a request, whatever line brought it: functions 1 to 6, 15 and 16.

An unknown function gets exception 1, an address that the device does not have or does not let be written 2, a count or
value it does not take 3. A sick device (see `hil.ailments`) answers nothing, or the exception it is stuck with; a block
that touches a refused point is answered with 2.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from energyctl.core.profile import Profile
from hil.device import SimDevice, WriteRejected

from .registers import ILLEGAL_VALUE, SIZES, Cell, Refusal, RegisterMap, Table, refusal_code
from .sunspec import is_sunspec, sunspec_map

ILLEGAL_FUNCTION = 1
_BIT_TABLES = {1: "coil", 2: "discrete"}
_WORD_TABLES = {3: "holding", 4: "input"}


def register_map(device: SimDevice, unit: int) -> RegisterMap:
    """A device's registers from its profile, SunSpec or plain."""
    return sunspec_map(device, unit) if is_sunspec(device) else plain_map(device)


def plain_map(device: SimDevice) -> RegisterMap:
    """Registers from the profile's address blocks; what a block leaves out stands in the profile's options."""
    profile = device.profile
    cells: dict[str, list[Cell]] = {}
    for name, spec in profile.points.items():
        block = {**profile.options, **spec.address}
        kind = str(block.get("type", "uint16"))
        cell = Cell(
            name=name,
            spec=spec,
            register=int(block["register"]),
            type=kind,
            scale=float(block.get("scale", 1.0)),
            offset=float(block.get("offset", 0.0)),
            little=block.get("word_order") == "little",
            swapped=block.get("byte_order") == "little",
            bit=block.get("bit"),
            missing=int(next(iter(block.get("not_available", {}).get(kind, ())), 0)),
        )
        cells.setdefault(str(block.get("table", "holding")), []).append(cell)
    fixed = _identity(profile)
    tables = {
        table: Table(tuple(cells.get(table, ())), fixed.get(table, {})) for table in dict.fromkeys([*cells, *fixed])
    }
    return RegisterMap(device, tables, int(profile.options.get("max_registers", 125)))


def _identity(profile: Profile) -> Mapping[str, Mapping[int, int]]:
    """The words an identity probe with an address of its own looks for, by table and register."""
    if profile.identity is None or "register" not in profile.identity.address:
        return {}
    block = {**profile.options, **profile.identity.address}
    kind, contains = str(block.get("type", "uint16")), profile.identity.contains
    if kind == "string":
        data = contains.encode().ljust(2 * int(block["count"]), b"\0")
    else:
        data = int(contains, 0).to_bytes(2 * SIZES[kind], "big")
    words = struct.unpack(f">{len(data) // 2}H", data)
    return {str(block.get("table", "holding")): dict(enumerate(words, int(block["register"])))}


def answer(target: RegisterMap, pdu: bytes) -> bytes | None:
    """The answer to one request, an exception answer included; None when the device keeps silent."""
    ail = target.device.ail
    if ail.silent:
        return None
    try:
        if ail.exception is not None:
            raise Refusal(ail.exception)
        return pdu[:1] + _serve(target, pdu[0], pdu[1:])
    except WriteRejected as rejected:
        return refused(pdu, refusal_code(rejected))
    except Refusal as refusal:
        return refused(pdu, refusal.code)
    except struct.error:
        return refused(pdu, ILLEGAL_VALUE)


def refused(pdu: bytes, code: int) -> bytes:
    """The exception answer to a request."""
    return bytes([pdu[0] | 0x80, code])


def _serve(target: RegisterMap, function: int, body: bytes) -> bytes:
    """The answer's data after the function code. Raises Refusal, WriteRejected, struct.error for a wrong length."""
    via = f"modbus fc {function}"
    match function:
        case 1 | 2:
            start, count = struct.unpack(">HH", body)
            _count(count, 2000)
            data = pack_bits(target.read_bits(_BIT_TABLES[function], start, count))
            return bytes([len(data)]) + data
        case 3 | 4:
            start, count = struct.unpack(">HH", body)
            _count(count, 125)
            return bytes([2 * count]) + target.read(_WORD_TABLES[function], start, count)
        case 5:
            start, word = struct.unpack(">HH", body)
            if word not in (0, 0xFF00):
                raise Refusal(ILLEGAL_VALUE)
            target.write_bits(start, [word != 0], via)
            return body
        case 6:
            (start,) = struct.unpack_from(">H", body)
            struct.unpack(">HH", body)
            target.write(start, body[2:], via)
            return body
        case 15:
            start, count, size = struct.unpack_from(">HHB", body)
            _count(count, 1968)
            _length(body, size, (count + 7) // 8)
            target.write_bits(start, unpack_bits(body[5:], count), via)
            return body[:4]
        case 16:
            start, count, size = struct.unpack_from(">HHB", body)
            _count(count, 123)
            _length(body, size, 2 * count)
            target.write(start, body[5:], via)
            return body[:4]
        case _:
            raise Refusal(ILLEGAL_FUNCTION)


def _count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise Refusal(ILLEGAL_VALUE)


def _length(body: bytes, said: int, wanted: int) -> None:
    if said != wanted or len(body) != 5 + wanted:
        raise Refusal(ILLEGAL_VALUE)


def pack_bits(bits: Sequence[bool]) -> bytes:
    """Bits as Modbus sends them: the first in the lowest bit of the first byte."""
    return sum(1 << at for at, bit in enumerate(bits) if bit).to_bytes((len(bits) + 7) // 8, "little")


def unpack_bits(data: bytes, count: int) -> list[bool]:
    """The inverse of `pack_bits`."""
    number = int.from_bytes(data, "little")
    return [bool(number >> at & 1) for at in range(count)]
