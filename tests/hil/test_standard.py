"""The checks that always hold, on evidence made by hand: clean runs are green, each broken rule is red and told in numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from energyctl.core.interlock import Interlock
from energyctl.core.points import Quality
from energyctl.core.records import JournalKind
from hil.testing.evidence import Evidence
from hil.testing.standard import CHECKS

from .evidence_kit import (
    began,
    commanded,
    daemon,
    ended,
    line,
    local,
    rows,
    run,
    samples,
    steered,
    town_hall,
    write,
)

ZONE, SETPOINT, LIMIT, FLUSH = (
    "heatpump.zone1_setpoint",
    "storage.power_setpoint",
    "charger.current_limit",
    "airhandler.flush",
)
STEPS = ("setpoint_timeout", "setpoint_mode", "power_setpoint", "setpoint_enable")


def told(minute: float, kw: float, timeout: float = 180.0, enable: float = 1.0):
    """The four writes of a battery's command."""
    values = (timeout, 1.0, kw, enable)
    return [write(minute, f"storage.{name}", value) for name, value in zip(STEPS, values, strict=True)]


def battery(*commands: tuple[float, float], owned: bool = True, hand_back: float | None = None):
    """A battery that is commanded at these minutes to these powers, by a daemon that writes everything down."""
    found = dict(zip(STEPS, (0.0, 0.0, 0.0, 0.0), strict=True))
    journal = [line(commands[0][0], JournalKind.OWN, f"storage.{name}", found[name]) for name in STEPS if owned]
    writes = []
    for minute, kw in commands:
        journal.append(line(minute, JournalKind.INTENT, SETPOINT, kw))
        writes += told(minute, kw)
    if hand_back is not None:
        writes += [write(hand_back, f"storage.{name}", 0.0) for name in reversed(STEPS)]
        journal += [line(hand_back, JournalKind.RELEASED, f"storage.{name}") for name in STEPS]
    return {"journal": journal, "writes": writes}


def zone(*values: float, every: float = 10.0, **more):
    return steered(ZONE, 20.0, {every * k: v for k, v in enumerate(values, 1)}, via="bacnet prio 10") | more


def rivalry(*minutes: float):
    """A thermostat that somebody else sets every half minute, and we at these minutes, each time to something else."""
    ours = steered(ZONE, 20.0, {minute: 20.0 + minute / 10 for minute in minutes}, via="bacnet prio 10")
    theirs = [write(minute / 2 + 0.25, ZONE, 25.0, via="rival prio 9") for minute in range(20)]
    return {**ours, "writes": sorted([*ours["writes"], *theirs], key=lambda item: item.time)}


def with_safety(**safety):
    site = town_hall()
    return {"site": replace(site, safety=replace(site.safety, **safety))}


def joined(*parts):
    """Writes and journals of several as one run's."""
    return {key: [item for part in parts for item in part[key]] for key in ("journal", "writes")}


CLEAN = joined(battery((1, 5.0), (2.5, 5.0), (5, -8.0), hand_back=50), zone(20.5, 21.0))
LIFE = [daemon(0, "started"), commanded(1, SETPOINT), local(50, SETPOINT), daemon(60, "ended", code=0)]
TRIPPED = Interlock(SETPOINT, "storage.soc", ">", 0.9, "storage.soc > 90 %")
MANY = tuple((minute, 5.0) for minute in range(1, 40))
"""A command that is repeated every minute, where the watchdog needs it every three."""
RIVAL = [began(0, "rival", SETPOINT, kind="rival", target="point"), ended(60, "rival")]
SOC = dict.fromkeys(range(60), 0.95)


@pytest.mark.parametrize("check", CHECKS)
def test_a_clean_run_is_green(check):
    finding = CHECKS[check](run(events=LIFE, **CLEAN))

    assert finding.ok, finding.text
    assert finding.check == check
    assert finding.text


@pytest.mark.parametrize("check", CHECKS)
def test_a_run_in_which_nothing_happened_is_green(check):
    assert CHECKS[check](run()).ok


