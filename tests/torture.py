"""How often a test of the matrix repeats: a few times in `make test`, in full by `make torture` (TORTURE=1).

What a test was given is written down where $TORTURE_LOG says, for the table of `torture_table`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

TORTURE = os.environ.get("TORTURE", "") not in ("", "0")


def count(row: int, quick: int, full: int) -> int:
    """How many runs a row of the matrix gets; $TORTURE_<row> says otherwise. To be called inside the test."""
    number = int(os.environ.get(f"TORTURE_{row}", full if TORTURE else quick))
    log, test = os.environ.get("TORTURE_LOG"), os.environ.get("PYTEST_CURRENT_TEST", "")
    if log:
        with Path(log).open("a") as file:
            file.write(
                json.dumps({"row": row, "runs": number, "test": test.rpartition("::")[2].rpartition(" ")[0]}) + "\n"
            )
    return number
