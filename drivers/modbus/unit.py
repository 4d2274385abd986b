"""A device on a Modbus link: its addresses, and what was learned of it since it was last lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from energyctl.core.driver import Device

from . import sunspec
from .options import (
    BIT_TABLES,
    MOST_BITS,
    Address,
    DeviceOptions,
    ProfileOptions,
    SunSpecAddress,
    Table,
    address_of,
)
from .points import Place, Slot
from .registers import Block, Span, Unusable, plan


@dataclass(slots=True)
class Unit:
    """Options and addresses are given; slots, models, refused places and cuts are learned on the wire."""

    device: Device
    number: int
    options: ProfileOptions
    addresses: Mapping[str, Address]
    slots: dict[str, Slot | Unusable] | None = None
    models: dict[int, sunspec.Model] = field(default_factory=dict)
    alone: set[Place] = field(default_factory=set)
    cuts: set[tuple[Table, int]] = field(default_factory=set)
    epoch: int = -1

    @classmethod
    def of(cls, device: Device) -> Unit:
        """The unit for a device whose options and profile were checked."""
        options = ProfileOptions.model_validate(device.profile.options)
        addresses = {
            f"{device.id}.{name}": address_of(spec.address, options) for name, spec in device.profile.points.items()
        }
        return cls(device, DeviceOptions.model_validate(dict(device.options)).unit, options, addresses)

    def forget(self) -> None:
        """The device was away; it may come back as another."""
        self.slots = None
        self.models = {}
        self.alone.clear()
        self.cuts.clear()

    @property
    def speaks_sunspec(self) -> bool:
        """Whether its points are found in a chain of models."""
        return any(isinstance(address, SunSpecAddress) for address in self.addresses.values())

    def blocks(self, table: Table, spans: Iterable[Span]) -> list[Block]:
        """The requests for some spans of one table."""
        most = MOST_BITS if table in BIT_TABLES else self.options.max_registers
        refused = {span for where, span in self.alone if where == table}
        cuts = {cut for where, cut in self.cuts if where == table}
        cuts |= {last + 1 for _, last in self.options.holes} | {span.stop for span in refused}
        wanted = set(spans)
        alone = [Block((span,)) for span in sorted(wanted & refused)]
        return plan(wanted - refused, most, self.options.max_gap, cuts) + alone
