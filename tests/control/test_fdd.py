"""Every rule on made-up days: one series that it must find, and near ones that are all right."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from energyctl.config import load_site
from energyctl.control.alarm_kinds import KINDS
from energyctl.control.alarms import Alarms
from energyctl.control.fdd import Rounds
from energyctl.control.fdd.cases import abouts
from energyctl.control.fdd.equipment import heating_and_cooling, short_cycling
from energyctl.control.fdd.nights import Nights, night_load_up
from energyctl.control.fdd.round_trip import Trips, poor_round_trip
from energyctl.control.fdd.rule import Case
from energyctl.control.fdd.sun import elevation_deg
from energyctl.control.fdd.table import BESIDES, RULES
from energyctl.control.fdd.track import Track
from energyctl.core.points import ProcessImage, Sample
from energyctl.core.resources import BASE_LOAD

SITE = load_site(Path(__file__).parents[2] / "sites/larissa/town-hall.yaml")
MIDNIGHT = datetime(2026, 1, 14, 22, tzinfo=UTC)
"""Of 15 January in Larissa, a sunny winter day: the sun stands 29° high at noon."""
H = 3600.0

WELL = {
    "meter.power": 12.0,
    "meter.power_l1": 4.0,
    "meter.power_l2": 4.0,
    "meter.power_l3": 4.0,
    BASE_LOAD: 9.0,
    "inverter.power": -5.0,
    "inverter.power_limit": 1.0,
    "storage.power": 0.0,
    "storage.soc": 0.5,
    "storage.power_setpoint": 0.0,
    "heatpump.power": 8.0,
    "heatpump.outdoor_temp": 5.0,
    "heatpump.zone1_temp": 20.0,
    "heatpump.zone1_setpoint": 20.0,
    "heatpump.zone2_temp": 19.0,
    "heatpump.zone2_setpoint": 19.0,
    "heatpump.mode": 1.0,
    "charger.power": 0.0,
    "charger.current_limit": 16.0,
    "charger.connected": 0.0,
    "airhandler.power": 0.5,
}
NATURAL = ("kW", "°C")


class Day:
    """The town hall's rules over a made-up course."""

    def __init__(self, hands=set):
        self.s = 0.0
        self.told = []
        self.alarms = Alarms(self.told.append, lambda: self.s)
        self.rounds = Rounds(SITE, self.alarms, hands)
        self.luck = Random(1)
        self.imported = 1000.0

    def run(self, start_h, hours, course=lambda t: {}, step_s=60.0):
        """From `start_h` o'clock; `course` gives what is not well at a time in seconds from then."""
        begun = self.s
        while self.s - begun <= hours * H:
            t = self.s - begun
            self.imported += step_s / H * 12.0
            time = MIDNIGHT + timedelta(hours=start_h, seconds=t)
            sun = -5.0 if elevation_deg(time, 39.64, 22.42) > 2 else 0.0
            values = {**WELL, "inverter.power": sun, "meter.energy_import": self.imported, "meter.energy_export": 50.0}
            for point in values:
                if point in SITE.points and SITE.points[point].unit in NATURAL and values[point]:
                    values[point] += self.luck.uniform(-0.01, 0.01)
            values.update(course(t))
            samples = {
                p: Sample(p, time, v) if v is not None else Sample.bad(p, time, "gone") for p, v in values.items()
            }
            self.rounds.look(ProcessImage(time, 1, samples), self.s)
            self.alarms.tick(time)
            self.s += step_s
        return self

    @property
    def found(self):
        return {(alarm.name, alarm.subject) for alarm in self.alarms.standing}


def ramp(name, per_h, start):
    return lambda t: {name: start + per_h * t / H}


def constant(**points):
    values = {name.replace("__", "."): value for name, value in points.items()}
    return lambda t: values


def jumps(name, before, after, at_s):
    return lambda t: {name: (before if t < at_s else after) + 12 * t / H}


def car(power_kw, limit=16.0):
    return constant(charger__power=power_kw, charger__current_limit=limit, charger__connected=1.0)


def room(temp, setpoint, plant_kw):
    def course(t):
        value = {"heatpump.power": plant_kw, "heatpump.zone1_setpoint": setpoint(t) if callable(setpoint) else setpoint}
        return {**value, "heatpump.zone1_temp": temp(t) if callable(temp) else temp}

    return course


