"""What to do on the wire, as a table: held, wanted, time -> actions."""

import pytest

from energyctl.control.leases import Action, ActionKind, Effect, Holding, dead_band, lease_s, reconcile, renew
from energyctl.core.points import Access, Point, Rank, Setpoint

POINTS = {
    "bat.set": Point(id="bat.set", unit="kW", access=Access.READ_WRITE, minimum=-40, maximum=40, tolerance=0.01),
    "ahu.on": Point(id="ahu.on", access=Access.READ_WRITE, kind="bool"),
}
WATCHDOG = {"bat": True, "ahu": False}
LEASE = 60.0


def want(point, value):
    return Setpoint(point, value, Rank.OPTIMIZER, "plan", "", 1e9)


def hold(point, value, written_at=0.0, effect=Effect.EFFECTIVE, hold_until=0.0):
    return Holding(want(point, value), 60.0, written_at, written_at, effect, 1, hold_until)


CASES = [
    ("nothing", {}, {}, 10, []),
    ("new", {}, {"bat.set": 5.0}, 10, [("write", 5.0)]),
    ("same", {"bat.set": hold("bat.set", 5.0)}, {"bat.set": 5.0}, 10, []),
    ("within the dead band of 0.2", {"bat.set": hold("bat.set", 5.0)}, {"bat.set": 5.19}, 10, []),
    ("beyond it", {"bat.set": hold("bat.set", 5.0)}, {"bat.set": 5.21}, 10, [("write", 5.21)]),
    ("half the lease gone, own watchdog", {"bat.set": hold("bat.set", 5.0)}, {"bat.set": 5.0}, 30, [("refresh", 5.0)]),
    ("a third of it gone", {"bat.set": hold("bat.set", 5.0)}, {"bat.set": 5.0}, 29, []),
    ("written of late", {"bat.set": hold("bat.set", 5.0, written_at=100.0)}, {"bat.set": 5.0}, 129, []),
    ("half the lease gone, no watchdog", {"ahu.on": hold("ahu.on", 1.0)}, {"ahu.on": 1.0}, 30, []),
    ("nobody wants it", {"bat.set": hold("bat.set", 5.0)}, {}, 10, [("release", 5.0)]),
    ("already being released", {"bat.set": hold("bat.set", 5.0, effect=Effect.RELEASING)}, {}, 10, []),
    ("not confirmed: again", {"bat.set": hold("bat.set", 5.0, effect=Effect.UNCONFIRMED)}, {"bat.set": 5.0}, 10, [("write", 5.0)]),
    ("held off", {"bat.set": hold("bat.set", 5.0, effect=Effect.HELD_OFF, hold_until=300)}, {"bat.set": 9.0}, 10, []),
    ("release failed: not at once again", {"bat.set": hold("bat.set", 5.0, effect=Effect.HELD_OFF, hold_until=20)}, {}, 10, []),
    ("release failed: again when it is time", {"bat.set": hold("bat.set", 5.0, effect=Effect.HELD_OFF, hold_until=20)}, {}, 20, [("release", 5.0)]),
    ("hold-off just over", {"ahu.on": hold("ahu.on", 1.0, effect=Effect.HELD_OFF, hold_until=300)}, {"ahu.on": 1.0}, 300, [("write", 1.0)]),
    ("hold-off over, same value", {"ahu.on": hold("ahu.on", 1.0, effect=Effect.HELD_OFF, hold_until=300)}, {"ahu.on": 1.0}, 301, [("write", 1.0)]),
    ("hold-off over", {"bat.set": hold("bat.set", 5.0, effect=Effect.HELD_OFF, hold_until=300)}, {"bat.set": 9.0}, 301, [("write", 9.0)]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "held", "wanted", "now", "actions"), CASES, ids=[c[0] for c in CASES])
def test_reconcile(what, held, wanted, now, actions):
    wishes = {point: want(point, value) for point, value in wanted.items()}
    done = reconcile(held, wishes, POINTS, WATCHDOG, LEASE, now)
    assert [(action.kind.value, action.setpoint.value) for action in done] == actions


