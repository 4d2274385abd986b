"""How far a sample may be trusted, as a table."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.core.points import Point, Quality, Sample
from energyctl.field.quality import judge, plausible_spans

LARISSA = Path(__file__).parents[2] / "sites/larissa/town-hall.yaml"
NOW = datetime(2026, 1, 15, tzinfo=UTC)
SOC = Point(id="bat.soc", unit="1", minimum=0.0, maximum=1.0)
FREE = Point(id="bat.power", unit="kW")

CASES = [
    (SOC, 0.5, Quality.GOOD, ""),
    (SOC, 1.04, Quality.GOOD, ""),  # within a tenth of the span
    (SOC, 1.2, Quality.UNCERTAIN, "out of range 0..1 1"),
    (SOC, -0.2, Quality.UNCERTAIN, "out of range 0..1 1"),
    (FREE, 1e6, Quality.GOOD, ""),
    (FREE, math.nan, Quality.BAD, "not a number (nan)"),
    (FREE, math.inf, Quality.BAD, "not a number (inf)"),
    (FREE, None, Quality.BAD, "no value"),
]


@pytest.mark.parametrize(("point", "value", "quality", "reason"), CASES)
def test_judge(point, value, quality, reason):
    judged = judge(Sample(point.id, NOW, value), point)
    assert (judged.quality, judged.reason) == (quality, reason)
    assert (judged.value is None) == (quality is Quality.BAD)


def test_a_bad_sample_keeps_its_reason():
    assert judge(Sample.bad("bat.soc", NOW, "sentinel 0xFFFF"), SOC).reason == "sentinel 0xFFFF"


def test_what_is_plausible_follows_from_the_connection_and_the_resources():
    spans = plausible_spans(load_site(LARISSA))
    assert spans["meter.power"] == (-180.0, 180.0)
    assert spans["storage.power"] == (-39.0, 39.0)
    assert spans["inverter.power"] == (-52.0, 4.0)  # generating: a positive reading has the wrong sign
    assert "storage.power_setpoint" not in spans and "charger.connected" not in spans
