"""The table of the matrix's rows says what ran, and claims nothing of what failed."""

from __future__ import annotations

import json

import pytest

from tests import torture_table

ROWS = """
import pytest
from tests.torture import count

def test_row77_in_full():
    assert sum(1 for _ in range(count(77, 2, 60))) == 60

def test_row77_again():
    assert count(77, 1, 40) == 40

def test_row77_control():
    pass

def test_row78_breaks():
    assert count(78, 1, 10) == 0

@pytest.mark.parametrize("case", [1, 2])
def test_row79_has_no_number(case):
    pass

def test_row07_is_row_7():
    assert count(7, 1, 1000) == 5

def test_of_no_row():
    assert count(77, 1, 10**6) == 0
"""


def test_the_table(tmp_path, capsys, monkeypatch):
    (tmp_path / "test_planted.py").write_text(ROWS)
    monkeypatch.setenv("TORTURE_7", "5")
    assert torture_table.main(["77", "78", "79", "7", "--tests", str(tmp_path)]) == 1
    *table, last = capsys.readouterr().out.splitlines()
    found = {row["row"]: row for row in json.loads(last)["rows"]}
    assert [(r["passed"], len(r["failed"]), r["n"], r["result"]) for r in found.values()] == [
        (3, 0, 100, "passed"),
        (0, 1, 0, "failed"),
        (2, 0, 0, "passed"),
        (1, 0, 5, "passed"),
    ]
    assert found[77]["runs"] == {"test_row77_in_full": 60, "test_row77_again": 40}
    assert found[77]["bound"] == pytest.approx(0.0295, abs=1e-4), "3/N, a little less"
    assert found[78]["bound"] is None and found[79]["bound"] is None
    assert [line.split()[0] for line in table if "passed" in line or "failed " in line] == ["77", "78", "79", "7"]
    assert "failed: test_row78_breaks" in "\n".join(table)


def test_a_row_that_is_not_there(tmp_path, capsys):
    (tmp_path / "test_planted.py").write_text(ROWS)
    with pytest.raises(SystemExit):
        torture_table.main(["76", "--tests", str(tmp_path)])
    assert "no test is named test_row76_*; there are rows 7, 77, 78, 79" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("runs", "most"), [(0, None), (1, 0.95), (200, 0.01487), (1000, 0.00299), (100_000, 2.9957e-5)]
)
def test_the_bound(runs, most):
    assert torture_table.bound(runs) == (None if most is None else pytest.approx(most, rel=0.002))
