"""Where output goes that cannot take it: closed, full, gone, or without the letters we need. Never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = f"{sys.executable} -c 'from energyctl.cli.main import main; main()'"
SITE = Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("{program} config show {site} >&-", 0, ""),
        ("{program} config show {site} <&- >&- 2>&-", 0, ""),
        ("{program} config show {site} --json >/dev/full", 1, "energyctl: the output cannot be written"),
        ("{program} config schema | head -c 1; exit ${{PIPESTATUS[0]}}", None, "{"),
        ("PYTHONIOENCODING=ascii {program} config validate {bad}", 2, "'25 ?C'"),
    ],
    ids=["closed", "all closed", "full", "head", "ascii"],
)
def test_output_that_cannot_be_written(tmp_path, line, code, said):
    bad = tmp_path / "bad.yaml"
    bad.write_text(SITE.read_text(encoding="utf-8").replace("heat: 20 °C, cool: 26 °C", "heat: 27 °C, cool: 25 °C"), encoding="utf-8")  # fmt: skip
    command = ["bash", "-c", line.format(program=PROGRAM, site=SITE, bad=bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUTF8": "0"})
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, done.stderr
    if code == 2:
        assert "25 ?C" in done.stderr or "27 ?C" in done.stderr
    else:
        assert said in done.stdout + done.stderr


@pytest.mark.parametrize("group", ["config", "device", "point", "plan", "hil"])
def test_the_help_of_a_group_shows_an_example(cli, group):
    result = cli(group, "--help")
    assert result.code == 0 and f"energyctl {group} " in result.out.split("Example:")[1]
