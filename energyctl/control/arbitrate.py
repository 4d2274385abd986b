"""Who wins when several want the same point.

The rule: expired setpoints count for nothing; of the rest the highest rank wins; within a rank the one whose source comes
first in the alphabet, so that the outcome never depends on the order of arrival. Losers are kept for `status`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from energyctl.core.points import Setpoint


@dataclass(frozen=True, slots=True)
class Verdict:
    """The setpoint that counts for a point, and those it beat."""

    winner: Setpoint
    losers: tuple[Setpoint, ...] = ()


def arbitrate(wishes: Iterable[Setpoint], now_s: float) -> dict[str, Verdict]:
    """One verdict per point that anybody still wants, ordered by point. `now_s` is on `Clock.monotonic()`."""
    by_point: dict[str, list[Setpoint]] = {}
    for wish in wishes:
        if wish.expires_at > now_s:
            by_point.setdefault(wish.point, []).append(wish)
    verdicts = {}
    for point in sorted(by_point):
        winner, *losers = sorted(by_point[point], key=lambda wish: (-wish.rank, wish.source))
        verdicts[point] = Verdict(winner, tuple(losers))
    return verdicts
