"""From archetypes of flexibility to columns and rows of a Program.

Each block adds its columns and its own rows, and puts its power into the rows of the bus it lives on. A bus row says: what
is taken minus what is given is zero. The blocks keep the indices that reading a solution back needs.

A storage's state is its band column (within the bounds) plus `over` minus `under` (priced excess), so soft bounds need no
rows. A HARD bound has an excess only where the state would break it with no power at all (it was measured outside, or leaks), and
no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import add, mul

import numpy as np
from numpy.typing import NDArray

from energyctl.core.errors import PlanError
from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Shiftable, Storage

from .program import INTEGER, SEMI, Floats, Ints, Program

ON_OFF_STEPS = 16
"""Steps from the start in which "off or at least so much" is kept exactly; later ones are planned anew before they come."""
RETURN_PRICE = 0.05
"""For a hard bound that the measured state breaks: the price of staying outside [EUR per unit and step]."""

Buses = Mapping[str, Ints]
"""The rows (steps,) of every bus by name."""


@dataclass(frozen=True)
class CurtailableBlock:
    """`power` (steps,): generation, as a positive number."""

    flex: Curtailable
    power: Ints


@dataclass(frozen=True)
class StorageBlock:
    """`charge`, `discharge` (steps,); `band`, `over`, `under` (steps, n), -1 where there is no such column."""

    flex: Storage
    charge: Ints
    discharge: Ints | None
    band: Ints
    over: Ints
    under: Ints


@dataclass(frozen=True)
class ConverterBlock:
    """`power` (steps,): input on "ac"."""

    flex: Converter
    power: Ints


@dataclass(frozen=True)
class ShiftableBlock:
    """`starts`: a column for each of `steps`, the steps where it may start."""

    flex: Shiftable
    steps: Ints
    starts: Ints


Block = CurtailableBlock | StorageBlock | ConverterBlock | ShiftableBlock


def add_fixed(program: Program, flex: Fixed, buses: Buses) -> None:
    """Power that is what it is goes to the right-hand side."""
    program.add_to_rhs(buses[AC], -np.asarray(flex.power_kw))


def add_curtailable(program: Program, flex: Curtailable, buses: Buses, hours: float) -> CurtailableBlock:
    """Generation between 0 (or, uncut, all) and what is available; cutting costs, so generating earns, the price."""
    available = np.asarray(flex.available_kw)
    lower = 0.0 if flex.can_curtail else available
    power = program.add_columns(len(available), available, -flex.price * hours, lower=lower)
    program.put(buses[AC], power, -1.0)
    return CurtailableBlock(flex, power)


def add_converter(program: Program, flex: Converter, buses: Buses) -> ConverterBlock:
    """Takes from "ac", gives `ratio` times as much to its own bus."""
    most = np.asarray(flex.max_input_kw)
    kind, floor = _on_off(most, flex.min_input_kw)
    power = program.add_columns(len(most), most, kind=kind, floor=floor)
    program.put(buses[AC], power, 1.0)
    program.put(buses[flex.id], power, -np.asarray(flex.ratio))
    return ConverterBlock(flex, power)


def add_shiftable(program: Program, flex: Shiftable, buses: Buses) -> ShiftableBlock:
    """One column per allowed start, exactly one of which is 1 (or the run is skipped at its price)."""
    steps = np.flatnonzero(np.asarray(flex.may_start))
    if not len(steps) and flex.skip_price == HARD:
        raise PlanError(f"{flex.id}: must run, but there is no step where it may start")
    starts = program.add_columns(len(steps), 1.0, kind=INTEGER)
    once = program.add_rows(1, 1.0)
    program.put(once, starts, 1.0)
    if flex.skip_price != HARD:
        program.put(once, program.add_columns(1, 1.0, flex.skip_price), 1.0)
    profile = np.asarray(flex.profile_kw)
    rows = steps[:, None] + np.arange(len(profile))
    inside = rows < len(buses[AC])
    columns, values = np.broadcast_to(starts[:, None], rows.shape), np.broadcast_to(profile, rows.shape)
    program.put(buses[AC][rows[inside]], columns[inside], values[inside])
    return ShiftableBlock(flex, steps, starts)


def add_storage(program: Program, flex: Storage, buses: Buses, hours: float) -> StorageBlock:
    """State equations, bounds with their excess, charge and discharge on the storage's bus."""
    most, least = np.asarray(flex.max_charge_kw), np.asarray(flex.max_discharge_kw)
    kind, floor = _on_off(most, flex.min_charge_kw)
    charge = program.add_columns(len(most), most, flex.charge_price * hours, kind=kind, floor=floor)
    program.put(buses[flex.port], charge, 1.0)
    discharge = None
    if least.any():
        discharge = program.add_columns(len(least), least, flex.discharge_price * hours)
        if flex.port == AC:
            program.put(buses[AC], discharge, -1.0)
    lower, upper = np.asarray(flex.lower), np.asarray(flex.upper)
    room_over, room_under, price = _excess(flex, lower, upper)
    worth = np.zeros(lower.shape)
    if flex.terminal_value:
        worth[-1] = flex.terminal_value
    band = _columns(program, np.ones(lower.shape, bool), upper, -worth, lower)
    over = _columns(program, room_over > 0, room_over, price - worth)
    under = _columns(program, room_under > 0, room_under, price + worth)
    _state_rows(program, flex, charge, discharge, ((band, 1.0), (over, 1.0), (under, -1.0)))
    return StorageBlock(flex, charge, discharge, band, over, under)


