"""Trim and respond against the numbers of the guideline's own scheme, worked by hand."""

import pytest

from energyctl.config.rules import TrimRespond
from energyctl.control.rules.trim_respond import change

RULE = TrimRespond(
    kind="trim-respond",
    setpoint="d.supply",
    start="40 °C",
    min="30 °C",
    max="55 °C",
    delay="10 min",
    every="5 min",
    ignore=2,
    trim="-1 K",
    respond="1.5 K",
    most="3.5 K",
    requests=[
        {"temp": "d.a", "setpoint": "d.a_set", "importance": 2},
        {"temp": "d.b", "setpoint": "d.b_set"},
    ],
    running="d.power",
)


@pytest.mark.parametrize(
    ("asked_for", "expected"), [(0, -1.0), (1, -1.0), (2, -1.0), (3, 1.5), (4, 3.0), (5, 3.5), (50, 3.5)]
)
def test_trim_or_respond(asked_for, expected):
    assert change(asked_for, RULE) == expected


def at(rule, after_s, a=21.0, b=21.0, power=2.0):
    return rule.look(after_s, a=a, a_set=21.0, b=b, b_set=21.0, power=power)["supply"]


def test_the_course_of_a_morning(asked):
    rule = asked(RULE)
    assert at(rule, 60, power=0.0) == 40.0
    assert [at(rule, 300) for _ in range(3)] == [40.0, 40.0, 39.0], "ten minutes after it started, the first trim"
    assert [at(rule, 60) for _ in range(5)] == [39.0, 39.0, 39.0, 39.0, 38.0], "every five minutes"
    assert at(rule, 300, a=20.4, b=20.5) == 39.5, "twice once and once: 3 requests, one more than are ignored"
    assert at(rule, 300, a=18.9, b=20.9) == 42.5, "twice two: 4"
    assert at(rule, 300, a=17.0, b=17.0) == 46.0, "9, and no more than 3.5 K"
    assert at(rule, 300, a=None, b=17.0) == 47.5, "who is not measured asks for nothing: 3"
    assert [at(rule, 300, a=17.0, b=17.0) for _ in range(3)] == [51.0, 54.5, 55.0], "SPmax"
    assert at(rule, 60, power=0.0) == 40.0, "off: SP0"
    assert at(rule, 60, power=None) == 40.0, "not known to run"
    assert min(at(rule, 300) for _ in range(20)) == 30.0, "SPmin"


def test_cold_water_is_the_other_way_round(asked):
    cold = RULE.model_copy(
        update={"trim": 0.5, "respond": -1.0, "most": -2.0, "start": 40.0, "ignore": 0, "running": None}
    )
    rule = asked(cold)
    at(rule, 0)
    assert at(rule, 600, a=21.6) == 38.0, "too warm, counted twice"
    assert at(rule, 300, a=20.0) == 38.5, "too cold asks for nothing colder"
