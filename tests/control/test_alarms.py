"""The life of an alarm: what is raised, kept, acknowledged, held back and cleared, and that nothing is lost or told twice."""

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyctl.control.alarm_kinds import KINDS, AlarmKind
from energyctl.control.alarms import FLAP_WINDOW_S, FLAPS, FORGOTTEN_S, QUIET_S, SETTLE_S, Alarm, Alarms, explains
from energyctl.core.errors import ConfigError
from energyctl.core.severity import Severity

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
SLOW = "setpoint-not-followed"
DELAY_S = KINDS[SLOW].delay_s


class Desk:
    """Alarms with everything they tell."""

    def __init__(self, restored=(), at_s=0.0):
        self.s = at_s
        self.journal, self.told = [], []
        self.alarms = Alarms(self.journal.append, lambda: self.s, lambda what, alarm: self.told.append((what, alarm)))
        self.alarms.restore(restored, START)

    @property
    def now(self):
        return START + timedelta(seconds=self.s)

    def after(self, seconds):
        self.s += seconds
        self.alarms.tick(self.now)
        return self

    def say(self, holds, name="device-lost", subject="meter", text="no answer"):
        self.alarms.set(name, subject, text if holds else None, self.now)
        return self

    @property
    def standing(self):
        return [(alarm.name, alarm.subject) for alarm in self.alarms.standing]

    def heard(self):
        return [(what, alarm.name) for what, alarm in self.told]


def test_an_alarm_is_raised_once_counted_and_cleared():
    desk = Desk().say(True)
    assert desk.alarms.standing[0].last_seen == START
    desk.after(5).say(True)
    alarm = desk.alarms.standing[0]
    assert (alarm.count, alarm.times) == (2, 1)
    assert (alarm.raised_at, alarm.last_seen) == (START, START + timedelta(seconds=5))
    assert alarm.severity is Severity.CRITICAL
    desk.after(5).say(False).say(False)
    assert desk.standing == [] and [a.cleared_at for a in desk.journal] == [None, START + timedelta(seconds=10)]
    assert desk.heard() == [("raised", "device-lost"), ("cleared", "device-lost")]


def test_a_condition_must_last_as_long_as_its_kind_says():
    desk = Desk().say(True, SLOW, "hp.temp").after(DELAY_S - 1).say(True, SLOW, "hp.temp")
    assert desk.standing == []
    assert desk.after(1).standing == [(SLOW, "hp.temp")]


def test_a_break_begins_the_delay_anew():
    desk = Desk().say(True, SLOW, "hp.temp").after(DELAY_S - 1).say(False, SLOW, "hp.temp").say(True, SLOW, "hp.temp")
    assert desk.after(DELAY_S - 1).standing == []
    assert desk.after(1).standing == [(SLOW, "hp.temp")]


def test_the_delay_is_not_shortened_by_a_clock_that_jumps():
    desk = Desk()
    desk.alarms.raise_(SLOW, "hp.temp", "cold", START)
    desk.alarms.raise_(SLOW, "hp.temp", "cold", START + timedelta(hours=5))
    assert desk.standing == []


def test_an_acknowledgement_stands_with_its_alarm_and_ends_with_it():
    desk = Desk().say(True)
    desk.alarms.acknowledge("device-lost", "meter", "anna", "cable", desk.now)
    desk.say(True)
    alarm = desk.alarms.standing[0]
    assert (alarm.acknowledged_by, alarm.note, alarm.acknowledged_at) == ("anna", "cable", START)
    assert desk.say(False).say(True).alarms.standing[0].acknowledged_at is None


def test_what_does_not_stand_cannot_be_acknowledged():
    desk = Desk().say(True)
    with pytest.raises(ConfigError, match="no alarm 'meter-lost meter' stands; there are 'device-lost meter'"):
        desk.alarms.acknowledge("meter-lost", "meter", "anna", "", START)
    desk.say(True, subject="storage")
    with pytest.raises(ConfigError, match=r"there are 'device-lost meter', 'device-lost storage'$"):
        desk.alarms.acknowledge("meter-lost", "meter", "anna", "", START)
    with pytest.raises(ConfigError, match=r"no alarm 'meter-lost meter' stands; none does$"):
        Alarms().acknowledge("meter-lost", "meter", "anna", "", START)


