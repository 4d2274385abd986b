"""How `energyctl hil test` goes, for a person: bars while scenarios run, a line as each is judged, a summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .runner import Case, Watcher
from .verdict import Status, Verdict
from .when import spell

_COLOUR = {Status.PASSED: "green", Status.FAILED: "red", Status.ERROR: "red", Status.NOT_APPLICABLE: "dim"}


class Show(Watcher):
    """`with` it: bars on a terminal, and lines wherever they go."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._done = console, total, 0
        self._bars: dict[int, TaskID] = {}
        columns = (TextColumn("{task.description:40}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def moved(self, case: Case, share: float) -> None:
        """A case has come so far."""
        if id(case) not in self._bars:
            self._bars[id(case)] = self._progress.add_task(escape(f"{case.label} on {case.site.stem}"), total=1.0)
        self._progress.update(self._bars[id(case)], completed=share)

    def judged(self, case: Case, verdict: Verdict) -> None:
        """A case is over."""
        self._done += 1
        if id(case) in self._bars:
            self._progress.remove_task(self._bars.pop(id(case)))
        self._console.print(self._line(case, verdict), soft_wrap=True)
        if verdict.status in (Status.FAILED, Status.ERROR):
            self._console.print(escape(verdict.tell()), soft_wrap=True)

    def _line(self, case: Case, verdict: Verdict) -> str:
        count = f"[{self._done:{len(str(self._total))}}/{self._total}]"
        word = f"[{_COLOUR[verdict.status]}]{verdict.status:14}[/]"
        return f"{escape(count)} {word} {escape(f'{case.label} on {case.site.stem}: {_remark(verdict)}')}"


def _remark(verdict: Verdict) -> str:
    if verdict.status is Status.PASSED:
        lived = f"{spell(verdict.simulated_s)} in {verdict.wall_s:.1f} s, seed {verdict.seed}"
        waived = sum(bool(finding.waived) for finding in verdict.findings)
        return f"{len(verdict.findings)} checks, {lived}" + (f", {waived} waived" if waived else "")
    return verdict.reason


def summary(verdicts: Sequence[Verdict], wall_s: float) -> str:
    """One line: how many ended how, and how long all took."""
    counts = Counter(verdict.status for verdict in verdicts)
    parts = [f"{counts[status]} {status.replace('-', ' ')}" for status in Status if counts[status]]
    return f"{', '.join(parts) or 'nothing ran'} in {wall_s:.1f} s"
