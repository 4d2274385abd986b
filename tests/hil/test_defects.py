"""Planted defects: each changes what the daemon does, its place must exist, and real runs go red for it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest

from energyctl.config import load_profiles
from energyctl.control import dispatch
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.gate import GateState, LastWrite, PointLimits, check
from energyctl.control.leases import Action, ActionKind, Effect, Holding, reconcile
from energyctl.core.clock import LiveClock
from energyctl.core.driver import Device
from energyctl.core.errors import ConfigError
from energyctl.core.planner import GridLimits
from energyctl.core.points import Access, Point, ProcessImage, Quality, Rank, Sample, Setpoint
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.daemon import cycle, storing
from energyctl.field import acquire
from energyctl.planning.ladder import Level
from energyctl.store import Batch
from hil.testing.defects import DEFECTS, daemon_command, main, plant, planted
from hil.testing.negative import loaded
from hil.testing.runner import run_scenario
from hil.testing.standard import CHECKS

from .evidence_kit import ROOT

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
POINT = Point(id="bat.set", unit="kW", access=Access.READ_WRITE, minimum=-30.0, maximum=30.0)


def wish(value: float = 5.0) -> Setpoint:
    return Setpoint("bat.set", value, Rank.OPTIMIZER, "plan", "because", 1e9)


def refused(value: float, point: Point = POINT, **state) -> str | None:
    """The rule by which the gate refuses a value, None when it does not."""
    found = check(wish(value), GateState({"bat.set": point}, **{"limits": {}, **state}), 100.0)
    return None if found is None else found.rule


def last(value: float, ago_s: float):
    return {"bat.set": LastWrite(value, 100.0 - ago_s)}


def wire_value() -> float:
    command = load_profiles()["sunspec/battery@1"].command("bat", "power_setpoint", 5.0, 60.0)
    return next(step.value for step in command.steps if step.point == "bat.power_setpoint")


def wire_temp() -> float:
    command = load_profiles()["generic/heat-pump-2zone@1"].command("hp", "zone1_setpoint", 20.0, 60.0)
    return round(command.steps[0].value, 6)


def taken_in(sample: Sample) -> tuple[float | None, Quality]:
    """What acquisition makes of a sample, seen at once."""
    acquisition = acquire.Acquisition(LiveClock(), 1.0)
    acquisition.add(Device("bat", load_profiles()["sunspec/battery@1"]))
    acquisition.take([sample])
    return acquisition.latest[sample.point].value, acquisition.latest[sample.point].quality


def aged() -> Quality:
    """The quality of a sample an hour after it was taken in."""
    acquisition = acquire.Acquisition(LiveClock(), 1.0)
    acquisition.add(Device("bat", load_profiles()["sunspec/battery@1"]))
    acquisition.take([Sample("bat.power", NOW, 1.0)])
    acquisition._clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: LiveClock().monotonic() + 3600)
    return acquisition.image(1)["bat.power"].quality


def actions(written_s_ago: float) -> list[str]:
    """What reconcile does about a value that is in effect, is still wanted, and was written so long ago."""
    held = Holding(wish(), 1e9, 100.0 - written_s_ago, 100.0 - written_s_ago, Effect.EFFECTIVE)
    found = reconcile({"bat.set": held}, {"bat.set": wish()}, {"bat.set": POINT}, {"bat": True}, 60.0, 100.0)
    return [action.kind.value for action in found]


class Deaf:
    """A driver whose device acknowledges everything and stays as it is."""

    async def read(self, points):
        return [Sample(point, NOW, 0.0) for point in points]

    async def write(self, command):
        return dispatch.Written()


def dispatcher() -> tuple[Dispatcher, Alarms]:
    async def commit(entries):
        pass

    device = Device("bat", load_profiles()["sunspec/battery@1"])
    alarms = Alarms()
    return Dispatcher(LiveClock(), {"bat": device}, {"bat": Deaf()}, 60.0, commit, lambda samples: None, alarms), alarms


def deaf_alarms(tries: int = 2) -> list[str]:
    """The alarms after a point that does not obey was told so often."""

    async def script():
        made, alarms = dispatcher()
        setpoint = Setpoint("bat.power_setpoint", 5.0, Rank.OPTIMIZER, "plan", "because", 1e9)
        for _ in range(tries):
            made.submit([Action(ActionKind.WRITE, setpoint)], 1)
            await made.settle()
        return [alarm.name for alarm in alarms.standing]

    return asyncio.run(script())


def overruled_alarms() -> list[str]:
    """The alarms after somebody else has changed what was in effect."""
    made, alarms = dispatcher()
    setpoint = Setpoint("bat.power_setpoint", 5.0, Rank.OPTIMIZER, "plan", "because", 1e9)
    made.held["bat.power_setpoint"] = Holding(setpoint, 1e9, 0.0, 0.0, Effect.EFFECTIVE)
    made.compare(ProcessImage(NOW, 1, {"bat.power_setpoint": Sample("bat.power_setpoint", NOW, 9.0)}))
    return [alarm.name for alarm in alarms.standing]


def handed_back() -> int:
    made, _ = dispatcher()
    setpoint = Setpoint("bat.power_setpoint", 5.0, Rank.OPTIMIZER, "plan", "because", 1e9)
    made.held["bat.power_setpoint"] = Holding(setpoint, 1e9, 0.0, 0.0, Effect.EFFECTIVE)
    return len(asyncio.run(made.release_all()))


def journaled() -> list[str]:
    """The kinds of line that reach the store from a batch with an intent and an ownership."""
    kept: list[str] = []

    class Store:
        def commit(self, batch):
            kept.extend(entry.kind.value for entry in batch.journal)
            return 1

    async def script():
        thread = storing.StoreThread(Store(), LiveClock(), Alarms())
        entries = (JournalEntry(1, NOW, kind, "bat.set", 1.0) for kind in (JournalKind.OWN, JournalKind.INTENT))
        await thread.commit(Batch(journal=tuple(entries)))

    asyncio.run(script())
    return kept


def identity_error() -> str | None:
    class Stranger:
        async def identify(self, device):
            return "somebody else"

    acquisition = acquire.Acquisition(LiveClock(), 1.0)
    device = Device("hp", load_profiles()["generic/heat-pump-2zone@1"])
    acquisition.add(device)
    asyncio.run(acquisition._identify(device, Stranger(), acquisition.states["hp"]))
    return acquisition.states["hp"].identity_error


def tracked_excess() -> float:
    from energyctl.control import setpoints

    return setpoints.track(90.0, None, GridLimits(60.0, 30.0), []).excess_kw


def taken_plan() -> object:
    controller = cycle.Controller.__new__(cycle.Controller)
    controller._new_plan = None
    controller.new_plan("a plan")
    return controller._new_plan


def level(age_min: float) -> Level:
    plan = SimpleNamespace(issued_at=NOW, step_at=lambda now: 0)
    at = NOW.replace(hour=12 + int(age_min // 60))
    return cycle.guide(plan, at, 900.0, True, False).level


def bacnet_priority() -> int:
    from drivers.bacnet.driver import BacnetDriver

    driver = BacnetDriver.__new__(BacnetDriver)
    driver._options = SimpleNamespace(priority=10)
    return driver.our_priority


BAD = Sample.bad("bat.power", NOW, "silent")
SWITCH = POINT.model_copy(update={"kind": "bool", "minimum": None, "maximum": None})
CASES = {
    "swapped-setpoint": (wire_value, 5.0, -5.0),
    "in-fahrenheit": (wire_temp, 20.0, 68.0),
    "swapped-reading": (lambda: taken_in(Sample("bat.power", NOW, 3.0))[0], 3.0, -3.0),
    "no-limits": (lambda: refused(31.0), "limits", None),
    "no-rate": (
        lambda: refused(9.0, limits={"bat.set": PointLimits(max_step=2.0)}, last=last(5.0, 99.0)),
        "rate",
        None,
    ),
    "no-interval": (
        lambda: refused(9.0, limits={"bat.set": PointLimits(min_change_interval_s=60.0)}, last=last(5.0, 9.0)),
        "interval",
        None,
    ),
    "no-type": (lambda: refused(0.5, SWITCH), "type", None),
    "no-interlock": (lambda: refused(5.0, tripped={"bat.set": "it burns"}), "interlock", None),
    "lease-not-renewed": (lambda: actions(31.0), ["refresh"], []),
    "no-hand-back": (handed_back, 1, 0),
    "no-journal": (journaled, ["own", "intent"], ["own"]),
    "no-read-back": (lambda: deaf_alarms() + overruled_alarms(), ["not-effective", "overruled"], []),
    "no-alarms": (deaf_alarms, ["not-effective"], []),
    "bad-is-good": (lambda: taken_in(BAD), (None, Quality.BAD), (0.0, Quality.GOOD)),
    "never-stale": (aged, Quality.BAD, Quality.GOOD),
    "no-identity": (
        identity_error,
        "hp says it is 'somebody else', the profile expects 'HP-2Z'",
        None,
    ),
    "no-back-off": (lambda: acquire.back_off(1.0, 5), 10.0, 0.05),
    "fights-rival": (lambda: deaf_alarms(5), ["not-effective"], []),
    "writes-every-cycle": (lambda: actions(1.0), [], ["write"]),
    "no-limits-tracked": (tracked_excess, 30.0, 0.0),
    "plan-dropped": (taken_plan, "a plan", None),
    "no-ladder": (lambda: level(180), Level.RULE, Level.PLAN),
    "wrong-priority": (bacnet_priority, 10, 8),
}


def holder_of(target: str) -> tuple[object, str]:
    """Who has what a defect replaces, and under which name."""
    path, _, attribute = target.replace(":", ".").rpartition(".")
    return resolve_name(path), attribute


@pytest.mark.parametrize("name", CASES)
def test_a_defect_changes_what_the_daemon_does_and_can_be_taken_out(name):
    behaviour, healthy, defective = CASES[name]

    assert behaviour() == healthy
    with planted(name):
        assert behaviour() == defective
    assert behaviour() == healthy


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_has_its_place_and_leaves_it_as_it_was(name):
    def there() -> list[object]:
        return [vars(holder)[attribute] for holder, attribute in places]

    places = [holder_of(target) for target in DEFECTS[name].patches]
    before = there()
    with planted(name):
        assert all(now is not was for now, was in zip(there(), before, strict=True))
    assert all(now is was for now, was in zip(there(), before, strict=True))


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_says_what_it_breaks_and_what_finds_it(name):
    defect = DEFECTS[name]

    assert defect.breaks and defect.found_by and defect.patches


def test_a_defect_that_has_lost_its_place_says_so(monkeypatch):
    monkeypatch.delattr("energyctl.control.leases._due")
    with pytest.raises(AttributeError, match="_due"):
        plant("lease-not-renewed")
    monkeypatch.setattr("energyctl.control.gate.RULES", {})
    with pytest.raises(AttributeError, match="limits"):
        plant("no-limits")


def test_an_unknown_defect_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'no-limits'"):
        plant("no-limit")
    with pytest.raises(ConfigError, match="did you mean 'no-limits'"):
        daemon_command("no-limit")


def test_the_command_of_a_daemon():
    assert daemon_command(None)[1:] == ["-m", "energyctl.daemon"]
    assert daemon_command("no-type")[1:] == ["-m", "hil.testing.defects", "no-type"]
    assert daemon_command("no-type", supervised=True)[1:] == ["-m", "hil.testing.defects", "--supervised", "no-type"]
    assert daemon_command(None, supervised=True)[-1] == "run"
    assert daemon_command(None)[0] == sys.executable


def test_the_child_of_the_parent_has_the_defect(monkeypatch):
    asked = []
    monkeypatch.setattr("hil.testing.defects.plant", lambda name: None)  # for good, it would be, in this process
    monkeypatch.setattr(
        "energyctl.daemon.supervise.supervise", lambda args, program: asked.append((args, program)) or 7
    )

    assert main(["--supervised", "no-type", "site.yaml", "--strategy", "rules", "--state", "x"]) == 7
    assert asked == [(["site.yaml", "--strategy", "rules", "--state", "x"], ("-m", "hil.testing.defects", "no-type"))]


@pytest.mark.parametrize(("defect", "finding"), [(None, ""), ("no-hand-back", "lease")])
async def test_real_runs_are_green_and_go_red_for_a_defect(tmp_path: Path, defect, finding):
    scenario = loaded("bounded")

    verdict = await run_scenario(ROOT / "sites/larissa/town-hall.yaml", scenario, tmp_path / "out", defect=defect)

    assert verdict.problem == ""
    assert len(verdict.findings) == len(CHECKS) + len(scenario.expect)
    assert verdict.passed is (defect is None), verdict.tell()
    assert defect is None or any(one.check.startswith(finding) for one in verdict.failures), verdict.tell()
