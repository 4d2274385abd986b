"""Key figures against sums done by hand."""

from datetime import UTC, datetime

import pytest

from energyctl.accounting import discomfort_kh, self_consumption, self_sufficiency
from energyctl.core.comfort import Comfort
from energyctl.core.timeline import Series

OFFICE = Comfort.model_validate({"occupied": "Mo-Fr 07:30-17:00", "heat": "20 °C", "cool": "26 °C"})


def test_shares_of_generation_and_of_load() -> None:
    # used on site: min(0,5) + min(10,5) + min(20,30) = 25 of 30 generated and of 40 used
    generation, load = (0.0, 10.0, 20.0), (5.0, 5.0, 30.0)
    assert self_consumption(generation, load) == pytest.approx(25 / 30)
    assert self_sufficiency(generation, load) == pytest.approx(25 / 40)


def test_a_share_of_nothing_is_unknown() -> None:
    assert self_consumption((0.0,), (1.0,)) is None
    assert self_sufficiency((1.0,), (0.0,)) is None


@pytest.mark.parametrize(
    ("start", "temps", "kelvin_hours"),
    [
        # Tuesday 07:00-08:00 in Athens is 05:00-06:00 UTC; only the second half hour is occupied
        (datetime(2019, 1, 22, 5, tzinfo=UTC), (18.0, 18.0, 19.0, 19.0), 0.25 * (1.0 + 1.0)),
        (datetime(2019, 1, 22, 9, tzinfo=UTC), (20.0, 26.0, 26.5, None), 0.25 * 0.5),
        (datetime(2019, 7, 23, 13, tzinfo=UTC), (28.0, 28.0, 28.0, 28.0), 2.0),  # 16:00 to 17:00 summer time
        (datetime(2019, 7, 23, 14, tzinfo=UTC), (28.0, 28.0, 28.0, 28.0), 0.0),
        (datetime(2019, 1, 26, 9, tzinfo=UTC), (10.0, 10.0, 10.0, 10.0), 0.0),  # Saturday
    ],
)
def test_discomfort_counts_occupied_hours_alone(
    start: datetime, temps: tuple[float | None, ...], kelvin_hours: float
) -> None:
    assert discomfort_kh(Series(start, 900, temps), OFFICE, "Europe/Athens") == pytest.approx(kelvin_hours)