WRONG = [
    ("pv-silent", "inverter.power", 10, 2, constant(inverter__power=0.0)),
    ("pv-at-night", "inverter.power", 0, 1, constant(inverter__power=-4.0)),
    ("pv-above-peak", "inverter.power", 11, 1, constant(inverter__power=-46.0)),
    ("pv-consumes", "inverter.power", 11, 1, constant(inverter__power=3.0)),
    ("soc-drift", "storage.soc", 9, 2, ramp("storage.soc", -0.1, 0.9)),
    (
        "soc-drift",
        "storage.soc",
        9,
        2,
        lambda t: {"storage.power": 20.0, "storage.soc": 0.3},
    ),
    ("ev-not-following", "charger.power", 9, 0.2, car(16 * 0.69 + 2.5)),
    ("ev-not-following", "charger.power", 9, 0.2, car(1.5, limit=0.0)),
    ("setpoint-not-followed", "heatpump.zone1_temp", 9, 3, room(18.4, 20.0, 19.5)),
    ("frozen-sensor", "heatpump.outdoor_temp", 0, 7, constant(heatpump__outdoor_temp=5.0)),
    ("frozen-sensor", "meter.power", 0, 7, constant(meter__power=12.0)),
    ("reading-gaps", "heatpump.zone1_temp", 0, 1, lambda t: {"heatpump.zone1_temp": None if t % 600 < 240 else 20.0}),
    ("negative-base-load", "meter.power", 9, 1, constant(**{BASE_LOAD.replace(".", "__"): -4.0})),
    ("reversed-phase", "meter.power_l2", 0, 1, constant(meter__power_l2=-2.0, inverter__power=0.0)),
    ("energy-mismatch", "meter.energy_import", 9, 2, lambda t: {"meter.energy_import": 1000 + 1.05 * 12 * t / H}),
    ("counter-backwards", "meter.energy_import", 9, 2, jumps("meter.energy_import", 5000.0, 0.0, 1.5 * H)),
    ("short-cycling", "heatpump.power", 9, 2, lambda t: {"heatpump.power": 15.0 if t % 480 < 240 else 0.0}),
]
"""(alarm, subject, from o'clock, hours, course)."""


@pytest.mark.parametrize(("name", "subject", "start", "hours", "course"), WRONG, ids=[w[0] for w in WRONG])
def test_a_rule_finds_what_it_is_for(name, subject, start, hours, course):
    day = Day().run(start, hours, course)
    assert (name, subject) in day.found, day.alarms.standing


def follows_power(t):
    """A battery that charges for an hour and then discharges, its charge moving as its power says (92 %, 60 kWh)."""
    power = 20.0 if t < H else -20.0
    up, down = min(t, H) / H * 20 * 0.959, max(0.0, t - H) / H * 20 / 0.959
    return {"storage.power": power, "storage.soc": 0.3 + (up - down) / 60}


def warm_up(t):
    """After a cold night, at full power: far off, but closer every hour."""
    return {"heatpump.zone1_temp": 16 + 1.0 * t / H}


FINE = [
    ("nothing at all", 0, 24, lambda t: {}),
    ("a roof that is held down", 10, 2, constant(inverter__power=0.0, inverter__power_limit=0.0)),
    ("a roof under thick clouds", 10, 2, constant(inverter__power=-0.6)),
    ("a roof at night, and what its inverter takes", 0, 2, constant(inverter__power=0.02)),
    ("a roof in dusk", 16.7, 0.7, constant(inverter__power=-0.3)),
    ("a roof at its best", 11, 1, constant(inverter__power=-42.0)),
    ("a battery at work", 9, 2, follows_power),
    ("a car that takes less", 9, 0.2, car(3.0)),
    ("a car on a high mains voltage", 9, 0.2, car(16 * 0.69 * 1.09)),
    ("a room that warms up", 5, 3.5, lambda t: {**warm_up(t), "heatpump.power": 19.9}),
    ("a room that is off while the plant rests", 5, 3, room(18.0, 20.0, 5.0)),
    ("a setpoint that has just moved", 5, 2, room(18.4, lambda t: 18.5 if t < 1.2 * H else 20.0, 19.5)),
    ("a charger with nothing to do", 0, 10, constant(charger__power=0.0)),
    ("a missed reading now and then", 9, 2, lambda t: {"heatpump.zone1_temp": None if t % 600 < 60 else 20 + t / 1e5}),
    ("a phase that exports by sun", 11, 1, constant(meter__power_l2=-2.0)),
    ("a counter that starts again", 9, 2, jumps("meter.energy_import", 99980.0, 0.0, 1.5 * H)),
    ("a heat pump that runs long", 9, 3, lambda t: {"heatpump.power": 15.0 if t % 1800 < 1200 else 0.0}),
]


