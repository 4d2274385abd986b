"""What is ours on the devices, and what to do about it this cycle.

Every point we write is held under a lease that only a completed control cycle renews. Given what should be in force now
(the admitted winners), `reconcile` says per point whether to write a new value, refresh the same one, hand the point back,
or do nothing:
- its device may not be written to -> nothing, whatever is wanted; hand-back waits as well;
- it has to wait for its memory, or for its least time on or off -> no write, but a refresh or a hand-back;
- nobody wants a held point any more -> hand it back;
- the value differs by more than the dead band (a person's value: at all) -> write;
- it is not known to have taken effect, or was left alone for that and the wait is over -> write the same value again;
- the device has a watchdog of its own and half of the lease is gone -> write the same value again;
- otherwise nothing, so that devices are not worn by repetition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from energyctl.core.points import Point, Rank, Setpoint


class Effect(StrEnum):
    """How far a written value is known to have taken effect."""

    PENDING = "pending"
    EFFECTIVE = "effective"
    UNCONFIRMED = "unconfirmed"
    """Read-back differs or the outcome is unknown; tried once."""
    HELD_OFF = "held off"
    """Two tries did not take effect, or it could not be handed back: an alarm stands and we wait before trying again."""
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True)
class Holding:
    """A point that is ours. Times are on `Clock.monotonic()`."""

    setpoint: Setpoint
    expires_at: float
    written_at: float
    changed_at: float
    effect: Effect = Effect.PENDING
    tries: int = 1
    hold_until: float = 0.0
    overruled: int = 0
    """How often somebody else has changed it of late."""
    overruled_at: float = 0.0


class ActionKind(StrEnum):
    """What to do on the wire."""

    WRITE = "write"
    REFRESH = "refresh"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do on the wire for one point. A release carries the setpoint that ends."""

    kind: ActionKind
    setpoint: Setpoint

    @property
    def point(self) -> str:
        """The point it is about."""
        return self.setpoint.point


def lease_s(configured_s: float, period_s: float) -> float:
    """Length of a lease [s]: the configured one, at least 60 s and three control periods."""
    return max(60.0, configured_s, 3 * period_s)


def dead_band(point: Point) -> float:
    """The smallest change worth a write [the point's unit]: twice its tolerance, or 0.25 % of its range."""
    if point.kind != "number":
        return 0.0
    span = 0.0 if point.minimum is None or point.maximum is None else point.maximum - point.minimum
    return max(2 * point.tolerance, 0.0025 * span)


def reconcile(
    held: Mapping[str, Holding],
    wanted: Mapping[str, Setpoint],
    points: Mapping[str, Point],
    has_watchdog: Mapping[str, bool],
    lease: float,
    now_s: float,
    blocked: Collection[str] = (),
    waiting: Collection[str] = (),
) -> list[Action]:
    """The actions of this cycle, ordered by point. `wanted` has passed the gate; `has_watchdog` is by device id; devices
    that are `blocked` may not be written to, and points that are `waiting` get no write.
    """
    actions = []
    for name in sorted(held.keys() | wanted.keys()):
        holding, wish = held.get(name), wanted.get(name)
        if name.partition(".")[0] in blocked:
            continue
        if wish is None:
            if holding is not None and holding.effect is not Effect.RELEASING and now_s >= holding.hold_until:
                actions.append(Action(ActionKind.RELEASE, holding.setpoint))
        elif holding is None or holding.effect is Effect.RELEASING:
            if name not in waiting:
                actions.append(Action(ActionKind.WRITE, wish))
        else:
            kind = _due(holding, wish, points[name], has_watchdog.get(points[name].device, False), lease, now_s)
            if kind is not None and not (kind is ActionKind.WRITE and name in waiting):
                actions.append(Action(kind, wish))
    return actions


def _due(
    holding: Holding, wish: Setpoint, point: Point, watchdog: bool, lease: float, now_s: float
) -> ActionKind | None:
    if now_s < holding.hold_until:
        return None
    if abs(wish.value - holding.setpoint.value) > (0.0 if wish.rank is Rank.OPERATOR else dead_band(point)):
        return ActionKind.WRITE
    if holding.effect in (Effect.UNCONFIRMED, Effect.HELD_OFF):
        return ActionKind.WRITE
    if watchdog and now_s - holding.written_at >= lease / 2:
        return ActionKind.REFRESH
    return None


def renew(held: Mapping[str, Holding], lease: float, now_s: float) -> dict[str, Holding]:
    """All leases renewed; called once, at the end of a completed control cycle."""
    return {name: replace(holding, expires_at=now_s + lease) for name, holding in held.items()}
