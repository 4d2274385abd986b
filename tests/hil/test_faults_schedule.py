"""When faults begin and end: at their instants, independently of each other, the same in every run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from energyctl.config import load_site
from energyctl.core.errors import ConfigError
from hil.events import Happened
from hil.faults import Bench, Fault, Schedule, make
from hil.faults.agenda import Agenda
from hil.faults.claims import Claims
from hil.still import Still

START = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
TOWN_HALL = Path("sites/larissa/town-hall.yaml").resolve()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Planned:
    name: str
    fault: Fault
    at_s: float = 0.0
    for_s: float | None = None


class Walk(Still):
    """A world that notes the steps it is moved in."""

    def __init__(self, site) -> None:
        super().__init__(site, START)
        self.steps: list[datetime] = []

    def step(self, to: datetime) -> None:
        self.steps.append(to)
        super().step(to)


class Noted(Fault):
    """Writes down when it happens."""

    kind: ClassVar[str] = "noted"
    about: ClassVar[str] = ""
    target: ClassVar[str] = "site"

    book: Any

    def begin(self, bench):
        self.book.append((bench.name, "began", bench.world.time, bench.luck().random()))
        return lambda: self.book.append((bench.name, "ended", bench.world.time))


@pytest.fixture
def site():
    return load_site(TOWN_HALL)


@pytest.fixture
def bench(site) -> Bench:
    return Bench(site, Walk(site), SimpleNamespace(servers=[]), seed=7)


async def test_the_world_never_steps_past_an_instant_at_which_something_is_due(bench):
    book: list = []
    fault = Noted(book=book)
    planned = [
        Planned("a", fault, 90, 45.5),
        Planned("b", fault, 90),
        Planned("c", fault, 0, 60),
        Planned("d", fault, 600),
    ]
    schedule = Schedule(planned, bench, bench.world.log)
    assert schedule.next_due == START
    await schedule.go(at(0), 60)
    await schedule.go(at(300), 60)
    assert bench.world.steps == [at(60), at(90), at(135.5), at(195.5), at(255.5), at(300)]
    assert [entry[:3] for entry in book] == [
        ("c", "began", at(0)),
        ("c", "ended", at(60)),
        ("a", "began", at(90)),
        ("b", "began", at(90)),
        ("a", "ended", at(135.5)),
    ]
    assert (set(schedule.standing), schedule.next_due) == ({"b"}, at(600))
    told = [(event.time, event.kind, event.subject) for event in bench.world.log.events]
    assert told[2:5] == [(at(90), Happened.BEGAN, "a"), (at(90), Happened.BEGAN, "b"), (at(135.5), Happened.ENDED, "a")]
    assert bench.world.log.events[2].data["for_s"] == 45.5
    await schedule.close()
    assert book[-1][:2] == ("b", "ended")
    assert bench.world.log.events[-1].kind is Happened.ENDED
    assert bench.world.log.events[-1].subject == "a"


async def test_at_one_instant_ends_come_before_begins(bench):
    book: list = []
    planned = [Planned("second", Noted(book=book), 60), Planned("first", Noted(book=book), 0, 60)]
    schedule = Schedule(planned, bench, bench.world.log)
    await schedule.go(at(60), 60)
    assert [entry[:2] for entry in book] == [("first", "began"), ("first", "ended"), ("second", "began")]


async def test_luck_depends_on_the_seed_and_the_name_alone(site):
    async def luck(seed: int, *names: str) -> dict[str, float]:
        book: list = []
        bench = Bench(site, Walk(site), SimpleNamespace(), seed=seed)
        await Schedule([Planned(name, Noted(book=book)) for name in names], bench, bench.world.log).go(START, 60)
        return {entry[0]: entry[3] for entry in book}

    one, other = await luck(7, "a", "b"), await luck(7, "b", "c")
    assert one["b"] == other["b"]
    assert len({one["a"], one["b"], other["c"], (await luck(8, "a"))["a"]}) == 4


async def test_every_parameter_is_in_the_record(bench):
    fault = make({"fault": "spike", "on": "meter.power", "by": "5 kW", "probability": "20 %"})
    await Schedule([Planned("wild", fault, 0, 30)], bench, bench.world.log).go(at(30), 60)
    began, ended = bench.world.log.events
    assert (began.kind, began.subject, began.text) == (Happened.BEGAN, "wild", "spike on meter.power")
    assert began.data == {
        "kind": "spike",
        "target": "readings",
        "on": "meter.power",
        "by": "5 kW",
        "probability": 0.2,
        "for_s": 30,
    }
    assert (ended.kind, ended.subject, ended.time) == (Happened.ENDED, "wild", at(30))


async def test_faults_on_one_thing_end_independently(bench):
    meter = bench.world.devices["meter"]
    meter.set("power", 10.0)
    schedule = Schedule((), bench, bench.world.log)

    async def begin(kind: str, **parameters) -> str:
        return await schedule.begin(make({"fault": kind, "on": "meter", **parameters}))

    one, two = await begin("silent"), await begin("silent")
    assert (one, two) == ("silent", "silent-2")
    await schedule.end(one)
    assert meter.ail.silent
    await schedule.end(two)
    assert not meter.ail.silent

    few, many = await begin("exception", code=2), await begin("exception", code=6)
    await schedule.end(many)
    assert meter.ail.exception == 2
    await schedule.end(few)
    assert meter.ail.exception is None

    double = await begin("unit-mistake", on="meter.power", factor=2)
    bias = await begin("bias", on="meter.power", by="1 kW")
    assert meter.reading("power") == 21.0
    await schedule.end(double)
    assert meter.reading("power") == 11.0
    await schedule.end(bias)
    assert (meter.reading("power"), meter.ail.distorted) == (10.0, {})


async def test_what_nobody_can_end_or_begin(bench):
    schedule = Schedule((), bench, bench.world.log)
    silent = make({"fault": "silent", "on": "meter"})
    await schedule.begin(silent, "dead")
    with pytest.raises(ConfigError, match="'dead' stands already"):
        await schedule.begin(silent, "dead")
    with pytest.raises(ConfigError, match="nothing called 'daed' stands; did you mean 'dead'"):
        await schedule.end("daed")
    with pytest.raises(ConfigError, match="clock-jump: is possible in a lockstep run only"):
        await schedule.begin(make({"fault": "clock-jump", "by": "1 h"}))
    with pytest.raises(ConfigError, match="price-missing: is possible from the start"):
        await schedule.begin(make({"fault": "price-missing"}))
    with pytest.raises(ConfigError, match="cars: for: it happens once"):
        await schedule.begin(make({"do": "cars"}), for_s=5)
    assert set(schedule.standing) == {"dead"}
    assert len(bench.world.log.events) == 1


async def test_a_plan_that_cannot_be_is_refused_as_a_whole_before_anything_happens(bench):
    planned = [
        Planned("one", make({"fault": "silent", "on": "metre"}), 60),
        Planned("two", make({"fault": "word-swap", "on": "heatpump"}), 60),
        Planned("three", make({"fault": "deaf", "on": "meter.power"}), 60),
    ]
    with pytest.raises(ConfigError) as wrong:
        Schedule(planned, bench, bench.world.log)
    assert len(wrong.value.problems) == 3
    assert wrong.value.problems[0] == "event 'one': silent: on: 'metre': no such device; did you mean 'meter'?"
    assert wrong.value.problems[1] == (
        "event 'two': word-swap: on: 'heatpump' is on bacnet; this is possible on modbus only"
    )
    assert wrong.value.problems[2].startswith("event 'three': deaf: on: 'meter.power' is never written")


async def test_an_early_end_is_the_end_also_when_the_name_is_used_again(bench):
    book: list = []
    schedule = Schedule((), bench, bench.world.log)
    await schedule.begin(Noted(book=book), "x", 60)
    await schedule.end("x")
    await schedule.go(at(30), 60)
    await schedule.begin(Noted(book=book), "x", 60)
    await schedule.go(at(89), 60)
    assert "x" in schedule.standing
    await schedule.go(at(90), 60)
    assert "x" not in schedule.standing


def test_an_agenda_repeats_until_it_is_told_not_to():
    agenda, done = Agenda(), []
    stop = agenda.repeat(START, 10, lambda: done.append("tick"))
    agenda.at(at(10), lambda: done.append("once"))
    for second in range(0, 21, 5):
        while action := agenda.take(at(second)):
            action()
    assert (done, agenda.next) == (["tick", "tick", "once", "tick"], at(30))
    stop()
    assert agenda.next is None


def test_claims_give_back_what_was_there():
    claims, thing, group, entries = Claims(), SimpleNamespace(value="healthy"), {"own"}, {}
    first, second = claims.attribute(thing, "value", None), claims.attribute(thing, "value", "ill")
    first()
    first()
    assert thing.value == "ill"
    second()
    assert thing.value == "healthy"
    one, two = claims.member(group, "x"), claims.member(group, "x")
    one()
    assert group == {"own", "x"}
    two()
    assert group == {"own"}
    gone = claims.entry(entries, "x", 0.0)
    assert entries == {"x": 0.0}
    gone()
    assert entries == {}
