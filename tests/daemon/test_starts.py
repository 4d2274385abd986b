"""Counting the starts that came to no orderly end (matrix row 14), without a daemon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.alarms import Alarms
from energyctl.core.points import ProcessImage
from energyctl.daemon.starts import Starts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = ProcessImage(NOON, 1)


class Clock:
    virtual = False

    def __init__(self):
        self.wall, self.mono = NOON, 1000.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.mono

    def go(self, seconds):
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "starts.json")


class Machine:
    """Starts a daemon every so often; it says whether it would write."""

    def __init__(self, path):
        self.path, self.clock, self.boot, self.alarms = path, Clock(), "a", Alarms()

    def start(self):
        self.last = Starts(self.path, self.clock, self.boot, self.alarms)
        self.last.begin()
        self.last.look(IMAGE, 0.0)
        return self.last.ban(IMAGE, 0.0) is None


def starts(machine, times, every_s):
    writes = []
    for _ in range(times):
        writes.append(machine.start())
        machine.clock.go(every_s)
    return writes


def test_the_tenth_start_in_ten_minutes_only_monitors(machine):
    assert starts(machine, 12, 50) == [True] * 9 + [False] * 3
    assert [alarm.name for alarm in machine.alarms.standing] == ["crash-loop"]
    assert "10 times within 10 min" in machine.last.ban(IMAGE, 0.0).on("bat.set")


def test_slower_crashes_are_none(machine):
    assert all(starts(machine, 40, 70)) and machine.alarms.standing == []


def test_orderly_ends_are_none(machine):
    for _ in range(40):
        assert machine.start()
        machine.last.end()


def test_it_stays_until_an_orderly_end(machine):
    starts(machine, 10, 1)
    machine.clock.go(7200)
    assert not machine.start()
    machine.last.end()
    assert machine.start()


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_setting_the_clock_hides_no_crash_loop(machine, jump):
    writes = []
    for _ in range(10):
        writes.append(machine.start())
        machine.clock.go(10)
        machine.clock.wall += jump
    assert writes[-1] is False


def test_after_a_reboot_the_wall_clock_counts(machine):
    starts(machine, 9, 1)
    machine.boot, machine.clock.mono = "b", 3.0
    assert not machine.start()
    machine.last.end()
    starts(machine, 9, 1)
    machine.boot, machine.clock.mono = "c", 3.0
    machine.clock.wall += timedelta(hours=1)
    assert machine.start()


def test_a_file_of_nonsense_or_none_that_can_be_written_counts_from_one(machine, caplog):
    machine.path.write_text("nonsense")
    assert starts(machine, 10, 1) == [True] * 9 + [False]
    machine.last.end()
    machine.path.mkdir()
    assert all(starts(machine, 20, 1)) and "cannot be counted" in caplog.text
