"""What became of a scenario on a site, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .finding import Finding


class Status(StrEnum):
    """How a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    """It ran, and something that must hold did not."""
    ERROR = "error"
    """It could not be run or judged."""
    NOT_APPLICABLE = "not-applicable"
    """The site lacks what it is about; nothing ran."""


@dataclass(frozen=True)
class Verdict:
    """One run of a scenario, judged. Times are from the first step to the last [s]."""

    scenario: str
    site: Path
    seed: int
    status: Status
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    """Why it could not be run or judged, or does not apply."""
    mistake: bool = False
    """The error is a mistake in a file, and not in what was tested."""
    out: Path | None = None
    """Where its evidence lies; None when that was not kept."""
    wall_s: float = 0.0
    simulated_s: float = 0.0
    label: str = ""
    """The scenario's name, with the seed where there are several."""

    @property
    def passed(self) -> bool:
        """Whether it ran and all that must hold did."""
        return self.status is Status.PASSED

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings for which it failed."""
        return tuple(finding for finding in self.findings if finding.counts)

    @property
    def reason(self) -> str:
        """In one line why it did not pass; "" when it did."""
        return self.problem.partition("\n")[0] or next((finding.text for finding in self.failures), "")

    def lines(self) -> list[str]:
        """Every finding as a line: ok, FAILED or waived, what was checked, what was seen."""
        return [f"{_mark(finding)}  {finding.check}: {finding.text}" for finding in self.findings]

    def tell(self) -> str:
        """What there is to say about one that did not pass, in words, and where its evidence lies."""
        return "\n".join((f"{self.label}: {self.status}", *self._told()))

    def _told(self) -> Iterator[str]:
        yield from (f"  {line}" for line in self.problem.splitlines())
        for finding in self.failures:
            yield f"  {finding.check}"
            yield f"    {finding.text}"
        yield f"  seed {self.seed}, {self.site}"
        if self.out is not None:
            yield f"  evidence: {self.out}"

    def plain(self) -> dict[str, Any]:
        """As what JSON can hold."""
        return {
            "scenario": self.scenario,
            "site": str(self.site),
            "seed": self.seed,
            "status": self.status.value,
            "problem": self.problem,
            "findings": [finding.plain() for finding in self.findings],
            "evidence": None if self.out is None else str(self.out),
            "wall_s": round(self.wall_s, 3),
            "simulated_s": round(self.simulated_s, 3),
        }

    def __str__(self) -> str:
        return self.tell()


def _mark(finding: Finding) -> str:
    return "ok    " if finding.ok else f"waived ({finding.waived})" if finding.waived else "FAILED"