def test_a_device_that_may_not_be_written_to_is_left_alone_with_all_that_is_ours_on_it():
    held = {"bat.set": hold("bat.set", 5.0), "ahu.on": hold("ahu.on", 1.0)}
    assert [a.point for a in reconcile(held, {}, POINTS, WATCHDOG, LEASE, 10.0, blocked={"bat"})] == ["ahu.on"]
    assert [a.point for a in reconcile(held, {}, POINTS, WATCHDOG, LEASE, 10.0, blocked={"ahu"})] == ["bat.set"]
    assert reconcile({"ahu.fan.on": hold("ahu.fan.on", 1.0)}, {}, POINTS, WATCHDOG, LEASE, 10.0, blocked={"ahu"}) == []
    assert (
        reconcile(held, {"bat.set": want("bat.set", 9.0)}, POINTS, WATCHDOG, LEASE, 99.0, blocked={"bat", "ahu"}) == []
    )


def test_a_persons_value_is_written_however_near_it_is():
    wish = Setpoint("bat.set", 5.1, Rank.OPERATOR, "operator", "", 1e9)
    assert reconcile({"bat.set": hold("bat.set", 5.0)}, {"bat.set": wish}, POINTS, WATCHDOG, LEASE, 10.0) == [
        Action(ActionKind.WRITE, wish)
    ]


def test_actions_are_ordered_by_point():
    wishes = {point: want(point, 1.0) for point in ("bat.set", "ahu.on")}
    assert reconcile({}, wishes, POINTS, WATCHDOG, LEASE, 0.0) == [
        Action(ActionKind.WRITE, wishes["ahu.on"]),
        Action(ActionKind.WRITE, wishes["bat.set"]),
    ]


def test_a_lease_is_at_least_a_minute_and_three_periods():
    assert [lease_s(10, 1), lease_s(60, 30), lease_s(120, 1)] == [60, 90, 120]


def test_renewing_moves_every_lease():
    assert renew({"bat.set": hold("bat.set", 5.0)}, LEASE, 40.0)["bat.set"].expires_at == 100.0


def test_dead_bands():
    assert [dead_band(POINTS["bat.set"]), dead_band(POINTS["ahu.on"])] == [0.2, 0.0]


@pytest.mark.parametrize(
    ("minimum", "maximum", "tolerance", "band"),
    [
        (None, None, 0.0, 0.0),
        (0.0, None, 0.0, 0.0),
        (None, 40.0, 0.0, 0.0),
        (-40, 40, 0.5, 1.0),
        (None, 40.0, 0.5, 1.0),
    ],
)
def test_a_dead_band_is_twice_the_tolerance_where_a_range_has_no_end_or_is_small(minimum, maximum, tolerance, band):
    assert dead_band(Point(id="a.b", minimum=minimum, maximum=maximum, tolerance=tolerance)) == band


def test_what_waits_is_not_written_but_refreshed():
    held, waiting = {"bat.set": hold("bat.set", 5.0)}, {"bat.set", "ahu.on"}

    def actions(wishes, now_s):
        done = reconcile(held, wishes, POINTS, WATCHDOG, LEASE, now_s, waiting=waiting)
        return [(action.point, action.kind) for action in done]

    assert actions({"bat.set": want("bat.set", 5.0), "ahu.on": want("ahu.on", 1.0)}, 30.0) == [
        ("bat.set", ActionKind.REFRESH)
    ]
    assert actions({"bat.set": want("bat.set", 9.0)}, 10.0) == []
    assert actions({}, 10.0) == [("bat.set", ActionKind.RELEASE)]


def test_a_device_of_which_no_watchdog_is_known_has_none():
    held, wishes = {"bat.set": hold("bat.set", 5.0)}, {"bat.set": want("bat.set", 5.0)}
    assert reconcile(held, wishes, POINTS, {}, LEASE, 59.0) == []