@pytest.mark.parametrize(("about", "start", "hours", "course"), FINE, ids=[f[0] for f in FINE])
def test_what_is_all_right_is_not_told(about, start, hours, course):
    day = Day().run(start, hours, course)
    assert day.told == []


def test_every_rule_has_its_kind_its_case_and_a_series_that_it_finds():
    tried = {wrong[0] for wrong in WRONG} | {"heating-and-cooling"}
    for rule in RULES:
        assert rule.alarm in KINDS and rule.alarm in tried
        assert rule.alarm == "heating-and-cooling" or list(abouts(rule, SITE)), rule.alarm
    assert set(BESIDES) <= KINDS.keys()


@pytest.mark.parametrize("hands", [{"*"}, {"charger"}, {"charger.current_limit"}])
def test_what_a_person_does_by_hand_is_not_told(hands):
    assert Day(lambda: hands).run(9, 0.5, car(16 * 0.69 + 2.5)).found == set()


def test_a_hand_on_something_else_hides_nothing():
    assert Day(lambda: {"storage"}).run(9, 0.5, car(16 * 0.69 + 2.5)).found == {("ev-not-following", "charger.power")}


def test_time_in_which_nobody_could_tell_does_not_count_as_time_that_it_lasted():
    def seen_now_and_then(t):
        return {**car(16 * 0.69 + 2.5)(t), **({"charger.power": None} if t % 170 < 60 else {})}

    assert ("ev-not-following", "charger.power") not in Day().run(9, 1, seen_now_and_then, step_s=10.0).found
    assert ("ev-not-following", "charger.power") in Day().run(9, 1, car(16 * 0.69 + 2.5), step_s=10.0).found


def test_an_alarm_ends_when_what_was_wrong_does():
    day = Day().run(11, 0.5, constant(inverter__power=3.0))
    assert ("pv-consumes", "inverter.power") in day.found
    assert day.run(11.5, 0.3).found == set()


def tracked(values, step_s=10.0, keep_s=H):
    track = Track(keep_s, 10.0)
    for number, value in enumerate(values):
        track.add(number * step_s, value)
    return track


@pytest.mark.parametrize(
    ("mode", "other", "power", "wrong"), [(1, 2, 5, True), (1, 1, 5, False), (2, 2, 5, False), (1, 2, 0.5, False)]
)
def test_two_plants_that_work_against_each_other(mode, other, power, wrong):
    values = {"mode": mode, "other_mode": other, "power": power, "other_power": 6.0}
    tracks = {name: tracked([float(value)] * 60) for name, value in values.items()}
    case = Case(tracks, {"max_power": 20.0, "other_max_power": 20.0}, MIDNIGHT, 0.0)
    assert bool(heating_and_cooling(case)) == wrong


