"""What the demo tells: a table, a sentence per day, what is measured and what assumed, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .outcome import Day, Outcome
from .run import RunResult

FACTS = """\
Measured: load of an office-like university building, outdoor temperature, sun and grid carbon, Cambridge (UK) 2018-2019,
          moved to Larissa's clock. Assumed: the equipment and the building, what happens within an hour, and the day-ahead
          prices (synthetic, with the statistics of the Greek market). There is no measured load from Larissa. See {data}
Cost:     the bill of the day, plus what brings battery and car back to where they began, at {price} EUR/kWh.
Limits:   minutes in which the connection carried more than it may; the demo controls once a minute, a live site once a second.
Foresight is computed, not run: it knows everything beforehand and bounds what any strategy can reach."""

NEXT = """\
How to go on
  energyctl hil up {site}
                                     start these devices and leave them running; it names a site file, SITE
  energyctl run SITE                 control them
  energyctl device list --site SITE  look at them
  energyctl config validate FILE     after you copied the site file and put in your own devices and tariff"""


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
            "hours": self.day.scenario.lasts / 3600,
            "stock_price_eur": round(self.day.stock_price_eur, 4),
            "strategies": [outcome.figures() for outcome in self.outcomes],
            "energyctl_to_foresight": round(ours / best, 4) if best > 0 else None,
            "saving_to_rules": round(1 - ours / rules, 4) if rules > 0 else None,
            "speed": [round(run.speed) for run in self.runs],
            "picture": None if self.picture is None else str(self.picture),
        }


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
