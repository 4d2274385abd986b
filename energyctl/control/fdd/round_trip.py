"""How much of what a battery takes it gives back, over as many cycles as make the state of charge unimportant."""

from __future__ import annotations

from dataclasses import dataclass, replace

CYCLES = 5.0
"""Taken in full capacities before it is judged."""
MARGIN = 0.07
"""It may give back this much less than stated."""


@dataclass(frozen=True, slots=True)
class Trips:
    """Energy taken and given [kWh] since the charge was `start_soc`; the last judged share, None before the first."""

    start_soc: float | None = None
    taken_kwh: float = 0.0
    given_kwh: float = 0.0
    share: float | None = None

    def add(self, taken_kwh: float, given_kwh: float, soc: float, capacity_kwh: float) -> Trips:
        """After some more energy; judged once it is enough, and then begun anew."""
        if self.start_soc is None:
            return Trips(soc, share=self.share)
        more = replace(self, taken_kwh=self.taken_kwh + taken_kwh, given_kwh=self.given_kwh + given_kwh)
        if more.taken_kwh < CYCLES * capacity_kwh:
            return more
        stored = (soc - self.start_soc) * capacity_kwh
        return Trips(soc, share=(more.given_kwh + stored) / more.taken_kwh)

    def unknown(self) -> Trips:
        """Energy has flowed unseen: begin anew."""
        return Trips(share=self.share)


def poor_round_trip(trips: Trips, stated: float) -> str | None:
    """What is wrong; "" when nothing is, None before it is known. `stated` is the efficiency in the site file."""
    if trips.share is None:
        return None
    if trips.share >= stated - MARGIN:
        return ""
    return (
        f"gives back {trips.share * 100:.0f} % of what it takes, {stated * 100:.0f} % are stated: worn cells, a fan, "
        "much standby power, or is 'efficiency' too high?"
    )