RED = [
    ("wear", battery((1, 5.0)) | {"writes": told(1, 5.0) * 2}, "1 times in all with the same value"),
    ("limits", zone(31.0), "heatpump.zone1_setpoint = 31 (bacnet prio 10), allowed is 15 to 30"),
    ("limits", battery((1, 31.0)), "allowed is -30 to 30"),
    ("limits", battery((1, float("nan"))), "= nan"),
    ("limits", {"writes": [write(1, ZONE, 36.0, reason="outside")]}, "refused: outside"),
    ("limits", battery((1, 11.0)) | with_safety(point_limits={SETPOINT: (-10.0, 10.0)}), "allowed is -10 to 10"),
    (
        "rates",
        battery((1, 2.0), (5, 9.0)) | with_safety(point_steps={SETPOINT: 5.0}),
        "7 away from 2; at most 5 at once",
    ),
    (
        "intervals",
        steered(FLUSH, 0.0, {1: 1.0, 7: 0.0}),
        "airhandler.flush = 0 (opcua), 6 min after the last change; at least 10 min",
    ),
    ("intervals", steered(FLUSH, 0.0, {1: 1.0, 9: 1.0, 11: 0.0, 15: 1.0}), "4 min after the last change"),
    ("wear", battery(*MANY), "38 times in all with the same value; its watchdog needs it every 90 s"),
    ("wear", zone(20.0, 20.0, 20.0, 20.0, 20.0), "it has no watchdog to refresh"),
    ("wear", battery(*MANY) | {"events": RIVAL}, "is repeated for the 4th time within 3 min: a fight"),
    ("wear", rivalry(1, 2, 3, 4), "goes over what somebody else wrote for the 4th time within 3 min: a fight"),
    ("refusals", {"writes": [write(1, ZONE, 20.0, reason="read-only")]}, "refused: read-only"),
    ("priority", {"writes": [write(1, ZONE, 20.0, via="bacnet prio 8")]}, "(bacnet prio 8); ours is priority 10"),
    ("priority", {"writes": [write(1, ZONE, None, via="bacnet relinquish prio 8")]}, "given back"),
    (
        "interlocks",
        battery((5, 3.0)) | {"samples": samples("storage.soc", SOC)} | with_safety(interlocks=(TRIPPED,)),
        "while storage.soc > 90 %",
    ),
    ("journal", {"writes": told(1, 5.0)}, "storage.setpoint_timeout = 180"),
    ("journal", battery((1, 5.0)) | {"writes": told(1, -5.0)}, "storage.power_setpoint = -5"),
    ("journal", battery((1, 5.0)) | {"writes": told(0.5, 5.0)}, "no line before it in the journal"),
    ("journal", battery((1, 5.0)) | {"writes": told(5, 5.0)}, "no line before it in the journal"),
    ("journal", {"writes": [write(1, ZONE, None, via="bacnet relinquish prio 10")]}, "given back"),
    (
        "lease",
        {"events": [daemon(0, "started"), commanded(1, SETPOINT), local(9, SETPOINT, "lapsed")]},
        "storage.power_setpoint fell back to its own rule: nobody renewed it for 3 min",
    ),
    (
        "lease",
        battery((1, 5.0))
        | {
            "events": [daemon(0, "started"), commanded(1, SETPOINT), daemon(9, "killed"), local(13, SETPOINT, "lapsed")]
        },
        "still commanded 3.25 min after the daemon was killed",
    ),
    (
        "lease",
        zone(20.5) | {"events": [daemon(0, "started"), commanded(10, ZONE), daemon(60, "ended", code=0)]},
        "heatpump.zone1_setpoint was left commanded when the daemon ended",
    ),
    ("ending", {"events": [daemon(60, "ended", code=1)]}, "the daemon ended with code 1"),
    ("energy", {"trace": [*rows(10)[:4], *rows(10)[5:]]}, "the trace goes on at 00:05:00 after 00:04:00"),
    ("energy", {"trace": rows(10, grid=float("nan"))}, "no number"),
    (
        "energy",
        {"samples": samples("meter.power", dict.fromkeys(range(61), -10.0))},
        "meter.power -10.00 kWh stored, 10.00 kWh true in 1.00 h; at most 0.40 kWh apart",
    ),
    ("energy", {"samples": samples("meter.power", dict.fromkeys(range(61), 10.5))}, "10.50 kWh stored"),
    ("energy", {"trace": rows(60, base__energy_kwh=lambda m: m * 1.0)}, "base gained 1.000 kWh from 0.167 kWh"),
]


