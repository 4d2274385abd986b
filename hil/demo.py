"""`energyctl demo`: a winter and a summer day of the Larissa town hall, by rules alone, by energyctl, by perfect foresight.

Rules and energyctl run on the wire: the real daemon against simulated devices, in lockstep, at most two pairs of processes at
a time. Foresight is computed. All are judged by the same bill, and by what they leave in the stores (see `hil.outcome`).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from energyctl.config import load_planner, load_site
from energyctl.core.errors import ConfigError, EnergyctlError
from energyctl.core.flexibility import Shiftable
from energyctl.core.plan import Plan
from energyctl.core.resources import Outlook

from . import scenario as scenarios
from .foresight import foresee
from .outcome import Day, Outcome, of_plan, of_trace, read_trace
from .run import RunResult, run_pair
from .scenario import Scenario

SITE = Path("larissa") / "town-hall.yaml"
DAYS = ("town-hall-winter", "town-hall-summer")
STRATEGIES: tuple[tuple[Literal["rules", "plan"], str], ...] = (("rules", "rules alone"), ("plan", "energyctl"))
FORESIGHT = "perfect foresight"
QUICK_H = 6.0
PAIRS = 2

FACTS = """\
Measured: load of an office-like university building, outdoor temperature, sun and grid carbon, Cambridge (UK) 2018-2019,
          moved to Larissa's clock. Assumed: the equipment and the building, what happens within an hour, and the day-ahead
          prices (synthetic, with the statistics of the Greek market). There is no measured load from Larissa. See {data}
Cost:     the bill of the day, plus what brings battery and car back to where they began, at {price} EUR/kWh.
Foresight is computed, not run: it knows everything beforehand and bounds what any strategy can reach."""

NEXT = """\
How to go on
  energyctl hil up {site}     start these devices and leave them running
  energyctl run SITE                 control them: SITE is the file that `hil up` names
  energyctl device list --site SITE  look at them
  Copy {site}, put in your own devices and tariff, then: energyctl config validate FILE"""

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class DayResult:
    """A day with the outcome of every strategy, the picture, and the runs behind them."""

    day: Day
    outcomes: tuple[Outcome, ...]
    runs: tuple[RunResult, ...]
    picture: Path | None

    def figures(self) -> dict[str, Any]:
        """As plain figures, with energyctl against the two others."""
        rules, ours, best = (outcome.cost_eur for outcome in self.outcomes)
        return {
            "day": self.day.scenario.name,
            "date": self.day.scenario.day.isoformat(),
            "hours": self.day.scenario.hours,
            "stock_price_eur": round(self.day.stock_price_eur, 4),
            "strategies": [outcome.figures() for outcome in self.outcomes],
            "energyctl_to_foresight": round(ours / best, 4) if best > 0 else None,
            "saving_to_rules": round(1 - ours / rules, 4) if rules > 0 else None,
            "speed": [round(run.speed) for run in self.runs],
            "picture": None if self.picture is None else str(self.picture),
        }


@app.command()
def demo(
    quick: Annotated[bool, typer.Option("--quick", help="only the first six hours of the winter day")] = False,
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
    hours = f"the first {QUICK_H:.0f} hours of a winter day" if quick else "a winter and a summer day"
    console.print(f"The Larissa town hall, {hours}, on simulated devices; this takes a minute or two.", soft_wrap=True)
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
    files = {name: name for name in chosen}
    if quick:
        files = {name: str(shortened(name, folder)) for name in chosen}
        chosen = {name: scenarios.load(file) for name, file in files.items()}
    days = {name: Day.of(scenario, site) for name, scenario in chosen.items()}
    with _progress(console) as progress:
        runs = await _on_the_wire(site_file, files, chosen, folder, progress)
        results = []
        for name, day in days.items():
            task = progress.add_task(f"{day.scenario.name}, {FORESIGHT}", total=1.0)
            pairs = tuple(runs[name, strategy] for strategy, _ in STRATEGIES)
            results.append(await asyncio.to_thread(_judge, day, pairs, folder))
            progress.update(task, completed=1.0)
    return results


def shortened(name: str, folder: Path) -> Path:
    """A scenario file like the shipped one, but only its first hours."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{QUICK_H:.0f}h.yaml"
    text = (scenarios.SCENARIOS / f"{name}.yaml").read_text("utf-8")
    file.write_text(f"{text}hours: {QUICK_H}\n", "utf-8")
    return file


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:28}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)


