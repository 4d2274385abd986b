"""The demo command on its real path: processes, sockets, table, picture; and that Ctrl-C leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from hil.demo import app; app()"]


def children(pid: int) -> list[int]:
    """Process ids below `pid`, all the way down."""
    below = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                below += [int(entry.name), *children(int(entry.name))]
    return below


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_quick_demo_tells_what_each_strategy_came_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--quick", "--json", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (day,) = json.loads(done.stdout)["days"]
    assert (day["day"], day["hours"]) == ("winter", 24.0)
    rules, ours, best = day["strategies"]
    assert [rules["strategy"], ours["strategy"], best["strategy"]] == ["rules alone", "energyctl", "perfect foresight"]
    assert best["cost_eur"] <= ours["cost_eur"] <= rules["cost_eur"]
    assert ours["discomfort_kh"] <= rules["discomfort_kh"]
    assert Path(day["picture"]).is_file()
    for strategy in ("rules", "plan"):
        assert len(json.loads((tmp_path / "town-hall-winter" / strategy / "trace.json").read_text())) == 1440


@pytest.mark.parametrize("group", [False, True], ids=["to the demo alone", "to the terminal's whole group"])
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, group: bool) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--quick", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(children(demo.pid)) < 4 and time.monotonic() < until and demo.poll() is None:
        time.sleep(0.1)
    started = children(demo.pid)
    assert len(started) >= 4
    (os.killpg if group else os.kill)(demo.pid, signal.SIGINT)
    assert demo.wait(120) != 0
    assert [pid for pid in started if alive(pid)] == []
