"""What readings are worth to somebody who commissions: a table of right ones and of mistakes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.config import load_site
from energyctl.core.points import ProcessImage, Quality, Sample
from energyctl.field.inspection import inspect
from energyctl.field.quality import judge, plausible_spans

NOW = datetime(2026, 6, 10, 10, tzinfo=UTC)
SITE = load_site(Path(__file__).parents[2] / "sites" / "larissa" / "town-hall.yaml")
SPANS = plausible_spans(SITE)
GOOD = {
    "meter.power": 2.0,
    "meter.voltage_l1_n": 231.0,
    "meter.frequency": 49.98,
    "inverter.power": -20.0,
    "storage.power": 5.0,
    "storage.soc": 0.5,
    "heatpump.power": 3.0,
    "charger.power": 0.0,
    "airhandler.power": 0.6,
}


def look(device, rest_kw=13.4, **changed):
    """Findings of a device by (point, what); names with "__" for the dot. None is a bad sample."""
    values = GOOD | {name.replace("__", "."): value for name, value in changed.items()}
    samples = {}
    for point in SITE.points.values():
        value = values.get(point.id, 0.0)
        sample = (
            Sample.bad(point.id, NOW, "device answered with an exception")
            if value is None
            else Sample(point.id, NOW, value)
        )
        samples[point.id] = judge(sample, point, SPANS.get(point.id))
    return {(one.point, one.what): one for one in inspect(SITE, device, ProcessImage(NOW, 1, samples), rest_kw)}


MISTAKES = [
    ("inverter", {"inverter__power": 20.0}, "inverter.power", "implausible"),
    ("inverter", {"inverter__power": 2.0}, "inverter.power", "is its sign the wrong way round?"),
    ("meter", {"meter__power": 2000.0}, "meter.power", "implausible"),
    ("meter", {"meter__power": 2.3e-41}, "meter.power", "are its words in the wrong order?"),
    ("meter", {"meter__voltage_l1_n": 2.31}, "meter.voltage_l1_n", "no grid has that (80..40000 V)"),
    ("meter", {"meter__frequency": 122.0}, "meter.frequency", "no grid has that (45..65 Hz)"),
    ("meter", {"meter__power": None}, "meter.power", "device answered with an exception"),
    ("storage", {"storage__soc": 50.0}, "storage.soc", "implausible"),
    ("storage", {"storage__soc": 0.005}, "storage.soc", "a share taken for a percentage"),
    ("storage", {"storage__soc": 1.03}, "storage.soc", "between 0 and 100 %"),
    ("storage", {"storage__power": 5000.0}, "storage.power", "implausible"),
]


@pytest.mark.parametrize(("device", "changed", "point", "words"), MISTAKES)
def test_row31_a_mistake_is_wrong_and_says_why(device, changed, point, words):
    found = look(device, **changed)[point, "reading"]
    assert found.verdict == "wrong" and words in found.text


@pytest.mark.parametrize("device", ["meter", "inverter", "storage"])
def test_right_readings_are_right(device):
    assert {one.verdict for one in look(device).values()} == {"right"}


def test_a_roof_at_night_shows_no_sign():
    found = look("inverter", inverter__power=0.02)["inverter.power", "reading"]
    assert found.verdict == "not shown" and "generates nothing now" in found.text


def test_what_nothing_is_bound_to_may_be_missing():
    assert look("inverter", inverter__energy=None)["inverter.energy", "reading"].verdict == "not shown"


@pytest.mark.parametrize(
    ("rest_kw", "verdict"), [(13.4, "right"), (0.0, "right"), (-0.6, "right"), (-9.0, "wrong"), (None, "not shown")]
)
def test_a_building_does_not_generate_by_itself(rest_kw, verdict):
    found = look("meter", rest_kw)["meter.power", "sum"]
    assert found.verdict == verdict
    assert ("cannot generate" in found.text) == (verdict == "wrong")
    assert ("inverter.power", "sum") not in look("inverter", rest_kw)


def test_an_uncertain_reading_is_wrong_whatever_it_is_used_for():
    sample = Sample("meter.current_l1", NOW, 1.0, Quality.UNCERTAIN, "out of range")
    image = ProcessImage(NOW, 1, {p: Sample(p, NOW, GOOD.get(p, 0.0)) for p in SITE.points} | {sample.point: sample})
    (found,) = (one for one in inspect(SITE, "meter", image, 13.4) if one.verdict == "wrong")
    assert found.text == "shows 1 A: out of range"
