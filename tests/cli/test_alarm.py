"""`energyctl alarm`: list, acknowledge, explain."""

from datetime import UTC, datetime

import pytest

from energyctl.control.alarm_kinds import KINDS
from energyctl.control.alarms import Alarm
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.store import Batch, Store

AT = datetime(2026, 1, 14, 6, tzinfo=UTC)
LOST = Alarm("device-lost", "storage", "no answer", AT, count=12, times=7, acknowledged_at=AT, acknowledged_by="anna")
INFO = Alarm("overridden", "hp.setpoint", "priority 8 commands 21", AT, follows="estop site")


def test_the_worst_alarms_are_listed_first_with_who_has_seen_them(cli, daemon, state):
    daemon.answers["alarms"] = [INFO.as_json(), LOST.as_json()]
    result = cli("alarm", "list", "--state", state)
    lines = result.out.splitlines()
    assert result.code == 0 and lines[2].startswith("critical") and lines[3].startswith("info")
    assert "anna" in lines[2] and "came 7 times" in lines[2] and "estop site" in lines[3]


def test_no_alarms_is_said(cli, daemon, state):
    daemon.answers["alarms"] = []
    assert cli("alarm", "list", "--state", state).out == "no alarms\n"


def test_an_acknowledgement_goes_to_the_daemon_with_its_note(cli, daemon, state):
    daemon.answers["acknowledge"] = LOST.as_json()
    result = cli("alarm", "ack", "device-lost", "storage", "--note", "fuse", "--state", state)
    assert result.out == "device-lost storage: acknowledged by anna\n"
    assert daemon.requests[-1] == {"do": "acknowledge", "name": "device-lost", "subject": "storage", "note": "fuse"}


def test_an_alarm_that_does_not_stand_is_refused_in_the_daemons_words(cli, daemon, state):
    daemon.answers["acknowledge"] = ("no alarm 'x y' stands; none does", 2)
    result = cli("alarm", "ack", "x", "y", "--state", state)
    assert (result.code, result.out) == (2, "") and "no alarm 'x y' stands" in result.err


def test_past_alarms_come_from_the_journal_also_without_a_daemon(cli, tmp_path):
    lines = [
        JournalEntry(1, AT, JournalKind.ALARM, "storage", detail="device-lost: no answer"),
        JournalEntry(
            2, AT, JournalKind.NOTE, "storage", source="anna", reason="fuse", detail="device-lost: acknowledged"
        ),
        JournalEntry(2, AT, JournalKind.NOTE, "site", detail="rule"),
        JournalEntry(3, AT, JournalKind.CLEARED, "storage", detail="device-lost: no answer"),
    ]
    with Store.open(tmp_path / "energyctl.sqlite") as store:
        store.commit(Batch(journal=tuple(lines)))
    result = cli("alarm", "list", "--all", "--json", "--state", tmp_path)
    assert [(line["what"], line["by"], line["text"]) for line in result.json] == [
        ("raised", "", "no answer"),
        ("acknowledged", "anna", "fuse"),
        ("cleared", "", "no answer"),
    ]


def test_where_no_daemon_has_run_there_is_no_past(cli, tmp_path):
    result = cli("alarm", "list", "--all", "--state", tmp_path)
    assert result.code == 2 and "no daemon has run here yet" in result.err


@pytest.mark.parametrize("name", KINDS)
def test_every_alarm_is_explained(cli, name):
    result = cli("alarm", "explain", name)
    assert result.code == 0 and KINDS[name].what_to_do in result.out


def test_an_unknown_alarm_has_the_nearest_named(cli):
    result = cli("alarm", "explain", "meter-los")
    assert result.code == 2 and "did you mean 'meter-lost'?" in result.err


def test_all_alarms_at_a_glance(cli):
    assert len(cli("alarm", "explain", "--json").json) == len(KINDS)
