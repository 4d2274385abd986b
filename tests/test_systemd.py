"""The unit file, judged by systemd itself where it is installed, and by its text everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "systemd" / "energyctl@.service"
ANALYZE = shutil.which("systemd-analyze")


def runnable_copy(folder: Path) -> Path:
    """The unit with a Python that exists here, since `verify` looks for the executables."""
    copy = folder / "energyctl@.service"
    copy.write_text(UNIT.read_text().replace("/opt/energyctl/bin/python", sys.executable))
    return copy


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed; the text is checked below")
def test_systemd_finds_nothing_wrong(tmp_path):
    copy = runnable_copy(tmp_path)
    instance = tmp_path / "energyctl@town-hall.service"
    copy.rename(instance)
    done = subprocess.run([ANALYZE, "verify", str(instance)], capture_output=True, text=True, check=False)
    # an unknown key only warns and exits 0, so anything said about our unit counts
    assert [line for line in done.stderr.splitlines() if "energyctl" in line] == []
    assert done.returncode == 0


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed; the text is checked below")
def test_exposure_is_at_most_1_2(tmp_path):
    copy = runnable_copy(tmp_path)
    command = [ANALYZE, "security", "--offline=true", "--threshold=12", "--no-pager", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_it_hands_back_and_is_watched():
    text = UNIT.read_text()
    assert "Type=notify" in text and "WatchdogSec=" in text and "DynamicUser=yes" in text
    start = re.search(r"^ExecStart=.* -m energyctl\.daemon (\S+)$", text, re.M)
    stop = re.search(r"^ExecStopPost=.* -m energyctl\.daemon\.handback (\S+)$", text, re.M)
    assert start and stop and start.group(1) == stop.group(1)
    again = re.search(r"^ExecReload=.* -m energyctl\.cli config apply (\S+)$", text, re.M)
    assert again and again.group(1) == start.group(1)
    watchdog = int(re.search(r"^WatchdogSec=(\d+)$", text, re.M).group(1))
    assert watchdog + 40 <= 60, "a hang must be over, hand-back included, within the lease"
