"""What the building uses at night, night by night: its base is compared with that of the last eight weeks.

A night's base is the 5th percentile of the load between 01:00 and 05:00 local time. It has gone up when three nights in a row
lie more than 15 % and more than 1 kW above the median of those before. The nights are remembered over restarts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from statistics import median
from zoneinfo import ZoneInfo

FROM, TO = time(1), time(5)
NIGHTS, LAST, LEAST = 56, 3, 14
STEP_S = 300.0
_ENOUGH = 0.75 * (4 * 3600 / STEP_S)
"""Readings of a night that say enough about it."""


@dataclass(frozen=True, slots=True)
class Nights:
    """The bases of past nights [kW], oldest first, and the readings of the night that is going on."""

    bases: tuple[float, ...] = ()
    tonight: date | None = None
    readings: tuple[float, ...] = ()
    taken_s: float = float("-inf")

    def look(self, now: datetime, now_s: float, timezone: str, load_kw: float | None) -> Nights:
        """After one more look at the load; `now_s` is monotonic."""
        local = now.astimezone(ZoneInfo(timezone))
        if not FROM <= local.time() < TO:
            return self._end() if self.tonight is not None else self
        at_night = self if self.tonight == local.date() else replace(self._end(), tonight=local.date(), readings=())
        if load_kw is None or now_s - at_night.taken_s < STEP_S:
            return at_night
        return replace(at_night, readings=(*at_night.readings, load_kw), taken_s=now_s)

    def _end(self) -> Nights:
        """The night is over; one that was hardly seen does not count."""
        ended = replace(self, tonight=None, readings=())
        if len(self.readings) < _ENOUGH:
            return ended
        base = sorted(self.readings)[int(0.05 * len(self.readings))]
        return replace(ended, bases=(*self.bases, base)[-NIGHTS:])


def night_load_up(bases: Sequence[float]) -> str | None:
    """What is wrong with the last nights; "" when nothing is, None while there are too few to compare with."""
    before, last = bases[:-LAST], bases[-LAST:]
    if len(before) < LEAST:
        return None
    usual = median(before)
    if not all(base > 1.15 * usual and base > usual + 1.0 for base in last):
        return ""
    return (
        f"at least {min(last):.1f} kW in each of the last {LAST} nights, {usual:.1f} kW before: what stays on? "
        "Ventilation, lights, pumps, frost protection?"
    )
