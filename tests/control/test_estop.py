"""The emergency stop: a file is the truth, whatever is in it; what cannot be written is kept in mind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.alarms import Alarms
from energyctl.control.drain import Drain
from energyctl.control.estop import EmergencyStop
from energyctl.core.clock import LiveClock
from energyctl.core.estop_file import NOT_KEPT, Pressed, clear, press, pressed_at
from energyctl.core.points import ProcessImage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = ProcessImage(NOON, 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "estop"


@pytest.fixture
def alarms():
    return Alarms()


@pytest.fixture
def stop(path, alarms):
    path.parent.mkdir()
    return EmergencyStop(path, LiveClock(), alarms)


def test_the_file_tells_who_when_and_why(path):
    assert pressed_at(path) is None
    press(path, Pressed("anna", "smoke", NOON))
    assert pressed_at(path) == Pressed("anna", "smoke", NOON)
    press(path, Pressed("bob", "again", NOON))
    assert pressed_at(path) == Pressed("anna", "smoke", NOON), "who pressed first is kept"
    assert str(pressed_at(path)).startswith("emergency stop by anna since 2026-03-01 12:00:00 UTC: smoke")
    clear(path)
    clear(path)
    assert pressed_at(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"at": 7}', b"\xff\x00", b'{"at": "soon"}'])
def test_it_stands_whatever_is_in_the_file(path, stop, content):
    path.write_bytes(content)
    assert stop.standing == Pressed("", "", None)
    assert stop.ban(IMAGE, 0.0).on("any.point").startswith("emergency stop by somebody")


def test_whatever_is_in_its_place_stands_and_stays_when_it_cannot_be_removed(path, stop):
    path.mkdir()
    assert stop.ban(IMAGE, 0.0) is not None
    with pytest.raises(OSError):
        stop.clear()
    assert stop.ban(IMAGE, 0.0) is not None


def test_what_was_known_stays_when_nothing_can_be_known(path, stop):
    stop.press("anna", "smoke")
    assert stop.standing.by == "anna" and datetime.now(UTC) - stop.standing.at < timedelta(minutes=1)
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(path.parent)  # a loop: neither there nor absent
    assert stop.standing.by == "anna"


def test_it_bans_everything_with_an_alarm_until_it_is_cleared(path, stop, alarms):
    assert stop.ban(IMAGE, 0.0) is None and stop.barred("bat.set") is None
    stop.press("anna", "smoke")
    ban = stop.ban(IMAGE, 0.0)
    assert ban.rule == "estop" and "smoke" in ban.on("bat.set") and "smoke" in stop.barred("bat.set")
    stop.look(IMAGE, 0.0)
    assert [(a.name, a.subject, a.text) for a in alarms.standing] == [("estop", "site", str(stop.standing))]
    again = EmergencyStop(path, LiveClock(), Alarms())
    assert again.standing == stop.standing, "a restart finds it"
    stop.clear()
    stop.look(IMAGE, 0.0)
    assert stop.ban(IMAGE, 0.0) is None and again.ban(IMAGE, 0.0) is None and alarms.standing == []


def test_what_cannot_be_written_stands_as_long_as_the_daemon_and_is_tried_again(path, stop, alarms):
    path.parent.rmdir()
    path.parent.touch()  # a file where the folder was: nothing can be made in it
    assert not stop.press("anna", "smoke")
    stop.look(IMAGE, 0.0)
    assert alarms.standing[0].text == f"{stop.standing}; {NOT_KEPT}" and stop.standing.by == "anna"
    path.parent.unlink()
    path.parent.mkdir()
    stop.look(IMAGE, 0.0)
    assert (pressed_at(path).by, pressed_at(path).reason) == ("anna", "smoke")
    assert alarms.standing[0].text == str(stop.standing)
    stop.clear()
    assert stop.standing is None


def test_draining_bans_everything_once_begun():
    drain = Drain()
    assert drain.ban(IMAGE, 0.0) is None
    drain.by = "anna"
    assert "drained by anna" in drain.ban(IMAGE, 0.0).on("bat.set")


def test_nothing_stands_where_nothing_was_ever_known(path, stop):
    path.parent.rmdir()
    path.parent.symlink_to(path.parent)
    assert stop.standing is None and stop.ban(IMAGE, 0.0) is None