def test_what_follows_from_another_is_kept_and_journaled_but_not_announced():
    desk = Desk().say(True).say(True, "meter-lost", "meter.power")
    assert desk.standing == [("device-lost", "meter"), ("meter-lost", "meter.power")]
    assert [alarm.name for alarm in desk.journal] == ["device-lost", "meter-lost"]
    assert [alarm.follows for alarm in desk.alarms.standing] == ["", "device-lost meter"]
    assert desk.heard() == [("raised", "device-lost")]
    desk.say(False).after(1)  # the device is back and the meter's value is still missing: now it is news
    assert desk.heard()[1:] == [("cleared", "device-lost"), ("raised", "meter-lost")]


def test_it_does_not_follow_from_another_devices_alarm():
    desk = Desk().say(True, "device-lost", "storage").say(True, "meter-lost", "meter.power")
    assert desk.heard() == [("raised", "device-lost"), ("raised", "meter-lost")]


def test_an_emergency_stop_explains_alarms_anywhere():
    desk = Desk().say(True, "estop", "site").say(True, "not-effective", "storage.power_setpoint")
    assert desk.heard() == [("raised", "estop")]


def test_the_end_of_what_was_never_announced_is_not_announced():
    desk = Desk().say(True).say(True, "meter-lost", "meter.power").say(False, "meter-lost", "meter.power")
    assert desk.heard() == [("raised", "device-lost")]


def test_one_that_comes_and_goes_stands_until_it_is_quiet():
    desk = Desk()
    for _ in range(FLAPS + 3):
        desk.say(True).after(5).say(False).after(5)
    assert len(desk.journal) == 2 * FLAPS - 1 and desk.standing == [("device-lost", "meter")]
    assert desk.alarms.standing[0].times == FLAPS + 3
    desk.after(QUIET_S - 11)
    assert desk.standing == [("device-lost", "meter")]
    assert desk.after(6).standing == [] and len(desk.journal) == 2 * FLAPS


def test_slow_returns_are_no_flapping():
    desk = Desk()
    for _ in range(3 * FLAPS):
        desk.say(True).after(100).say(False).after(100)
    assert desk.standing == [] and len(desk.journal) == 6 * FLAPS


@pytest.mark.parametrize(("span_s", "flaps"), [(FLAP_WINDOW_S, True), (FLAP_WINDOW_S + 1, False)])
def test_it_comes_and_goes_when_the_last_few_times_fell_into_the_window(span_s, flaps):
    """However long it has been running, and however often it came slowly before."""
    desk = Desk(at_s=5000.0)
    for _ in range(FLAPS + 1):
        desk.say(True).say(False).after(2 * FLAP_WINDOW_S)
    for number in range(FLAPS):
        desk.say(True)
        assert desk.alarms.standing[0].times == (FLAPS if flaps and number == FLAPS - 1 else 1)
        if number < FLAPS - 1:
            desk.say(False).after(span_s / (FLAPS - 1))
    assert (desk.say(False).standing == []) == (not flaps)


def test_what_came_and_went_and_was_quiet_is_an_alarm_like_any_other():
    desk = Desk()
    for _ in range(FLAPS + 3):
        desk.say(True).after(5).say(False).after(5)
    assert desk.after(QUIET_S).standing == []
    assert desk.say(True).say(False).standing == []


def test_alarms_of_several_subjects_are_no_flapping():
    desk = Desk()
    for number in range(FLAPS + 1):
        desk.say(True, subject=f"meter{number}").say(False, subject=f"meter{number}")
    assert desk.standing == []


def test_alarms_with_a_delay_may_come_and_go_slowly():
    desk = Desk()
    for _ in range(FLAPS + 1):
        desk.say(True, SLOW, "hp.temp").after(DELAY_S)
        assert desk.standing == [(SLOW, "hp.temp")]
        desk.say(False, SLOW, "hp.temp")
    assert desk.standing == [] and len(desk.journal) == 2 * FLAPS + 2


def test_doubt_begins_a_delay_anew_and_changes_nothing_that_stands():
    desk = Desk().say(True).say(True, SLOW, "hp.temp").after(DELAY_S - 1)
    desk.alarms.doubt(SLOW, "hp.temp")
    desk.alarms.doubt("device-lost", "meter")
    assert desk.say(True, SLOW, "hp.temp").after(DELAY_S - 1).standing == [("device-lost", "meter")]
    assert (SLOW, "hp.temp") in desk.after(1).standing


def test_without_a_clock_of_their_own_alarms_go_by_the_times_they_are_given():
    alarms = Alarms()
    alarms.restore([OLD], START)
    alarms.raise_(SLOW, "hp.temp", "cold", START)
    alarms.tick(START + timedelta(seconds=DELAY_S - 1))
    assert [alarm.name for alarm in alarms.standing] == ["device-lost"]
    alarms.tick(START + timedelta(seconds=DELAY_S))
    assert [alarm.name for alarm in alarms.standing] == ["device-lost", SLOW]
    alarms.tick(START + timedelta(seconds=FORGOTTEN_S))
    assert [alarm.name for alarm in alarms.standing] == [SLOW]


