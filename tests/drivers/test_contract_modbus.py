"""The driver contract over Modbus TCP: a plain register map and a SunSpec battery, both served byte by byte."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sunspec2.device import Model

from drivers.modbus import factory
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device, Driver, Link
from energyctl.core.points import Command, Write
from energyctl.core.profile import Profile
from tests.drivers.contract import DriverContract
from tests.drivers.modbus_bench import BenchUnit, ModbusBench
from tests.drivers.rtu_bench import RtuBench

TIMEOUT_S = 0.3

NEIGHBOUR = Profile.model_validate(
    {
        "profile": "acme/meter@1",
        "vendor": "Acme",
        "model": "Meter",
        "kind": "meter",
        "protocol": "modbus",
        "points": {"power": {"unit": "W", "address": {"register": 7, "type": "int16"}}},
    }
)

PLAIN = Profile.model_validate(
    {
        "profile": "acme/boiler@1",
        "vendor": "Acme",
        "model": "Boiler",
        "kind": "boiler",
        "protocol": "modbus",
        "identity": {"contains": "B-7", "address": {"register": 100, "type": "string", "count": 4}},
        "points": {
            "temp": {"unit": "°C", "address": {"register": 10, "type": "int16", "scale": 0.1}},
            "power": {"unit": "W", "invert": True, "address": {"register": 20, "type": "float32"}},
            "energy": {
                "unit": "Wh",
                "address": {"table": "input", "register": 3, "type": "uint32", "word_order": "little"},
            },
            "burning": {"kind": "bool", "address": {"table": "discrete", "register": 9}},
            "fault": {"kind": "bool", "address": {"register": 12, "type": "uint16", "bit": 3}},
            "limit": {"unit": "%", "access": "rw", "address": {"register": 40, "scale": 0.1}},
            "mode": {"kind": "enum", "access": "rw", "address": {"register": 41}},
            "enable": {"kind": "bool", "access": "rw", "address": {"table": "coil", "register": 2}},
            "timeout": {"unit": "min", "access": "rw", "address": {"register": 44, "type": "uint32"}},
        },
    }
)


def sunspec_battery() -> Profile:
    return Profile.model_validate(
        {
            "profile": "acme/battery@1",
            "vendor": "Acme",
            "model": "Battery",
            "kind": "battery",
            "protocol": "modbus",
            "identity": {"contains": "Acme Bat"},
            "points": {
                "power": {"unit": "W", "invert": True, "address": {"model": 701, "point": "W"}},
                "soc": {"unit": "%", "address": {"model": 713, "point": "SoC"}},
                "capacity": {"unit": "Wh", "address": {"model": 713, "point": "WHRtg"}},
                "setpoint": {"unit": "W", "invert": True, "access": "rw", "address": {"model": 704, "point": "WSet"}},
                "enable": {"kind": "bool", "access": "rw", "address": {"model": 704, "point": "WSetEna"}},
                "mode": {"kind": "enum", "access": "rw", "address": {"model": 704, "point": "WSetMod"}},
                "timeout": {"unit": "s", "access": "rw", "address": {"model": 704, "point": "WSetRvrtTms"}},
            },
        }
    )


def chain(base: int, *models: tuple[int, dict[str, Any]]) -> dict[int, int]:
    """Registers of a SunSpec device, encoded by pysunspec2 itself."""
    data = b"SunS"
    for number, values in models:
        model = Model(model_id=number)
        for name, value in values.items():
            model.points[name].value = value
        data += model.get_mb()
    data += b"\xff\xff\x00\x00"
    return dict(enumerate(struct.unpack(f">{len(data) // 2}H", data), base))


@dataclass
class Cell:
    """Where the device itself keeps a point, and its canonical value from the raw registers there."""

    table: str
    start: int
    count: int
    value: Callable[[Sequence[int]], float]


@dataclass
class ModbusRig:
    bench: ModbusBench | RtuBench
    unit: BenchUnit
    cells: dict[str, Cell]
    driver: Driver
    device: str
    known: dict[str, float]
    refusable: str
    read_only: str
    writable: tuple[str, float]
    command: Command
    identity: str
    timeout_s: float = TIMEOUT_S
    relinquishes: bool = False
    neighbour: dict[str, float] = field(default_factory=lambda: {"near.power": -1.234})

    def received(self) -> list[tuple[str, float]]:
        points = {(cell.table, cell.start): (point, cell) for point, cell in self.cells.items()}
        log = []
        for table, start, values in self.unit.log:
            point, cell = points[table, start]
            assert len(values) == cell.count
            log.append((point, cell.value(values)))
        return log

    def shown(self, point: str) -> float:
        cell = self.cells[point]
        table: dict[int, int] = getattr(self.unit, cell.table)
        return cell.value([table[cell.start + at] for at in range(cell.count)])

    async def refuse_read(self, point: str) -> None:
        cell = self.cells[point]
        self.unit.unreadable[cell.table, cell.start] = 2

    async def refuse_write(self, point: str, after: int = 0) -> None:
        self.unit.unwritable[self.cells[point].table, self.cells[point].start] = after

    async def mute(self) -> None:
        self.unit.mute = True

    async def answer_late(self) -> None:
        self.unit.delay_s = 1.5 * TIMEOUT_S

    async def stop(self) -> None:
        await self.bench.stop()

    async def start(self) -> None:
        await self.bench.start()

    async def heal(self) -> None:
        self.unit.mute, self.unit.delay_s = False, 0.0
        self.unit.unreadable.clear()
        self.unit.unwritable.clear()


async def rig_for(
    profile: Profile, unit: BenchUnit, device: str, bench_type: type[ModbusBench | RtuBench], **facts: Any
) -> AsyncIterator[ModbusRig]:
    bench = bench_type(u3=unit, u4=BenchUnit(holding={7: 0x10000 - 1234}))
    await bench.start()
    link = Link("line", "modbus", {**bench.options, "timeout": TIMEOUT_S})
    devices = [Device(device, profile, {"unit": 3}), Device("near", NEIGHBOUR, {"unit": 4})]
    async with factory.open(link, devices, LiveClock()) as driver:
        yield ModbusRig(bench, unit, driver=driver, device=device, **facts)
    await bench.stop()


def number(raw: Sequence[int]) -> float:
    """Unsigned, high word first."""
    return float(sum(word << 16 * at for at, word in enumerate(reversed(raw))))


class TestPlain(DriverContract):
    bench: type[ModbusBench | RtuBench] = ModbusBench

    @pytest.fixture
    async def rig(self) -> AsyncIterator[ModbusRig]:
        unit = BenchUnit(
            holding={10: 0xFFF6, 12: 0b1000, 20: 0x44FA, 21: 0x2000, 40: 1000, 41: 0, 44: 0, 45: 60}
            | dict(enumerate((0x422D, 0x3720, 0, 0), 100)),
            input={3: 0x86A0, 4: 0x0001},
            discrete={9: 1},
            coil={2: 0},
        )
        cells = {
            "b.temp": Cell("holding", 10, 1, number),
            "b.limit": Cell("holding", 40, 1, lambda raw: raw[0] / 1000),
            "b.mode": Cell("holding", 41, 1, number),
            "b.enable": Cell("coil", 2, 1, number),
            "b.timeout": Cell("holding", 44, 2, lambda raw: number(raw) * 60),
        }
        async for rig in rig_for(
            PLAIN,
            unit,
            "b",
            self.bench,
            cells=cells,
            known={
                "b.temp": -1.0,  # 0xFFF6 = -10, by 0.1
                "b.power": -2.001,  # 0x44FA2000 = 2001 W, generation
                "b.energy": 100.0,  # low word first 0x86A0 0x0001 = 100 000 Wh
                "b.burning": 1.0,
                "b.fault": 1.0,
                "b.timeout": 3600.0,
                "b.enable": 0.0,
            },
            refusable="b.temp",
            read_only="b.power",
            writable=("b.limit", 0.425),
            command=Command(
                "b",
                (Write("b.timeout", 120.0), Write("b.limit", 0.5), Write("b.mode", 2.0), Write("b.enable", 1.0)),
            ),
            identity="B-7",
        ):
            yield rig


class TestSerial(TestPlain):
    bench = RtuBench


class TestSunSpec(DriverContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[ModbusRig]:
        registers = chain(
            40000,
            (1, {"Mn": "Acme", "Md": "Bat 60", "Vr": "1.2"}),
            (701, {"W": -1250, "W_SF": 1}),
            (704, {"WSetEna": 0, "WSetMod": 0, "WSet": 0, "WSet_SF": 1, "WSetRvrtTms": 0}),
            (713, {"WHRtg": 6000, "SoC": 4230, "WH_SF": 1, "Pct_SF": -2}),
        )
        # Model 701 starts at 40070, 704 at 40225 and 713 at 40292: lengths 66, 153, 65 and 7, each with two before it.
        cells = {
            "s.soc": Cell("holding", 40296, 1, lambda raw: raw[0] / 10000),
            "s.enable": Cell("holding", 40247, 1, number),
            "s.mode": Cell("holding", 40248, 1, number),
            "s.setpoint": Cell(
                "holding", 40249, 2, lambda raw: -struct.unpack(">i", struct.pack(">HH", *raw))[0] / 100
            ),
            "s.timeout": Cell("holding", 40256, 2, number),
        }
        async for rig in rig_for(
            sunspec_battery(),
            BenchUnit(holding=registers),
            "s",
            ModbusBench,
            cells=cells,
            known={"s.power": 12.5, "s.soc": 0.423, "s.capacity": 60.0, "s.setpoint": 0.0, "s.mode": 0.0},
            refusable="s.soc",
            read_only="s.power",
            writable=("s.setpoint", -7.5),
            command=Command(
                "s",
                (Write("s.timeout", 60.0), Write("s.mode", 1.0), Write("s.setpoint", 4.2), Write("s.enable", 1.0)),
            ),
            identity="Acme Bat 60 1.2",
        ):
            yield rig
