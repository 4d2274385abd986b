"""Rows 41 and 42: planners that fail in every way, and forecasts made of little or of nonsense, with the real daemon.

The planner is a package like anybody's: found by its entry point, in the planner's own process. What the devices were told
is read from their own logs, what guided from the journal.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.core.points import Sample
from energyctl.core.resources import BASE_LOAD
from energyctl.core.timeline import floor_time
from energyctl.store import Batch, Store

SETPOINT = "storage.power_setpoint"
TARGET_KW = 20.0
"""What the good plan wants at the meter."""
TIMEOUT_S = 5.0
DAEMON = f"""
import sys
from energyctl.daemon import main
from energyctl.planning import worker
worker.PlannerProcess.__init__.__defaults__ = ({TIMEOUT_S},)
{{more}}
sys.exit(main.main(sys.argv[1:]))
"""
PLANTED = f"""
import os, signal, time
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from energyctl.core.errors import PlanError
from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance
from energyctl.core.timeline import Horizon
from energyctl.planning import worker

def good(request, horizon=None, steps=None):
    horizon = horizon or request.horizon
    steps = steps or horizon.steps
    power, grid, price = (3.0,) * steps, ({TARGET_KW},) * steps, (0.2,) * steps
    return Plan(request.issued_at, horizon, PlanStatus.OPTIMAL, {{"battery": power}}, {{}}, {{}}, grid, price, price,
                CostSplit(), Provenance("planted"))

def short(request):
    return good(request, Horizon(request.issued_at.replace(microsecond=0), 1, 8))

def infeasible(request):
    raise PlanError("infeasible: planted")

def bug(request):
    return 1 / 0

def die(request):
    os.kill(os.getpid(), signal.SIGKILL)

def leave(request):
    raise SystemExit(3)

def hang(request):
    time.sleep(3600)

def stop(request):
    os.kill(os.getpid(), signal.SIGSTOP)

def nan_power(request):
    plan = good(request)
    return replace(plan, power_kw={{"battery": (nan,) * plan.horizon.steps}}, grid_kw=(nan,) * plan.horizon.steps)

def inf_grid(request):
    return replace(good(request), grid_kw=(inf,) * request.horizon.steps)

def too_short(request):
    return good(request, steps=1)

def timeless(request):
    return replace(good(request), issued_at=request.issued_at.replace(tzinfo=None))

def no_plan(request):
    return None

def unsent(request):
    return replace(good(request), provenance=Provenance(lambda: None))

class Planted:
    def plan(self, request):
        what = Path(os.environ["PLANTED"]).read_text()
        return globals()[what.split()[-1]](request)


planner = Planted()
if Path(os.environ["PLANTED"]).read_text().startswith("unchecked "):
    worker.sound = lambda plan: plan
"""
FAILURES = {
    "infeasible": "infeasible: planted",
    "bug": "the planner failed: ZeroDivisionError: division by zero",
    "die": "the planner process died",
    "leave": "the planner process died",
    "hang": "the planner did not answer within 5 s and was stopped",
    "stop": "the planner did not answer within 5 s and was stopped",
    "nan_power": "the plan cannot be followed: grid_kw is nan in step 0",
    "inf_grid": "the plan cannot be followed: grid_kw is inf in step 0",
    "too_short": "the plan cannot be followed: grid_kw has 1 values for 144 steps",
    "timeless": "without a time zone",
    "no_plan": "the planner returned no plan but None",
    "unsent": "the planner process died",
}
BARE = """
import select, sys, time
due, missed = time.monotonic() + 1, 0
while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
    due += 1
    late = time.monotonic() - due
    if late > 0:
        missed, due = missed + int(late) + 1, due + int(late) + 1
print(missed)
"""
"""A loop that does nothing but sleep, with the beat of the daemon's: what it misses the machine is to blame for."""


def edit(path, change):
    yaml = YAML()
    data = yaml.load(path.read_text())
    change(data)
    with path.open("w") as file:
        yaml.dump(data, file)


