"""Negative controls: every check and every kind has one, each defect does what it says, and some are run."""

from __future__ import annotations

import asyncio
import struct
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from drivers.modbus.connection import Connection, Refusal
from drivers.modbus.options import TcpOptions
from drivers.modbus.tcp import TcpWire
from energyctl.config import load_profiles, load_site
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.leases import Effect, Holding
from energyctl.core.clock import LiveClock, LockstepClock
from energyctl.core.driver import Device
from energyctl.core.errors import LinkError
from energyctl.core.points import ProcessImage, Quality, Rank, Sample, Setpoint
from energyctl.core.timeline import Horizon
from energyctl.daemon import jobs, supervise
from energyctl.daemon.cycle import Controller
from energyctl.field import acquire
from hil.faults import KINDS
from hil.run import prepare
from hil.scenario import NotApplicable, fitted
from hil.testing.defects import DEFECTS, planted
from hil.testing.finding import Finding
from hil.testing.negative import BY_CHECK, BY_KIND, QUICK, ROWS, Control, Row, case, loaded, main, run, table
from hil.testing.standard import CHECKS
from hil.testing.verdict import Status, Verdict

from .evidence_kit import town_hall

NOW = datetime(2026, 1, 14, 9, 0, tzinfo=UTC)
QUESTION = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 0, 1)
OLD_ANSWER = struct.pack(">HHHBBBH", 6, 0, 5, 2, 3, 2, 9)
SETPOINT = Setpoint("bat.power_setpoint", 5.0, Rank.OPTIMIZER, "plan", "because", 1e9)


def test_every_check_and_every_kind_has_a_row():
    assert set(BY_CHECK) == set(CHECKS)
    assert set(BY_KIND) == set(KINDS)
    assert not set(CHECKS) & set(KINDS)
    assert set(QUICK) <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_what_a_row_names_is_there(name, tmp_path):
    row = ROWS[name]
    given = prepare(case(row.scenario).site, loaded(row.scenario), tmp_path)
    scenario = fitted(given.scenario, load_site(given.site))

    assert row.defect in DEFECTS
    assert not isinstance(scenario, NotApplicable)
    assert any(check.startswith(row.finding) for check in (*CHECKS, *scenario.expect)), row


@pytest.mark.parametrize("name", BY_KIND)
def test_a_kind_is_in_its_scenario(name):
    assert name in {event.fault.kind for event in loaded(BY_KIND[name].scenario).events}


@pytest.mark.parametrize("name", BY_CHECK)
def test_a_check_is_found_by_itself_and_not_waived(name):
    assert BY_CHECK[name].finding == name
    assert name not in loaded(BY_CHECK[name].scenario).waive


def believed() -> list[Quality]:
    """What becomes of a charge of 150 %, and of a power that has not moved for ten minutes."""
    clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: clock.time, time=0.0)
    acquisition = acquire.Acquisition(clock, 1.0, {"bat.soc": (0.0, 1.05)})
    acquisition.add(Device("bat", load_profiles()["sunspec/battery@1"]))
    acquisition.add(Device("meter", load_profiles()["eastron/sdm630@1"]))
    for clock.time in (0.0, 600.0):
        acquisition.take([Sample("bat.soc", NOW, 1.5), Sample("meter.power", NOW, 3.0)])
    return [acquisition.latest[point].quality for point in ("bat.soc", "meter.power")]


def given_up() -> tuple[bool, float]:
    """Whether a device that failed once counts as lost, and when it is asked again."""
    acquisition = acquire.Acquisition(LiveClock(), 1.0)
    device = Device("bat", load_profiles()["sunspec/battery@1"])
    acquisition.add(device)
    acquisition._failed(device, acquisition.states["bat"], "silent")
    return acquisition.states["bat"].quarantined, acquire.back_off(1.0, 1)


