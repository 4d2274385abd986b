"""`energyctl demo`: a winter and a summer day of the Larissa town hall, by rules alone, by energyctl, by perfect foresight.

Rules and energyctl run on the wire: the real daemon against simulated devices, in lockstep, at most two pairs of processes at
a time. Foresight is computed. All are judged by the same bill, and by what they leave in the stores (see `hil.outcome`).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from energyctl.config import load_planner, load_site
from energyctl.core.errors import ConfigError, EnergyctlError
from energyctl.core.flexibility import Shiftable
from energyctl.core.plan import Plan
from energyctl.core.resources import Outlook

from . import scenario as scenarios
from .foresight import Truth, foresee
from .outcome import Day, Outcome, of_plan, of_trace, read_trace
from .plant.parts import AirHandler, Switched
from .report import DayResult, tell
from .run import RunResult, run_pair
from .scenario import Scenario

SITE = Path("larissa") / "town-hall.yaml"
DAYS = ("town-hall-winter", "town-hall-summer")
STRATEGIES: tuple[tuple[Literal["rules", "plan"], str], ...] = (("rules", "rules alone"), ("plan", "energyctl"))
FORESIGHT = "perfect foresight"
PAIRS = 2

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def demo(
    quick: Annotated[bool, typer.Option("--quick", help="the winter day alone")] = False,
    out: Annotated[Path | None, typer.Option(help="folder for pictures, traces and logs")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """See what energyctl saves on a winter and a summer day of the Larissa town hall.

    \b
    Example:
      energyctl demo --out /tmp/demo
    """
    folder = (out or Path(tempfile.mkdtemp(prefix="energyctl-demo-"))).absolute()
    console = Console(stderr=as_json, highlight=False)
    days = "a winter day" if quick else "a winter and a summer day"
    console.print(f"The Larissa town hall, {days}, on simulated devices; this takes a minute or two.", soft_wrap=True)
    results = asyncio.run(run(town_hall(), folder, console, quick))
    if as_json:
        typer.echo(json.dumps({"days": [result.figures() for result in results], "out": str(folder)}, indent=2))
    else:
        tell(console, results, folder)


def town_hall() -> Path:
    """The example site: in a checkout beside the packages, in an installed wheel inside `energyctl`."""
    checkout = Path(__file__).parents[1] / "sites" / SITE
    installed = Path(str(resources.files("energyctl"))) / "sites" / SITE
    for file in (checkout, installed):
        if file.is_file():
            return file
    raise ConfigError(f"the example site is missing; looked for {checkout} and {installed}")


async def run(site_file: Path, folder: Path, console: Console, quick: bool) -> list[DayResult]:
    """Run and judge the days. Raises EnergyctlError; leaves no process behind, however it ends."""
    site = load_site(site_file)
    chosen = {name: scenarios.load(name) for name in (DAYS[:1] if quick else DAYS)}
    days = {name: Day.of(scenario, site) for name, scenario in chosen.items()}
    with _progress(console) as progress:
        runs = await _on_the_wire(site_file, chosen, folder, progress)
        results = []
        for name, day in days.items():
            task = progress.add_task(f"{day.scenario.name}, {FORESIGHT}", total=1.0)
            pairs = tuple(runs[name, strategy] for strategy, _ in STRATEGIES)
            results.append(await asyncio.to_thread(_judge, day, pairs, folder))
            progress.update(task, completed=1.0)
    return results


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:28}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)


async def _on_the_wire(
    site: Path, chosen: dict[str, Scenario], folder: Path, progress: Progress
) -> dict[tuple[str, str], RunResult]:
    """Every day by every strategy that runs on the wire, `PAIRS` at a time; the first failure ends them all."""
    places, tasks = asyncio.Semaphore(PAIRS), {}

    async def one(name: str, strategy: Literal["rules", "plan"], words: str) -> RunResult:
        bar = progress.add_task(f"{chosen[name].name}, {words}", total=1.0)
        async with places:
            return await run_pair(site, name, strategy, folder / name / strategy, _moved(progress, bar))

    try:
        async with asyncio.TaskGroup() as group:
            for strategy, words in reversed(STRATEGIES):  # the longer runs first, so that both places end together
                for name in chosen:
                    tasks[name, strategy] = group.create_task(one(name, strategy, words))
    except* EnergyctlError as failed:
        raise _first(failed) from None
    return {key: task.result() for key, task in tasks.items()}


def _moved(progress: Progress, bar: Any) -> Callable[[float], None]:
    return lambda share: progress.update(bar, completed=share)


def _first(group: BaseExceptionGroup[EnergyctlError]) -> EnergyctlError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, EnergyctlError)
    return error


def _judge(day: Day, runs: Sequence[RunResult], folder: Path) -> DayResult:
    pairs = zip(STRATEGIES, runs, strict=True)
    ran = [of_trace(words, read_trace(found.trace), day) for (_, words), found in pairs]
    best = of_plan(FORESIGHT, foreseen(day), day)
    rules, ours = ran
    return DayResult(day, (rules, ours, best), tuple(runs), _draw(day, ours, (rules, best), folder))


def foreseen(day: Day) -> Plan:
    """The plan of one who knew the day (see `hil.foresight`), by the site's own planner."""
    planner, truth = load_planner(day.site.planner.use), Truth.of(day.scenario, day.site)
    return foresee(truth, planner, day.rates, day.stock_price_eur, day.comforts, _due(day))


def _due(day: Day) -> list[Shiftable]:
    """The runs that are due, each with the power that it really draws."""
    outlook = Outlook(day.rates.horizon, {}, {}, day.rates.import_price, day.site.view)
    found = [flex for item in day.site.resources if item.kind == "deferrable" for flex in item.flexibility(outlook)]
    return [
        replace(run, profile_kw=(_draws(day, run),) * len(run.profile_kw))
        for run in found
        if isinstance(run, Shiftable)
    ]


def _draws(day: Day, run: Shiftable) -> float:
    match day.plant.parts[run.id]:
        case AirHandler(params=params):
            return params.flush_kw
        case Switched(params=params):
            return params.draws_kw
    return run.profile_kw[0]


def _draw(day: Day, ours: Outcome, others: Sequence[Outcome], folder: Path) -> Path | None:
    from .picture import draw

    file = folder / f"{day.scenario.name}.png"
    try:
        draw(day, ours, others, file)
    except ImportError:
        return None
    return file
