"""How fast things start and how much memory the daemon takes: `python benchmarks/startup.py [--quick]`.

The daemon is started on the running simulated town hall, on all three protocols and on Modbus alone, with a new store.
Times count from the start of its process: to the first good sample that is on disk, and to the first of every protocol.
Memory is what is resident (VmRSS) ten seconds later, of the daemon's process; its planner's child is shown apart. Commands
are timed as a whole, medians of 7. Best run on a machine that does nothing else; --quick runs everything fewer times.
Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.lockstep import LARISSA, ROOT, children, modbus_only

ENERGYCTL = [sys.executable, "-c", "from energyctl.cli.main import main; main()"]
SETTLED_S = 10.0
GIVE_UP_S = 60.0
BY_PROTOCOL = {"Modbus": "meter", "BACnet": "heatpump", "OPC UA": "charger"}
AIMS = {
    "three protocols: first good sample [s]": 4.0,
    "three protocols: resident [MB]": 160.0,
    "Modbus alone: first good sample [s]": 2.0,
    "Modbus alone: resident [MB]": 100.0,
    "energyctl --help [s]": 0.4,
}


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child that is stopped as by Ctrl-C."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, text=True, cwd=ROOT, env=environment, **options) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)


def first_good(store: Path, since: float) -> dict[str, float]:
    """Seconds from `since` to the first good sample on disk per protocol; waits for those that the site has."""
    found: dict[str, float] = {}
    wanted = {name: f"{device}.%" for name, device in BY_PROTOCOL.items()}
    known: set[str] = set()
    while not found or len(found) < len(known):
        if time.monotonic() - since > GIVE_UP_S:
            sys.exit(f"no good sample of every protocol within {GIVE_UP_S:g} s")
        time.sleep(0.01)
        try:
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
                rows = connection.execute("SELECT p.name, l.quality FROM latest l JOIN point p ON p.id = l.point_id")
                latest = rows.fetchall()
        except sqlite3.OperationalError:
            continue
        for name, pattern in wanted.items():
            mine = [quality for point, quality in latest if point.startswith(pattern.rstrip("%"))]
            known |= {name} if mine else set()
            if name not in found and 0 in mine:
                found[name] = time.monotonic() - since
    return found


def resident_mb(pid: int) -> float:
    """VmRSS of a process [MB]."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def start(site: Path, folder: Path, settle_s: float) -> dict[str, float]:
    """Start a daemon; seconds to good samples, and its memory when it has settled (0 when there is no time for that)."""
    folder.mkdir()
    with (folder / "daemon.log").open("w") as log:
        begun = time.monotonic()
        daemon = [sys.executable, "-m", "energyctl.daemon", str(site), "--state", str(folder / "state")]
        with process(daemon, stderr=log) as child:
            found = first_good(folder / "state" / "energyctl.sqlite", begun)
            figures = {"first_s": min(found.values()), "every_s": max(found.values())}
            figures |= {f"{name}_s": seconds for name, seconds in found.items()}
            if settle_s:
                time.sleep(settle_s)
                figures["resident_mb"] = resident_mb(child.pid)
                figures["planner_mb"] = sum(
                    resident_mb(pid) for pid in children(child.pid) if b"spawn_main" in cmdline(pid)
                )
    return figures


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def daemon_figures(site: Path, folder: Path, times: int) -> dict[str, float]:
    """Medians over several starts against one simulated site; memory from the first."""
    folder.mkdir()
    simulator = [sys.executable, "-m", "hil.process", str(site), "--out", str(folder / "site")]
    with process(simulator, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        derived = Path(json.loads(running.stdout.readline())["site"])
        starts = [start(derived, folder / str(number), SETTLED_S if number == 0 else 0.0) for number in range(times)]
    medians = {name: statistics.median(one[name] for one in starts) for name in starts[-1]}
    return {name: round(value, 2) for name, value in (starts[0] | medians).items()}


def wall_s(command: list[str], times: int) -> float:
    """Median wall time of a command."""
    taken = []
    for _ in range(times):
        begun = time.monotonic()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.monotonic() - begun)
    return round(statistics.median(taken), 3)


def table(three: Mapping[str, float], modbus: Mapping[str, float], times: int) -> dict[str, float]:
    rows = {}
    for name, figures in (("three protocols", three), ("Modbus alone", modbus)):
        rows[f"{name}: first good sample [s]"] = figures["first_s"]
        rows[f"{name}: a good sample of every protocol [s]"] = figures["every_s"]
        rows[f"{name}: resident [MB]"] = figures["resident_mb"]
        rows[f"{name}: planner's child, resident [MB]"] = figures["planner_mb"]
    rows["energyctl --help [s]"] = wall_s([*ENERGYCTL, "--help"], times)
    site = str(LARISSA / "town-hall.yaml")
    rows["energyctl config validate [s]"] = wall_s([*ENERGYCTL, "config", "validate", site], times)
    return rows


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="energyctl-bench-") as name:
        folder = Path(name)
        wall_s([*ENERGYCTL, "config", "validate", str(LARISSA / "town-hall.yaml")], 1)  # so that bytecode is there
        three = daemon_figures(LARISSA / "town-hall.yaml", folder / "three", 1 if quick else 3)
        modbus = daemon_figures(modbus_only(folder), folder / "modbus", 1 if quick else 3)
        rows = table(three, modbus, 3 if quick else 7)
    busy = os.getloadavg()[0]
    print(f"load average {busy:.1f}")
    for name, value in rows.items():
        aim = AIMS.get(name)
        said = "" if aim is None else f"   aim {aim:g}, {'met' if value <= aim else 'MISSED'}"
        print(f"{name:50s} {value:8.2f}{said}")
    print(json.dumps({"load_average": round(busy, 2), "figures": rows, "aims": AIMS, "three": three, "modbus": modbus}))


if __name__ == "__main__":
    main()
