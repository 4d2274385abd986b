"""Runs scenarios on sites and judges them: `run_scenario` one, `run_all` many at once.

Every scenario has a folder with all it left behind. The verdict is made of the standard checks, which always hold unless the
scenario waives one with a reason, and of the scenario's own sentences. The bench's record is believed, never the daemon's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from energyctl.config import load_site
from energyctl.core.errors import ConfigError, EnergyctlError
from hil.run import Given, RunResult, prepare, run_given
from hil.scenario import NotApplicable, Scenario, fitted

from .evidence import Evidence
from .expect import parse
from .finding import Finding
from .standard import CHECKS
from .verdict import Status, Verdict

LIVE_PER_JOB = 2
"""Live runs mostly sleep."""


@dataclass(frozen=True)
class Case:
    """A scenario to run on a site, with another seed than its own when one is given."""

    site: Path
    scenario: Scenario
    seed: int | None = None
    defect: str | None = None
    """Planted in the daemon (see `defects`): the verdict is to be a failure."""

    @property
    def label(self) -> str:
        """The scenario's name, with the seed that was given."""
        return self.scenario.name if self.seed is None else f"{self.scenario.name}, seed {self.seed}"

    def verdict(self, status: Status, problem: str = "") -> Verdict:
        """A verdict about it."""
        seed = self.scenario.seed if self.seed is None else self.seed
        return Verdict(self.scenario.name, self.site, seed, status, problem=problem, label=self.label)


class Watcher:
    """Who wants to know how it goes; this one does not."""

    def moved(self, case: Case, share: float) -> None:
        """A case has come so far, 0..1."""

    def judged(self, case: Case, verdict: Verdict) -> None:
        """A case is over."""


async def run_scenario(
    site: Path,
    scenario: Scenario,
    out: Path,
    watcher: Watcher | None = None,
    *,
    seed: int | None = None,
    defect: str | None = None,
) -> Verdict:
    """Run a scenario on a site and judge it; all it leaves is in `out`. What is wrong is in the verdict.

    Leaves no process behind, however it ends.
    """
    case, watcher = Case(site, scenario, seed, defect), watcher or Watcher()
    try:
        verdict = await _verdict(case, out, lambda share: watcher.moved(case, share))
    except EnergyctlError as error:
        verdict = replace(case.verdict(Status.ERROR, str(error)), out=out, mistake=isinstance(error, ConfigError))
    watcher.judged(case, verdict)
    return verdict


async def run_all(
    cases: Sequence[Case], out: Path, *, jobs: int | None = None, keep: bool = True, watcher: Watcher | None = None
) -> list[Verdict]:
    """Run many, each in a folder of its own in `out`; verdicts come in the order of the cases.

    At most `jobs` lockstep runs are under way at once (default: as many as there are cores), and `LIVE_PER_JOB` times as
    many live ones. Without `keep` the evidence of what passed is deleted.
    """
    jobs = jobs or os.cpu_count() or 1
    places = {"lockstep": asyncio.Semaphore(jobs), "live": asyncio.Semaphore(LIVE_PER_JOB * jobs)}

    async def one(case: Case, folder: Path) -> Verdict:
        async with places[case.scenario.mode]:
            verdict = await run_scenario(case.site, case.scenario, folder, watcher, seed=case.seed, defect=case.defect)
        if verdict.out is not None and verdict.passed and not keep:
            await asyncio.to_thread(shutil.rmtree, verdict.out)
            return replace(verdict, out=None)
        return verdict

    async with asyncio.TaskGroup() as group:
        folders = zip(cases, _folders(cases, out), strict=True)
        tasks = [group.create_task(one(case, folder)) for case, folder in folders]
    return [task.result() for task in tasks]


def applies(case: Case) -> str:
    """ "" when the case's site has what its scenario is about, else what it lacks. Raises ConfigError."""
    with TemporaryDirectory() as folder:
        found = _fitted(prepare(case.site, case.scenario, Path(folder)))
    return found.reason if isinstance(found, NotApplicable) else ""


async def _verdict(case: Case, out: Path, progress: Callable[[float], None]) -> Verdict:
    other = {} if case.seed is None else {"seed": case.seed}
    given = await asyncio.to_thread(lambda: prepare(case.site, case.scenario, out, **other))
    scenario = await asyncio.to_thread(_fitted, given)
    if isinstance(scenario, NotApplicable):
        await asyncio.to_thread(shutil.rmtree, out / "given")
        return case.verdict(Status.NOT_APPLICABLE, scenario.reason)
    result = await run_given(replace(given, defect=case.defect), progress)
    findings = await asyncio.to_thread(_findings, result, scenario)
    status = Status.FAILED if any(finding.counts for finding in findings) else Status.PASSED
    return replace(
        case.verdict(status), findings=findings, out=out, wall_s=result.wall_s, simulated_s=result.simulated_s
    )


def _fitted(given: Given) -> Scenario | NotApplicable:
    return fitted(given.scenario, load_site(given.site))


def _findings(result: RunResult, scenario: Scenario) -> tuple[Finding, ...]:
    evidence = Evidence.load(result.out, load_site(result.site), scenario)
    standard = {name: check(evidence) for name, check in CHECKS.items()}
    excused = [
        finding.excused(scenario.waive[name]) if name in scenario.waive else finding
        for name, finding in standard.items()
    ]
    return (*excused, *(parse(sentence).judge(evidence) for sentence in scenario.expect))


def _folders(cases: Sequence[Case], out: Path) -> list[Path]:
    """A folder per case, told apart by name, seed, and a number where that is not enough."""
    found: list[Path] = []
    for case in cases:
        plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in case.label)
        names = (f"{plain}-{number}" if number > 1 else plain for number in range(1, len(cases) + 2))
        found.append(next(out / name for name in names if out / name not in found))
    return found
