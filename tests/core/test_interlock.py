"""Interlocks as a table: condition, what is measured, tripped or not."""

from datetime import UTC, datetime

import pytest

from energyctl.core.interlock import Interlock, parse
from energyctl.core.points import ProcessImage, Sample

NOW = datetime(2026, 1, 15, tzinfo=UTC)


def image(value):
    sample = Sample.bad("bat.soc", NOW, "dead") if value is None else Sample("bat.soc", NOW, value)
    return ProcessImage(NOW, 1, {"bat.soc": sample})


@pytest.mark.parametrize(
    ("comparison", "value", "tripped"),
    [
        ("<", 0.04, True),
        ("<", 0.05, False),
        ("<=", 0.05, True),
        (">", 0.06, True),
        (">=", 0.04, False),
        ("=", 0.05, True),
    ],
)
def test_tripped(comparison, value, tripped):
    interlock = Interlock("bat.set", "bat.soc", comparison, 0.05, "the condition")
    assert bool(interlock.tripped(image(value))) == tripped


def test_what_cannot_be_ruled_out_holds():
    reason = Interlock("bat.set", "bat.soc", "<", 0.05, "bat.soc < 5 %").tripped(image(None))
    assert reason == "bat.soc has no good value, and 'bat.soc < 5 %' cannot be ruled out"


def test_conditions_as_people_write_them():
    assert parse("storage.soc<5 %") == ("storage.soc", "<", "5 %")
    assert parse(" heatpump.mode = cool ") == ("heatpump.mode", "=", "cool")
    for wrong in ("", "storage.soc", "storage.soc <", "< 5 %", "import os"):
        with pytest.raises(ValueError, match=r"like 'storage\.soc < 5 %'"):
            parse(wrong)
