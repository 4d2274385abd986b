"""`python -m hil.testing.controls [DEFECT ...]`: negative controls: is every planted defect found by what is to find it?

For each defect its scenario is run twice: a healthy daemon must pass, and one with the defect must fail by the finding that is
named here. Prints a table, and returns 1 when a defect slips through or a healthy daemon fails.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hil.scenario import Scenario, example, load, site_of

from .defects import DEFECTS
from .runner import Case, run_all
from .verdict import Verdict

SCENARIOS = Path(__file__).parent / "control_scenarios"
SITE = "town-hall"
"""Where scenarios for any site are run."""


@dataclass(frozen=True, slots=True)
class Control:
    """A scenario (of this package, or one that ships) in which a defect shows, and how the finding's check begins."""

    scenario: str
    finding: str

    def load(self) -> Scenario:
        """The scenario. Raises ConfigError."""
        own = SCENARIOS / f"{self.scenario}.yaml"
        return load(own if own.is_file() else self.scenario)


CONTROLS: Mapping[str, Control] = {
    "swapped-setpoint": Control("steady", "journal"),
    "swapped-reading": Control("steady", "energy"),
    "no-limits": Control("bounded", "limits"),
    "no-rate": Control("stepped", "rates"),
    "no-interval": Control("steady", "intervals"),
    "no-interlock": Control("battery-shows-sentinel", "storage is on local control"),
    "lease-not-renewed": Control("steady", "lease"),
    "no-hand-back": Control("bounded", "lease"),
    "no-journal": Control("bounded", "journal"),
    "no-read-back": Control("deaf-battery", "alarm not-effective"),
    "no-alarms": Control("meter-silent", "alarm meter-lost"),
    "bad-is-good": Control("meter-silent", "alarm meter-lost"),
    "fights-rival": Control("rival-master", "wear"),
    "writes-every-cycle": Control("steady", "wear"),
    "no-limits-tracked": Control("overloaded", "grid import"),
    "plan-dropped": Control("stepped", "site is guided by plan"),
    "wrong-priority": Control("bounded", "priority"),
}
"""By defect. Those that are missing show in no run of this kind, but in tests of the part that they are in."""


async def controls(defects: Sequence[str], out: Path) -> dict[str, tuple[Verdict, Verdict]]:
    """The verdicts with and without each defect, by its name."""
    cases: list[Case] = []
    for defect in defects:
        scenario = CONTROLS[defect].load()
        site = site_of(scenario) or example(SITE)
        cases += [Case(site, scenario, defect=defect), Case(site, scenario)]
    healthy = {case.scenario.name: case for case in cases if case.defect is None}
    wanted = [*(case for case in cases if case.defect is not None), *healthy.values()]
    verdicts = await run_all(wanted, out)
    passed = dict(zip(healthy, verdicts[len(defects) :], strict=True))
    return {
        defect: (verdict, passed[verdict.scenario])
        for defect, verdict in zip(defects, verdicts[: len(defects)], strict=True)
    }


def found(defect: str, verdict: Verdict) -> str:
    """What the finding that is to find a defect says of a run with it; "" when it did not."""
    return next((f.text for f in verdict.failures if f.check.startswith(CONTROLS[defect].finding)), "")


def main(arguments: Sequence[str]) -> int:
    """Entry of `python -m hil.testing.controls`."""
    parser = argparse.ArgumentParser(prog="python -m hil.testing.controls", description="Run the negative controls.")
    parser.add_argument(
        "defects", nargs="*", metavar="DEFECT", help=f"of {', '.join(CONTROLS)}; all, when none is given"
    )
    names = parser.parse_args(arguments).defects or list(CONTROLS)
    strangers = [name for name in names if name not in CONTROLS]
    if strangers:
        parser.error(f"no negative control for {', '.join(strangers)}")
    with TemporaryDirectory() as folder:
        results = asyncio.run(controls(names, Path(folder)))
    slipped = 0
    for name, (sick, well) in results.items():
        text = found(name, sick)
        ok = bool(text) and well.passed
        slipped += not ok
        told = text or f"NOT FOUND by {CONTROLS[name].finding}: {sick.reason or 'the run passed'}"
        print(f"{'ok' if ok else 'FAILED':7} {name:18} {sick.scenario:22} {told[:150]}")
        if not well.passed:
            print(f"{'':8}a healthy daemon fails: {well.reason[:150]}")
    print(
        f"{len(results) - slipped} of {len(results)} defects found; {len(DEFECTS) - len(CONTROLS)} show in unit tests alone"
    )
    return 1 if slipped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
