"""What points have been through: since when they are on or off, how often their memory was written, over restarts too."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.gate import LastWrite, PointLimits
from energyctl.control.handback import HandedBack, group_of
from energyctl.control.leases import Effect, Holding
from energyctl.control.wear import FLASH_BURST, FLASH_S, Wear
from energyctl.core.driver import Device
from energyctl.core.points import ProcessImage, Rank, Sample, Setpoint, Write
from energyctl.core.profile import Profile
from energyctl.core.records import Past

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOILER = {
    "profile": "test/boiler@1",
    "vendor": "t",
    "model": "t",
    "kind": "boiler",
    "protocol": "log",
    "points": {
        "run": {"access": "rw", "kind": "bool"},
        "temp": {"unit": "°C", "access": "rw", "release": "relinquish"},
        "store": {"unit": "°C", "access": "rw", "memory": "flash"},
        "other": {"unit": "°C", "access": "rw", "memory": "flash"},
        "set": {
            "unit": "°C",
            "access": "rw",
            "command": [{"set": "run", "to": 1}, *({"set": name, "to": "value"} for name in ("store", "other"))],
        },
    },
}
DEVICE = Device("boiler", Profile.model_validate(BOILER))
LIMITS = {
    "boiler.run": PointLimits(min_on_s=600.0),
    "boiler.temp": PointLimits(max_step=3.0),
    "boiler.set": PointLimits(maximum=60.0),
}


class Clock:
    """Two clocks: one that is set at will, one that only goes forward."""

    def __init__(self, wall=NOON, mono=1000.0, virtual=False):
        self.wall, self.mono, self.virtual = wall, mono, virtual

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
def wear(clock):
    return worn_by(clock)


def worn_by(clock, boot="a", limits=LIMITS, pasts=()):
    wear = Wear({"boiler": DEVICE}, limits, clock, "Europe/Athens", boot)
    wear.load(pasts)
    return wear


def shows(**values):
    samples = {f"boiler.{name}": Sample(f"boiler.{name}", NOON, value) for name, value in values.items()}
    return ProcessImage(NOON, 1, samples)


def holds(point, value, effect=Effect.EFFECTIVE):
    setpoint = Setpoint(point, value, Rank.OPTIMIZER, "plan", "", 1e9)
    return {point: Holding(setpoint, 1e9, 0.0, 0.0, effect)}


def run_of(wear, held=None):
    last = wear.last_writes(held or {}).get("boiler.run")
    return last and (last.value, last.changed_at, last.on, last.switched_at)


def test_nothing_is_known_of_what_was_never_seen(wear):
    assert wear.last_writes({}) == {} and wear.worn() == {} and wear.today() == {} and wear.unsaved() == ()
    wear.look(ProcessImage(NOON, 1), {})
    assert wear.last_writes({}) == {}


def test_a_switch_is_on_since_it_was_first_seen_so(wear, clock):
    wear.look(shows(run=1.0, temp=20.0, set=30.0), {})
    clock.go(50)
    wear.look(shows(run=1.0, temp=21.0), {})
    assert wear.last_writes({}) == {
        "boiler.run": LastWrite(1.0, -math.inf, True, 1000.0, settled=False),
        "boiler.temp": LastWrite(21.0, -math.inf, settled=False),
    }
    assert [(past.point, past.on, past.switched_s) for past in wear.unsaved()] == [("boiler.run", True, 50.0)]
    wear.look(shows(run=0.0), {})
    assert run_of(wear) == (0.0, -math.inf, False, 1050.0)


@pytest.mark.parametrize("missing", [{"temp": 21.0}, {"run": None, "temp": 21.0}])
def test_a_point_without_a_value_hides_no_other(wear, missing):
    wear.look(shows(**missing), {})
    assert list(wear.last_writes({})) == ["boiler.temp"]


def test_what_we_write_counts_from_the_write_and_only_a_change_is_one(wear, clock):
    wear.wrote({"boiler.run": 1.0})
    clock.go(10)
    wear.wrote({"boiler.run": 1.0})
    assert run_of(wear) == (1.0, 1000.0, True, 1000.0)
    wear.wrote({"boiler.run": 0.0, "boiler.temp": 20.0})
    assert run_of(wear) == (0.0, 1010.0, False, 1010.0)
    clock.go(10)
    wear.wrote({"boiler.temp": 25.0})
    assert wear.last_writes({})["boiler.temp"] == LastWrite(25.0, 1020.0, True, 1010.0, settled=False)


@pytest.mark.parametrize(
    ("effect", "on", "settled"),
    [
        (Effect.PENDING, True, True),  # it says nothing yet
        (Effect.RELEASING, True, False),
        (Effect.EFFECTIVE, False, True),
        (Effect.UNCONFIRMED, False, False),
        (Effect.HELD_OFF, False, False),
    ],
)
def test_what_is_held_counts_by_its_setpoint_and_is_looked_at_once_it_has_had_time(wear, clock, effect, on, settled):
    wear.wrote({"boiler.run": 1.0})
    clock.go(10)
    held = holds("boiler.run", 1.0, effect)
    wear.look(shows(run=0.0), held)
    switched_at = 1000.0 if on else 1010.0
    assert wear.last_writes(held) == {"boiler.run": LastWrite(1.0, 1000.0, on, switched_at, settled)}
    assert run_of(wear) == (1.0, 1000.0, on, switched_at), "what it was set to stays while it is held"


def test_a_point_on_its_way_hides_no_other(wear):
    wear.look(shows(run=1.0, temp=20.0), holds("boiler.run", 1.0, Effect.PENDING))
    assert list(wear.last_writes({})) == ["boiler.temp"]


def test_what_is_held_without_limits_is_told_too(wear):
    held = holds("boiler.set", 40.0)
    assert wear.last_writes(held) == {"boiler.set": LastWrite(40.0, -math.inf)}


def test_a_write_that_the_device_refused_switched_nothing(wear, clock):
    wear.look(shows(run=0.0), {})
    wear.saved(wear.unsaved())
    for shown, switched in [(None, False), (0.0, False), (1.0, True)]:
        clock.go(100)
        wear.wrote({"boiler.run": 1.0})
        wear.saved(wear.unsaved())
        wear.not_taken("boiler.run", shown)
        assert run_of(wear)[2:] == ((True, clock.mono) if switched else (False, 1000.0))
        assert bool(wear.unsaved()) == (not switched)


def test_what_was_relinquished_has_another_value_and_we_do_not_know_which(wear, clock):
    wear.wrote({"boiler.temp": 20.0})
    wear.saved(wear.unsaved())
    clock.go(5)
    wear.relinquished("boiler.temp")
    assert wear.last_writes({}) == {} and [past.changed_s for past in wear.unsaved()] == [0.0]
    wear.look(shows(temp=19.0), {})
    assert wear.last_writes({})["boiler.temp"] == LastWrite(19.0, 1005.0, True, 1000.0, settled=False)


def test_what_was_relinquished_before_it_was_seen_is_not_known_to_be_on(wear):
    wear.relinquished("boiler.temp")
    assert [(past.on, past.switched_s, past.changed_s) for past in wear.unsaved()] == [(None, None, 0.0)]


@pytest.mark.parametrize(
    ("name", "ok", "forgotten"), [("temp", True, True), ("temp", False, False), ("run", True, False)]
)
def test_handing_back_writes_too_and_what_is_relinquished_is_not_known_any_more(wear, name, ok, forgotten):
    group = group_of(DEVICE, name)
    wear.handed_back(HandedBack(group, ok, "", (Write(group.point, 1.0),)), DEVICE)
    assert (wear.last_writes({}) == {}) == forgotten
    assert wear.today() == {group.point: 1}


# -- flash -------------------------------------------------------------------------------------------------------------------


def test_flash_takes_so_many_writes_at_once_but_one_and_then_one_in_a_while(wear, clock):
    for _ in range(FLASH_BURST - 1):
        assert wear.worn() == {}
        wear.wrote({"boiler.run": 1.0, "boiler.store": 40.0})
    words = "boiler.store is kept in flash and was written 2 times today, at most once in 600 s in the mean; it may be again in "
    assert wear.worn() == {"boiler.set": f"{words}600 s", "boiler.store": f"{words}600 s"}
    clock.go(FLASH_S - 60.5)
    assert wear.worn()["boiler.set"] == f"{words}61 s"
    clock.go(60.5)
    assert wear.worn() == {}
    wear.wrote({"boiler.store": 41.0})
    assert set(wear.worn()) == {"boiler.set", "boiler.store"}
    clock.go(10 * FLASH_S)  # no more is saved up than the burst
    for _ in range(FLASH_BURST - 1):
        assert wear.worn() == {}
        wear.wrote({"boiler.store": 40.0})
    assert set(wear.worn()) == {"boiler.set", "boiler.store"}


def test_a_write_for_handing_back_costs_as_well(wear, clock):
    for _ in range(FLASH_BURST):
        wear.wrote({"boiler.store": 40.0})
    assert wear.worn()["boiler.store"].endswith(
        "was written 3 times today, at most once in 600 s in the mean; it may be again in 1200 s"
    )


def test_flash_that_was_never_written_today_is_told_as_such(clock):
    wear = worn_by(clock, pasts=[Past("boiler.store", NOON, 1000.0, "a", tokens=1.0, day="2026-02-28", writes=7)])
    assert "was written 0 times today" in wear.worn()["boiler.set"] and wear.today() == {}


def test_writes_are_counted_by_the_sites_day(wear, clock):
    clock.go(9.9 * 3600)  # 21:54 in London, 23:54 in Athens
    wear.wrote({"boiler.store": 40.0, "boiler.run": 1.0})
    wear.wrote({"boiler.store": 41.0})
    assert wear.today() == {"boiler.run": 1, "boiler.store": 2}
    clock.go(600)
    assert wear.today() == {}
    wear.wrote({"boiler.store": 42.0})
    assert wear.today() == {"boiler.store": 1}


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        (["boiler.run"], True),  # it dwells
        (["boiler.store"], True),
        (["boiler.temp", "boiler.other"], True),
        (["boiler.temp"], False),  # a step is all that limits it
        (["boiler.set"], False),
        ([], False),
    ],
)
def test_what_has_to_be_on_disk_before_it_is_written(wear, points, kept):
    assert wear.must_be_kept(points) == kept


def test_what_points_have_been_through_stays_when_limits_change(wear, clock):
    wear.wrote({"boiler.run": 1.0})
    wear.refit({"boiler": DEVICE}, {})
    assert wear.last_writes({}) == {} and not wear.must_be_kept(["boiler.run"])
    wear.refit({"boiler": DEVICE}, LIMITS)
    assert run_of(wear) == (1.0, 1000.0, True, 1000.0)


# -- over a restart ----------------------------------------------------------------------------------------------------------


def test_what_is_saved_is_all_that_counts(wear, clock):
    wear.look(shows(run=0.0), {})
    clock.go(5)
    wear.wrote({"boiler.store": 40.0})
    clock.go(60)
    assert wear.unsaved() == (
        Past("boiler.run", clock.wall, 1065.0, "a", None, False, 65.0, 3.0, "", 0),
        Past("boiler.store", clock.wall, 1065.0, "a", 60.0, True, 60.0, 2.1, "2026-03-01", 1),
    )


@pytest.mark.parametrize("again", [{"boiler.store": 40.0}, {"boiler.run": 0.0}])
def test_what_has_changed_again_is_saved_again(wear, again):
    wear.wrote({"boiler.store": 40.0, "boiler.run": 1.0})
    pasts = wear.unsaved()
    wear.wrote(again)
    wear.saved(pasts)
    assert [past.point for past in wear.unsaved()] == list(again)
    wear.saved(wear.unsaved())
    assert wear.unsaved() == ()


def test_a_switch_that_was_seen_to_turn_meanwhile_is_saved_again(wear):
    wear.wrote({"boiler.run": 1.0})
    pasts = wear.unsaved()
    wear.look(shows(run=0.0), {})
    wear.saved(pasts)
    assert [past.on for past in wear.unsaved()] == [False]


def test_a_write_of_the_next_day_is_saved_again(wear, clock):
    wear.wrote({"boiler.store": 40.0})
    pasts = wear.unsaved()
    clock.go(86_400)
    wear.wrote({"boiler.store": 40.0})
    wear.saved(pasts)
    assert [(past.day, past.writes) for past in wear.unsaved()] == [("2026-03-02", 1)]


PAST = Past("boiler.run", NOON, 1000.0, "a", 50.0, True, 70.0, 1.0, "2026-03-01", 4)


@pytest.mark.parametrize(
    ("boot", "mono", "virtual", "passed_s"),
    [
        ("a", 1300.0, False, 300.0),
        ("a", 900.0, False, 0.0),  # it cannot be
        ("b", 300.0, False, 300.0),  # a reboot: as long as the machine is up, whatever clocks say
        ("", 300.0, False, 300.0),
        ("", 5.0, True, 7200.0),  # simulated time is the wall clock's
    ],
)
def test_after_a_restart_only_what_has_surely_passed_counts(boot, mono, virtual, passed_s):
    clock = Clock(NOON + timedelta(hours=2), mono, virtual)
    past = replace(PAST, boot="" if boot == "" else "a")
    wear = worn_by(clock, boot, pasts=[past])
    wear.look(shows(run=1.0), {})
    assert run_of(wear) == (1.0, mono - passed_s - 50.0, True, mono - passed_s - 70.0)
    assert wear.today() == {"boiler.run": 4} and wear.unsaved() == ()
    wear.wrote({"boiler.run": 1.0})
    (saved,) = wear.unsaved()
    assert (saved.tokens, saved.writes) == (min(3.0, 1.0 + passed_s / FLASH_S) - 1, 5)


def test_simulated_time_that_goes_back_makes_nothing_longer_ago():
    clock = Clock(NOON - timedelta(hours=2), 5.0, virtual=True)
    wear = worn_by(clock, "", pasts=[PAST])
    wear.look(shows(run=1.0), {})
    assert run_of(wear)[1] == 5.0 - 50.0


def test_what_was_not_known_before_a_restart_is_not_known_after_it(clock):
    wear = worn_by(clock, pasts=[replace(PAST, changed_s=None, on=None, switched_s=None)])
    held = holds("boiler.run", 1.0, Effect.PENDING)
    assert wear.last_writes(held)["boiler.run"] == LastWrite(1.0, -math.inf, None, None)
