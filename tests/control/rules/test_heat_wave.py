"""Heat-wave mode, day by day in Athens time (two hours ahead of UTC in January, the rule does not mind)."""

from datetime import timedelta

from energyctl.config.rules import HeatWave

from .conftest import START

WAVE = HeatWave(
    kind="heat-wave",
    outdoor="d.out",
    temp="d.air",
    setpoint="d.set",
    vent="d.vent",
    mode="d.mode",
    above="35 °C",
    days=2,
)


def day(rule, warmest, night=25.0, air=27.0, mode=2.0):
    """A day from midnight on site: `warmest` from 10 to 20, `night` otherwise. What was wanted, by hour."""
    wanted = {}
    for hour in range(24):
        rule.time = (START + timedelta(hours=14)).replace(hour=22, minute=0) + timedelta(days=rule.days, hours=hour - 1)
        out = warmest if 10 <= hour < 20 else night
        wanted[hour] = rule.look(3600.0, out=out, air=air, set=26.0, mode=mode)
    rule.days += 1
    return wanted


def began(asked, **more):
    rule = asked(WAVE.model_copy(update=more))
    rule.days = 0
    return rule


def test_nothing_before_the_second_hot_day_and_then_by_night_only(asked):
    rule = began(asked)
    assert not any(day(rule, 34.0).values())
    assert not any(day(rule, 37.0).values())
    second = day(rule, 37.0)
    assert {hour for hour, wanted in second.items() if wanted} == {22, 23}
    third = day(rule, 37.0)
    assert {hour for hour, wanted in third.items() if "set" in wanted} == {0, 1, 2, 3, 4, 5, 6, 22, 23}
    assert third[3] == {"set": 23.0}, "27 inside and 25 outside: not worth airing"
    assert rule.alarm == "above 35 °C for 3 days in a row; close the shading by day"


def test_a_day_that_stays_below_ends_it(asked):
    rule = began(asked)
    for _ in range(3):
        day(rule, 37.0)
    cooler = day(rule, 33.0)
    assert cooler[3], "the night after a hot day"
    assert rule.alarm is not None
    assert not any(day(rule, 33.0).values())
    assert rule.alarm is None


def test_the_rooms_are_aired_while_it_is_worth_it(asked):
    rule = began(asked)
    for _ in range(2):
        day(rule, 37.0)
    night = day(rule, 37.0, night=22.0, air=27.0)
    assert night[3] == {"set": 23.0, "vent": 1.0}
    assert "vent" in day(rule, 37.0, night=19.0, air=23.4)[3], "not down yet"
    assert day(rule, 37.0, night=19.0, air=22.9)[3] == {"set": 23.0}, "down"
    assert day(rule, 37.0, night=19.0, air=23.4)[3] == {"set": 23.0}, "not for half a kelvin"


def test_a_plant_that_heats_is_not_told_to(asked):
    rule = began(asked)
    for _ in range(2):
        day(rule, 37.0)
    assert "set" not in day(rule, 37.0, mode=1.0)[3]
    assert "set" not in day(rule, 37.0, mode=None)[3], "who knows what it does"


def test_it_does_nothing_while_the_clock_is_not_trusted(asked):
    rule = began(asked)
    for _ in range(3):
        day(rule, 37.0)
    assert rule.look(60.0, trusted=False, out=20.0, air=27.0, set=26.0, mode=2.0) == {}
    assert rule.state.hot_days >= 2, "nor does it forget"