class Planner:
    """A package with planners, and what the one does next."""

    def __init__(self, folder: Path) -> None:
        self._next = folder / "next"
        info = folder / "planted-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
        names = "planted = planted:planner\n"
        (info / "entry_points.txt").write_text(f"[energyctl.planners]\n{names}")
        (folder / "planted.py").write_text(textwrap.dedent(PLANTED))
        self.does("infeasible")

    @property
    def path(self) -> str:
        return str(self._next)

    def does(self, what: str) -> None:
        self._next.write_text(what)


@pytest.fixture
def planner(tmp_path, monkeypatch, bench):
    found = Planner(tmp_path / "plugin")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin"))
    monkeypatch.setenv("PLANTED", found.path)
    edit(bench.site, lambda site: site.update(planner={"use": "planted"}))
    return found


class Bare:
    """The sleeping loop, in a process of its own."""

    async def __aenter__(self):
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE, stdin=pipe, stdout=pipe)
        return self

    async def missed(self) -> int:
        said, _ = await self._process.communicate(b"")
        return int(said)

    async def __aexit__(self, *exc):
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def journal(bench, columns, where):
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return store.execute(f"select {columns} from journal where {where} order by id").fetchall()


async def alarm(bench, name):
    return next((one["text"] for one in (await bench.status())["alarms"] if one["name"] == name), None)


async def told(bench, meter_kw, power_kw, seconds=15.0):
    """Let the meter show a power, and wait until the battery's log has what should follow."""
    bench.devices["meter"].set("power", meter_kw)
    await bench.until(lambda: bench.written("storage", "power_setpoint")[-1:] == [pytest.approx(power_kw)], seconds)


async def asked(bench):
    """Ask for a plan; how many were made and how many failed since the start."""
    return (await bench.ask("replan"))["result"]


async def test_row41_whatever_the_planner_does_the_rules_guide_and_no_cycle_is_missed(bench, planner):
    await bench.start(code=DAEMON.format(more=""))
    await bench.running()
    before, meter_kw = await bench.status(), 12.0
    async with Bare() as bare:
        for number, (failure, words) in enumerate(FAILURES.items(), 1):
            planner.does(failure)
            asking = asyncio.create_task(asked(bench))
            meter_kw = 12.0 + number / 2
            await told(bench, meter_kw, -meter_kw)  # the rule: nothing bought or sold
            if failure in ("hang", "stop"):
                assert not asking.done(), "the rules do not wait for the planner"
            answer = await asking
            assert (answer["made"], answer["failed"]) == (0, before["plans_failed"] + number), failure
            assert words in await alarm(bench, "no-plan"), failure
            assert (await bench.status())["guided_by"] == "rule"
        assert (await bench.status())["missed_cycles"] - before["missed_cycles"] <= await bare.missed()
    assert journal(bench, "distinct source", "kind = 'intent'") == [("rule:battery",)]
    planner.does("good")
    assert (await asked(bench))["made"] == 1, "one that works again is used again"
    await told(bench, 12.0, TARGET_KW - 12.0)
    assert await alarm(bench, "no-plan") is None


async def test_row41_a_plan_that_ends_gives_way_to_the_rules_in_that_cycle(bench, planner):
    planner.does("short")
    await bench.start(code=DAEMON.format(more=""))
    await bench.running()
    await told(bench, 12.0, TARGET_KW - 12.0)
    planner.does("nan_power")
    assert (await asked(bench))["failed"] == 1
    await told(bench, 13.0, TARGET_KW - 13.0)  # the good one is still there
    await told(bench, 13.0, -13.0)
    (left,) = journal(bench, "max(cycle)", "kind = 'note' and detail = 'rule'")
    ((first,),) = journal(
        bench, "min(cycle)", f"cycle >= {left[0] - 1} and kind = 'intent' and source = 'rule:battery'"
    )
    assert first == left[0]


