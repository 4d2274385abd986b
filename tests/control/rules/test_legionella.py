"""The legionella cycle: weeks of virtual time, against the rule that a week never passes without an hour at 60 °C."""

from itertools import pairwise

import pytest

from energyctl.config.rules import Legionella

HOUR, DAY = 3600.0, 86_400.0
CYCLE = Legionella(
    kind="legionella",
    temp="d.tank",
    setpoint="d.set",
    reach="60 °C",
    to="65 °C",
    hold="1 h",
    every="7 d",
    hours="02:00-05:00",
)


def live(rule, days, tank=50.0, warms_k_h=20.0, step_s=600.0, trusted=True):
    """A tank that follows its setpoint; gives (hours since the start, what was wanted, temperature) per look."""
    seen = []
    for look in range(int(days * DAY / step_s)):
        wanted = rule.look(step_s, tank=tank, trusted=trusted)
        goal = wanted.get("set", 50.0)
        tank = min(goal, tank + warms_k_h * step_s / HOUR) if tank < goal else max(50.0, tank - 1.0 * step_s / HOUR)
        seen.append((look * step_s / HOUR, wanted, tank))
    return seen


def proven(seen, step_s=600.0):
    """Hours at which an hour at 60 °C was complete, counted from the temperatures alone."""
    ends, hot = [], 0
    for hour, _, tank in seen:
        hot = hot + 1 if tank >= 60.0 else 0
        if hot * step_s == HOUR:
            ends.append(hour)
    return ends


def test_a_tank_nobody_knows_of_is_proven_in_the_next_hours_and_then_every_week(asked):
    seen = live(asked(CYCLE), 30)
    ends = proven(seen)
    assert ends[0] < 24.0, "it was due at once, in the next quiet hours"
    gaps = [after - before for before, after in pairwise(ends)]
    assert len(gaps) == 4
    assert all(5 * 24 < gap <= 7 * 24 for gap in gaps)
    first_wish = next(hour for hour, wanted, _ in seen if wanted)
    assert (12 + 2 + first_wish) % 24 == pytest.approx(2.0, abs=0.5), "02:00 in Athens, from 12:00 UTC"


def test_a_tank_that_gets_hot_by_itself_is_left_alone(asked):
    rule = asked(CYCLE)
    rule.state = rule.kind.state(age_s=0.0)
    for _ in range(30):
        for _ in range(23):
            assert rule.look(HOUR, tank=50.0) == {}, "a day has not passed"
        for _ in range(6):
            assert rule.look(600.0, tank=61.0) == {}


@pytest.mark.parametrize("trusted", [True, False])
def test_without_its_hours_it_begins_six_hours_before_the_end(asked, trusted):
    rule = asked(CYCLE.model_copy(update={"hours": None if trusted else CYCLE.hours}))
    rule.state = rule.kind.state(age_s=0.0)
    seen = live(rule, 7.5, trusted=trusted)
    begun = next(hour for hour, wanted, _ in seen if wanted)
    assert begun == pytest.approx(7 * 24 - (24 if trusted else 6), abs=0.5)
    assert proven(seen)


def test_what_is_not_measured_or_not_watched_does_not_count(asked):
    rule = asked(CYCLE)
    rule.state = rule.kind.state(age_s=6.9 * DAY)
    assert rule.look(HOUR, watched=False, tank=65.0) == {"set": 65.0}, "an hour nobody looked"
    for _ in range(100):
        assert rule.look(600.0, tank=None) == {"set": 65.0}
    assert "7.6 days" in (rule.alarm or "")
    for _ in range(5):
        rule.look(600.0, tank=61.0)
    assert rule.look(600.0, tank=59.9) == {"set": 65.0}, "too cold too early: from the beginning"
    for _ in range(5):
        assert rule.look(600.0, tank=60.0) == {"set": 65.0}
    assert rule.look(600.0, tank=60.0) == {}
    assert rule.alarm is None


def test_a_heater_that_never_makes_it_is_an_alarm_after_the_week_and_not_before(asked):
    rule = asked(CYCLE)
    rule.state = rule.kind.state(age_s=0.0)
    alarms = [(day / 24, rule.alarm) for day in range(8 * 24) if rule.look(HOUR, tank=55.0) is not None]
    late = [day for day, alarm in alarms if alarm]
    assert late[0] == pytest.approx(7.0, abs=0.1)
    assert len(late) == 24 + 1