def test_what_has_to_be_remembered_is_counted_and_an_acknowledgement_is_announced():
    desk, counts = Desk(), []
    for step in (
        lambda: desk.say(True),
        lambda: desk.say(True),  # nothing new
        lambda: desk.say(True, subject="storage"),
        lambda: desk.alarms.acknowledge("device-lost", "meter", "anna", "", desk.now),
        lambda: desk.say(False),
        lambda: desk.say(False),
        lambda: desk.say(False, subject="storage"),
    ):
        step()
        counts.append(desk.alarms.changes)
    assert counts == [1, 1, 2, 3, 4, 4, 5]
    assert [what for what, _ in desk.told] == ["raised", "raised", "acknowledged", "cleared", "cleared"]
    acknowledged = desk.told[2][1]
    assert (acknowledged.subject, acknowledged.acknowledged_by) == ("meter", "anna")


def test_an_alarm_that_nobody_listens_to_can_be_acknowledged():
    alarms = Alarms()
    alarms.raise_("device-lost", "meter", "no answer", START)
    assert alarms.acknowledge("device-lost", "meter", "anna", "cable", START).note == "cable"


@pytest.mark.parametrize(
    ("cause", "subject", "follows"),
    [
        ("meter", "meter.power", True),
        ("meter.voltage", "meter.power", True),
        ("meter", "meter", True),
        ("meter", "meter.phase.power", True),
        ("storage", "meter.power", False),
    ],
)
def test_an_alarm_follows_from_one_of_the_same_device(cause, subject, follows):
    alarm = Alarm("meter-lost", subject, "", START)
    assert explains(("device-lost", cause), alarm, KINDS["meter-lost"]) == follows


OLD = Alarm(
    "device-lost", "meter", "no answer", START - timedelta(hours=1), acknowledged_at=START, acknowledged_by="bo"
)


def test_after_a_restart_an_alarm_goes_on_with_its_acknowledgement_and_is_not_told_again():
    desk = Desk([OLD]).say(False).after(3).say(True).after(SETTLE_S)
    alarm = desk.alarms.standing[0]
    assert (alarm.raised_at, alarm.acknowledged_by, desk.told, desk.journal) == (OLD.raised_at, "bo", [], [])
    desk.say(False)
    assert desk.standing == [] and desk.heard() == [("cleared", "device-lost")]


def test_after_a_restart_an_alarm_whose_condition_is_gone_is_cleared_once_things_have_settled():
    desk = Desk([OLD]).say(False).after(SETTLE_S - 1).say(False)
    assert desk.standing == [("device-lost", "meter")]
    desk.after(1).say(False)
    assert desk.standing == [] and desk.journal[-1].cleared_at == desk.now


def test_after_a_restart_an_alarm_that_nobody_knows_any_more_is_cleared_in_time():
    desk = Desk([OLD]).after(FORGOTTEN_S - 1)
    assert desk.standing == [("device-lost", "meter")]
    assert desk.after(1).standing == []


def test_a_restart_is_as_long_ago_as_it_is_however_long_the_machine_ran_before():
    desk = Desk([OLD], at_s=5000.0).say(False).after(SETTLE_S - 1).say(False)
    assert desk.standing == [("device-lost", "meter")]
    desk = Desk([OLD], at_s=5000.0).after(FORGOTTEN_S - 1)
    assert desk.standing == [("device-lost", "meter")]


@pytest.mark.parametrize(("delay_s", "forgotten_s"), [(0.0, FORGOTTEN_S), (1800.0, 3600.0), (5000.0, 10_000.0)])
def test_an_alarm_of_an_earlier_run_is_given_twice_its_delay(monkeypatch, delay_s, forgotten_s):
    monkeypatch.setitem(KINDS, "slow", AlarmKind("slow", Severity.WARNING, "Slow.", "Wait.", delay_s))
    desk = Desk([replace(OLD, name="slow")]).after(forgotten_s - 1)
    assert desk.standing == [("slow", "meter")]
    assert desk.after(1).standing == []


def test_what_an_alarm_followed_from_in_an_earlier_run_is_not_taken_over():
    desk = Desk([replace(OLD, follows="wrong-device meter")]).say(True).say(False)
    assert desk.journal[-1].follows == ""


