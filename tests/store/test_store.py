"""What is committed comes back as it was: samples, means, journal, owned points, plans, figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from energyctl.core.errors import StoreError
from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance
from energyctl.core.points import Quality
from energyctl.core.records import JournalKind, Owned, Past
from energyctl.core.timeline import Horizon
from energyctl.store import Batch, Store

OWN, INTENT, WRITTEN, RELEASE, RELEASED = (
    JournalKind.OWN,
    JournalKind.INTENT,
    JournalKind.WRITTEN,
    JournalKind.RELEASE,
    JournalKind.RELEASED,
)


def test_samples_come_back_as_they_were(store, sample, at):
    samples = (
        sample("meter.power", 0.000001, 12.25),
        sample("bat.soc", 0, 0.5, Quality.UNCERTAIN, "old"),
        sample("pv.power", 0, None, Quality.BAD, "timeout after 1 s"),
        sample("charger.connected", 0, -0.0),
    )
    assert store.commit(Batch(samples)) == 1
    assert store.latest() == {s.point: s for s in samples}
    assert store.history("meter.power", at(0), at(1)) == [samples[0]]
    assert store.history("no.such", at(0), at(1)) == []


def test_a_time_in_another_zone_is_the_same_instant(store, sample, at):
    athens = timezone(timedelta(hours=2))
    s = replace(sample("m.p", 0, 1.0), time=at(0).astimezone(athens))
    store.commit(Batch((s,)))
    assert store.latest()["m.p"].time == at(0)
    assert store.latest()["m.p"].time.tzinfo is UTC


def test_history_is_half_open_and_by_time(store, sample, at):
    store.commit(Batch(tuple(sample("m.p", t, float(t)) for t in (30, 10, 20))))
    assert [s.value for s in store.history("m.p", at(10), at(30))] == [10.0, 20.0]


def test_latest_is_what_was_committed_last_also_when_the_clock_went_back(store, sample):
    store.commit(Batch((sample("m.p", 600, 1.0),)))
    store.commit(Batch((sample("m.p", 0, 2.0),)))
    assert store.latest()["m.p"].value == 2.0


def test_the_same_point_and_time_again_is_kept_beside_it(store, sample, at):
    store.commit(Batch((sample("m.p", 0, 1.0),)))
    store.commit(Batch((sample("m.p", 0, 2.0), sample("m.q", 0, 5.0))))
    store.commit(Batch((sample("m.p", 0, 3.0),)))
    assert [s.value for s in store.history("m.p", at(0), at(1))] == [1.0, 2.0, 3.0]
    assert store.history("m.p", at(0), at(1))[-1].time == at(0.000002)
    assert store.latest()["m.p"].value == 3.0


def test_the_very_same_sample_again_is_one(store, sample, at):
    for _ in range(3):
        store.commit(Batch((sample("m.p", 0, 1.0),)))
    assert store.stats().samples == 1


def test_sequence_counts_commits_and_survives_closing(store, path, sample):
    assert [store.commit(Batch()), store.commit(Batch((sample("m.p", 0, 1.0),)))] == [1, 2]
    store.close()
    with Store.open(path) as again:
        assert again.stats().sequence == 2
        assert again.opened_note == ""
        assert again.commit(Batch((sample("m.p", 1, 1.0), sample("m.new", 1, 1.0)))) == 3
        assert sorted(again.latest()) == ["m.new", "m.p"]


@pytest.mark.parametrize(
    ("step_s", "steps", "expected"),
    [
        # one sample a minute, value = minute; minutes 0..14 mean 7, 15..29 mean 22, 30..44 mean 37; 45..49 mean 47
        (900, 4, (7.0, 22.0, 37.0, 47.0)),
        (1800, 3, (14.5, (sum(range(30, 45)) + sum(range(45, 50))) / 20, None)),
        (600, 2, (4.5, 14.5)),
        (900, 2, (7.0, 22.0)),
    ],
)
def test_means(store, sample, at, step_s, steps, expected):
    for minute in range(50):
        store.commit(Batch((sample("m.p", minute * 60, float(minute)), sample("m.other", minute * 60, 1000.0))))
    series = store.means("m.p", at(0), step_s, steps)
    assert (series.start, series.step_s) == (at(0), step_s)
    assert series.values == pytest.approx(expected)


def test_means_count_good_samples_alone(store, sample, at):
    store.commit(
        Batch(
            (
                sample("m.p", 0, 10.0),
                sample("m.p", 60, 99.0, Quality.UNCERTAIN, "old"),
                sample("m.p", 120, None, Quality.BAD, "timeout"),
                sample("m.p", 180, 20.0),
                sample("m.p", 900, None, Quality.BAD, "timeout"),
                sample("m.p", 1800, 1.0),
            )
        )
    )
    assert store.means("m.p", at(0), 900, 4).values == (15.0, None, 1.0, None)
    assert store.means("no.such", at(0), 900, 1).values == (None,)


def test_late_samples_change_the_mean_of_their_quarter(store, sample, at):
    store.commit(Batch((sample("m.p", 0, 10.0),)))
    store.commit(Batch((sample("m.p", 900, 50.0),)))
    assert store.means("m.p", at(0), 900, 2).values == (10.0, 50.0)
    store.commit(Batch((sample("m.p", 30, 20.0), sample("m.p", 930, 60.0))))
    assert store.means("m.p", at(0), 900, 2).values == (15.0, 55.0)


def test_means_after_a_clock_that_jumped_ahead_and_back(store, sample, at):
    for seconds, value in ((0, 10.0), (10 * 365 * 86400, 1.0), (60, 20.0), (900, 30.0)):
        store.commit(Batch((sample("m.p", seconds, value),)))
    assert store.means("m.p", at(0), 900, 2).values == (15.0, 30.0)


def test_compact_forgets_samples_and_keeps_means(store, sample, at):
    for minute in range(50):
        store.commit(Batch((sample("m.p", minute * 60, float(minute)),)))
    assert store.compact(at(30 * 60)) == 30
    assert store.compact(at(30 * 60)) == 0
    assert store.history("m.p", at(0), at(86400))[0].value == 30.0
    assert store.means("m.p", at(0), 900, 4).values == (7.0, 22.0, 37.0, 47.0)
    assert store.compact(at(86400)) == 15, "the quarter that is not over is kept"


def test_compact_goes_in_small_steps(store, sample, at):
    """More than two of its transactions' worth of samples, with a commit between the means."""
    store.commit(Batch(tuple(sample(f"m.p{n}", t / 100, 1.0) for t in range(1200) for n in range(10))))
    store.commit(Batch((sample("m.p0", 900, 1.0),)))
    assert store.compact(at(6), most=100) == 110, "whole instants, until there are enough"
    assert store.compact(at(6)) == 6000 - 110
    assert store.stats().samples == 6001


