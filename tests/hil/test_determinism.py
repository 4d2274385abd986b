"""Two runs of one scenario are one run: same journal, samples, plans, writes and truth; polled, told, and on a busy machine.

Real processes and sockets throughout. The files a run leaves are the evidence; the store's are read with plain SQL.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from energyctl.daemon.paths import StatePaths
from hil.run import run_pair
from hil.scenario import SCENARIOS

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"
HOURS = 2
MINUTES = HOURS * 60
BACNET = ("heatpump.zone1_temp", "heatpump.zone2_temp", "heatpump.outdoor_temp", "heatpump.power")
OPCUA = ("charger.power", "charger.session_energy", "charger.connected", "airhandler.power")
CPU_TIMES = ("forecast_ms", "build_ms", "solve_ms")

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Left:
    """What a run left, as text that can be compared."""

    journal: tuple[Row, ...]
    samples: tuple[Row, ...]
    plans: tuple[str, ...]
    writes: str
    trace: str

    @classmethod
    def of(cls, out: Path) -> Left:
        with closing(sqlite3.connect(StatePaths(out / "state").store)) as store:
            journal = store.execute(
                "SELECT cycle, ts, kind, point, value, rank, source, reason, detail FROM journal ORDER BY id"
            ).fetchall()
            samples = store.execute(
                "SELECT s.ts, p.name, s.value, s.quality, s.reason FROM sample s JOIN point p ON p.id = s.point_id"
                " ORDER BY s.ts, p.name"
            ).fetchall()
            plans = [json.loads(body) for (body,) in store.execute("SELECT body FROM plan ORDER BY id")]
        for plan in plans:
            for name in CPU_TIMES:
                assert plan["provenance"].pop(name) >= 0
        return cls(
            journal=tuple(journal),
            samples=tuple(samples),
            plans=tuple(json.dumps(plan) for plan in plans),
            writes=(out / "writes.json").read_text(),
            trace=(out / "trace.json").read_text(),
        )


def digest(rows: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()


def differing(first: Sequence[object], second: Sequence[object]) -> list[tuple[object, object]]:
    """The first rows that differ, for whoever has to find out why."""
    return [pair for pair in zip_longest(first, second) if pair[0] != pair[1]][:3]


def site(folder: Path, told_every: str | None) -> Path:
    """The town hall; with a publishing interval, its BACnet and OPC UA devices tell of changes and are polled like slow ones.

    What a subscription does by the clock on the wall (renew, publish) would show in the files: BACnet's are renewed often,
    and OPC UA's interval is another in every run.
    """
    if told_every is None:
        return LARISSA / "town-hall.yaml"
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    data["connections"]["bms"] |= {"subscribe": True, "cov_lifetime": "1 s"}
    data["connections"]["building-server"] |= {"subscribe": True, "publishing": told_every}
    data["resources"]["base"]["prior"] = str(LARISSA / data["resources"]["base"]["prior"])
    data["tariff"] |= {key: str(LARISSA / data["tariff"][key]) for key in ("file", "carbon")}
    path = folder / "told.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


def scenario(folder: Path, seed: int) -> Path:
    """The first hours of the winter day."""
    yaml = YAML()
    data = yaml.load((SCENARIOS / "town-hall-winter.yaml").read_text())
    data |= {"lasts": f"{HOURS} h", "seed": seed}
    data["outside"]["measured"] = str(LARISSA / data["outside"]["measured"])
    path = folder / f"night-{seed}.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, busy: Callable[[], AbstractContextManager[None]]
) -> Mapping[str, Left]:
    """All runs of this file, two at a time, by name."""
    folder = tmp_path_factory.mktemp("determinism")
    left: dict[str, Left] = {}

    async def run(name: str, told_every: str | None = None, seed: int = 31) -> None:
        out = folder / name
        out.mkdir()
        result = await run_pair(site(out, told_every), str(scenario(out, seed)), "plan", out)
        left[name] = Left.of(result.out)

    async def all_runs() -> None:
        await asyncio.gather(run("polled"), run("polled again"))
        await asyncio.gather(run("told", told_every="70 ms"), run("other seed", seed=32))
        with busy():
            await asyncio.gather(run("polled, busy"), run("told, busy", told_every="60 s"))

    asyncio.run(all_runs())
    return left


@pytest.mark.parametrize(
    ("one", "other"), [("polled", "polled again"), ("polled", "polled, busy"), ("told", "told, busy")]
)
def test_two_runs_of_a_scenario_are_one(runs, one, other):
    first, second = runs[one], runs[other]
    assert digest(first.journal) == digest(second.journal), differing(first.journal, second.journal)
    assert digest(first.samples) == digest(second.samples), differing(first.samples, second.samples)
    assert digest(first.plans) == digest(second.plans)
    assert first.writes == second.writes
    assert first.trace == second.trace


def test_a_run_is_worth_comparing(runs):
    polled = runs["polled"]
    assert len(polled.plans) >= 4 * HOURS
    assert len(json.loads(polled.trace)) == MINUTES
    written = {(row["device"], row["point"]) for row in json.loads(polled.writes) if row["accepted"]}
    assert written >= {("storage", "power_setpoint"), ("charger", "current_limit"), ("heatpump", "zone1_setpoint")}


def test_another_seed_is_another_run(runs):
    one, other = runs["polled"], runs["other seed"]
    assert one.trace != other.trace
    assert digest(one.samples) != digest(other.samples)
    assert digest(one.journal) != digest(other.journal)
    assert digest(one.plans) != digest(other.plans)


def changes(left: Left, points: Sequence[str]) -> set[Row]:
    """The samples with another value than the one before, of some points."""
    last: dict[str, float | None] = {}
    found = set()
    for row in left.samples:
        _, point, value, *_ = row
        if point in points and last.get(point, value) != value:
            found.add(row)
        last[point] = value
    return found


def test_notifications_arrive_and_replace_polls(runs):
    polled, told = runs["polled"], runs["told"]
    seen = {name: Counter(row[1] for row in left.samples) for name, left in runs.items()}
    for points in (BACNET, OPCUA):
        assert all(seen["polled"][point] >= MINUTES for point in points)
        assert sum(seen["told"][point] for point in points) < 0.8 * MINUTES * len(points)
    # never changes in these hours, so there is nothing to tell after the first word: the rest are polls, one in 15 min
    assert seen["told"]["charger.connected"] <= MINUTES / 15 + 2
    # Modbus cannot tell, and is polled as ever
    assert seen["told"]["meter.power"] == seen["polled"]["meter.power"]
    for points in (BACNET, OPCUA):
        missed = changes(polled, points) - set(told.samples)
        assert len(changes(polled, points)) > 20
        assert missed == set()


def test_being_told_misses_nothing(runs):
    """Whoever is told of every change decides as one who asks every time."""
    polled, told = runs["polled"], runs["told"]
    assert polled.trace == told.trace
    assert polled.writes == told.writes
    assert digest(polled.plans) == digest(told.plans)
    assert digest(polled.journal) == digest(told.journal), differing(polled.journal, told.journal)