def test_alarms_of_an_earlier_run_are_taken_over_once():
    desk = Desk([OLD])
    desk.alarms.restore([replace(OLD, subject="storage")], START)
    assert desk.standing == [("device-lost", "meter")]


def test_a_return_right_after_a_restart_counts_as_one():
    desk = Desk([OLD]).say(False).say(True)
    for _ in range(FLAPS - 1):
        desk.say(False).say(True)
    assert desk.say(False).standing == [("device-lost", "meter")]


def test_slow_returns_after_a_restart_hide_no_fast_ones():
    desk = Desk([OLD]).say(False).say(True)
    for _ in range(FLAPS + 1):
        desk.say(False).after(2 * FLAP_WINDOW_S).say(True)
    for _ in range(FLAPS):
        desk.say(False).say(True)
    assert desk.say(False).standing == [("device-lost", "meter")]


def test_an_alarm_goes_through_json_whole():
    alarm = replace(OLD, count=7, times=2, last_seen=START, note="§ 'quoted'")
    data = alarm.as_json()
    assert data["severity"] == "critical" and Alarm.from_json(data) == alarm


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["raise", "clear", "ack", "restart", "wait"]),
        st.sampled_from(["device-lost", "meter-lost", SLOW]),
        st.floats(0.1, 2 * DELAY_S),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_no_alarm_is_lost_none_is_raised_twice_and_acknowledgements_survive(steps):
    """Against a model that knows only: since when each condition holds, and what was journaled."""
    desk = Desk()
    since, journal, acknowledged = {}, [], {}

    def settle():
        nonlocal journal
        for alarm in desk.journal[len(journal) :]:
            key = alarm.name
            open_ = [a for a in journal if a.name == key]
            up = bool(open_) and open_[-1].cleared_at is None
            assert up == (alarm.cleared_at is not None), "raised twice, or cleared while it does not stand"
            if alarm.cleared_at is not None:
                acknowledged.pop(key, None)
            journal.append(alarm)
        stands = {alarm.name: alarm for alarm in desk.alarms.standing}
        for name, from_s in since.items():
            if desk.s - from_s >= KINDS[name].delay_s:
                assert name in stands, "lost"
        for name, who in acknowledged.items():
            assert stands[name].acknowledged_by == who, "forgotten"

    for number, (do, name, seconds) in enumerate(steps):
        if do == "raise":
            desk.say(True, name, "meter.power")
            since.setdefault(name, desk.s)
        elif do == "clear":
            desk.say(False, name, "meter.power")
            since.pop(name, None)
        elif do == "ack" and (name, "meter.power") in desk.standing:
            desk.alarms.acknowledge(name, "meter.power", f"person {number}", "", desk.now)
            acknowledged[name] = f"person {number}"
        elif do == "restart":
            old = Alarm.from_json
            left = [old(alarm.as_json()) for alarm in desk.alarms.standing]
            again = Desk(left)
            again.s, again.journal[:] = 0.0, desk.journal
            again.alarms.on_change = again.journal.append
            desk, since = again, {}
        elif do == "wait":
            desk.after(seconds)
            for held in since:
                desk.say(True, held, "meter.power")
        settle()


def _calls(path):
    """(function, first argument) of every call that raises or sets an alarm."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner = ast.unparse(node.func.value).lower()
            if "alarm" in owner and node.func.attr in ("raise_", "set"):
                yield node.func.attr, node.args[0]


ROOT = Path(__file__).parents[2] / "energyctl"
BY_TABLE = {"control/fdd/rounds.py", "daemon/rules.py"}
"""They raise what their own tables name: of fault detection that is checked with its rules, of the others one has an alarm."""


def used():
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name in BY_TABLE or name == "control/alarms.py":
            continue
        constants = {
            target.id: node.value.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for _, argument in _calls(path):
            value = argument.value if isinstance(argument, ast.Constant) else constants.get(ast.unparse(argument))
            found.setdefault(value, name)
    return found


def test_every_alarm_that_the_daemon_raises_is_in_the_table():
    missing = {alarm: where for alarm, where in used().items() if alarm not in KINDS}
    assert not missing, "add them to control/alarm_kinds.py"
    assert "legionella" in KINDS


def test_every_kind_is_explained_and_what_it_follows_from_exists():
    for kind in KINDS.values():
        assert isinstance(kind, AlarmKind)
        assert kind.meaning.endswith(".") and kind.what_to_do.rstrip("'").endswith((".", "?")), kind.name
        assert set(kind.follows) <= KINDS.keys() - {kind.name}, kind.name
