"""Row 32: a clock that is set forward and back while samples come in loses none, doubles none, and none is trimmed.

The oracle is the list of what was committed. The times a second pass lands on are exactly those of the first.
"""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from energyctl.store import Batch, Store, writing
from tests.torture import count

HOUR_S, STEP_S = 3600, 10


def run(store, sample, jumps, steps=720, points=3):
    """Two hours of samples with the clock set by `jumps` {step: seconds}; what was committed as (point, value, about when)."""
    off, value, told = 0, 0.0, []
    for step in range(steps):
        off += jumps.get(step, 0)
        batch = []
        for number in range(points):
            value += 1.0
            batch.append(sample(f"m.p{number}", step * STEP_S + off, value))
        store.commit(Batch(tuple(batch)))
        told += [(s.point, s.value, s.time) for s in batch]
    return told


def stored(store, at, points=3):
    return [s for n in range(points) for s in store.history(f"m.p{n}", at(-100 * HOUR_S), at(100 * HOUR_S))]


@pytest.mark.parametrize(
    "jumps",
    [
        {},
        {200: 3600},
        {200: -600},
        {200: 3600, 400: -3600},
        {200: -10},
        {100: -600, 200: -600, 300: -600, 400: 1800},
    ],
    ids=["not at all", "+1 h", "-10 min", "+1 h and back", "by one step", "again and again"],
)
def test_row32_lost_0_doubled_0(store, sample, at, jumps):
    told, found = run(store, sample, jumps), stored(store, at)
    assert sorted(s.value for s in found) == sorted(value for _, value, _ in told), "every value once"
    when = {value: time for _, value, time in told}
    assert all(timedelta(0) <= s.time - when[s.value] < timedelta(milliseconds=1) for s in found)
    assert store.latest()["m.p0"].value == told[-3][1]


def test_row32_lost_0_doubled_0_at_random(tmp_path, sample, at):
    for seed in range(count(32, 3, 200)):
        chance = random.Random(seed)
        jumps = {chance.randrange(1, 360): STEP_S * chance.randrange(-720, 720) for _ in range(12)}
        with Store.open(tmp_path / str(seed) / "store.sqlite") as store:
            told = run(store, sample, jumps, steps=360)
            assert sorted(s.value for s in stored(store, at)) == sorted(value for _, value, _ in told), seed


def test_row32_the_means_are_those_of_all_that_was_measured(store, sample, at):
    told = run(store, sample, {200: -600})
    for quarter, mean in enumerate(store.means("m.p0", at(0), 900, 8).values):
        inside = [v for p, v, t in told if p == "m.p0" and at(quarter * 900) <= t < at(quarter * 900 + 900)]
        assert mean == (pytest.approx(sum(inside) / len(inside)) if inside else None)


def test_row32_control_a_store_that_writes_over_is_found_out(store, sample, at, monkeypatch):
    def over(connection, rows):
        connection.executemany(
            "INSERT OR REPLACE INTO sample (ts, point_id, value, quality, reason) VALUES (?, ?, ?, ?, ?)", rows
        )

    monkeypatch.setattr(writing, "add_samples", over)
    told = run(store, sample, {200: -600})
    assert len(told) - len(stored(store, at)) == 60 * 3
