"""Fifteen-minute means from cycles, by hand."""

from datetime import UTC, datetime, timedelta

from energyctl.core.points import ProcessImage, Sample
from energyctl.core.timeline import Series
from energyctl.planning.history import History

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def feed(history, values, start=START, every_s=300):
    for step, value in enumerate(values):
        time = start + timedelta(seconds=every_s * step)
        sample = Sample("a", time, value) if value is not None else Sample.bad("a", time, "dead")
        history.add(ProcessImage(time, step, {"a": sample}))


def test_means_of_closed_intervals_only():
    history = History(["a"])
    feed(history, [1.0, 2.0, 6.0, 10.0])
    assert history.series("a") == Series(START, 900, (3.0,))


def test_bad_samples_are_no_zeros():
    history = History(["a"])
    feed(history, [1.0, None, 5.0, 0.0])
    assert history.series("a").values == (3.0,)


def test_too_little_known_is_a_hole():
    history = History(["a"])
    feed(history, [1.0, 1.0, 1.0, None, None, None, 4.0, 4.0, 4.0, 0.0])
    assert history.series("a").values == (1.0, None, 4.0)


def test_stored_means_come_first_and_gaps_stay_gaps():
    history = History(["a"])
    history.load("a", Series(START - timedelta(minutes=45), 900, (7.0, None, 9.0)))
    feed(history, [1.0, 2.0, 6.0, 10.0])
    assert history.series("a").values == (7.0, None, 9.0, 3.0)


def test_old_means_are_forgotten():
    history = History(["a"])
    history.load("a", Series(START - timedelta(days=40), 900, (7.0,)))
    feed(history, [1.0, 2.0, 6.0, 10.0])
    assert history.series("a").values == (3.0,)


def test_an_unknown_point_has_no_series():
    assert History(["a"]).series("b") is None and History(["a"]).series("a") is None


def test_row32_means_of_a_clock_that_was_ahead_are_forgotten_when_it_is_right_again():
    history = History(["a"])
    feed(history, [1.0] * 4, START + timedelta(days=365))
    feed(history, [2.0] * 7)
    assert history.series("a") == Series(START, 900, (2.0, 2.0))
