"""What control is worth: `python benchmarks/demo_value.py [--quick]`.

Runs the demo's days (see `hil.demo`; with --quick the first one) and tells how each strategy did: its cost, the cost of
energyctl over that of perfect foresight, the saving against the rules alone, and what was violated: minutes and kW beyond the
connection's limits, K·h outside the comfort bands, kWh that a car left without. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from hil.demo import run, town_hall

COLUMNS = {
    "cost EUR": "cost_eur",
    "over min": "over_limit_min",
    "over kW": "over_limit_kw",
    "K·h": "discomfort_kh",
    "comfort EUR": "comfort_eur",
    "car kWh": "car_unserved_kwh",
}


def share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def tell(days: Sequence[dict[str, Any]]) -> None:
    for day in days:
        print(f"{day['day']}, {day['date']}, {day['hours']:g} h")
        print(f"  {'':18s}" + "".join(f"{name:>13s}" for name in COLUMNS))
        for strategy in day["strategies"]:
            figures = "".join(f"{strategy[key]:13.2f}" for key in COLUMNS.values())
            print(f"  {strategy['strategy']:18s}{figures}")
        print(
            f"  energyctl / perfect foresight {share(day['energyctl_to_foresight'])},"
            f" saving against the rules {share(day['saving_to_rules'])},"
            f" x real time {' and '.join(f'{speed:.0f}' for speed in day['speed'])}\n"
        )


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="energyctl-bench-") as folder:
        results = asyncio.run(run(town_hall(), Path(folder), Console(stderr=True), quick))
        days = [{key: value for key, value in one.figures().items() if key != "picture"} for one in results]
    tell(days)
    print(json.dumps({"days": days}))


if __name__ == "__main__":
    main()
