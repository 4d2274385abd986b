"""Quantities as people write them, as a table."""

import pytest

from energyctl.core.units import UNITS, canonical_unit, from_canonical, parse_quantity, spellings, to_canonical

GOOD = [
    ("120 kW", "kW", 120.0),
    ("120kW", "kW", 120.0),
    ("2500 W", "kW", 2.5),
    ("-1.5e1 kW", "kW", -15.0),
    ("10 %", "1", 0.1),
    ("0.1", "1", 0.1),
    ("68 °F", "°C", 20.0),
    ("21 °C", "°C", 21.0),
    ("15 min", "s", 900.0),
    ("90 EUR/MWh", "EUR/kWh", 0.09),
]
BAD = [
    ("120", "kW", "a number without a unit; write '120 kW'"),
    (120, "kW", "a number without a unit; write '120 kW'"),
    ("120 kWh", "kW", "unit 'kWh' does not fit here; write kW, MW, W or kWp"),
    ("12 bananas", "kW", "unit 'bananas' does not fit here"),
    ("much", "kW", "expected a number and a unit"),
    ("1e999 kW", "kW", "too large to be a quantity"),
    (True, "kW", "expected a quantity"),
    (None, "kW", "expected a quantity"),
    ("0,075 EUR/kWh", "EUR/kWh", "a point, not a comma, before the decimals; write '0.075 EUR/kWh'"),
    ("-2,5 kW", "kW", "write '-2.5 kW'"),
    ("nan kW", "kW", "expected a number and a unit"),
]


@pytest.mark.parametrize(("text", "unit", "value"), GOOD)
def test_read(text, unit, value):
    assert parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(("text", "unit", "words"), BAD)
def test_refused_with_what_would_be_right(text, unit, words):
    with pytest.raises(ValueError) as error:
        parse_quantity(text, unit)
    assert words in str(error.value)


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_there_and_back(unit):
    assert from_canonical(to_canonical(12.5, unit), unit) == pytest.approx(12.5)
    assert canonical_unit(canonical_unit(unit)) == canonical_unit(unit)


def test_spellings_begin_with_the_canonical_unit():
    assert spellings("kWh") == "kWh, MWh or Wh"
