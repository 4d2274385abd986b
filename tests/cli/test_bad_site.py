"""`energyctl run` with what a person got wrong: exit code 2, the one mistake in one line, and nothing started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"
PROGRAM = [sys.executable, "-c", "from energyctl.cli.main import main; main()"]
SITE = (LARISSA / "town-hall.yaml").read_text(encoding="utf-8")
PRICES = (LARISSA / "prices" / "greek_profile.csv").read_text(encoding="utf-8")


def gap(text: str) -> str:
    """A price file without one hour in the middle."""
    lines = text.splitlines()
    return "\n".join(lines[:50] + lines[54:]) + "\n"


def price(text: str, line: int, value: str) -> str:
    """A price file with another value in a line."""
    lines = text.splitlines()
    lines[line - 1] = f"{lines[line - 1].split(',')[0]},{value}"
    return "\n".join(lines) + "\n"


CASES = {
    "a typo": (("import_limit:", "import_limt:"), PRICES, r"site.yaml:31: .*did you mean 'import_limit'\?"),
    "a duplicate key": (("  mode: control", "  mode: control\n  mode: monitor"), PRICES, r"'mode' is here twice; first on line 13"),
    "a tab": (("  period:", "\tperiod:"), PRICES, r"site.yaml:14: a tab; indent with spaces"),
    "a price file with a gap": (("", ""), gap(PRICES), r"prices.csv:51: a gap: .* is missing"),
    "a price that is none": (("", ""), price(PRICES, 60, "NaN"), r"prices.csv:60: 'NaN': "),
    "a comma for a point": (("0.075 EUR", "0,075 EUR"), PRICES, r"a point, not a comma.*write '0.075 EUR/kWh'"),
    "plans every 7 min": (("every: 15 min", "every: 7 min"), PRICES, r"'7 min': plans are made every 1, 2, 3"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("supervise", ["--supervise", "--no-supervise"])
def test_run_says_what_is_wrong_and_starts_nothing(tmp_path, what, supervise):
    (wrong, instead), prices, words = CASES[what][0], CASES[what][1], CASES[what][2]
    (tmp_path / "prices.csv").write_text(prices, encoding="utf-8")
    text = SITE.replace(wrong, instead, 1) if wrong else SITE
    text = text.replace("prices/greek_profile.csv", "prices.csv").replace("measured/", f"{LARISSA}/measured/")
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    command = [*PROGRAM, "run", str(tmp_path / "site.yaml"), "--state", str(tmp_path / "state"), supervise]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and re.search(words, done.stderr), done.stderr
    assert not (tmp_path / "state").exists()
