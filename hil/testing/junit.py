"""Verdicts as JUnit XML, which every CI system reads.

A suite per site, a case per scenario and seed; what does not apply is skipped, what could not be judged is an error. The
findings are in `system-out`, and the message of a failure is its first finding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as Xml

from .verdict import Status, Verdict

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KIND = {Status.FAILED: "failure", Status.ERROR: "error", Status.NOT_APPLICABLE: "skipped"}


def write(path: Path, verdicts: Sequence[Verdict], begun: datetime) -> Path:
    """Write the file; returns `path`. `begun` is when the first scenario did, aware."""
    root = Xml.Element("testsuites", _counts(verdicts) | {"name": "energyctl hil"})
    by_site = sorted(verdicts, key=lambda verdict: str(verdict.site))
    for site, group in groupby(by_site, key=lambda verdict: verdict.site):
        ones = list(group)
        suite = Xml.SubElement(root, "testsuite", _counts(ones) | {"name": site.stem, "timestamp": _stamp(begun)})
        for verdict in ones:
            _case(suite, verdict)
    Xml.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _case(suite: Xml.Element, verdict: Verdict) -> None:
    attributes = {
        "classname": f"hil.{verdict.site.stem}",
        "name": _text(verdict.label),
        "time": f"{verdict.wall_s:.3f}",
    }
    case = Xml.SubElement(suite, "testcase", attributes)
    if verdict.status in _KIND:
        told = Xml.SubElement(case, _KIND[verdict.status], {"message": _text(verdict.reason)})
        if verdict.status is not Status.NOT_APPLICABLE:
            told.set("type", verdict.status.value)
            told.text = _text(verdict.tell())
    if verdict.findings:
        Xml.SubElement(case, "system-out").text = _text("\n".join(verdict.lines()))


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    def count(status: Status) -> str:
        return str(sum(verdict.status is status for verdict in verdicts))

    return {
        "tests": str(len(verdicts)),
        "failures": count(Status.FAILED),
        "errors": count(Status.ERROR),
        "skipped": count(Status.NOT_APPLICABLE),
        "time": f"{sum(verdict.wall_s for verdict in verdicts):.3f}",
    }


def _stamp(begun: datetime) -> str:
    return begun.replace(microsecond=0, tzinfo=None).isoformat()


def _text(text: str) -> str:
    """Without the characters that no XML may hold."""
    return _ILLEGAL.sub("?", text)
