"""One building's plan as one sparse program: blocks on buses, the connection, what it all costs.

Buses balance: what is taken is given. The connection imports and exports up to its limits less a RESERVE, which is what the
tracking between plans aims for too; more costs OVER_LIMIT_PRICE per kWh, and more than the limit is named in the plan.
Money: energy, wear, comfort and other slack, the demand charge above the month's peak so far, CO2 at its price, and a
little for every kW by which the first steps differ from the last plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energyctl.core.flexibility import AC, Converter, Curtailable, Fixed, Flexibility, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import RESERVE, PlanRequest

from .blocks import (
    Block,
    ConverterBlock,
    StorageBlock,
    add_converter,
    add_curtailable,
    add_fixed,
    add_shiftable,
    add_storage,
)
from .program import Arrays, Floats, Ints, Program

OVER_LIMIT_PRICE = 10.0
"""For import or export beyond the connection's limit [EUR/kWh]."""
STEADY_STEPS = 16
"""Steps in which a change against the last plan has its price."""


@dataclass(frozen=True)
class GridColumns:
    """Columns (steps,) of power at the connection, all >= 0: within the limits less the reserve, and beyond."""

    imported: Ints
    exported: Ints
    over_import: Ints
    over_export: Ints


@dataclass(frozen=True)
class Pair:
    """Two sets of columns (steps,), `one` and `other`, of which in each step at most one may be above zero."""

    one: Ints
    other: Ints


@dataclass(frozen=True)
class Problem:
    """A program with what is needed to read its solution back: the blocks, the connection, the rows of "ac"."""

    arrays: Arrays
    blocks: tuple[Block, ...]
    fixed: tuple[Fixed, ...]
    grid: GridColumns
    pairs: tuple[Pair, ...]
    ac_rows: Ints
    hours: float


def assemble(flexibilities: Sequence[Flexibility], request: PlanRequest) -> Problem:
    """The program of a building. Raises PlanError when something that must run has no time to."""
    program, horizon = Program(), request.horizon
    converters = [flex.id for flex in flexibilities if isinstance(flex, Converter)]
    buses = {name: program.add_rows(horizon.steps) for name in (AC, *converters)}
    blocks: list[Block] = []
    for flex in flexibilities:
        match flex:
            case Fixed():
                add_fixed(program, flex, buses)
            case Curtailable():
                blocks.append(add_curtailable(program, flex, buses, horizon.hours))
            case Storage():
                blocks.append(add_storage(program, flex, buses, horizon.hours))
            case Converter():
                blocks.append(add_converter(program, flex, buses))
            case Shiftable():
                blocks.append(add_shiftable(program, flex, buses))
    grid = _add_grid(program, buses[AC], request)
    if request.previous is not None and request.goals.change_price > 0:
        _add_steadiness(program, blocks, request.previous, request)
    batteries = (block for block in blocks if isinstance(block, StorageBlock) and block.discharge is not None)
    pairs = [Pair(block.charge, block.discharge) for block in batteries if block.discharge is not None]
    pairs.append(Pair(grid.imported, grid.exported))
    fixed = tuple(flex for flex in flexibilities if isinstance(flex, Fixed))
    return Problem(program.arrays(), tuple(blocks), fixed, grid, tuple(pairs), buses[AC], horizon.hours)


def _add_grid(program: Program, ac: Ints, request: PlanRequest) -> GridColumns:
    rates, limits, hours, steps = request.rates, request.limits, request.horizon.hours, request.horizon.steps
    buy = (np.asarray(rates.import_price) + request.goals.co2_price * np.asarray(rates.carbon)) * hours
    sell = np.asarray(rates.export_price) * hours
    over, share = OVER_LIMIT_PRICE * hours, 1 - RESERVE
    grid = GridColumns(
        imported=program.add_columns(steps, share * limits.import_kw, buy),
        exported=program.add_columns(steps, share * limits.export_kw, -sell),
        over_import=program.add_columns(steps, cost=np.maximum(buy, 0.0) + over),
        over_export=program.add_columns(steps, cost=over - np.minimum(sell, 0.0)),
    )
    for columns, sign in (
        (grid.imported, -1.0),
        (grid.over_import, -1.0),
        (grid.exported, 1.0),
        (grid.over_export, 1.0),
    ):
        program.put(ac, columns, sign)
    if rates.demand_price > 0:
        _add_demand_charge(program, grid, rates.demand_price, rates.peak_so_far_kw)
    return grid


def _add_demand_charge(program: Program, grid: GridColumns, price: float, peak_so_far_kw: float) -> None:
    """imported + over - higher + room = peak so far: what exceeds the month's peak costs once."""
    steps = len(grid.imported)
    higher, room = program.add_columns(1, cost=price), program.add_columns(steps)
    rows = program.add_rows(steps, peak_so_far_kw)
    for columns, sign in ((grid.imported, 1.0), (grid.over_import, 1.0), (higher, -1.0), (room, 1.0)):
        program.put(rows, columns, sign)


def _add_steadiness(program: Program, blocks: Sequence[Block], previous: Plan, request: PlanRequest) -> None:
    """power - more + less = the last plan's power, for converters and storages on "ac" in the first steps."""
    if previous.horizon.step_s != request.horizon.step_s:
        return
    known = [(step, previous.step_at(request.horizon.time(step))) for step in range(STEADY_STEPS)]
    pairs = [(step, old) for step, old in known if old is not None and step < request.horizon.steps]
    if not pairs:
        return
    now, then = np.array(pairs).T
    for block in blocks:
        before = previous.power_kw.get(block.flex.id)
        if before is None or not _is_steady(block):
            continue
        rows = program.add_rows(len(now), np.asarray(before)[then])
        price = request.goals.change_price
        for sign in (-1.0, 1.0):
            program.put(rows, program.add_columns(len(now), cost=price), sign)
        for columns, sign in _powers(block):
            program.put(rows, columns[now], sign)


def _is_steady(block: Block) -> bool:
    return isinstance(block, ConverterBlock) or (isinstance(block, StorageBlock) and block.flex.port == AC)


def _powers(block: Block) -> list[tuple[Ints, float]]:
    match block:
        case StorageBlock(discharge=None):
            return [(block.charge, 1.0)]
        case StorageBlock(discharge=discharge) if discharge is not None:
            return [(block.charge, 1.0), (discharge, -1.0)]
        case ConverterBlock():
            return [(block.power, 1.0)]
        case _:
            return []


def net(x: Floats, block: StorageBlock) -> Floats:
    """A storage's power (steps,) in a solution, charging positive."""
    return x[block.charge] - (0.0 if block.discharge is None else x[block.discharge])
