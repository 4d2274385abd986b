"""Short ways to ask a rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energyctl.control.rules import KINDS, Now
from energyctl.core.points import ProcessImage, Sample

START = datetime(2026, 1, 14, 12, 0, tzinfo=UTC)


def image(**values) -> ProcessImage:
    """An image of points "d.NAME"; None is a bad value."""
    samples = {
        f"d.{name}": Sample.bad(f"d.{name}", START, "lost") if value is None else Sample(f"d.{name}", START, value)
        for name, value in values.items()
    }
    return ProcessImage(START, 1, samples)


class Asked:
    """A rule that is looked at again and again, with the state it gave."""

    def __init__(self, settings, timezone: str = "Europe/Athens") -> None:
        self.settings, self.kind, self.timezone = settings, KINDS[settings.kind], timezone
        self.state, self.time = self.kind.state(), START
        self.alarm: str | None = None

    def look(self, after_s: float = 60.0, watched: bool = True, trusted: bool = True, **values) -> dict[str, float]:
        """Look `after_s` later; what it wants by the name of the point."""
        self.time += timedelta(seconds=after_s)
        now = Now(self.time, self.timezone, after_s, after_s if watched else 0.0, trusted)
        decision = self.kind.decide(image(**values), self.state, now, self.settings)
        # as the state directory does it: over text
        self.state = self.kind.state.model_validate(decision.state.model_dump(mode="json"))
        self.alarm = decision.alarm
        return {wish.point.partition(".")[2]: wish.value for wish in decision.wishes}


@pytest.fixture
def asked():
    return Asked
