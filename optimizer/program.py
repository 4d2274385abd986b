"""A sparse linear program while it is being put together: minimise cost @ x, matrix @ x = rhs, lower <= x <= upper.

All rows are equalities; whoever needs an inequality adds its slack column. Some columns are more than continuous: INTEGER,
or SEMI (0 or at least `floor`); the relaxation ignores that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONTINUOUS, INTEGER, SEMI = 0, 1, 2


@dataclass(frozen=True)
class Arrays:
    """The finished program: `matrix` (rows, columns), the others (columns,) or, `rhs`, (rows,)."""

    cost: Floats
    lower: Floats
    upper: Floats
    floor: Floats
    kind: Ints
    matrix: csc_array
    rhs: Floats


@dataclass
class Program:
    """Columns and rows added by index; every method takes and gives index arrays, so blocks need no loops."""

    columns: int = 0
    rows: int = 0
    _column_parts: list[tuple[Floats, Floats, Floats, Floats, Ints]] = field(default_factory=list)
    _rhs: list[Floats] = field(default_factory=list)
    _entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)

    def add_columns(
        self,
        count: int,
        upper: Floats | float = np.inf,
        cost: Floats | float = 0.0,
        *,
        lower: Floats | float = 0.0,
        kind: Ints | int = CONTINUOUS,
        floor: Floats | float = 0.0,
    ) -> Ints:
        """New columns; scalars count for all of them."""
        whole: Ints = np.empty(count, np.int64)
        whole[:] = kind
        parts = (_spread(cost, count), _spread(lower, count), _spread(upper, count), _spread(floor, count), whole)
        self._column_parts.append(parts)
        self.columns += count
        return np.arange(self.columns - count, self.columns)

    def add_rows(self, count: int, rhs: Floats | float = 0.0) -> Ints:
        """New rows, all zero yet."""
        self._rhs.append(_spread(rhs, count))
        self.rows += count
        return np.arange(self.rows - count, self.rows)

    def put(self, rows: Ints, columns: Ints, values: Floats | float) -> None:
        """Add `values` at (rows, columns); the three are broadcast against each other, repeated places add up."""
        if not rows.size:
            return
        shape = np.broadcast(rows, columns, np.asarray(values)).shape
        r, c, v = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
        r[...], c[...], v[...] = rows, columns, values
        self._entries.append((r.ravel(), c.ravel(), v.ravel()))

    def add_to_rhs(self, rows: Ints, values: Floats) -> None:
        """Add `values` (rows,) to the right-hand side; by a column fixed at 1 it would be the same."""
        rhs = np.concatenate(self._rhs)
        np.add.at(rhs, rows, values)
        self._rhs = [rhs]

    def arrays(self) -> Arrays:
        """The program as arrays."""
        cost, lower, upper, floor, kind = (np.concatenate(part) for part in zip(*self._column_parts, strict=True))
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = csc_array((values, (rows, columns)), shape=(self.rows, self.columns))
        return Arrays(cost, lower, upper, floor, kind, matrix, np.concatenate(self._rhs))


def _spread(value: Floats | float, count: int) -> Floats:
    part = np.empty(count)
    part[:] = value
    return part
