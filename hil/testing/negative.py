"""`python -m hil.testing.negative [NAME ...]`: does every check and every kind of fault go red when the daemon is wrong?

A row is a scenario that has to do with a standard check or a kind, a planted defect (see `defects`), and the finding that is to
be red for it. Every scenario runs once with a healthy daemon, which must pass, and once per defect, which must fail by that
finding. Prints a table; returns 1 when a defect slips through or a healthy run is red.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from hil.scenario import Scenario, example, load, site_of

from .runner import Case, Watcher, run_all
from .verdict import Status, Verdict
from .when import spell

SCENARIOS = Path(__file__).parent / "control_scenarios"
SITE = "town-hall"
"""Where scenarios for any site are run."""


@dataclass(frozen=True, slots=True)
class Row:
    """What shows that a check or a kind is worth something: in `scenario`, `defect` is found by the finding that begins so."""

    scenario: str
    defect: str
    finding: str


_PLAUSIBLE = "no-plausibility"
_BACK = "gives-up"

BY_CHECK: Mapping[str, Row] = {
    "limits": Row("bounded", "no-limits", "limits"),
    "rates": Row("stepped", "no-rate", "rates"),
    "intervals": Row("steady", "no-interval", "intervals"),
    "wear": Row("steady", "writes-every-cycle", "wear"),
    "refusals": Row("bounded", "in-fahrenheit", "refusals"),
    "priority": Row("bounded", "wrong-priority", "priority"),
    "interlocks": Row("battery-half-gone", "no-interlock", "interlocks"),
    "journal": Row("bounded", "no-journal", "journal"),
    "lease": Row("steady", "lease-not-renewed", "lease"),
    "ending": Row("bounded", "breaks-down", "ending"),
    "energy": Row("steady", "swapped-reading", "energy"),
}
"""By standard check."""

BY_KIND: Mapping[str, Row] = {
    "nan": Row("meter-nan", "bad-is-good", "alarm meter-lost on meter.power raised"),
    "sentinel": Row("battery-shows-sentinel", _PLAUSIBLE, "alarm implausible on storage.soc raised"),
    "stuck": Row("meter-frozen", _PLAUSIBLE, "alarm meter-lost on meter.power raised"),
    "bias": Row("battery-charge-too-high", _PLAUSIBLE, "alarm implausible on storage.soc raised"),
    "drift": Row("battery-charge-drifts", _PLAUSIBLE, "alarm implausible on storage.soc raised"),
    "spike": Row("meter-spikes", _PLAUSIBLE, "alarm meter-lost on meter.power raised"),
    "unit-mistake": Row("meter-in-watts", _PLAUSIBLE, "alarm meter-lost on meter.power raised"),
    "sign-flipped": Row("inverter-wrong-way-round", _PLAUSIBLE, "alarm implausible on inverter.power raised"),
    "word-swap": Row("meter-words-swapped", _PLAUSIBLE, "alarm meter-lost on meter.power stands"),
    "silent": Row("meter-silent", _BACK, "alarm device-lost cleared"),
    "offline": Row("meter-dead-at-peak", _BACK, "alarm meter-lost cleared"),
    "exception": Row("battery-busy", "refusal-is-loss", "alarm device-lost"),
    "refused-point": Row("refused-register", "refusal-is-loss", "alarm device-lost"),
    "reset": Row("inverter-link-resets", "no-reconnect", "alarm device-lost on inverter never stands"),
    "blackhole": Row("meter-cable-pulled", _BACK, "alarm meter-lost cleared"),
    "half-open": Row("battery-link-half-open", "keeps-connection", "alarm device-lost on storage cleared"),
    "refused-connection": Row("charger-refuses-connections", _BACK, "alarm device-lost on charger cleared"),
    "delay": Row("slow-line", "impatient", "alarm meter-lost never raised"),
    "late": Row("all-replies-late", _BACK, "alarm device-lost on storage cleared"),
    "loss": Row("lossy-line", _BACK, "alarm device-lost never stands"),
    "duplicated": Row("doubled-answers", "takes-any-answer", "alarm device-lost on storage never raised"),
    "reordered": Row("mixed-up-line", _BACK, "alarm device-lost never stands"),
    "reboot": Row("heat-pump-loses-its-slots", "forgets-doubt", "heatpump is commanded"),
    "firmware-swap": Row("meter-new-firmware", _PLAUSIBLE, "alarm meter-lost on meter.power raised"),
    "address-swap": Row("tank-in-place-of-heat-pump", "no-identity", "no write to tank"),
    "deaf": Row("deaf-battery", "no-read-back", "alarm not-effective"),
    "clamped": Row("battery-takes-half", "no-read-back", "alarm not-effective"),
    "reverts": Row("charger-goes-back", "forgets-doubt", "alarm overruled"),
    "second-master": Row("rival-master", "fights-rival", "at most 4 writes"),
    "operator-override": Row("operator-override", "ignores-priorities", "alarm overridden"),
    "local-switch": Row("local-switch", "fights-rival", "at most 5 writes"),
    "daemon-killed": Row("daemon-killed", "parent-does-nothing", "storage is on local control"),
    "daemon-stopped": Row("daemon-stopped", "no-hand-back", "storage is on local control"),
    "daemon-hung": Row("daemon-hung", "parent-does-nothing", "storage is on local control"),
    "clock-jump": Row("clock-falls-back", "polls-by-wall-clock", "alarm meter-lost never raised"),
    "price-missing": Row("prices-missing", "guesses-silently", "alarm price-missing"),
    "load": Row("overloaded", "no-limits-tracked", "grid import"),
    "cars": Row("car-gives-way", "no-limits-tracked", "grid import above 35 kW"),
    "clouds": Row("clouds-over-a-large-roof", "no-limits-tracked", "grid export above 10 kW"),
    "heat-wave": Row("hot-afternoon", "always-setback", "discomfort"),
    "cold": Row("cold-morning", "always-setback", "discomfort"),
    "people": Row("full-house", "always-setback", "discomfort"),
    "draw": Row("hot-water-draw", "no-limits-tracked", "grid import above 27 kW"),
    "reading-set": Row("battery-half-gone", "no-interlock", "storage is on local control"),
}
"""By kind of fault or stimulus."""

BY_DEFECT: Mapping[str, Row] = {
    "swapped-setpoint": Row("steady", "swapped-setpoint", "journal"),
    "no-alarms": Row("meter-silent", "no-alarms", "alarm meter-lost"),
    "plan-dropped": Row("stepped", "plan-dropped", "site is guided by plan"),
}
"""Defects that no check and no kind calls for, and that must be found all the same."""

ROWS: Mapping[str, Row] = {**BY_CHECK, **BY_KIND, **BY_DEFECT}
QUICK = ("limits", "priority", "ending", "bias", "deaf", "second-master")
"""What --quick runs when no names are given: a few of every sort, all over within a minute or two."""


@dataclass(frozen=True, slots=True)
class Control:
    """A row that was run: with the defect, and without."""

    name: str
    row: Row
    sick: Verdict
    well: Verdict

    @property
    def red(self) -> tuple[str, ...]:
        """All findings that were red with the defect and not without it."""
        before = {finding.check for finding in self.well.failures}
        return tuple(finding.check for finding in self.sick.failures if finding.check not in before)

    @property
    def found(self) -> bool:
        """Whether the defect was found by what is to find it."""
        return any(check.startswith(self.row.finding) for check in self.red)

    @property
    def problem(self) -> str:
        """What is wrong with it, "" when it is as it should be."""
        if not self.well.passed:
            return f"a healthy daemon fails: {self.well.reason}"
        if self.sick.status is Status.ERROR:
            return f"could not be run: {self.sick.reason}"
        return "" if self.found else f"NOT FOUND by '{self.row.finding}'"


def loaded(name: str) -> Scenario:
    """A scenario that is there for controls alone, or one that ships. Raises ConfigError."""
    own = SCENARIOS / f"{name}.yaml"
    return load(own if own.is_file() else name)


def case(scenario: str, defect: str | None = None) -> Case:
    """A run of a scenario on its own site, or on the example where it is for any."""
    found = loaded(scenario)
    return Case(site_of(found) or example(SITE), found, defect=defect)


async def run(
    names: Sequence[str], out: Path, jobs: int | None = None, watcher: Watcher | None = None
) -> list[Control]:
    """Run the rows of these names; what several of them share runs once."""
    rows = [ROWS[name] for name in names]
    sick = dict.fromkeys((row.scenario, row.defect) for row in rows)
    well = dict.fromkeys((row.scenario, None) for row in rows)
    wanted = [*well, *sick]
    verdicts = dict(
        zip(wanted, await run_all([case(*one) for one in wanted], out, jobs=jobs, watcher=watcher), strict=True)
    )
    return [
        Control(name, row, verdicts[row.scenario, row.defect], verdicts[row.scenario, None])
        for name, row in zip(names, rows, strict=True)
    ]


class Told(Watcher):
    """A line for every run that is over."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._done = console, total, 0

    def judged(self, case: Case, verdict: Verdict) -> None:
        """A run is over."""
        self._done += 1
        who = f"with {case.defect}" if case.defect else "healthy"
        self._console.print(f"[{self._done}/{self._total}] {case.label}, {who}: {verdict.status}", markup=False)