async def _on_the_wire(
    site: Path, files: dict[str, str], chosen: dict[str, Scenario], folder: Path, progress: Progress
) -> dict[tuple[str, str], RunResult]:
    """Every day by every strategy that runs on the wire, `PAIRS` at a time; the first failure ends them all."""
    places, tasks = asyncio.Semaphore(PAIRS), {}

    async def one(name: str, strategy: Literal["rules", "plan"], words: str) -> RunResult:
        bar = progress.add_task(f"{chosen[name].name}, {words}", total=1.0)
        async with places:
            return await run_pair(site, files[name], strategy, folder / name / strategy, _moved(progress, bar))

    try:
        async with asyncio.TaskGroup() as group:
            for name in files:
                for strategy, words in STRATEGIES:
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
    planner = load_planner(day.site.planner.use)
    return foresee(day.scenario, day.site, planner, day.rates, day.stock_price_eur, day.comforts, _airing(day))


def _airing(day: Day) -> Shiftable | None:
    """The airing that is due, with the power that it really draws."""
    outlook = Outlook(day.rates.horizon, {}, {}, day.rates.import_price, day.site.view)
    found = [flex for item in day.site.resources if item.kind == "deferrable" for flex in item.flexibility(outlook)]
    runs = [flex for flex in found if isinstance(flex, Shiftable)]
    if not runs:
        return None
    draws = day.scenario.plant.ahu.flush_kw
    return replace(runs[0], id="airing", profile_kw=(draws,) * len(runs[0].profile_kw))


def _draw(day: Day, ours: Outcome, others: Sequence[Outcome], folder: Path) -> Path | None:
    from .picture import draw

    file = folder / f"{day.scenario.name}.png"
    try:
        draw(day, ours, others, file)
    except ImportError:
        return None
    return file


def tell(console: Console, results: Sequence[DayResult], folder: Path) -> None:
    """The table, where the pictures are, what is measured and what assumed, and how to go on."""
    console.print(_table(results))
    for result in results:
        console.print(verdict(result), soft_wrap=True)
    console.print()
    for result in results:
        if result.picture is not None:
            console.print(f"Picture of the {result.day.scenario.name} day: {result.picture}", soft_wrap=True)
    if any(result.picture is None for result in results):
        console.print(
            "No pictures: matplotlib is not installed; get it with: pip install 'energyctl[plot]'", markup=False
        )
    console.print(f"Traces and logs: {folder}\n", soft_wrap=True)
    site = results[0].day.site.path
    prices = " and ".join(f"{result.day.stock_price_eur:.3f}" for result in results)
    console.print(FACTS.format(data=_short(site.parent / "DATA.md"), price=prices), soft_wrap=True)
    console.print()
    console.print(NEXT.format(site=_short(site)), soft_wrap=True)


def verdict(result: DayResult) -> str:
    """A day in one sentence: energyctl against the rules and against the bound."""
    rules, ours, best = result.outcomes
    saving = 1 - ours.cost_eur / rules.cost_eur if rules.cost_eur > 0 else 0.0
    words = f"{abs(saving):.1%} {'less' if saving >= 0 else 'more'} than the rules"
    comfort = f"{sum(ours.discomfort_kh):.1f} instead of {sum(rules.discomfort_kh):.1f} K·h of discomfort"
    bound = f", {ours.cost_eur / best.cost_eur:.3f} times perfect foresight" if best.cost_eur > 0 else ""
    speed = min(run.speed for run in result.runs)
    return f"{result.day.scenario.name}: energyctl costs {words} with {comfort}{bound}; run {speed:.0f} times faster than life"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _table(results: Sequence[DayResult]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("day", "strategy"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cost\nEUR", "CO2\nkg", "peak\nkW", "sun used\non site", "discomfort\nK·h", "over the\nlimit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        for place, outcome in enumerate(result.outcomes):
            share = outcome.self_consumption
            table.add_row(
                "" if place else result.day.scenario.name,
                outcome.strategy,
                f"{outcome.cost_eur:.2f}",
                f"{outcome.bill.co2_kg:.1f}",
                f"{outcome.bill.peak_kw:.1f}",
                "-" if share is None else f"{share:.1%}",
                f"{sum(outcome.discomfort_kh):.2f}",
                f"{outcome.over_limit_min:.0f} min",
            )
    return table
