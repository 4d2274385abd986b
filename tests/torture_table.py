"""`python -m tests.torture_table [ROW ...]`: the tests of the matrix's rows at their full counts, as a table.

A row's tests are those named test_row<NN>_*. Its N is the sum of what `torture.count` gave to the tests that passed; a row
without repetitions has none. The bound is what 0 failures in N runs leave possible: the share p at which N good runs in
a row have a chance of 5 %, 1 - 0.05**(1/N), about 3/N. Of a row that failed, nothing is claimed. Where several
tests of a row repeat, each is a line of its own below it. The last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"^\s*(?:async )?def test_row(\d+)_", re.MULTILINE)
_CHANCE = 0.05


@dataclass(frozen=True)
class Row:
    """How a row of the matrix came out: tests by outcome, repetitions by test, and how long it took [s]."""

    row: int
    passed: int
    failed: tuple[str, ...]
    skipped: int
    runs: Mapping[str, int]
    seconds: float

    @property
    def number(self) -> int:
        """All repetitions."""
        return sum(self.runs.values())

    @property
    def result(self) -> str:
        """passed, failed or "not run"."""
        return "failed" if self.failed else "passed" if self.passed else "not run"


def bound(runs: int) -> float | None:
    """The 95 % upper bound of the share of failures after none in `runs`; None for no runs."""
    return 1 - _CHANCE ** (1 / runs) if runs else None


def rows_in(folder: Path) -> dict[int, list[Path]]:
    """The test files of every row."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for row in {int(number) for number in _NAMED.findall(path.read_text())}:
            found.setdefault(row, []).append(path)
    return dict(sorted(found.items()))


def run(row: int, files: Sequence[Path]) -> Row:
    """The tests of one row, in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        report, log = Path(folder, "report.xml"), Path(folder, "runs")
        names = f"test_row{row:02}_ or test_row{row}_"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(ROOT),
            "-c",
            "pyproject.toml",
        ]
        begun = time.monotonic()
        done = subprocess.run(  # noqa: PLW1510 - the report says what failed
            [*command, "--show-capture=no", "--junitxml", str(report), "-k", names, *map(str, files)],
            cwd=ROOT,
            env={**os.environ, "TORTURE": "1", "TORTURE_LOG": str(log)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - begun
        if done.returncode:
            print(done.stdout[-6000:], done.stderr[-2000:], file=sys.stderr)
        told = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return _row(row, _outcomes(report), told, seconds)


def _outcomes(report: Path) -> dict[str, str]:
    """passed, failed or skipped by test; a file that cannot be read is a test that failed."""
    if not report.exists():
        return {"pytest": "failed"}
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        tags = {child.tag for child in case}
        bad = tags.intersection(("failure", "error"))
        outcomes[case.get("name", "")] = "failed" if bad else "skipped" if "skipped" in tags else "passed"
    return outcomes


def _row(row: int, outcomes: Mapping[str, str], told: Sequence[Mapping[str, object]], seconds: float) -> Row:
    runs: dict[str, int] = {}
    for one in told:
        test = str(one["test"])
        if one["row"] == row and outcomes.get(test) == "passed":
            runs[test] = runs.get(test, 0) + int(str(one["runs"]))
    by = [*outcomes.values()]
    failed = tuple(name for name, outcome in outcomes.items() if outcome == "failed")
    return Row(row, by.count("passed"), failed, by.count("skipped"), runs, seconds)


def lines(row: Row) -> list[str]:
    """A row as lines of the table."""
    tests = row.passed + len(row.failed)
    most = None if row.failed else bound(row.number)
    found = [_line(f"{row.row:3}", tests, row.number or None, row.result, most, f"{row.seconds:.0f} s")]
    if len(row.runs) > 1:
        found += [f"{'':32}{n:>9,}  {'':8} {_share(bound(n)):>9}  {test}" for test, n in row.runs.items()]
    return [*found, *(f"     failed: {name}" for name in row.failed)]


def _line(row: str, tests: object, number: int | None, result: str, most: float | None, took: str) -> str:
    return f"{row}  {tests:>5} tests {'':16}{'-' if number is None else f'{number:,}':>9}  {result:8} {_share(most):>9}  {took}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2g} %"


def as_json(rows: Sequence[Row]) -> str:
    """The whole table."""
    more = [{"result": r.result, "n": r.number, "bound": None if r.failed else bound(r.number)} for r in rows]
    return json.dumps({"rows": [{**asdict(row), **one} for row, one in zip(rows, more, strict=True)]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a row failed or did not run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture_table", description="The rows of the matrix in full."
    )
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="all when none is given")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests", help="where the tests are")
    given = parser.parse_args(arguments)
    known = rows_in(given.tests)
    missing = [row for row in given.rows if row not in known]
    if missing:
        parser.error(f"no test is named test_row{missing[0]:02}_*; there are rows {', '.join(map(str, known))}")
    print(f"row  tests {'':26}N  result   fails in at most (95 %)", flush=True)
    done = []
    for row in given.rows or known:
        done.append(run(row, known[row]))
        print("\n".join(lines(done[-1])), flush=True)
    print(as_json(done))
    return 0 if all(row.result == "passed" for row in done) else 1


if __name__ == "__main__":
    sys.exit(main())
