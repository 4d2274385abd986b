"""How often a test of the matrix repeats: a few times in `make test`, in full by `make torture` (TORTURE=1)."""

from __future__ import annotations

import os

TORTURE = os.environ.get("TORTURE", "") not in ("", "0")


def count(row: int, quick: int, full: int) -> int:
    """How many runs a row of the matrix gets; $TORTURE_<row> says otherwise."""
    return int(os.environ.get(f"TORTURE_{row}", full if TORTURE else quick))
