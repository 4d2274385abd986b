"""Verdicts, how they are told, and the JUnit report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hil.testing import junit
from hil.testing.command import exit_code
from hil.testing.finding import Finding
from hil.testing.show import summary
from hil.testing.verdict import Status, Verdict

AT = datetime(2026, 1, 14, 5, 30, tzinfo=UTC)
SITE, OTHER = Path("town-hall.yaml"), Path("pool.yaml")
GOOD = Finding("grid-limit", True, "import at most 41.2 kW, the limit is 60 kW")
BAD = Finding("grid import never above 60 kW", False, "not so for 40 s from 07:30:00 on: <61.3 kW> & \x00more", AT)
EXCUSED = Finding("bad-values", False, "two of them", AT, waived="the scenario makes them")


def verdict(name: str, status: Status, site: Path = SITE, **more) -> Verdict:
    return Verdict(name, site, 7, status, label=name, **more)


PASSED = verdict("calm", Status.PASSED, findings=(GOOD, EXCUSED), wall_s=3.25, simulated_s=1200.0)
FAILED = verdict("meter-dead", Status.FAILED, findings=(GOOD, BAD), out=Path("/tmp/hil-x/meter-dead"), wall_s=1.5)
ERROR = verdict("broken", Status.ERROR, problem="the daemon failed: no\nmore", out=Path("/tmp/hil-x/broken"))
LACKS = verdict("boiler-cold", Status.NOT_APPLICABLE, OTHER, problem="the site has no boiler")
MISTAKE = verdict("wrong", Status.ERROR, problem="x.yaml:1: no", mistake=True)


def test_a_failure_is_told_in_words_with_where_its_evidence_lies():
    assert FAILED.tell().splitlines() == [
        "meter-dead: failed",
        "  grid import never above 60 kW",
        f"    {BAD.text}",
        "  seed 7, town-hall.yaml",
        "  evidence: /tmp/hil-x/meter-dead",
    ]
    assert FAILED.reason == BAD.text
    assert PASSED.reason == ""


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([PASSED], 0),
        ([PASSED, LACKS], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, ERROR], 1),
        ([LACKS], 2),
        ([], 2),
        ([PASSED, FAILED, MISTAKE], 2),
    ],
)
def test_the_exit_code_says_that_something_ran_and_all_of_it_passed(verdicts, code):
    assert exit_code(verdicts) == code


def test_the_summary_counts():
    found = summary([PASSED, FAILED, ERROR, LACKS, LACKS], 12.34)
    assert found == "1 passed, 1 failed, 1 error, 2 not applicable in 12.3 s"
    assert summary([], 0.0) == "nothing ran in 0.0 s"


def test_junit_is_what_readers_expect(tmp_path):
    file = junit.write(tmp_path / "deep" / "report.xml", [PASSED, FAILED, ERROR, LACKS], AT)
    root = ElementTree.parse(file).getroot()
    totals = {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "4.750"}
    assert (root.tag, {key: root.get(key) for key in totals}) == ("testsuites", totals)
    pool, hall = root.findall("testsuite")
    assert (pool.get("name"), pool.get("tests"), pool.get("skipped")) == ("pool", "1", "1")
    assert (hall.get("tests"), hall.get("failures"), hall.get("errors"), hall.get("skipped")) == ("3", "1", "1", "0")
    assert hall.get("timestamp") == "2026-01-14T05:30:00"
    calm, dead, broken = hall.findall("testcase")
    assert (calm.get("classname"), calm.get("name"), calm.get("time")) == ("hil.town-hall", "calm", "3.250")
    assert [child.tag for child in calm] == ["system-out"]
    assert calm.findtext("system-out") == "\n".join(PASSED.lines())
    assert [child.tag for child in dead] == ["failure", "system-out"]
    failure = dead.find("failure")
    assert failure is not None
    assert failure.get("message") == BAD.text.replace("\x00", "?")
    assert "evidence: /tmp/hil-x/meter-dead" in (failure.text or "")
    assert [(child.tag, child.get("message")) for child in broken] == [("error", "the daemon failed: no")]
    assert [(child.tag, child.get("message")) for child in pool.find("testcase") or ()] == [
        ("skipped", "the site has no boiler")
    ]


def test_a_verdict_as_json_has_everything():
    assert FAILED.plain()["findings"][1] == {
        "check": BAD.check,
        "ok": False,
        "text": BAD.text,
        "at": "2026-01-14T05:30:00+00:00",
        "waived": "",
    }