@pytest.mark.parametrize(("check", "evidence", "text"), RED)
def test_what_breaks_a_rule_is_red_and_told(check, evidence, text):
    finding = CHECKS[check](run(**evidence))

    assert not finding.ok
    assert text in finding.text
    assert finding.at is not None


def test_every_check_has_something_that_turns_it_red():
    assert {check for check, _, _ in RED} == set(CHECKS)


TWICE = [write for minute in range(1, 20) for write in told(minute, float(minute)) * 2]
GREEN = [
    (
        "wear",
        battery(*((minute, float(minute)) for minute in range(1, 20)))
        | {"writes": TWICE, "events": [began(0, "doubled", "plant-room", "duplicated", "link")]},
    ),
    ("wear", rivalry(1, 2, 3, 6)),
    ("limits", battery((1, 30.04))),  # the maker rounds
    ("limits", zone(20.0) | {"writes": [write(1, ZONE, 50.0, via="rival")]}),
    ("limits", battery((1, 5.0), hand_back=9) | with_safety(point_limits={SETPOINT: (1.0, 10.0)})),
    ("rates", battery((1, 2.0), (5, 6.9)) | with_safety(point_steps={SETPOINT: 5.0})),
    ("rates", battery((1, 20.0), hand_back=9) | with_safety(point_steps={SETPOINT: 5.0})),
    (
        "rates",
        battery((1, -20.0), (9, 20.0)) | {"events": [daemon(5, "started")]} | with_safety(point_steps={SETPOINT: 5.0}),
    ),
    ("intervals", steered(FLUSH, 0.0, {1: 1.0, 11: 0.0, 15: 0.0, 21: 1.0})),
    ("wear", battery((1, 5.0), (2.5, 5.0), (4, 5.0))),
    ("wear", zone(20.0, 20.0, 20.0)),
    (
        "wear",
        zone(20.0, 20.0, 20.0, 20.0, 20.0, 20.0)
        | {"events": [began(1, "cut", "bms", target="link"), ended(50, "cut")]},
    ),
    (
        "refusals",
        {"writes": [write(1, ZONE, 20.0, reason="guard")], "events": [began(0, "full", ZONE), ended(2, "full")]},
    ),
    ("refusals", {"writes": [write(1, ZONE, 20.0, via="operator", reason="read-only")]}),
    ("priority", {"writes": [write(1, ZONE, 20.0, via="operator prio 8")]}),
    (
        "interlocks",
        battery((5, 3.0))
        | {"samples": samples("storage.soc", {4: 0.95, 4.5: 0.5})}
        | with_safety(interlocks=(TRIPPED,)),
    ),
    (
        "interlocks",
        battery((5, 3.0))
        | {"samples": samples("storage.soc", SOC, Quality.UNCERTAIN)}
        | with_safety(interlocks=(TRIPPED,)),
    ),
    (
        "interlocks",
        battery((1, 3.0), hand_back=9)
        | {"samples": samples("storage.soc", {8: 0.95})}
        | with_safety(interlocks=(TRIPPED,)),
    ),
    ("journal", battery((1, 5.0), hand_back=9)),
    ("journal", {"writes": [write(1, ZONE, 5.0, via="rival")]}),
    (
        "lease",
        {"events": [daemon(0, "started"), commanded(1, SETPOINT), daemon(9, "killed"), local(12, SETPOINT, "lapsed")]},
    ),
    (
        "lease",
        {
            "events": [
                daemon(0, "started"),
                began(6, "cut", "storage"),
                commanded(1, SETPOINT),
                local(9, SETPOINT, "lapsed"),
                ended(10, "cut"),
            ]
        },
    ),
    (
        "lease",
        battery((1, 5.0), hand_back=60)
        | {"events": [daemon(0, "started"), commanded(1, SETPOINT), daemon(60, "ended", code=0)]},
    ),
    (
        "lease",
        {
            "events": [
                daemon(0, "started"),
                commanded(1, ZONE),
                daemon(9, "killed"),
                daemon(10, "started"),
                local(60, ZONE),
            ]
        },
    ),
    ("lease", {"events": [daemon(0, "started"), commanded(1, SETPOINT), local(9, SETPOINT, "released")]}),
    (
        "lease",
        {
            "events": [
                commanded(1, ZONE),
                began(1, "boss", ZONE, "operator-override", "point"),
                daemon(60, "ended", code=0),
            ]
        },
    ),
    ("ending", {"events": [daemon(9, "killed"), daemon(9, "ended", code=70)]}),
    ("energy", {"samples": samples("meter.power", dict.fromkeys(range(61), 10.25))}),
    (
        "energy",
        {"samples": samples("meter.power", {m: 10.0 if m < 30 else 99.0 for m in range(61)}, Quality.UNCERTAIN)},
    ),
    ("energy", {"samples": samples("meter.power", dict.fromkeys(range(20), 10.0))}),
    ("energy", {"trace": rows(60, base__energy_kwh=lambda m: m * 0.16)}),
]