def table(controls: Sequence[Control]) -> Iterator[str]:
    """The rows as lines of text."""
    heads = ("check or kind", "scenario", "defect", "found by")
    cells = [heads, *((one.name, one.row.scenario, one.row.defect, "; ".join(one.red)) for one in controls)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads) - 1)]
    problems = ["", *(one.problem for one in controls)]
    for line, problem in zip(cells, problems, strict=True):
        columns = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        yield " | ".join([*columns, problem or line[-1]])


def main(arguments: Sequence[str]) -> int:
    """Entry of `python -m hil.testing.negative`."""
    parser = argparse.ArgumentParser(prog="python -m hil.testing.negative", description="Run the negative controls.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ROWS)}; all, when none is given")
    parser.add_argument("--jobs", type=int, help="how many runs at once; else as many as there are cores")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    options = parser.parse_args(arguments)
    names = options.names or (QUICK if options.quick else tuple(ROWS))
    if strangers := [name for name in names if name not in ROWS]:
        parser.error(f"no check and no kind of fault is called {', '.join(strangers)}")
    console, begun = Console(stderr=True, highlight=False), time.monotonic()
    rows = [ROWS[name] for name in names]
    total = len({row.scenario for row in rows}) + len({(row.scenario, row.defect) for row in rows})
    with TemporaryDirectory(prefix="hil-") as folder:
        controls = asyncio.run(run(names, Path(folder), options.jobs, Told(console, total)))
    print(*table(controls), sep="\n")
    wrong = sum(bool(one.problem) for one in controls)
    print(f"{len(controls) - wrong} of {len(controls)} found, in {spell(time.monotonic() - begun)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
