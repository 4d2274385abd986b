"""`energyctl hil test`: chooses, runs, shows, writes the report. Returns 0 only when something ran and all of it passed."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from energyctl.core.errors import ConfigError

from . import junit
from .runner import Case, applies, run_all
from .selection import seeded, select
from .show import Show, summary
from .verdict import Status, Verdict

MISTAKE = ConfigError.exit_code


@dataclass(frozen=True)
class Wanted:
    """What the command line says."""

    arguments: Sequence[str] = ()
    tags: Sequence[str] = ()
    jobs: int | None = None
    seed: int | None = None
    repeat: int = 1
    out: Path | None = None
    junit: Path | None = None
    as_json: bool = False


def test(wanted: Wanted) -> int:
    """Run what is wanted; returns the exit code. Raises ConfigError for mistakes in the files and when there is nothing."""
    cases = seeded(_cases(wanted), wanted.seed, wanted.repeat)
    folder = wanted.out or Path(tempfile.mkdtemp(prefix="hil-"))
    console = Console(stderr=wanted.as_json, highlight=False)
    begun, first = datetime.now(UTC), time.monotonic()
    with Show(console, len(cases)) as show:
        keep = wanted.out is not None
        verdicts = asyncio.run(run_all(cases, folder, jobs=wanted.jobs, keep=keep, watcher=show))
    console.print(summary(verdicts, time.monotonic() - first))
    if not any(verdict.out for verdict in verdicts):
        shutil.rmtree(folder, ignore_errors=True)
    if wanted.junit is not None:
        junit.write(wanted.junit, verdicts, begun)
    if wanted.as_json:
        print(json.dumps([verdict.plain() for verdict in verdicts], indent=2, ensure_ascii=False))
    return exit_code(verdicts)


def listed(wanted: Wanted) -> list[tuple[str, str, str, str]]:
    """What would run: scenario, site, what it is about, and why it does not apply ("" when it does)."""
    cases = _cases(wanted)
    return [(case.scenario.name, str(case.site), case.scenario.about, applies(case)) for case in cases]


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 all that applied passed, and something did; 1 something failed; 2 a mistake in a file, or nothing applied."""
    ends = {verdict.status for verdict in verdicts}
    if any(verdict.mistake for verdict in verdicts) or ends <= {Status.NOT_APPLICABLE}:
        return MISTAKE
    return 1 if ends & {Status.FAILED, Status.ERROR} else 0


def _cases(wanted: Wanted) -> list[Case]:
    cases = select(wanted.arguments, wanted.tags)
    if not cases:
        tags = f" with the tag {' or '.join(wanted.tags)}" if wanted.tags else ""
        raise ConfigError(f"there is no such scenario{tags}; 'energyctl hil scenarios' shows all")
    return cases