def passed() -> bytes | None:
    """What the client sees of an answer to an earlier question, by another unit."""
    return TcpWire(TcpOptions(host="x")).passed(QUESTION, OLD_ANSWER)


@dataclass
class Client:
    """A client that can be connected and closed."""

    ctx = SimpleNamespace()

    async def connect(self) -> bool:
        return True

    def close(self) -> None:
        pass


def connection() -> Connection:
    made = Connection(TcpWire(TcpOptions(host="x")), 5.0)
    made._wire.client = lambda packet, connection: Client()
    return made


def kept() -> bool:
    """Whether a connection is kept after silence."""
    made = connection()
    asyncio.run(made.connect("bat"))
    made._give_up_on(1, 0.0)
    return made._client is not None


def reconnected() -> bool:
    """Whether a connection that was lost is opened again."""
    made = connection()
    asyncio.run(made.connect("bat"))
    made._connection(False)
    try:
        asyncio.run(made.connect("bat"))
    except LinkError:
        return False
    return True


def refused() -> str:
    """What a refusal of the device becomes."""
    made = connection()
    made.connect = lambda device: asyncio.sleep(0, SimpleNamespace(read_holding_registers=None, **dict.fromkeys(READS)))
    made._settle = lambda device, unit, ask: asyncio.sleep(0, Refusal(2))
    try:
        return type(asyncio.run(made.read("bat", 1, "holding", 0, 1))).__name__
    except LinkError as error:
        return str(error)


READS = ("read_input_registers", "read_coils", "read_discrete_inputs")


def woken_at() -> float:
    """When somebody wakes who sleeps for 10 s, while the wall clock falls back by a minute."""

    class Falling(LockstepClock):
        def now(self) -> datetime:
            return super().now() - timedelta(seconds=60 if self.monotonic() >= 5 else 0)

    async def script() -> float:
        clock = Falling(NOW, lambda to: asyncio.sleep(0))

        async def sleep(due: float) -> float:
            with clock.busy():
                await clock.sleep_until(due)
                return clock.monotonic()

        driving = asyncio.create_task(clock.drive())
        found = await asyncio.gather(sleep(10.0), sleep(6.0))
        driving.cancel()
        return found[0]

    return asyncio.run(script())


def run_by_parent() -> object:
    """What becomes of a program that the parent runs."""
    ran = supervise.subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=False)
    return ran and ran.returncode


def dispatcher() -> Dispatcher:
    device = Device("bat", load_profiles()["sunspec/battery@1"])
    return Dispatcher(LiveClock(), {"bat": device}, {}, 60.0, lambda entries: None, lambda samples: None, Alarms())


def doubted() -> tuple[Effect, Effect, bool]:
    """What becomes of a value in effect whose device is away, or shows another one."""
    found = []
    for look in (
        lambda made: made.doubt({"bat"}),
        lambda made: made.compare(ProcessImage(NOW, 1, {SETPOINT.point: Sample(SETPOINT.point, NOW, 9.0)})),
    ):
        made = dispatcher()
        made.held[SETPOINT.point] = Holding(SETPOINT, 1e9, 0.0, 0.0, Effect.EFFECTIVE)
        look(made)
        found.append(made.held[SETPOINT.point].effect)
    made.held[SETPOINT.point] = Holding(SETPOINT, 1e9, 0.0, 0.0, Effect.EFFECTIVE)
    reader = SimpleNamespace(read=lambda points: asyncio.sleep(0, [Sample(point, NOW, 9.0) for point in points]))
    return *found, asyncio.run(made._was_changed(made._devices["bat"], reader, SETPOINT.point))


def commanding() -> str:
    class Slots:
        our_priority = 10

        async def priorities(self, point: str) -> dict[int, float]:
            return {8: 23.0}

    return asyncio.run(dispatcher()._commanded(Slots(), "hp.zone1_setpoint"))


