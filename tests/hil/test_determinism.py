"""Two runs of one scenario are one run: same journal, samples, plans, writes and truth; polled, told, and on a busy machine.

Real processes and sockets throughout. The files a run leaves are the evidence; the store's are read with plain SQL.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.daemon.paths import StatePaths
from hil.run import run_pair
from hil.scenario import SCENARIOS

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"
HOURS = 2
MINUTES = HOURS * 60
CPU_TIMES = ("forecast_ms", "build_ms", "solve_ms")


@dataclass(frozen=True)
class Left:
    """What a run left, as text that can be compared."""

    journal: str
    samples: str
    plans: tuple[str, ...]
    writes: str
    trace: str
    seen: Mapping[str, int]
    """Samples in the store by point."""

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
            journal=digest(journal),
            samples=digest(samples),
            plans=tuple(digest(plan) for plan in plans),
            writes=(out / "writes.json").read_text(),
            trace=(out / "trace.json").read_text(),
            seen=Counter(row[1] for row in samples),
        )


def digest(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def site(folder: Path, subscribe: bool) -> Path:
    """The town hall; with subscriptions, its BACnet and OPC UA devices tell of changes and are polled like slow ones."""
    if not subscribe:
        return LARISSA / "town-hall.yaml"
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    for link in ("bms", "building-server"):
        data["connections"][link]["subscribe"] = True
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
    data |= {"hours": HOURS, "seed": seed, "measured": str(LARISSA / data["measured"])}
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

    async def run(name: str, subscribe: bool = False, seed: int = 31) -> None:
        out = folder / name
        out.mkdir()
        result = await run_pair(site(out, subscribe), str(scenario(out, seed)), "plan", out)
        left[name] = Left.of(result.out)

    async def all_runs() -> None:
        await asyncio.gather(run("polled"), run("polled again"))
        await asyncio.gather(run("told", subscribe=True), run("other seed", seed=32))
        with busy():
            await asyncio.gather(run("polled, busy"), run("told, busy", subscribe=True))

    asyncio.run(all_runs())
    return left


@pytest.mark.parametrize(
    ("one", "other"), [("polled", "polled again"), ("polled", "polled, busy"), ("told", "told, busy")]
)
def test_two_runs_of_a_scenario_are_one(runs, one, other):
    first, second = runs[one], runs[other]
    assert first.writes == second.writes
    assert first.trace == second.trace
    assert first.plans == second.plans
    assert first.samples == second.samples
    assert first.journal == second.journal


def test_a_run_is_worth_comparing(runs):
    polled = runs["polled"]
    assert len(polled.plans) >= 4 * HOURS
    assert len(json.loads(polled.trace)) == MINUTES
    written = {(row["device"], row["point"]) for row in json.loads(polled.writes) if row["accepted"]}
    assert written >= {("storage", "power_setpoint"), ("charger", "current_limit"), ("heatpump", "zone1_setpoint")}


def test_another_seed_is_another_run(runs):
    one, other = runs["polled"], runs["other seed"]
    assert one.trace != other.trace
    assert one.samples != other.samples
    assert one.journal != other.journal
    assert one.plans[-1] != other.plans[-1]


def test_notifications_arrive_and_replace_polls(runs):
    polled, told = runs["polled"].seen, runs["told"].seen
    # never changes in these hours: polled every minute, but told of only by the polls every quarter of an hour
    assert polled["charger.connected"] >= MINUTES
    assert told["charger.connected"] <= MINUTES / 15 + 2
    # changes every minute by its sensor's noise: told of every time, though polled every quarter of an hour
    assert told["heatpump.zone1_temp"] >= MINUTES
    assert told["charger.power"] >= MINUTES
    # Modbus cannot tell, and is polled as ever
    assert told["meter.power"] == polled["meter.power"]


def test_being_told_misses_nothing(runs):
    """Whoever is told of every change decides as one who asks every time."""
    polled, told = runs["polled"], runs["told"]
    assert polled.trace == told.trace
    assert polled.writes == told.writes
    assert polled.plans == told.plans
    assert polled.journal == told.journal