async def test_row41_control_a_plan_that_nobody_looks_at_stops_the_battery(bench, planner):
    planner.does("unchecked nan_power")
    await bench.start(code=DAEMON.format(more=""))
    await bench.running()
    await bench.until(lambda: _guided_by(bench, "plan"))
    with pytest.raises(AssertionError, match="not within"):
        await told(bench, 14.0, -14.0, 4.0)


async def _guided_by(bench, level):
    return (await bench.status())["guided_by"] == level


async def test_row41_control_a_planner_in_the_control_loops_process_is_seen(bench, planner):
    more = """
async def plan(self, request):
    import time
    time.sleep(4)
    raise worker.PlanError("late")
worker.PlannerProcess.plan = plan
"""
    await bench.start(code=DAEMON.format(more=more))
    await bench.running()
    before = (await bench.status())["missed_cycles"]
    async with Bare() as bare:
        await asked(bench)
        await asyncio.sleep(1.5)
        assert (await bench.status())["missed_cycles"] - before > await bare.missed() + 1


def prior(bench, load_kw):
    """A year of measured load from before, so high all day; None: no such file."""

    def change(site):
        site["resources"]["base"].pop("prior", None)
        if load_kw is not None:
            path = bench.site.parent / "prior.csv"
            begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=30)
            rows = (f"{begin + timedelta(hours=hour):%Y-%m-%dT%H:%MZ},{load_kw}" for hour in range(24 * 31))
            path.write_text("\n".join(("time_utc,load_kw", *rows)))
            site["resources"]["base"]["prior"] = str(path)

    edit(bench.site, change)


def remember(bench, ended_h, load_kw=8.0):
    """Eight days of load in the store, that ended so long ago [h]."""
    end = floor_time(datetime.now(UTC) - timedelta(hours=ended_h), 900)
    bench.state.mkdir(exist_ok=True)
    samples = tuple(Sample(BASE_LOAD, end - timedelta(seconds=900 * n - 1), load_kw) for n in range(8 * 96, 0, -1))
    with Store.open(bench.paths.store) as store:
        store.commit(Batch(samples))


async def planned(bench):
    """The method of the load's forecast, and what the plan could not keep, once there was a plan or none."""
    await bench.start()
    await bench.running()

    async def tried():
        status = await bench.status()
        return status if status["plan_issued_at"] or status["plans_failed"] else None

    status = await bench.until(tried, 40)
    if not status["plans_made"]:
        return None, await alarm(bench, "no-plan")
    forecasts = json.loads((await bench.ask("plan"))["result"])["forecasts"]
    return forecasts[BASE_LOAD]["method"], status["plan_not_met"]


def within_limits(bench):
    return all(abs(value) <= 30.0 for value in bench.written("storage", "power_setpoint"))


@pytest.mark.parametrize(
    ("load_kw", "ended_h", "method"),
    [
        (8.0, 0, "like days"),  # the control: nothing is wrong and nothing is said
        (8.0, 26, "like days; nothing measured for 26 h"),
        (8.0, None, "prior"),
        (None, None, "persistence"),
    ],
    ids=["control", "stale", "no history", "nothing"],
)
async def test_row42_a_forecast_made_of_little_says_so_and_there_is_a_plan(bench, load_kw, ended_h, method):
    prior(bench, load_kw)
    if ended_h is not None:
        remember(bench, ended_h)
    assert await planned(bench) == (method, [])
    await bench.until(lambda: bench.written("storage", "power_setpoint"))
    assert within_limits(bench)


async def test_row42_of_nothing_there_is_no_plan_but_the_rules(bench):
    prior(bench, None)
    bench.devices["storage"].set("power", float("nan"))
    method, said = await planned(bench)
    assert method is None and "nothing is known of site.base_load yet" in said
    assert (await bench.status())["guided_by"] == "rule"


async def test_row42_an_absurd_forecast_is_flagged_and_moves_nothing_beyond_its_limits(bench):
    prior(bench, 1e6)
    _, said = await planned(bench)
    assert said, "an import limit of 60 kW cannot be kept with that"
    await bench.until(lambda: bench.written("storage", "power_setpoint"))
    assert within_limits(bench)