def test_compact_forgets_the_journal_and_not_what_is_owned(store, entry, at):
    store.commit(
        Batch(journal=(entry(JournalKind.OWN, "d.p", 7.0), *(entry(INTENT, "d.p", 1.0, n) for n in range(50))))
    )
    assert store.compact(at(30), most=10) == 10
    assert store.compact(at(30)) == 21
    assert [item.time for item in store.journal()] == [at(n) for n in range(30, 50)]
    assert [(item.point, item.found) for item in store.owned()] == [("d.p", 7.0)]


def test_journal_in_order_and_filtered(store, entry, at):
    entries = tuple(entry(INTENT, f"d.p{n % 2}", float(n), seconds=n) for n in range(6))
    store.commit(Batch(journal=entries[:4]))
    store.commit(Batch(journal=entries[4:]))
    assert store.journal() == list(entries)
    assert store.journal(limit=2) == list(entries[4:])
    assert store.journal(point="d.p0") == [entries[0], entries[2], entries[4]]
    assert store.journal(since=at(3)) == list(entries[3:])
    assert store.journal(point="d.p1", since=at(2), limit=1) == [entries[5]]


@pytest.mark.parametrize(
    ("lines", "owned"),
    [
        ([], {}),
        ([(OWN, "a.x", 3.0), (INTENT, "a.x", 9.0), (WRITTEN, "a.x", 9.0)], {"a.x": 3.0}),
        ([(OWN, "a.x", 3.0), (RELEASE, "a.x", None)], {"a.x": 3.0}),
        ([(OWN, "a.x", 3.0), (RELEASE, "a.x", None), (RELEASED, "a.x", None)], {}),
        ([(OWN, "a.x", 3.0), (OWN, "a.x", 9.0)], {"a.x": 3.0}),
        ([(OWN, "a.x", None), (OWN, "a.y", 1.0), (RELEASED, "a.y", None)], {"a.x": None}),
        ([(OWN, "a.x", 3.0), (RELEASED, "a.x", None), (OWN, "a.x", 4.0)], {"a.x": 4.0}),
        ([(RELEASED, "a.x", None)], {}),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_owned_follows_from_the_journal(store, path, entry, lines, owned, at_once):
    entries = tuple(entry(kind, point, value, seconds=n) for n, (kind, point, value) in enumerate(lines))
    for batch in [entries] if at_once else [(e,) for e in entries]:
        store.commit(Batch(journal=batch))
    assert {o.point: o.found for o in store.owned()} == owned
    store.close()
    with Store.open(path) as again:
        assert {o.point: o.found for o in again.owned()} == owned


def test_owned_since_the_first_own(store, entry, at):
    store.commit(Batch(journal=(entry(OWN, "a.x", 3.0, seconds=5), entry(OWN, "a.x", 4.0, seconds=8))))
    assert store.owned() == [Owned("a.x", 3.0, at(5))]


def _plan(minute: int) -> Plan:
    issued = datetime(2026, 1, 14, 6, minute, tzinfo=UTC)
    horizon = Horizon(issued, 900, 1)
    return Plan(
        issued, horizon, PlanStatus.OPTIMAL, {"b": (1.0,)}, {}, {}, (1.0,), (0.1,), (0.0,), CostSplit(), Provenance("t")
    )


def test_the_last_plan_wins_and_old_ones_go(store):
    assert store.last_plan() is None
    store.commit(Batch(plan=_plan(0)))
    store.commit(Batch(plan=_plan(15)))
    assert store.last_plan() == _plan(15)
    for _ in range(55):
        store.commit(Batch(plan=_plan(30)))
    count = store._ready().execute("SELECT count(*) FROM plan").fetchone()[0]
    assert count == 50


def test_stats(store, path, sample, entry):
    before = datetime.now(UTC)
    assert store.stats().last_commit is None
    store.commit(Batch((sample("m.p", 0, 1.0), sample("m.q", 0, 1.0)), (entry(OWN, "m.p"),)))
    stats = store.stats()
    assert (stats.path, stats.samples, stats.journal, stats.points, stats.sequence) == (path, 2, 1, 2, 1)
    assert before <= stats.last_commit <= datetime.now(UTC)
    assert stats.size_bytes > 4096


def test_a_batch_is_all_or_nothing(store, sample, entry):
    """A naive time is a mistake of the caller; nothing of its batch may stay, and the next one works."""
    naive = replace(sample("m.bad", 0, 1.0), time=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(TypeError):
        store.commit(Batch((sample("m.good", 0, 1.0), naive), (entry(OWN, "m.good"),)))
    assert (store.latest(), store.journal(), store.owned(), store.stats().sequence) == ({}, [], [], 0)
    assert store.commit(Batch((sample("m.good", 0, 1.0),))) == 1
    assert list(store.latest()) == ["m.good"]


def test_a_reader_cannot_write(store, path):
    with Store.open(path, read_only=True) as reader, pytest.raises(StoreError, match="for reading only"):
        reader.commit(Batch())


def past(point, **more):
    return Past(point, datetime(2026, 1, 15, tzinfo=UTC), 1234.5, "a boot", **more)


def test_what_points_have_been_through_is_kept_the_newest_of_each(store):
    first = past("hp.run", changed_s=3.5, on=True, switched_s=7.0, tokens=1.25, day="2026-01-15", writes=4)
    store.commit(Batch(pasts=(past("hp.run"), past("bat.set", on=False))))
    store.commit(Batch(pasts=(first,)))
    assert store.pasts() == [past("bat.set", on=False), first]


@pytest.mark.parametrize(
    ("lines", "ours"),
    [
        ([], ()),
        ([("intent", 5.0)], (5.0,)),
        ([("intent", 5.0), ("own", 7.0), ("written", 5.1)], (5.1, 5.0)),
        ([("intent", 5.0), ("own", 7.0), ("written", 5.0), ("intent", 8.0), ("failed", 6.0)], (6.0, 8.0, 5.0)),
        ([("intent", 4.0), ("written", 4.0), ("intent", 5.0), ("written", 5.0), ("failed", None)], (5.0,)),
        ([("intent", 4.0), ("released", 7.0), ("own", 7.0), ("written", 4.5)], (4.5,)),
        ([("own", 7.0), ("release", 7.0)], ()),
    ],
)
def test_what_we_may_have_left_at_an_owned_point(store, entry, lines, ours):
    """What took effect last and what was tried since, newest first; what was there before us is not ours."""
    store.commit(Batch(journal=tuple(entry(JournalKind(kind), "bat.set", value) for kind, value in lines)))
    store.commit(Batch(journal=(entry(JournalKind.OWN, "bat.set", 7.0),)))
    assert [item.ours for item in store.owned()] == [ours]
