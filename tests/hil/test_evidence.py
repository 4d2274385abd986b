"""What is read back from a run's folder, and the questions that evidence answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from energyctl.core.errors import EnergyctlError
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.store import Batch, Store
from hil.events import Happened
from hil.testing.evidence import Evidence, Span, gaps, merged, righted, within

from .evidence_kit import (
    START,
    alarm,
    at,
    began,
    commanded,
    daemon,
    ended,
    event,
    guided,
    line,
    local,
    rows,
    run,
    town_hall,
    write,
)


@dataclass(frozen=True)
class Course:
    step: float = 60.0
    mode: str = "lockstep"

    def start(self, timezone: str):
        return START

    def end(self, timezone: str):
        return START + timedelta(hours=1)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a run of three minutes."""
    trace = [
        {
            "time": at(minute).isoformat(),
            "seconds": 60.0,
            "powers_kw": {"base": 5.0 + minute},
            "states": {"battery.soc": 0.5},
        }
        for minute in range(3)
    ]
    (tmp_path / "trace.json").write_text(json.dumps(trace))
    (tmp_path / "writes.json").write_text(
        json.dumps(
            [
                {
                    "time": at(1).isoformat(),
                    "device": "storage",
                    "point": "power_setpoint",
                    "value": 5.0,
                    "via": "modbus fc 16",
                    "accepted": True,
                    "reason": "",
                }
            ]
        )
    )
    happened = {
        "kind": "began",
        "text": "silent on meter",
        "data": {"kind": "silent", "target": "device", "on": "meter"},
    }
    (tmp_path / "events.json").write_text(json.dumps([{"time": at(2).isoformat(), "subject": "dead", **happened}]))
    store = Store.open(tmp_path / "state" / "energyctl.sqlite")
    store.commit(
        Batch(
            samples=(Sample("meter.power", at(1), 5.0), Sample.bad("meter.power", at(2), "silent")),
            journal=(JournalEntry(1, at(1), JournalKind.INTENT, "storage.power_setpoint", 5.0),),
        )
    )
    store.close()
    return tmp_path


def test_reads_all_that_a_run_left(left):
    evidence = Evidence.load(left, town_hall(), Course())

    assert [row.grid_kw for row in evidence.rows] == [5.0, 6.0, 7.0]
    assert [(w.point, w.value, w.time) for w in evidence.ours("storage.power_setpoint")] == [
        ("power_setpoint", 5.0, at(1))
    ]
    assert [(t.name, t.kind, t.things, t.span) for t in evidence.troubles] == [
        ("dead", "silent", {"meter"}, Span(at(2), at(60)))
    ]
    assert [entry.kind for entry in evidence.journal] == [JournalKind.INTENT]
    assert [(s.value, s.quality) for s in evidence.samples["meter.power"]] == [(5.0, Quality.GOOD), (None, Quality.BAD)]
    assert (evidence.start, evidence.end, evidence.lease_s) == (START, at(60), 180.0)


def test_a_live_run_is_as_long_as_its_trace(left):
    evidence = Evidence.load(left, town_hall(), Course(mode="live"))

    assert (evidence.start, evidence.end, evidence.step_s, evidence.lease_s) == (at(0), at(3), 1.0, 60.0)


@pytest.mark.parametrize("name", ["trace.json", "writes.json", "events.json"])
def test_a_missing_or_broken_file_is_named(left, name):
    (left / name).write_text("[{")
    with pytest.raises(EnergyctlError, match=name):
        Evidence.load(left, town_hall(), Course())
    (left / name).unlink()
    with pytest.raises(EnergyctlError, match=name):
        Evidence.load(left, town_hall(), Course())


def test_a_broken_store_is_named_and_a_missing_one_is_an_empty_journal(left):
    store = left / "state" / "energyctl.sqlite"
    store.write_bytes(b"nonsense" * 1000)
    with pytest.raises(EnergyctlError, match=r"energyctl\.sqlite"):
        Evidence.load(left, town_hall(), Course())
    store.unlink()
    assert not Evidence.load(left, town_hall(), Course()).journal


