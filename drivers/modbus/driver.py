"""Modbus: reads a device's points in as few requests as it allows, writes commands step by step and undoes them.

- what a device refuses is narrowed down by halves until the refused point stands alone; it is a bad Sample, the others keep
  their values. A refused point is asked for alone from then on, until it answers; two points that the device gives
  separately but not together are kept apart.
- a SunSpec device's chain of models is walked, and its static scale factors are read, when it is first spoken to and again
  after it, or the connection, was lost.
- a command's points are read before its first step. If the device refuses a step, those done are undone, last first, with
  the very registers found. If the outcome of a step is unknown, it is undone as well where the device can be reached; when
  that works the link's error is raised, when not the result is Partial.
- Modbus has no priorities and so nothing to relinquish.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from energyctl.core.clock import Clock
from energyctl.core.driver import Found, Partial, Refused, WriteResult, Written
from energyctl.core.errors import DeviceRefused, GarbledError, LinkError, LinkTimeout
from energyctl.core.points import Access, Command, Sample

from . import sunspec
from .connection import Connection, Refusal
from .options import PlainAddress, Table, with_defaults
from .points import Place, Registers, Slot, Step, plain_slot, scaled, slot_of, static_scale, step_of, value_of
from .registers import Block, Span, Unusable, text
from .unit import Unit

UNIT_IDS = range(1, 248)
"""The ids a unit can have (Modbus application protocol 1.1b3, section 4.1)."""


class ModbusDriver:
    """The owner of one Modbus connection and the devices behind it."""

    def __init__(self, connection: Connection, units: Mapping[str, Unit], clock: Clock) -> None:
        self._connection = connection
        self._units = units
        self._clock = clock

    async def __aenter__(self) -> Self:
        with suppress(LinkError):
            async with self._connection.turn(""):
                await self._connection.connect("")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.drop()

    async def read(self, points: Sequence[str]) -> list[Sample]:
        """Read points of one device. Raises LinkError, LinkTimeout, GarbledError."""
        if not points:
            return []
        unit = self._unit_of(points[0])
        async with self._turn(unit):
            slots = await self._resolve(unit)
            found = await self._fetch(unit, [slots[point] for point in points])
        return [self._sample(unit, point, slots[point], found) for point in points]

    async def write(self, command: Command) -> WriteResult:
        """Carry out a Command. Raises LinkError or LinkTimeout when the outcome is unknown."""
        unit = self._units[command.device]
        for step in command.steps:
            if unit.device.points[step.point].access is not Access.READ_WRITE:
                return Refused(step.point, "it can only be read")
        async with self._turn(unit):
            steps = await self._prepare(unit, command)
            return steps if isinstance(steps, Refused) else await self._carry_out(unit, steps)

    async def relinquish(self, point: str) -> WriteResult:
        """Modbus knows no claim on a point that could be given up."""
        return Refused(point, "Modbus has nothing to relinquish; restore the value found before")

    async def identify(self, device: str) -> str:
        """What SunSpec model 1, or the register that the profile names, says. Raises LinkError, DeviceRefused."""
        unit = self._units[device]
        async with self._turn(unit):
            if unit.speaks_sunspec:
                return await self._common_model(unit)
            probe = unit.device.profile.identity
            if probe is None or not probe.address:
                return ""
            return await self._identity(unit, PlainAddress.model_validate(with_defaults(probe.address, unit.options)))

    async def discover(self) -> AsyncIterator[Found]:
        """Every unit id that answers, in order, and what SunSpec model 1 says of it. Raises LinkError when the other side
        cannot be reached at all. A silent id costs one timeout, so a slow bus takes its time.
        """
        for number in UNIT_IDS:
            try:
                async with self._connection.turn(""):
                    await self._connection.connect("")
                    said = await self._ask_around(number)
            except LinkTimeout:
                continue
            yield Found({"unit": number}, said)

    async def _ask_around(self, number: int) -> str:
        """What the unit of that number says it is, "" where it answers without saying. Raises LinkTimeout when nobody does."""

        async def read(register: int, count: int) -> list[int] | None:
            answer = await self._connection.read(f"unit {number}", number, "holding", register, count)
            return None if isinstance(answer, Refusal) else answer

        models = await sunspec.scan(read)
        if isinstance(models, Unusable) or 1 not in models:
            return ""
        names = [sunspec.fields(1)[name] for name in ("Mn", "Md", "Vr")]
        answers = [await read(models[1].register + name.offset, name.size) for name in names]
        words = [text(tuple(answer)) for answer in answers if answer is not None]
        return " ".join(word for word in words if word)

    # -- one device's turn on the link ---------------------------------------------------------------------------------

    def _unit_of(self, point: str) -> Unit:
        return self._units[point.partition(".")[0]]

    @asynccontextmanager
    async def _turn(self, unit: Unit) -> AsyncIterator[None]:
        async with self._connection.turn(unit.device.id):
            try:
                await self._connection.connect(unit.device.id)
                if unit.epoch != self._connection.epoch:
                    unit.forget()
                    unit.epoch = self._connection.epoch
                yield
            except LinkError:
                unit.forget()
                raise

    async def _ask(self, unit: Unit, table: Table, start: int, count: int) -> list[int] | Refusal:
        return await self._connection.read(unit.device.id, unit.number, table, start, count)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _fetch(self, unit: Unit, slots: Iterable[Slot | Unusable]) -> dict[Place, Registers | Unusable]:
        """The registers of some slots, or why there are none."""
        return await self._fetch_places(unit, {(slot.table, slot.span) for slot in slots if isinstance(slot, Slot)})

    async def _fetch_places(self, unit: Unit, places: Collection[Place]) -> dict[Place, Registers | Unusable]:
        found: dict[Place, Registers | Unusable] = {}
        for table in sorted({table for table, _ in places}):
            for block in unit.blocks(table, (span for where, span in places if where == table)):
                found |= await self._read_block(unit, table, block)
        return found

    async def _read_block(self, unit: Unit, table: Table, block: Block) -> dict[Place, Registers | Unusable]:
        answer = await self._ask(unit, table, block.start, block.count)
        if isinstance(answer, list):
            unit.alone.difference_update((table, span) for span in block.spans)
            return {(table, span): block.part(span, answer) for span in block.spans}
        if len(block.spans) == 1 and not answer.busy:
            unit.alone.add((table, block.spans[0]))
        if len(block.spans) == 1 or answer.busy:
            return {(table, span): Unusable(answer.reason) for span in block.spans}
        left, right = block.halves()
        found = await self._read_block(unit, table, left) | await self._read_block(unit, table, right)
        if not any(isinstance(registers, Unusable) for registers in found.values()):
            unit.cuts.add((table, right.start))
        return found

    def _sample(
        self, unit: Unit, point: str, slot: Slot | Unusable, found: Mapping[Place, Registers | Unusable]
    ) -> Sample:
        value = value_of(slot, found)
        if isinstance(value, Unusable):
            return Sample.bad(point, self._clock.now(), value.reason)
        spec = unit.device.profile.points[point.partition(".")[2]]
        return Sample(point, self._clock.now(), spec.canonical(value))

    # -- finding points ------------------------------------------------------------------------------------------------

    async def _resolve(self, unit: Unit) -> Mapping[str, Slot | Unusable]:
        """Every point's slot, found in the device's chain of models where it has one.

        Kept until the device is lost, unless it refused to tell a scale factor: then it is asked again next time.
        """
        if unit.slots is not None:
            return unit.slots
        if unit.speaks_sunspec and not unit.models:
            unit.models = await self._scan(unit)
        scales = {point: scale for point, at in unit.addresses.items() if (scale := static_scale(at, unit.models))}
        found = await self._fetch_places(unit, set(scales.values()))
        slots = {point: slot_of(address, unit.models) for point, address in unit.addresses.items()}
        slots |= {point: scaled(slots[point], found[scale]) for point, scale in scales.items()}
        if not any(isinstance(registers, Unusable) for registers in found.values()):
            unit.slots = slots
        return slots

    async def _scan(self, unit: Unit) -> dict[int, sunspec.Model]:
        async def ask(register: int, count: int) -> Registers | None:
            answer = await self._ask(unit, "holding", register, count)
            return answer if isinstance(answer, list) else None

        models = await sunspec.scan(ask)
        if isinstance(models, Unusable):
            raise GarbledError(unit.device.id, models.reason)
        return models

    # -- writing -------------------------------------------------------------------------------------------------------

    async def _prepare(self, unit: Unit, command: Command) -> list[Step] | Refused:
        """All steps as registers, with what is there before the first of them."""
        slots = await self._resolve(unit)
        found = await self._fetch(unit, [slots[step.point] for step in command.steps])
        steps = []
        for write in command.steps:
            step = step_of(unit.device.profile, write, slots[write.point], found)
            if isinstance(step, Unusable):
                return Refused(write.point, step.reason)
            steps.append(step)
        return steps

    async def _carry_out(self, unit: Unit, steps: Sequence[Step]) -> WriteResult:
        done: list[Step] = []
        for step in steps:
            try:
                refusal = await self._put(unit, step, step.registers)
            except LinkError as error:
                if not done or not (stuck := await self._undo(unit, [*done, step])):
                    raise
                unit.forget()
                return Partial(step.point, str(error), stuck)
            if refusal is not None:
                stuck = await self._undo(unit, done)
                return Partial(step.point, refusal.reason, stuck) if stuck else Refused(step.point, refusal.reason)
            done.append(step)
        return Written()

    async def _undo(self, unit: Unit, done: Sequence[Step]) -> tuple[str, ...]:
        """Put back what was found, last first; the points where that failed."""
        stuck = []
        for at in reversed(range(len(done))):
            try:
                if await self._put(unit, done[at], done[at].before) is not None:
                    stuck.append(done[at].point)
            except LinkError:
                return (*stuck, *(step.point for step in reversed(done[: at + 1])))
        return tuple(stuck)

    async def _put(self, unit: Unit, step: Step, registers: Registers) -> Refusal | None:
        single = unit.options.single_write and not unit.speaks_sunspec
        return await self._connection.write(
            unit.device.id, unit.number, step.table, step.start, registers, single=single
        )

    # -- identity ------------------------------------------------------------------------------------------------------

    async def _common_model(self, unit: Unit) -> str:
        """Manufacturer, model and version from SunSpec's common model."""
        await self._resolve(unit)
        model = unit.models.get(1)
        if model is None:
            return ""
        names = [sunspec.fields(1)[name] for name in ("Mn", "Md", "Vr")]
        spans = [Span(model.register + name.offset, name.size) for name in names]
        found = await self._fetch_places(unit, {("holding", span) for span in spans})
        words = [self._text(unit, found["holding", span]) for span in spans]
        return " ".join(word for word in words if word)

    async def _identity(self, unit: Unit, address: PlainAddress) -> str:
        place: Place = (address.table, Span(address.register_, address.reads))
        found = await self._fetch_places(unit, {place})
        if address.type == "string":
            return self._text(unit, found[place])
        value = value_of(plain_slot(address), found)
        if isinstance(value, Unusable):
            raise DeviceRefused(unit.device.id, "identity", value.reason)
        return f"{value:g}"

    @staticmethod
    def _text(unit: Unit, registers: Registers | Unusable) -> str:
        if isinstance(registers, Unusable):
            raise DeviceRefused(unit.device.id, "identity", registers.reason)
        return text(registers)
