"""Every form of sentence on evidence made by hand: once when it holds, once when it does not, and how it is told."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from energyctl.core.errors import ConfigError
from hil.cli import app
from hil.testing.expect import FORMS, forms, parse

from .evidence_kit import (
    alarm,
    at,
    began,
    commanded,
    daemon,
    ended,
    guided,
    local,
    rows,
    run,
    write,
)

SETPOINT, LIMIT, ZONE = "storage.power_setpoint", "charger.current_limit", "heatpump.zone1_setpoint"
DEAD = [began(10, "meter-dead", "meter"), ended(20, "meter-dead")]
RIVAL = [began(10, "rival", SETPOINT), ended(20, "rival")]


def over(*minutes: int):
    """An hour in which the grid imports 63 kW in these minutes and 10 kW in the others."""
    return rows(60, grid=lambda minute: 63.0 if minute in minutes else 10.0)


def soc(value):
    return {"trace": rows(60, battery__soc=value)}


def alarms(*entries):
    return {"journal": list(entries), "events": DEAD}


def storage(*events):
    return {"events": [*events, *RIVAL]}


def told(*minutes_and_values, point=SETPOINT, **more):
    return {"writes": [write(minute, point, value) for minute, value in minutes_and_values], "events": RIVAL, **more}


KILLED = [daemon(0, "started"), commanded(1, SETPOINT), daemon(30, "killed")]

CASES = [
    # who commands
    ("storage is on local control within 60 s of daemon-killed", {"events": [*KILLED, local(30.5, SETPOINT)]}, True),
    ("storage is on local control within 60 s of daemon-killed", {"events": [*KILLED, local(32, SETPOINT)]}, False),
    ("storage is on local control within 60 s of daemon-killed", {"events": KILLED}, False),
    ("storage is on local control within 60 s of daemon-killed", {"events": KILLED[:2]}, False),
    (
        "storage.power_setpoint is released within 60 s of daemon-killed",
        {"events": [*KILLED, local(31, SETPOINT)]},
        True,
    ),
    ("battery is commanded within 2 min", storage(commanded(1, SETPOINT)), True),
    ("storage is commanded within 2 min", storage(commanded(3, SETPOINT)), False),
    ("storage is commanded within 2 min of the end of rival", storage(commanded(22, SETPOINT)), True),
    (
        "storage is commanded within 2 min of the end of rival",
        storage(commanded(5, SETPOINT), local(9, SETPOINT)),
        False,
    ),
    ("storage is never commanded during rival", storage(commanded(5, SETPOINT), local(9, SETPOINT)), True),
    ("storage is never commanded during rival", storage(commanded(5, SETPOINT), local(11, SETPOINT)), False),
    ("storage is on local control during rival", storage(commanded(20, SETPOINT)), True),
    ("storage is not commanded within 60 s of rival", storage(commanded(5, SETPOINT), local(11, SETPOINT)), True),
    ("storage is not commanded within 60 s of rival", storage(commanded(5, SETPOINT), local(12, SETPOINT)), False),
    ("storage is always commanded from 5 min after the end of rival", storage(commanded(25, SETPOINT)), True),
    ("storage is always commanded from 4 min after the end of rival", storage(commanded(25, SETPOINT)), False),
    # quantities
    ("grid import never above 60 kW", {"trace": over()}, True),
    ("grid import never above 60 kW", {"trace": over(5)}, False),
    ("grid import is never above 60 kW during meter-dead", {"trace": over(5, 20), "events": DEAD}, True),
    ("grid import is never above 60 kW during meter-dead", {"trace": over(19), "events": DEAD}, False),
    ("grid import never above 60 kW within 3 min of meter-dead", {"trace": over(13), "events": DEAD}, True),
    ("grid import never above 60 kW within 3 min of meter-dead", {"trace": over(12), "events": DEAD}, False),
    ("grid import above 60 kW for at most 5 min", {"trace": over(1, 2, 3, 7, 8)}, True),
    ("grid import above 60 kW for at most 5 min", {"trace": over(1, 2, 3, 7, 8, 9)}, False),
    ("grid import above 60 kW for at most 3 min at once", {"trace": over(1, 2, 3, 7, 8, 9)}, True),
    ("grid import above 60 kW for at most 3 min at once", {"trace": over(1, 2, 3, 4)}, False),
    ("grid import above 60 kW for at least 4 min", {"trace": over(1, 2, 3, 4)}, True),
    ("grid import above 60 kW for at least 4 min", {"trace": over(1, 2, 3)}, False),
    ("grid import below 20 kW after 00:10", {"trace": over(9)}, True),
    ("grid import below 20 kW after 00:10", {"trace": over(10)}, False),
    ("grid import above 60 kW within 4 min of the start of meter-dead", {"trace": over(13), "events": DEAD}, True),
    ("grid import above 60 kW by 00:15", {"trace": over(14)}, True),
    ("grid import above 60 kW by 00:15", {"trace": over(15)}, False),
    ("grid import above 60 kW by 00:15", {"trace": over(14), "start": at(30)}, False),  # that time of day never came
    ("grid export never above 0 kW", {"trace": rows(60, grid=0.0)}, True),
    ("grid export never above 0 kW", {"trace": rows(60, grid=lambda m: -1.0 if m == 7 else 1.0)}, False),
    ("meter.power never above 60 kW", {"trace": over(3)}, False),
    ("battery.soc stays between 10 % and 95 %", soc(0.5), True),
    ("battery.soc stays between 10 % and 95 %", soc(lambda m: 0.08 if m == 59 else 0.5), False),
    ("storage.soc stays between 10 % and 95 %", soc(lambda m: 0.97 if m == 0 else 0.5), False),
    (
        "battery.soc stays above 10 % before the end of meter-dead",
        {**soc(lambda m: 0.5 - m / 100), "events": DEAD},
        True,
    ),
    ("battery.power is at most 5 kW", soc(0.5), False),  # nobody of that name is in the trace
    ("office.air_c above 20 °C within 10 min", {"trace": rows(60, office__air_c=lambda m: 19.0 + m / 8)}, True),
    ("heatpump.zone1_temp above 20 °C within 10 min", {"trace": rows(60, office__air_c=lambda m: 19 + m / 20)}, False),
    # alarms
    (
        "alarm meter-lost on meter raised within 5 s of meter-dead",
        alarms(alarm(10.05, "meter-lost", "meter.power")),
        True,
    ),
    (
        "alarm meter-lost on meter raised within 5 s of meter-dead",
        alarms(alarm(10.2, "meter-lost", "meter.power")),
        False,
    ),
    ("alarm meter-lost on meter raised within 5 s of meter-dead", alarms(alarm(9, "meter-lost", "meter.power")), False),
    (
        "alarm meter-lost on meter raised within 5 s of meter-dead",
        alarms(alarm(10, "meter-lost", "other.power")),
        False,
    ),
    (
        "alarm meter-lost cleared within 60 s of the end of meter-dead",
        alarms(alarm(11, "meter-lost", "meter.power"), alarm(21, "meter-lost", "meter.power", True)),
        True,
    ),
    (
        "alarm meter-lost cleared within 60 s of the end of meter-dead",
        alarms(alarm(11, "meter-lost", "meter.power")),
        False,
    ),
    ("alarm device-lost never raised", alarms(alarm(10, "meter-lost", "meter.power")), True),
    ("alarm device-lost is never raised", alarms(alarm(10, "device-lost", "meter")), False),
    ("alarm device-lost never raised before meter-dead", alarms(alarm(10, "device-lost", "meter")), True),
    ("alarm device-lost raised at most 2 times", alarms(*[alarm(m, "device-lost", "meter") for m in (1, 2)]), True),
    ("alarm device-lost raised at most 2 times", alarms(*[alarm(m, "device-lost", "meter") for m in (1, 2, 3)]), False),
    ("alarm device-lost raised once", alarms(), False),
    ("alarm meter-lost stands for at least 5 min", alarms(alarm(55, "meter-lost", "meter.power")), True),
    ("alarm meter-lost stands for at least 5 min", alarms(alarm(56, "meter-lost", "meter.power")), False),
    (
        "alarm meter-lost never stands after the end of meter-dead",
        alarms(alarm(11, "meter-lost", "meter.power")),
        False,
    ),
    # writes
    ("storage.power_setpoint is written at most 3 times", told((1, 2.0), (2, 3.0), (3, 4.0)), True),
    ("storage.power_setpoint is written at most 2 times", told((1, 2.0), (2, 3.0), (3, 4.0)), False),
    ("storage is written above 3.5 kW once", told((1, 2.0), (2, 3.0), (3, 4.0)), True),
    ("storage is never written during rival", told((9, 2.0), (21, 2.0)), True),
    ("no write to storage during rival", told((9, 2.0), (20, 2.0)), True),
    ("no write to storage during rival", told((9, 2.0), (15, 2.0)), False),
    ("no write to storage.power_setpoint above 5 kW", told((9, 5.0), (15, -9.0)), True),
    ("no write to storage.power_setpoint above 5 kW", told((9, 5.1)), False),
    ("no write to storage.power_setpoint below -5 kW", told((9, -5.1)), False),
    ("a write to storage within 10 min", told((9, 5.0)), True),
    ("no write to storage from 2 min after rival during rival", told((11, 5.0), (20, 5.0)), True),
    ("no write to storage from 2 min after rival during rival", told((12, 5.0)), False),
    ("no write to storage after 00:12 before the end of rival", told((11, 5.0), (12, 5.0)), False),
    ("at least 2 writes to storage", told((9, 5.0)), False),
    ("no write to storage during rival", {"writes": [write(15, SETPOINT, 1.0, via="rival")], "events": RIVAL}, True),
    ("no write to stroage during rival", told(), False),
    # guidance, plans, the daemon
    (
        "site is guided by rules within 2 min of meter-dead",
        {"events": DEAD, "journal": [guided(0, "plan"), guided(11, "rule")]},
        True,
    ),
    (
        "site is guided by rules within 2 min of meter-dead",
        {"events": DEAD, "journal": [guided(0, "plan"), guided(13, "rule")]},
        False,
    ),
    ("site is never guided by nothing", {"journal": [guided(0, "plan"), guided(9, "release")]}, False),
    (
        "site is guided by the last plan for at least 50 min",
        {"journal": [guided(0, "plan"), guided(9, "last plan")]},
        True,
    ),
    ("at least 5 plans", {"plans": [at(50), at(55)], "plans_made": 5}, True),
    ("at least 5 plans", {"plans": [at(50), at(55)], "plans_made": 2}, False),
    ("no plan during meter-dead", {"plans": [at(9), at(20)], "plans_made": 2, "events": DEAD}, True),
    (
        "a plan within 5 min of the end of meter-dead",
        {"plans": [at(9), at(26)], "plans_made": 2, "events": DEAD},
        False,
    ),
    ("daemon is never killed", {"events": KILLED}, False),
    ("daemon is started exactly 1 time", {"events": KILLED}, True),
    ("daemon ends with code 0", {"events": [daemon(60, "ended", code=0)]}, True),
    ("daemon ends with code 0", {"events": [daemon(60, "ended", code=1)]}, False),
    ("daemon ends with code 0", {}, False),
    # figures
    ("discomfort in office below 2 K·h", {"trace": rows(24 * 60, office__air_c=19.9, hall__air_c=10.0)}, True),
    ("discomfort below 2 K·h", {"trace": rows(24 * 60, office__air_c=19.9, hall__air_c=10.0)}, False),
    ("discomfort in cellar below 2 K·h", {}, False),
    ("cost below 3 EUR", {}, True),
    ("cost below 1 EUR", {}, False),
    ("co2 at most 100 kg", {}, True),
    ("peak import at most 20 kW", {}, True),
    ("peak import at most 20 kW", {"trace": over(*range(15))}, False),
    ("imported energy between 9.9 kWh and 10.1 kWh", {}, True),
    ("imported energy below 9.9 kWh", {}, False),
    ("imported energy at most 1.7 kWh during meter-dead", {"events": DEAD}, True),
    ("exported energy at most 0 kWh", {}, True),
    ("base takes at least 10 kWh", {}, True),
    ("base gives at least 10 kWh", {}, False),
    (
        "car is charged by 00:30",
        {"trace": rows(60, car__missing_kwh=lambda m: max(0, 29 - m), car__unserved_kwh=0.0)},
        True,
    ),
    (
        "car is charged by 00:30",
        {"trace": rows(60, car__missing_kwh=lambda m: max(0, 40 - m), car__unserved_kwh=0.0)},
        False,
    ),
    ("car is charged by 00:30", {"trace": rows(60, car__missing_kwh=0.0, car__unserved_kwh=2.0)}, False),
    ("car short at most 1 kWh", {"trace": rows(60, car__unserved_kwh=lambda m: m / 60)}, True),
    ("car is short at most 1 kWh", {"trace": rows(60, car__unserved_kwh=lambda m: m / 30)}, False),
]


@pytest.mark.parametrize(("sentence", "evidence", "holds"), CASES)
def test_sentences(sentence, evidence, holds):
    finding = parse(sentence).judge(run(**evidence))

    assert finding.ok is holds, finding.text
    assert finding.check == sentence
    assert finding.text


def test_every_form_has_an_example_that_holds_and_one_that_does_not():
    for form in FORMS:
        assert form.pattern.fullmatch(parse_claim(form.example)), form.example
        judged = {holds for sentence, _, holds in CASES if form is form_of(sentence)}
        assert judged >= {True, False}, form.example


def parse_claim(sentence):
    from hil.testing.when import split

    return split(sentence)[0]


def form_of(sentence):
    return next((form for form in FORMS if form.pattern.fullmatch(parse_claim(sentence))), None)


@pytest.mark.parametrize(
    ("sentence", "evidence", "text"),
    [
        (
            "grid import never above 60 kW",
            {"trace": over(5, 9)},
            "broken for 2 min in 2 pieces, the first from 00:05:00 on: grid import 63 kW",
        ),
        (
            "storage is on local control within 60 s of daemon-killed",
            {"events": [*KILLED, local(32, SETPOINT)]},
            "only 2 min after 00:30:00, at 00:32:00; the limit is 60 s of daemon-killed",
        ),
        (
            "grid import above 60 kW for at most 2 min",
            {"trace": over(5, 6, 9)},
            "for 3 min in all (asked: at most 2 min), the longest 2 min from 00:05:00 on: grid import 63 kW",
        ),
        (
            "no write to storage during rival",
            told((15, 2.0)),
            "once during rival; asked: never; 00:15:00 storage.power_setpoint = 2 (modbus fc 16)",
        ),
        ("battery.soc stays above 10 %", soc(0.08), "broken for 60 min from 00:00:00 on: battery.soc 8 %"),
        ("imported energy at most 5 kWh", {}, "10 kWh; asked: at most 5 kWh"),
    ],
)
def test_findings_tell_what_was_seen_when_and_what_was_asked(sentence, evidence, text):
    assert parse(sentence).judge(run(**evidence)).text == text


@pytest.mark.parametrize(
    ("sentence", "hint"),
    [
        ("storage is commanded within 60 s of rivall", "rivall never came in this run; what came: rival"),
        ("battery.sox stays above 10 %", "the trace has no 'battery.sox'; did you mean 'battery.soc'"),
        ("strage is commanded", "the site has no 'strage'; did you mean 'storage'"),
    ],
)
def test_what_cannot_be_judged_never_passes_and_says_why(sentence, hint):
    finding = parse(sentence).judge(run(events=RIVAL, **soc(0.5)))

    assert not finding.ok
    assert hint in finding.text


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("storage is happy", "closest are 'storage is commanded within 2 min'"),
        ("grid imprt never above 60 kW", "'grid import above 60 kW for at most 5 min at once'"),
        ("grid import never above 60", "write kW, MW, W or kWp"),
        ("grid import never above 60 °C", "unit '°C' does not fit here"),
        ("battery.soc stays between 10 % and 5 kW", "unit 'kW' does not fit here"),
        ("discomfort below 2 K", "unit 'K' does not fit here"),
        ("grid import never above 60 kW for at most 3 min", "say two things"),
        ("storage is commanded within 5 min within 6 min", "'within' may be said once"),
        ("no write to storage during a during b", "'during' may be said once"),
    ],
)
def test_a_sentence_that_means_nothing_is_refused_with_what_would(sentence, problem):
    with pytest.raises(ConfigError) as caught:
        parse(sentence)
    assert problem in str(caught.value)
    assert "'" in str(caught.value)


@pytest.mark.parametrize(
    ("sentence", "anchors"),
    [
        ("storage is commanded within 2 min", ()),
        ("storage is commanded within 2 min of the end of rival", ("rival",)),
        ("storage is commanded within 2 min of rival after meter-dead", ("rival", "meter-dead")),
        ("storage is local within 2 min of daemon-killed", ()),
        ("storage is local after 07:30", ()),
        ("storage is local after 'two words'", ("two words",)),
    ],
)
def test_names_the_events_that_a_scenario_must_have(sentence, anchors):
    assert parse(sentence).anchors == anchors


def test_within_is_asked_of_every_time_an_anchor_came():
    twice = [began(10, "cut"), ended(11, "cut"), began(30, "cut"), ended(31, "cut")]
    raised = [alarm(10.1, "device-lost", "meter"), alarm(12, "device-lost", "meter", True)]
    again = [*raised, alarm(30.1, "device-lost", "meter")]
    sentence = parse("alarm device-lost raised within 10 s of cut")

    assert not sentence.judge(run(events=twice, journal=raised)).ok
    assert sentence.judge(run(events=twice, journal=again)).ok


def test_lists_all_that_can_be_said():
    said = forms()

    assert ("claim", "cost below 120 EUR") in said
    assert ("time", "during NAME") in said
    assert len(said) == len(set(said))


def test_the_command_line_shows_all_that_can_be_said():
    shown = CliRunner().invoke(app, ["test", "--help-expect"])

    assert shown.exit_code == 0
    assert all(example in shown.output for _, example in forms())
