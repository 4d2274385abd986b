"""The rules of a site in the cycle: what they want under which name, and what they know after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from energyctl.config.rules import Frost, HeatWave, Legionella
from energyctl.control.alarms import Alarms
from energyctl.control.arbitrate import arbitrate
from energyctl.core.points import ProcessImage, Rank, Sample, Setpoint
from energyctl.daemon.rules import SiteRules

NOW = datetime(2026, 1, 14, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FROST = Frost(kind="frost", temp="d.air", setpoint="d.set")
TANK = Legionella(kind="legionella", temp="d.tank", setpoint="d.tank_set")
WAVE = HeatWave(kind="heat-wave", outdoor="d.out", temp="d.air", setpoint="d.set", days=1, hours="00:00-24:00")


class Clock:
    """A calendar that is trusted or not, and the time."""

    def __init__(self) -> None:
        self.time, self.mono, self.doubt = NOW, 0.0, None

    def now(self):
        return self.time

    def go(self, by: timedelta) -> None:
        self.time, self.mono = self.time + by, self.mono + by.total_seconds()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def alarms():
    return Alarms()


@pytest.fixture
def start(tmp_path, clock, alarms):
    started = []

    def start(*rules, beside=False):
        for before in started if not beside else ():
            before._saving.shutdown()
        site = SimpleNamespace(rules=rules, timezone="Europe/Athens")
        started.append(SiteRules(site, tmp_path / "rules.json", clock, clock, alarms))
        return started[-1]

    return start


def ask(rules, clock, after=timedelta(seconds=10), **values):
    clock.go(after)
    samples = {f"d.{name}": Sample(f"d.{name}", clock.time, value) for name, value in values.items()}
    return {w.point: w for w in rules.wishes(ProcessImage(clock.time, 1, samples), clock.mono, clock.mono + 60.0)}


def test_a_wish_names_its_rule_and_beats_plan_and_district_but_no_person(start, clock, alarms):
    wish = ask(start(FROST), clock, air=4.0, set=10.0)["d.set"]
    assert (wish.value, wish.rank, wish.source) == (12.0, Rank.GUARD, "guard:frost d.set")
    assert wish.reason == "frost protection: d.air is 4.0 °C" and wish.expires_at == clock.mono + 60.0
    others = [Setpoint("d.set", 1.0, rank, "x", "", 1e9) for rank in (Rank.OPTIMIZER, Rank.RULE, Rank.DISTRICT)]
    verdict = arbitrate([*others, wish], clock.mono)["d.set"]
    assert verdict.winner is wish and len(verdict.losers) == 3
    person = Setpoint("d.set", 18.0, Rank.OPERATOR, "operator", "", 1e9)
    assert arbitrate([wish, person], clock.mono)["d.set"].winner is person
    assert [(a.name, a.subject) for a in alarms.standing] == [("frost", "d.set")]


def test_a_comfort_rule_beats_the_plan_and_a_resources_own_rule_but_not_the_district(start, clock):
    wish = ask(start(WAVE), clock, out=36.0, air=27.0)["d.set"]
    own = Setpoint("d.set", 1.0, Rank.RULE, "rule:a-zone", "", 1e9)
    assert arbitrate([own, wish], clock.mono)["d.set"].winner is wish
    district = Setpoint("d.set", 1.0, Rank.DISTRICT, "district", "", 1e9)
    assert arbitrate([district, wish], clock.mono)["d.set"].winner is district


def test_frost_goes_on_after_a_restart_between_the_two_thresholds(start, clock):
    assert ask(start(FROST), clock, air=4.0, set=10.0)
    assert ask(start(FROST), clock, air=6.0, set=10.0), "without what it remembers 6 °C is no frost"


def hot_for_an_hour(rules, clock):
    for _ in range(61):
        ask(rules, clock, timedelta(minutes=1), tank=61.0)


@pytest.mark.parametrize(("away", "due"), [(5.9 * DAY, False), (6.1 * DAY, True)])
def test_the_week_goes_on_while_the_daemon_is_away(start, clock, away, due):
    rules = start(TANK)
    hot_for_an_hour(rules, clock)
    ask(rules, clock, timedelta(minutes=11), tank=50.0)
    clock.time += away
    assert bool(ask(start(TANK), clock, tank=50.0)) == due


def test_the_time_away_is_told_by_a_clock_that_is_trusted_only(start, clock):
    hot_for_an_hour(start(TANK), clock)
    clock.time += 6.1 * DAY
    rules, clock.doubt = start(TANK), "it shows something"
    assert not ask(rules, clock, tank=50.0)
    clock.doubt = None
    assert ask(rules, clock, tank=50.0)


def test_a_clock_that_is_set_while_it_runs_changes_nothing(start, clock):
    rules = start(TANK)
    hot_for_an_hour(rules, clock)
    clock.time += 30 * DAY
    assert not ask(rules, clock, tank=50.0)
    clock.time -= 60 * DAY
    assert not ask(rules, clock, tank=50.0)


def test_an_hour_nobody_looked_is_not_an_hour_at_sixty(start, clock):
    rules = start(TANK)
    ask(rules, clock, 6.5 * DAY, tank=61.0)
    assert ask(rules, clock, timedelta(hours=2), tank=61.0), "the lease is a minute"
    hot_for_an_hour(rules, clock)
    assert not ask(rules, clock, tank=61.0)


@pytest.mark.parametrize(
    "text", ["", "{", '{"saved_at": "x"}', '{"saved_at": "2026-01-01T00:00:00Z", "states": {"frost d.set": {"a": 1}}}']
)
def test_a_file_that_cannot_be_read_is_as_if_it_were_not_there(start, clock, tmp_path, text):
    (tmp_path / "rules.json").write_text(text)
    assert not ask(start(FROST), clock, air=6.0, set=10.0)
    assert ask(start(FROST), clock, air=4.0, set=10.0)


def test_another_configuration_goes_on_where_the_rule_stays_and_clears_where_it_goes(start, clock, alarms):
    before = start(FROST, TANK)
    ask(before, clock, air=4.0, set=10.0, tank=50.0)
    same, gone = start(FROST, beside=True), start(TANK, beside=True)
    same.succeed(before)
    assert ask(same, clock, air=6.0, set=10.0)
    gone.succeed(before)
    assert not alarms.standing
