"""Which resources go by the time of day in their own rule: those whose rule wants something else at another time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.core.points import ProcessImage, Sample

START = datetime(2026, 1, 12, tzinfo=UTC)
SITE = load_site(Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml")
VALUES = {"storage.soc": 0.5, "charger.connected": 1.0, "heatpump.mode": 1.0}


@pytest.mark.parametrize("resource", SITE.resources, ids=lambda resource: resource.id)
def test_a_rule_that_depends_on_the_time_says_so(resource):
    image = ProcessImage(START, 1, {point: Sample(point, START, VALUES.get(point, 1.0)) for point in SITE.points})
    times = [START + timedelta(minutes=15) * step for step in range(7 * 96)]
    wanted = {tuple((t.point, t.value) for t in resource.rule(time, image, SITE.view)) for time in times}
    assert resource.by_calendar == (len(wanted) > 1)