def _on_off(most: Floats, floor: float) -> tuple[Ints, Floats]:
    """Kind and floor per step of power that is 0 or at least `floor`."""
    on_off = (np.arange(len(most)) < ON_OFF_STEPS) & (floor > 0) & (most > 0)
    return np.where(on_off, SEMI, 0), np.where(on_off, np.minimum(floor, most), 0.0)


def _excess(flex: Storage, lower: Floats, upper: Floats) -> tuple[Floats, Floats, Floats]:
    """How far the states may be over and under their bounds, and its price, each (steps, n)."""
    hard = np.isinf(flex.slack_price)
    price = np.broadcast_to(np.where(hard, RETURN_PRICE, flex.slack_price), lower.shape)
    room_over = np.where(np.isfinite(upper) & ~hard, np.inf, 0.0)
    room_under = np.where(np.isfinite(lower) & ~hard, np.inf, 0.0)
    if hard.any():
        free = free_states(flex)
        room_over = np.where(hard, np.maximum(0.0, free - upper), room_over)
        room_under = np.where(hard, np.maximum(0.0, lower - free), room_under)
    return room_over, room_under, price


def free_states(flex: Storage) -> Floats:
    """Where the states go with no power at all, at the end of each step (steps, n)."""
    state, states = flex.initial, []
    for drift in flex.drift:
        moved = (sum(map(mul, row, state)) for row in flex.transition)
        state = tuple(map(add, moved, drift))
        states.append(state)
    return np.array(states)


def _columns(
    program: Program, where: NDArray[np.bool_], upper: Floats, cost: Floats, lower: Floats | None = None
) -> Ints:
    """Columns at the places of a (steps, n) grid where `where` holds; -1 elsewhere."""
    index = np.full(where.shape, -1)
    if not where.any():
        return index
    least = 0.0 if lower is None else lower[where]
    index[where] = program.add_columns(int(where.sum()), upper[where], cost[where], lower=least)
    return index


def _state_rows(
    program: Program, flex: Storage, charge: Ints, discharge: Ints | None, parts: tuple[tuple[Ints, float], ...]
) -> None:
    """x[k+1] - transition @ x[k] - gains @ power = drift, with x[0] measured, for x the signed sum of `parts`."""
    transition, drift = np.asarray(flex.transition), np.array(flex.drift)
    drift[0] += transition @ np.asarray(flex.initial)
    rows = program.add_rows(drift.size, drift.ravel()).reshape(drift.shape)
    for columns, sign in parts:
        for state in range(drift.shape[1]):
            there = np.flatnonzero(columns[:, state] >= 0)
            index = columns[there, state]
            program.put(rows[there, state], index, sign)
            if len(there) and there[-1] == len(drift) - 1:
                there, index = there[:-1], index[:-1]
            for target in np.flatnonzero(transition[:, state]):
                program.put(rows[there + 1, target], index, -sign * transition[target, state])
    program.put(rows, charge[:, None], -np.asarray(flex.charge_gain))
    if discharge is not None:
        program.put(rows, discharge[:, None], -np.asarray(flex.discharge_gain))