@pytest.mark.parametrize(("check", "evidence"), GREEN)
def test_what_a_rule_allows_is_green(check, evidence):
    finding = CHECKS[check](run(**evidence))

    assert finding.ok, finding.text


def test_readings_that_somebody_tampered_with_are_left_out_of_the_books_and_named():
    stored = samples("meter.power", {m: -10.0 if 10 < m <= 20 else 10.0 for m in range(61)})
    tampered = [began(10, "flipped", "meter.power", kind="sign-flipped", target="readings"), ended(20, "flipped")]

    assert not CHECKS["energy"](run(samples=stored)).ok
    finding = CHECKS["energy"](run(samples=stored, events=tampered))
    assert finding.ok, finding.text
    assert "left out: meter.power during flipped" in finding.text


def test_a_run_that_is_too_short_to_judge_says_so():
    events = [daemon(0, "started"), commanded(1, SETPOINT), daemon(59, "killed")]

    finding = CHECKS["lease"](run(events=events, **battery((1, 5.0))))

    assert finding.ok
    assert f"{SETPOINT} was still commanded when the run ended 60 s after the daemon was killed" in finding.text
    finding = CHECKS["lease"](run(events=[*events, local(59.5, SETPOINT)], **battery((1, 5.0))))
    assert "when the run ended" not in finding.text


def test_the_books_leave_out_when_no_daemon_ran():
    stored = samples("meter.power", {m: 10.0 if m <= 30 else 20.0 for m in range(61)})
    lived = [daemon(0, "started"), daemon(30, "killed")]

    assert not CHECKS["energy"](run(samples=stored)).ok
    assert CHECKS["energy"](run(samples=stored, events=lived)).ok


def test_a_live_bench_may_be_early_or_late_at_the_edges_of_its_books():
    stored = samples("meter.power", {m: 10.0 if m > 5 else 9.1 for m in range(11)})

    assert CHECKS["energy"](run(trace=rows(10), samples=stored, live=True)).ok is True
    assert CHECKS["energy"](run(trace=rows(10), samples=stored)).ok is False


def test_a_live_bench_may_be_two_seconds_behind():
    early = battery((1, 5.0)) | {"writes": told(1 - 1.5 / 60, 5.0, timeout=60.0)}

    assert CHECKS["journal"](run(live=True, step_s=1.0, **early)).ok
    assert not CHECKS["journal"](run(step_s=1.0, **early)).ok


def test_flash_is_written_once_in_ten_minutes_in_the_mean():
    def flash(times: int) -> Evidence:
        site = town_hall()
        device = site.devices["heatpump"]
        spec = device.profile.points["zone1_setpoint"].model_copy(update={"memory": "flash"})
        points = {**device.profile.points, "zone1_setpoint": spec}
        changed = replace(device, profile=device.profile.model_copy(update={"points": points}))
        values = {float(minute): 20.0 + minute % 2 for minute in range(1, times + 1)}
        steps = steered(ZONE, 20.0, values, via="bacnet prio 10")
        return run(site=replace(site, devices={**site.devices, "heatpump": changed}), **steps)

    assert CHECKS["wear"](flash(9)).ok
    finding = CHECKS["wear"](flash(10))
    assert not finding.ok
    assert "is kept in flash and was written 10 times in 60 min; at most 9" in finding.text


def test_only_the_first_violations_are_told_and_the_rest_counted():
    finding = CHECKS["limits"](run(**zone(31.0, 32.0, 33.0, 34.0, 35.0)))

    assert "and 2 more" in finding.text