def test_spans_merge_meet_and_leave_gaps():
    spans = [Span(at(5), at(7)), Span(at(1), at(3)), Span(at(3), at(4))]

    assert merged(spans) == [Span(at(1), at(4)), Span(at(5), at(7))]
    assert within(spans, [Span(at(2), at(6))]) == [Span(at(2), at(4)), Span(at(5), at(6))]
    assert gaps(spans, Span(at(0), at(7))) == [Span(at(0), at(1)), Span(at(4), at(5))]
    assert gaps([], Span(at(0), at(7))) == [Span(at(0), at(7))]


def test_who_commands_when():
    point = "storage.power_setpoint"
    evidence = run(events=[commanded(2, point), local(10, point), commanded(30, point)])

    assert evidence.commanded(point) == [Span(at(2), at(10)), Span(at(30), at(60))]
    assert evidence.commanded("heatpump.zone1_setpoint") == []


def test_when_a_daemon_lived():
    evidence = run(events=[daemon(0, "started"), daemon(5, "hung"), daemon(7, "resumed"), daemon(9, "killed")])

    assert evidence.alive() == [Span(at(0), at(5)), Span(at(7), at(9))]
    assert run().alive() == [run().whole]


def test_alarms_by_name_and_subject():
    journal = [
        alarm(1, "device-lost", "meter"),
        alarm(2, "meter-lost", "meter.power"),
        alarm(4, "device-lost", "meter", True),
    ]
    evidence = run(journal=journal)

    assert evidence.standing("device-lost") == [Span(at(1), at(4))]
    assert evidence.standing("meter-lost", "meter") == [Span(at(2), at(60))]
    assert evidence.standing("meter-lost", "met") == []


def test_what_guided():
    evidence = run(journal=[guided(0, "rule"), guided(2, "plan"), guided(50, "last plan")])

    assert evidence.guided_by("plan") == [Span(at(2), at(50))]


def test_a_trouble_concerns_the_points_of_its_device_and_of_its_connection():
    events = [began(1, "a", "storage"), ended(2, "a"), began(3, "b", "plant-room", target="link"), ended(4, "b")]
    evidence = run(events=events)

    assert [t.name for t in evidence.troubled("storage.soc")] == ["a", "b"]
    assert [t.name for t in evidence.troubled("meter.power", 30.0)] == ["b"]
    assert evidence.troubled("meter.power", 30.0)[0].span.end == at(4.5)
    assert evidence.troubled("charger.power") == []


def test_a_trouble_concerns_the_other_device_too_and_on_the_line_all_that_share_it():
    swapped = event(1, Happened.BEGAN, "swapped", kind="address-swap", target="device", on="inverter", other="storage")
    evidence = run(events=[swapped, began(2, "cut", "storage", target="link")])

    assert [t.name for t in evidence.troubled("storage.soc")] == ["swapped", "cut"]
    assert [t.name for t in evidence.troubled("meter.power")] == ["cut"]


def test_only_what_came_over_the_wire_is_ours():
    writes = [write(1, "storage.power_setpoint", 1.0), write(2, "storage.power_setpoint", 2.0, via="rival")]

    assert [w.value for w in run(writes=writes).ours()] == [1.0]


def test_times_are_told_in_the_sites_own():
    assert run().clock(at(61)) == "01:01:00"
    assert run().clock(at(24 * 60)) == "Feb 01 00:00:00"


def test_conditions_of_rows_become_spans():
    evidence = run(trace=rows(10, grid=lambda minute: 70.0 if minute in (3, 4, 8) else 5.0))

    assert evidence.spans_when(lambda row: row.grid_kw > 60) == [Span(at(3), at(5)), Span(at(8), at(9))]


def test_a_journal_is_read_in_the_benchs_time_although_the_daemons_clock_jumped():
    jumps = [(Span(at(10), at(20)), timedelta(minutes=30))]
    told = [5, 9, 40, 45, 49, 20, 41, 45]  # as the daemon wrote them: from 10 to 20 its clock is half an hour ahead

    journal = righted([line(minute, JournalKind.NOTE, "x") for minute in told], jumps)

    assert [entry.time for entry in journal] == [at(m) for m in (5, 9, 10, 15, 19, 20, 41, 45)]
    back = [(Span(at(10), at(20)), timedelta(minutes=-5))]
    journal = righted([line(minute, JournalKind.NOTE, "x") for minute in (9, 5, 8, 14, 20)], back)
    assert [entry.time for entry in journal] == [at(m) for m in (9, 10, 13, 19, 20)]
