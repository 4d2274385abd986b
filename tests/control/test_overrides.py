"""What people set by hand: until when it stands, whatever clocks do, and what a restart finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.overrides import Overrides
from energyctl.core.points import ProcessImage, Rank

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = ProcessImage(NOON, 1)
HOUR = 3600.0


class Clock:
    """Two clocks: one that is set at will, one that only goes forward."""

    virtual = False

    def __init__(self, wall=NOON, mono=1000.0):
        self.wall, self.mono = wall, mono

    def now(self):
        return self.wall

    def monotonic(self):
        return self.mono

    def go(self, seconds):
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "overrides.json"


def wanted(overrides, clock):
    return {w.point: w.value for w in overrides.wishes(IMAGE, clock.monotonic(), clock.monotonic() + 60)}


def kept(path, clock, boot="a"):
    overrides = Overrides(path, clock, boot)
    overrides.set({"hp.zone1": 19.0, "hp.zone2": 20.0}, "anna", "windows open", 2 * HOUR)
    assert overrides.keep()
    return overrides


def test_an_override_is_an_operators_wish_until_its_time_is_over(path, clock):
    overrides, told = Overrides(path, clock, "a"), []
    overrides.on_change = lambda one, text: told.append((one.point, text))
    overrides.set({"hp.zone1": 19.0}, "anna", "windows open", 2 * HOUR)
    (wish,) = overrides.wishes(IMAGE, clock.monotonic(), 0.0)
    assert (wish.point, wish.value, wish.rank, wish.source) == ("hp.zone1", 19.0, Rank.OPERATOR, "operator:anna")
    assert (wish.reason, wish.expires_at) == ("windows open", 1000.0 + 2 * HOUR)
    clock.go(2 * HOUR - 1)
    assert wanted(overrides, clock) == {"hp.zone1": 19.0}
    clock.go(1)
    assert wanted(overrides, clock) == {} and overrides.standing == []
    assert wanted(overrides, clock) == {}
    assert told == [("hp.zone1", "set to 19 by hand for 7200 s"), ("hp.zone1", "override over")]


@pytest.mark.parametrize("jump", [timedelta(days=-9000), timedelta(hours=-3), timedelta(hours=3), timedelta(days=9000)])
def test_setting_the_wall_clock_neither_prolongs_nor_ends_it(path, clock, jump):
    overrides = kept(path, clock)
    clock.wall += jump
    clock.go(2 * HOUR - 1)
    assert len(wanted(overrides, clock)) == 2
    assert overrides.until(overrides.standing[0]) == clock.wall + timedelta(seconds=1)
    clock.go(1)
    assert wanted(overrides, clock) == {}


@pytest.mark.parametrize(
    ("away_s", "jump_s", "boot", "left_s"),
    [
        (HOUR, 0, "a", HOUR),
        (HOUR, 10 * HOUR, "a", HOUR),  # the same run of the machine: the wall clock does not matter
        (HOUR, -10 * HOUR, "a", HOUR),
        (3 * HOUR, 0, "a", 0),
        (3 * HOUR, -10 * HOUR, "a", 0),
        (HOUR, 0, "b", HOUR),  # after a reboot it is all there is
        (3 * HOUR, 0, "b", 0),
        (HOUR, 10 * HOUR, "b", 0),
        (HOUR, -10 * HOUR, "b", 2 * HOUR),  # but never more than was left
        (HOUR, -1e9, "b", 2 * HOUR),
        (HOUR, 0, "", HOUR),
    ],
)
def test_after_a_restart(path, clock, away_s, jump_s, boot, left_s):
    kept(path, clock)
    clock.go(away_s)
    clock.wall += timedelta(seconds=jump_s)
    if boot != "a":
        clock.mono = 5.0
    again = Overrides(path, clock, boot)
    assert [round(one.ends_s - clock.mono, 3) for one in again.standing] == ([left_s] * 2 if left_s else [])
    if left_s:
        assert (again.standing[0].by, again.standing[0].reason) == ("anna", "windows open")


def test_boots_without_a_name_are_not_the_same_boot(path, clock):
    kept(path, clock, boot="")
    clock.mono += 10 * HOUR  # a lockstep clock may begin anywhere
    assert len(Overrides(path, clock, "").standing) == 2


def test_a_clock_that_falls_back_at_every_reboot_does_not_prolong_for_ever(path, clock):
    kept(path, clock)
    clock.go(1.5 * HOUR)
    Overrides(path, clock, "b")  # half an hour is left, and that is written down
    clock.wall -= timedelta(days=1)
    assert [one.ends_s - clock.mono for one in Overrides(path, clock, "c").standing] == [HOUR / 2] * 2


def test_clear_by_pattern(path, clock):
    overrides = kept(path, clock)
    told = []
    overrides.on_change = lambda one, text: told.append((one.point, text))
    overrides.set({"bat.set": 5.0}, "bob", "", HOUR)
    assert overrides.clear("hp.*", "bob") == ["hp.zone1", "hp.zone2"]
    assert overrides.clear("hp.*", "bob") == []
    assert wanted(overrides, clock) == {"bat.set": 5.0}
    assert told[1:] == [(zone, "override cleared by bob") for zone in ("hp.zone1", "hp.zone2")]
    assert overrides.keep()
    assert [one.point for one in Overrides(path, clock, "a").standing] == ["bat.set"]


def test_what_was_cleared_does_not_come_back_when_that_could_not_be_written(path, clock):
    overrides = kept(path, clock)
    overrides.clear("hp.zone1", "bob")
    path.with_name("overrides.json.new").mkdir()  # nothing new can be written
    assert not overrides.keep()
    assert Overrides(path, clock, "a").standing == []
    assert wanted(overrides, clock) == {"hp.zone2": 20.0}


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\x00\x01", '{"boot": "a", "overrides": [{"point": "hp.zone1"}]}'])
def test_a_file_of_nonsense_is_none(path, clock, caplog, text):
    path.write_text(text)
    assert Overrides(path, clock, "a").standing == [] and "overrides of before are lost" in caplog.text


def test_a_value_that_is_no_number_is_none(path, clock):
    kept(path, clock)
    path.write_text(path.read_text().replace("19.0", "NaN"))
    assert Overrides(path, clock, "a").standing == []


def test_a_folder_that_is_gone_is_told_and_stops_nothing(path, clock, tmp_path):
    overrides = Overrides(tmp_path / "gone" / "overrides.json", clock, "a")
    overrides.set({"hp.zone1": 19.0}, "anna", "", HOUR)
    assert not overrides.keep()
    assert wanted(overrides, clock) == {"hp.zone1": 19.0}


@pytest.mark.parametrize(("left_s", "points"), [(0.5, 2), (0.0, 0)])
def test_a_restart_takes_over_what_has_any_time_left_and_nothing_else(path, clock, left_s, points):
    kept(path, clock)
    clock.go(2 * HOUR - left_s)
    again, told = Overrides(path, clock, "a"), []
    again.on_change = lambda one, text: told.append(text)
    assert len(wanted(again, clock)) == points
    clock.go(HOUR)
    wanted(again, clock)
    assert told == ["override over"] * points
