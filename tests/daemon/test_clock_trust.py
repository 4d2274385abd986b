"""Trust in the wall clock, as a table of what the clocks show. Rows 32 and 34, the deciding part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.alarms import Alarms
from energyctl.control.gate import GateState, check
from energyctl.core.points import Access, Point, ProcessImage, Rank, Setpoint
from energyctl.daemon.clock_trust import MADE, ClockTrust, begin, look

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
POINTS = {point: Point(id=point, unit="kW", access=Access.READ_WRITE) for point in ("bat.set", "zone.set")}
IMAGE = ProcessImage(NOW, 1)


class Hands:
    """Two clocks that are moved by hand."""

    virtual = False

    def __init__(self, wall: datetime = NOW) -> None:
        self.wall, self.mono = wall, 1000.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.mono

    def go(self, by: timedelta = timedelta(0), set_by: timedelta = timedelta(0)) -> None:
        self.mono += by.total_seconds()
        self.wall += by + set_by


class Scheduled:
    by_calendar = True
    id = "office"


class Unscheduled:
    id = "car"


class Watched:
    """A trust that is looked at every ten seconds."""

    def __init__(self, wall=NOW, newest=None, synchronised=False) -> None:
        self.hands, self.alarms, self.synchronised = Hands(wall), Alarms(), synchronised
        resources = (Scheduled(), Unscheduled())
        self.trust = ClockTrust(self.hands, self.alarms, resources, newest, 60.0, 300.0, lambda: self.synchronised)

    def go(self, by: timedelta, set_by: timedelta = timedelta(0)) -> bool:
        """Whether it is trusted after so long, having been set right away."""
        for _ in range(max(1, by // timedelta(seconds=10))):
            self.hands.go(timedelta(seconds=10), set_by)
            set_by = timedelta(0)
            self.trust.look(IMAGE, self.hands.mono)
        return self.trust.doubt is None


@pytest.mark.parametrize(
    ("wall", "newest", "synchronised", "trusted"),
    [
        (NOW, None, False, True),
        (NOW, NOW - M, False, True),
        (NOW, NOW + M, False, False),
        (NOW, NOW + M, True, True),
        (datetime(1970, 1, 1, tzinfo=UTC), None, False, False),
        (datetime(1970, 1, 1, tzinfo=UTC), None, True, False),
        (datetime(2000, 1, 1, tzinfo=UTC), None, False, False),
        (MADE, None, False, True),
        (MADE - M, None, False, False),
    ],
)
def test_at_the_start(wall, newest, synchronised, trusted):
    assert (begin(wall, 5.0, MADE, newest, synchronised).doubt is None) == trusted


@pytest.mark.parametrize(
    ("jump_s", "trusted"), [(0, True), (59, True), (61, False), (-59, True), (-61, False), (3600, False)]
)
def test_a_jump_is_what_the_two_clocks_differ_by(jump_s, trusted):
    before = begin(NOW, 0.0, MADE, None, False)
    after = look(before, NOW + timedelta(seconds=3600 + jump_s), 3600.0, MADE, 60.0, 300.0, False)
    assert (after.doubt is None) == trusted


def test_a_clock_that_drifts_slowly_is_trusted():
    watched = Watched()
    assert all(watched.go(M, timedelta(seconds=5)) for _ in range(100)), "five seconds per minute, never 60 at once"


@pytest.mark.parametrize("by", [H, -10 * M])
def test_row32_a_clock_that_is_set_is_believed_after_five_quiet_minutes(by):
    watched = Watched()
    assert watched.go(M)
    assert not watched.go(M, by)
    assert not watched.go(3 * M), "four minutes"
    assert watched.go(2 * M)
    assert not watched.go(4 * M, -by), "and back: anew"
    assert watched.go(2 * M)


def test_a_jump_within_the_five_minutes_begins_them_anew():
    watched = Watched()
    watched.go(4 * M, H)
    assert not watched.go(4 * M, -H)
    assert watched.go(2 * M)


def test_what_the_kernel_says_settles_it_at_once():
    watched = Watched()
    watched.synchronised = True
    assert watched.go(M, H)


def test_a_clock_that_goes_back_further_than_a_day_is_not_believed_on_its_own_word():
    watched = Watched()
    assert not watched.go(H, -2 * D)
    watched.synchronised = True
    assert watched.go(M)


def test_row34_1970_until_the_clock_is_set():
    watched = Watched(datetime(1970, 1, 1, tzinfo=UTC), newest=NOW - H)
    assert not watched.go(2 * H)
    assert (
        watched.trust.doubt == "the clock is not trusted: it shows 1970-01-01 02:00 UTC, and 2026-11-26 11:00 has been"
    )
    assert [(alarm.name, alarm.subject) for alarm in watched.alarms.standing] == [("clock", "site")]
    assert not watched.go(4 * M, NOW + H - watched.hands.wall)
    assert watched.go(2 * M)
    assert not watched.alarms.standing


def wish(source, rank=Rank.OPTIMIZER, point="zone.set"):
    return Setpoint(point, 5.0, rank, source, "because", 1e9)


@pytest.mark.parametrize(
    ("wish", "refused"),
    [
        (wish("plan:office"), True),
        (wish("plan:battery", point="bat.set"), True),
        (wish("rule:office", Rank.RULE), True),
        (wish("rule:car", Rank.RULE), False),
        (wish("rule:battery", Rank.RULE, "bat.set"), False),
        (wish("guard:frost d.set", Rank.GUARD), False),
        (wish("operator", Rank.OPERATOR), False),
        (wish("safety", Rank.SAFETY), False),
    ],
)
def test_row34_what_goes_by_the_calendar_is_refused_and_nothing_else(wish, refused):
    watched = Watched()
    for trusted in (True, False):
        bans = tuple(filter(None, [watched.trust.ban(IMAGE, 0.0)]))
        found = check(wish, GateState(points=POINTS, limits={}, bans=bans), 0.0)
        assert (found is not None) == (refused and not trusted)
        assert found is None or (found.rule == "clock" and "set ahead by 60 min" in found.detail)
        watched.go(M, H)


def test_history_is_never_trimmed_by_a_clock_that_ran_away():
    watched = Watched(newest=NOW - H)
    watched.go(10 * M)
    assert watched.trust.trims_by == NOW + 10 * M
    watched.go(M, 730 * D)
    assert watched.trust.trims_by is None, "not while it is not trusted"
    watched.go(10 * M)
    assert watched.trust.doubt is None
    assert watched.trust.trims_by == NOW - H + 21 * M + D, "and never by more than a day beyond what had been stored"


def test_a_new_store_is_trimmed_by_the_clock():
    assert Watched().trust.trims_by == NOW