@pytest.mark.parametrize(("starts", "wrong"), [(6, False), (7, True)])
def test_seven_starts_within_an_hour_are_too_many(starts, wrong):
    cycle = 360 // starts
    values = [15.0 if number % cycle >= cycle // 2 and number // cycle < starts else 0.0 for number in range(360)]
    assert bool(short_cycling(Case({"power": tracked(values)}, {"max_power": 20.0}, MIDNIGHT, 0.0))) == wrong


def test_the_integrals_of_a_track_are_exact_whatever_the_marks():
    track = Track(3600.0, 10.0)
    for second in range(1000):
        track.add(float(second), math.sin(second / 50))
    span = track.span(600.0)
    assert span.seconds == pytest.approx(600, abs=10)
    start = 999 - span.seconds
    exact = 50 * (math.cos(start / 50) - math.cos(999 / 50))
    assert span.area == pytest.approx(exact, abs=0.02) and span.positive - span.area == pytest.approx(-span.negative)


def test_a_track_does_not_bridge_what_nobody_saw():
    track = Track(3600.0, 10.0)
    for second in (0, 10, 20, 900, 910):
        track.add(float(second), 6.0)
    assert track.since(track.marks(3600.0)[0]).known_s == 30.0


@pytest.mark.parametrize(
    ("time", "height"),
    [
        (datetime(2026, 6, 21, 10, 33, tzinfo=UTC), 73.8),  # noon in Larissa: 90 - 39.64 + 23.44
        (datetime(2026, 12, 21, 10, 29, tzinfo=UTC), 26.9),  # 90 - 39.64 - 23.44
        (datetime(2026, 3, 20, 22, 38, tzinfo=UTC), -50.4),  # midnight at the equinox: 39.64 - 90
    ],
)
def test_the_suns_height(time, height):
    assert elevation_deg(time, 39.64, 22.42) == pytest.approx(height, abs=0.5)


def test_a_battery_that_gives_too_little_back():
    trips = Trips()
    for _ in range(600):
        trips = trips.add(1.0, 0.8, 0.5, 60.0)
    assert "80 %" in poor_round_trip(trips, 0.92)
    for _ in range(600):
        trips = trips.add(1.0, 0.9, 0.5, 60.0)
    assert poor_round_trip(trips, 0.92) == ""


def test_what_is_stored_meanwhile_is_not_lost():
    trips = Trips().add(0.0, 0.0, 0.1, 60.0)
    trips = trips.add(300.0, 0.92 * 300.0 - 30.0, 0.6, 60.0)
    assert trips.share == pytest.approx(0.92) and poor_round_trip(Trips(), 0.92) is None


def night(nights, number, load):
    """A night looked at every 5 min, in Larissa."""
    start = datetime(2026, 1, 1, 22, 30, tzinfo=UTC) + timedelta(days=number)
    for minute in range(0, 5 * 60, 5):
        nights = nights.look(start + timedelta(minutes=minute), number * 86400 + minute * 60.0, "Europe/Athens", load)
    return nights


@pytest.mark.parametrize(("loads", "wrong"), [([6, 6, 6], True), ([6, 5, 6], False), ([5.5, 5.5, 5.5], False)])
def test_three_nights_above_the_usual_are_told(loads, wrong):
    nights = Nights()
    for number, load in enumerate([4.9] * 14 + loads):
        nights = night(nights, number, float(load))
    assert len(nights.bases) == 17 and bool(night_load_up(nights.bases)) == wrong


def test_too_few_nights_tell_nothing_and_a_night_hardly_seen_does_not_count():
    nights = night(Nights(), 0, 5.0)
    assert night_load_up(nights.bases) is None
    assert night(nights, 1, None).bases == nights.bases


def test_what_took_days_to_learn_is_kept_over_a_restart():
    rounds = Rounds(SITE, Alarms(), set)
    rounds._nights, rounds._trips = Nights((4.0, 5.0)), {"battery": Trips(0.5, 1.0, 1.0, share=0.8)}
    again = Rounds(SITE, Alarms(), set)
    again.recall(rounds.memory())
    assert again.memory() == rounds.memory() == {"nights": [4.0, 5.0], "trips": {"battery": 0.8}}


def test_alarms_about_what_the_site_has_no_more_are_cleared():
    day = Day()
    day.alarms.raise_("reading-gaps", "old.temp", "gaps", MIDNIGHT)
    day.alarms.raise_("device-lost", "old", "gone", MIDNIGHT)
    assert day.run(0, 0.1).found == {("device-lost", "old")}


def test_the_rounds_cost_little():
    """Under 2 % of a second's cycle on the town hall."""
    import time

    day = Day().run(0, 1.0, step_s=1.0)
    begun = time.process_time()
    day.run(1.0, 600 / H, step_s=1.0)
    each = (time.process_time() - begun) / 600
    assert each < 0.02, f"{each * 1e3:.2f} ms a cycle"


def test_a_line_through_zero_is_split_exactly():
    track = Track(3600.0, 10.0)
    track.add(0.0, -10.0)
    track.add(40.0, 30.0)
    span = track.since(track.marks(3600.0)[0])
    assert (span.area, span.positive, span.negative) == (400.0, 450.0, -50.0)


def test_an_alarm_that_cannot_be_judged_any_more_stands():
    day = Day().run(11, 0.5, constant(inverter__power=3.0))
    assert day.run(11.5, 0.5, constant(inverter__power=None)).found >= {("pv-consumes", "inverter.power")}


def test_what_an_inverter_takes_at_night_is_not_told():
    assert Day().run(0, 1, constant(inverter__power=0.6)).told == []
