"""How fast a simulated day runs: `python benchmarks/lockstep.py [--quick]`.

Runs the winter day of the Larissa town hall with one control cycle a minute, the real daemon against simulated devices on
real sockets, in processes of their own; with --quick only its first three hours. Per case: multiples of real time from the
first cycle to the last and with starting and stopping, and the CPU time each process took per cycle. Daemon and simulator
wait for each other, so on a machine that does nothing else the wall time is about the sum of the CPU times; the last column
says what that comes to, because it hardly depends on what else runs. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
LARISSA = ROOT / "sites" / "larissa"
SCENARIO = ROOT / "hil" / "scenarios" / "town-hall-winter.yaml"
QUICK_H = 3.0
AIM, NEVER_UNDER = 1500, 1000
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Speed:
    """One case; CPU in ms per cycle."""

    case: str
    cycles: int
    times_real: float
    times_real_with_start: float
    start_s: float
    daemon_ms: float
    simulator_ms: float
    planner_ms: float
    times_real_by_cpu: float


@dataclass(frozen=True)
class Reading:
    """Wall time, simulated time and CPU seconds by process at an instant."""

    wall_s: float
    now: datetime
    daemon_s: float
    simulator_s: float
    planner_s: float


def modbus_only(folder: Path) -> Path:
    """The town hall without its BACnet and OPC UA devices."""
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    gone = {"heatpump", "airhandler", "charger"}
    for link in ("bms", "building-server"):
        del data["connections"][link]
    for device in gone:
        del data["devices"][device]
    for resource in ("heating", "office", "hall", "car", "fresh-air"):
        del data["resources"][resource]
    data["safety"] = {"lease": "60 s"}
    data["resources"]["base"]["prior"] = str(LARISSA / data["resources"]["base"]["prior"])
    data["tariff"] |= {key: str(LARISSA / data["tariff"][key]) for key in ("file", "carbon")}
    path = folder / "modbus.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


def scenario(folder: Path, hours: float, site: Path) -> Path:
    """The winter day, as long as wanted, with the parts that a site has."""
    yaml = YAML()
    data, known = yaml.load(SCENARIO.read_text()), yaml.load(site.read_text())["resources"]
    data |= {"lasts": f"{hours:g} h", "site": str(site)}
    data["outside"]["measured"] = str(LARISSA / data["outside"]["measured"])
    data["plant"] = {part: values for part, values in data["plant"].items() if part in known}
    path = folder / f"{site.stem}-day.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return path


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def children(pid: int) -> list[int]:
    """The children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended when it has not ended by itself."""
    with subprocess.Popen(command, text=True, cwd=ROOT, **options) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()


def run(case: str, site: Path, strategy: str, day: Path, out: Path) -> Speed:
    begun = time.monotonic()
    out.mkdir(parents=True)
    simulator = [
        sys.executable,
        "-m",
        "hil.process",
        str(site),
        "--scenario",
        str(day),
        "--lockstep",
        "--out",
        str(out),
    ]
    with (
        (out / "site.log").open("w") as site_log,
        (out / "daemon.log").open("w") as daemon_log,
        process(simulator, stdout=subprocess.PIPE, stderr=site_log) as sim,
    ):
        assert sim.stdout is not None
        ready = json.loads(sim.stdout.readline())
        controller = [sys.executable, "-m", "energyctl.daemon", ready["site"], "--lockstep", ready["lockstep"]]
        controller += ["--state", str(out / "state"), "--strategy", strategy]
        with process(controller, stderr=daemon_log) as daemon:
            readings: list[Reading] = []
            for line in sim.stdout:
                now = datetime.fromisoformat(json.loads(line)["now"])
                planner = sum(cpu_s(child) for child in children(daemon.pid))
                readings.append(Reading(time.monotonic(), now, cpu_s(daemon.pid), cpu_s(sim.pid), planner))
            if daemon.wait() or sim.wait():
                sys.exit(f"{case}: the run failed, see {out}")
    return speed(case, readings, time.monotonic() - begun)


def speed(case: str, readings: list[Reading], whole_s: float) -> Speed:
    first, last = readings[0], readings[-1]
    simulated_s = (last.now - first.now).total_seconds()
    cycles, wall_s = round(simulated_s / 60), last.wall_s - first.wall_s
    # the child that plans is gone when the last line comes in, so its last reading is an earlier one
    planner_s = max(reading.planner_s for reading in readings) - first.planner_s
    daemon_s = max(reading.daemon_s for reading in readings) - first.daemon_s
    simulator_s = max(reading.simulator_s for reading in readings) - first.simulator_s
    cpu = [1000 * taken / cycles for taken in (daemon_s, simulator_s, planner_s)]
    return Speed(
        case=case,
        cycles=cycles,
        times_real=round(simulated_s / wall_s),
        times_real_with_start=round(simulated_s / whole_s),
        start_s=round(whole_s - wall_s, 1),
        daemon_ms=round(cpu[0], 1),
        simulator_ms=round(cpu[1], 1),
        planner_ms=round(cpu[2], 1),
        times_real_by_cpu=round(60_000 / sum(cpu)),
    )


def main() -> None:
    hours = QUICK_H if "--quick" in sys.argv[1:] else 24.0
    with tempfile.TemporaryDirectory(prefix="energyctl-bench-") as name:
        folder = Path(name)
        town_hall = LARISSA / "town-hall.yaml"
        cases = [
            ("three protocols, rules", town_hall, "rules"),
            ("three protocols, plan", town_hall, "plan"),
            ("Modbus alone, rules", modbus_only(folder), "rules"),
        ]
        rows = [
            run(case, site, strategy, scenario(folder, hours, site), folder / str(number))
            for number, (case, site, strategy) in enumerate(cases)
        ]
    busy = os.getloadavg()[0]
    print(
        f"{hours:g} h, one cycle a minute; aim {AIM} x real time, never under {NEVER_UNDER}; load average {busy:.1f}\n"
    )
    print("                          x real  with start   CPU ms per cycle                 x real, if CPU")
    print("                            time    and stop   daemon  simulator  planner  sum  is all it takes")
    for row in rows:
        total = row.daemon_ms + row.simulator_ms + row.planner_ms
        print(
            f"{row.case:24s} {row.times_real:7.0f} {row.times_real_with_start:11.0f} {row.daemon_ms:8.1f}"
            f" {row.simulator_ms:10.1f} {row.planner_ms:8.1f} {total:4.1f} {row.times_real_by_cpu:16.0f}"
        )
    figures = {"hours": hours, "aim": AIM, "never_under": NEVER_UNDER, "load_average": round(busy, 2)}
    print(json.dumps(figures | {"cases": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