def wanted_by_rule() -> float:
    """The setpoint of an office at 11:00 on a Wednesday in winter."""
    office = next(resource for resource in town_hall().resources if resource.id == "office")
    return office.rule(NOW, ProcessImage(NOW, 1, {}), town_hall().view)[0].value


def wire_temp() -> float:
    command = load_profiles()["generic/heat-pump-2zone@1"].command("hp", "zone1_setpoint", 20.0, 60.0)
    return round(command.steps[0].value, 6)


def error_in_cycle() -> str:
    """How the 21st cycle fails that has nothing to look at."""
    try:
        Controller._look(SimpleNamespace(cycle=21))
    except (AttributeError, RuntimeError) as error:
        return type(error).__name__
    return ""


CASES = {
    "no-plausibility": (believed, [Quality.UNCERTAIN, Quality.BAD], [Quality.GOOD, Quality.GOOD]),
    "gives-up": (given_up, (False, 2.0), (True, 1e9)),
    "takes-any-answer": (passed, OLD_ANSWER, struct.pack(">HHHBBBH", 7, 0, 5, 1, 3, 2, 9)),
    "keeps-connection": (kept, False, True),
    "no-reconnect": (reconnected, True, False),
    "impatient": (lambda: connection()._timeout_s, 5.0, 0.1),
    "refusal-is-loss": (refused, "Refusal", "bat: device refused: illegal data address (2)"),
    "polls-by-wall-clock": (woken_at, 10.0, 70.0),
    "parent-does-nothing": (run_by_parent, 3, None),
    "forgets-doubt": (
        doubted,
        (Effect.UNCONFIRMED, Effect.UNCONFIRMED, True),
        (Effect.EFFECTIVE, Effect.EFFECTIVE, False),
    ),
    "ignores-priorities": (commanding, "priority 8 commands 23", ""),
    "guesses-silently": (lambda: bool(jobs.stand_ins("price", [True], Horizon(NOW, 900, 1))), True, False),
    "always-setback": (wanted_by_rule, 20.0, 16.0),
    "in-fahrenheit": (wire_temp, 20.0, 68.0),
    "breaks-down": (error_in_cycle, "AttributeError", "RuntimeError"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_defect_changes_what_the_daemon_does(name):
    behaviour, healthy, defective = CASES[name]

    assert behaviour() == healthy
    with planted(name):
        assert behaviour() == defective
    assert behaviour() == healthy


def control(red: tuple[str, ...], well: Status = Status.PASSED) -> Control:
    findings = tuple(Finding(check, False, "seen") for check in red)
    row = Row("bounded", "no-limits", "limits")
    sick = Verdict("bounded", Path("x"), 1, Status.FAILED if red else Status.PASSED, findings)
    return Control("limits", row, sick, Verdict("bounded", Path("x"), 1, well, problem="it broke"))


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (control(("lease", "limits")), ""),
        (control(("lease",)), "NOT FOUND by 'limits'"),
        (control(()), "NOT FOUND by 'limits'"),
        (control(("limits",), Status.ERROR), "a healthy daemon fails: it broke"),
    ],
)
def test_a_defect_counts_as_found_when_the_right_finding_is_red(found, problem):
    assert found.problem == problem


def test_a_table_has_a_line_for_every_control():
    assert [*table([control(("lease", "limits"))])] == [
        "check or kind | scenario | defect    | found by",
        "limits        | bounded  | no-limits | lease; limits",
    ]


def test_a_scenario_for_any_site_runs_on_the_example():
    assert case("meter-nan", "bad-is-good").site.stem == "town-hall"
    assert case("bounded").defect is None


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["limitz"])
    assert "limitz" in capsys.readouterr().err


async def test_some_are_run(tmp_path: Path):
    names = ("ending", "bias", "second-master")

    controls = await run(names, tmp_path, jobs=2)

    assert [one.name for one in controls] == [*names]
    assert [one.problem for one in controls] == [""] * len(names), "\n".join(table(controls))
