"""Where a device's numbers are and what they are: addresses to registers, registers to values, writes to registers. Pure.

A slot is a number in one device. SunSpec slots are known once the device's chain of models is; what the device has not, or
says is not implemented, is `Unusable` with the reason and is never written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from energyctl.core.points import Write
from energyctl.core.profile import Profile

from . import sunspec
from .options import Address, PlainAddress, Table
from .registers import Codec, Span, Unusable

Place = tuple[Table, Span]
Registers = Sequence[int]


@dataclass(frozen=True, slots=True)
class Slot:
    """A number in a device: the registers to read, which of them are the number's, and how they are read.

    The number is at `value_at` of the `span`, its scale factor, if that is read along, at `scale_at`.
    """

    table: Table
    span: Span
    codec: Codec
    value_at: int = 0
    scale_at: int | None = None
    exponent: int = 0
    described: bool = False
    """Whether the device itself says by its contents that it has no such register (SunSpec's "not implemented")."""

    @property
    def start(self) -> int:
        """The number's first register."""
        return self.span.start + self.value_at


def plain_slot(address: PlainAddress) -> Slot:
    """A plain address as a slot. Raises ValueError for text, which is no number."""
    if address.type == "string":
        raise ValueError("a point is a number; text can only say who a device is")
    codec = Codec(
        address.type,
        address.word_order,
        address.byte_order,
        address.scale,
        address.offset,
        address.bit,
        frozenset(address.not_available),
    )
    return Slot(address.table, Span(address.register_, codec.width), codec)


@dataclass(frozen=True, slots=True)
class Step:
    """One write of a command, ready for the wire, and the registers it replaces."""

    point: str
    table: Table
    start: int
    registers: Registers
    before: Registers


def slot_of(address: Address, models: Mapping[int, sunspec.Model]) -> Slot | Unusable:
    """Where a point is in a device with these models, its static scale factor still to be read."""
    if isinstance(address, PlainAddress):
        return plain_slot(address)
    model = models.get(address.model)
    if model is None:
        return Unusable(f"the device has no SunSpec model {address.model}")
    if not model.holds(address.field):
        return Unusable(f"the device's SunSpec model {address.model} is too short to have {address.point}")
    codec, span = address.field.codec, address.field.together.moved(model.register)
    assert codec is not None
    value_at = model.register + address.field.offset - span.start
    scale_at = None
    if address.field.scale_offset is not None and not address.field.scale_static:
        scale_at = model.register + address.field.scale_offset - span.start
    return Slot("holding", span, codec, value_at, scale_at, address.field.exponent, described=True)


def static_scale(address: Address, models: Mapping[int, sunspec.Model]) -> Place | None:
    """The register of the scale factor that is read once, None where there is none."""
    if isinstance(address, PlainAddress) or address.model not in models:
        return None
    field, model = address.field, models[address.model]
    if field.scale_offset is None or not field.scale_static or not model.holds(field):
        return None
    return "holding", Span(model.register + field.scale_offset)


def scaled(slot: Slot | Unusable, registers: Registers | Unusable) -> Slot | Unusable:
    """A slot whose static scale factor has been read."""
    if isinstance(slot, Unusable):
        return slot
    exponent = registers if isinstance(registers, Unusable) else sunspec.scale_exponent(registers[0])
    return exponent if isinstance(exponent, Unusable) else replace(slot, exponent=exponent)


def _exponent(slot: Slot, registers: Registers) -> int | Unusable:
    """The power of ten by which the slot's number is scaled."""
    return slot.exponent if slot.scale_at is None else sunspec.scale_exponent(registers[slot.scale_at])


def value_of(slot: Slot | Unusable, found: Mapping[Place, Registers | Unusable]) -> float | Unusable:
    """A slot's value in the device's unit, from the registers read."""
    if isinstance(slot, Unusable):
        return slot
    registers = found[slot.table, slot.span]
    if isinstance(registers, Unusable):
        return registers
    exponent = _exponent(slot, registers)
    number = registers[slot.value_at : slot.value_at + slot.codec.width]
    return exponent if isinstance(exponent, Unusable) else slot.codec.decode(number, exponent)


def step_of(
    profile: Profile, write: Write, slot: Slot | Unusable, found: Mapping[Place, Registers | Unusable]
) -> Step | Unusable:
    """A write as registers, or why it cannot be done: unreadable (so not to be undone), not implemented, out of range."""
    if isinstance(slot, Unusable):
        return slot
    registers = found[slot.table, slot.span]
    if isinstance(registers, Unusable):
        return Unusable(f"cannot be read, so a write could not be undone: {registers.reason}")
    before = registers[slot.value_at : slot.value_at + slot.codec.width]
    exponent = _exponent(slot, registers)
    if isinstance(exponent, Unusable):
        return exponent
    if slot.described and isinstance(missing := slot.codec.decode(before, exponent), Unusable):
        return missing
    value = profile.points[write.point.partition(".")[2]].device_value(write.value)
    raw = slot.codec.encode(value, exponent)
    return raw if isinstance(raw, Unusable) else Step(write.point, slot.table, slot.start, raw, before)
