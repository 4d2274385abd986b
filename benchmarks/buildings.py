"""How fast many buildings run: `python benchmarks/buildings.py [--quick]`.

Runs the winter day of the Larissa town hall in lockstep, planned, as `energyctl hil run` does: once, and for ten buildings
(--quick: four, for three hours) that differ by their luck, two at a time. A building is two processes and the planner's
child, which wait for each other, so two buildings keep two cores busy. The figure is simulated building-seconds per second
of wall time, starting and stopping included. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.lockstep import LARISSA
from hil.run import RunResult, run
from hil.scenario import load

SITE, SCENARIO = LARISSA / "town-hall.yaml", "town-hall-winter"
AT_ONCE = 2
BUILDINGS, QUICK_BUILDINGS, QUICK_H = 10, 4, 3.0


@dataclass(frozen=True)
class Row:
    """Some buildings: how long all of them took, and what that comes to."""

    buildings: int
    at_once: int
    simulated_h: float
    """Of all buildings together."""
    wall_s: float
    building_seconds_per_s: float
    each_times_real: float
    """Median speed of one building from its first cycle to its last, while the others run beside it."""


async def measure(buildings: int, hours: float, folder: Path) -> Row:
    turn, begun = asyncio.Semaphore(AT_ONCE), time.monotonic()

    async def one(number: int) -> RunResult:
        async with turn:
            out = folder / f"{buildings}-{number}"
            return await run(SITE, load(SCENARIO), out, lasts=f"{hours:g} h", seed=number + 1)

    results = await asyncio.gather(*(one(number) for number in range(buildings)))
    wall_s = time.monotonic() - begun
    for result in results:
        if result.daemon_code:
            sys.exit(f"a daemon ended with {result.daemon_code}, see {result.out}")
    simulated_s = sum(result.simulated_s for result in results)
    return Row(
        buildings=buildings,
        at_once=min(AT_ONCE, buildings),
        simulated_h=round(simulated_s / 3600, 2),
        wall_s=round(wall_s, 1),
        building_seconds_per_s=round(simulated_s / wall_s),
        each_times_real=round(sorted(result.speed for result in results)[buildings // 2]),
    )


async def measure_all(quick: bool) -> list[Row]:
    hours = QUICK_H if quick else 24.0
    with tempfile.TemporaryDirectory(prefix="energyctl-bench-") as name:
        return [
            await measure(buildings, hours, Path(name)) for buildings in (1, QUICK_BUILDINGS if quick else BUILDINGS)
        ]


def main() -> None:
    rows = asyncio.run(measure_all("--quick" in sys.argv[1:]))
    load_average, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{SCENARIO}, planned, a cycle a minute; {cores} cores, load average {load_average:.1f}\n")
    print("buildings  at once  simulated h   wall s  building-s per s  each x real time")
    for row in rows:
        print(
            f"{row.buildings:9d} {row.at_once:8d} {row.simulated_h:12.1f} {row.wall_s:8.1f}"
            f" {row.building_seconds_per_s:17.0f} {row.each_times_real:17.0f}"
        )
    print(json.dumps({"load_average": round(load_average, 2), "cores": cores, "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
