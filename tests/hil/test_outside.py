"""Days that nobody measured: the sun against almanac values, and weather and load as they were asked for."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from energyctl.core.errors import ConfigError
from hil.outside import DAYS, Outside
from hil.sun import sky, tilt_gain
from tests.hil.plant_site import CALM, DAY, site

SITE = site({})


# by the almanac's equation of time (-1.8, +16.4, -14.2, +1.9 min) and declination (23.44, -15.2, -14.0, -23.44 deg)
@pytest.mark.parametrize(
    ("day", "latitude", "longitude", "noon", "height_deg"),
    [
        (datetime(2026, 6, 21, tzinfo=UTC), 51.48, 0.0, "12:02", 61.95),
        (datetime(2026, 11, 3, tzinfo=UTC), 39.64, 22.42, "10:14", 35.2),
        (datetime(2026, 2, 11, tzinfo=UTC), 39.64, 22.42, "10:45", 36.4),
        (datetime(2026, 12, 21, tzinfo=UTC), -33.87, 151.21, "01:53", 79.6),
    ],
)
def test_the_sun_culminates_where_and_when_the_almanac_says(day, latitude, longitude, noon, height_deg) -> None:
    from math import asin, degrees

    found = sky(day, latitude, longitude)
    clock = datetime.fromisoformat(f"{found.noon:%Y-%m-%d}T{noon}+00:00")
    assert abs((found.noon - clock).total_seconds()) < 90
    assert degrees(asin(found.height(found.noon))) == pytest.approx(height_deg, abs=0.4)


def test_a_clear_sky_gives_what_clear_skies_give_and_clouds_take_most_of_it() -> None:
    found = sky(datetime(2026, 6, 21, tzinfo=UTC), 39.64, 22.42)
    noon = found.clear_w_m2(found.noon)
    assert 900 < noon < 1050
    assert found.clear_w_m2(found.noon, 1.0) == pytest.approx(0.25 * noon)
    assert found.clear_w_m2(found.noon + timedelta(hours=11)) == 0.0


@pytest.mark.parametrize(
    ("month", "tilt", "azimuth", "low", "high"),
    [
        (1, 0, 180, 1.0, 1.0),
        (1, 30, 180, 1.3, 1.6),
        (7, 30, 180, 0.9, 1.1),
        (1, 30, 0, 0.5, 0.8),
        (1, 20, 90, 0.9, 1.0),
    ],
)
def test_what_a_tilt_gains(month, tilt, azimuth, low, high) -> None:
    assert low <= tilt_gain(datetime(2026, month, 15, tzinfo=UTC), 39.64, tilt, azimuth) <= high


def local(series, values, hour: float) -> float:
    """A value at an hour of the first day."""
    zone = ZoneInfo(SITE.timezone)
    midnight = series.start.astimezone(zone)
    assert midnight.hour == 0
    return values[round(hour * 60)]


def test_a_day_made_up_is_as_it_was_asked_for() -> None:
    asked = Outside.model_validate(
        {"temp_min": "-5 °C", "temp_max": "3 °C", "clouds": 0, "humidity": "90 %", "load_night": "4 kW",
         "load_day": "20 kW", "occupied": "Mo-Fr 08:00-16:00", "load_flicker": 0, "cloud_flicker": 0}
    )  # fmt: skip
    found = asked.series(SITE, DAY, 1)
    assert (min(found.temp_c), max(found.temp_c)) == (pytest.approx(-5), pytest.approx(3))
    assert local(found, found.temp_c, 15) == pytest.approx(3)
    assert local(found, found.temp_c, 3) == pytest.approx(-5)
    assert set(found.humidity_pct) == {90.0}
    assert [round(local(found, found.load_kw, hour), 3) for hour in (3, 8, 12, 16, 22)] == [4, 12, 20, 12, 4]
    saturday = 3 * 1440
    assert max(found.load_kw[saturday : saturday + 1440]) == pytest.approx(4)
    assert local(found, found.ghi_w_m2, 0) == 0
    assert 350 < max(found.ghi_w_m2) < 550  # January at 39.6 degrees north


def test_nothing_given_is_a_mild_day_fitted_to_the_site() -> None:
    found, small = Outside().series(SITE, DAY, 1), CALM.series(site({}, limit_kw=10.0), DAY, 1)
    assert 0 < min(found.temp_c) < max(found.temp_c) < 15
    assert sum(found.load_kw[600:900]) / 300 == pytest.approx(0.3 * 60, rel=0.02)
    assert max(small.load_kw) == pytest.approx(3.0)
    summer = Outside().series(SITE, DAY + timedelta(days=185), 1)
    assert 15 < min(summer.temp_c) < max(summer.temp_c) < 32
    assert len(found.load_kw) == DAYS * 1440


def test_flicker_goes_by_the_seed_and_keeps_every_hours_mean() -> None:
    calm, one, same, other = (
        Outside(cloud_flicker=flicker, load_flicker=flicker).series(SITE, DAY, seed)
        for flicker, seed in ((0.0, 1), (0.1, 1), (0.1, 1), (0.1, 2))
    )
    assert one == same != other
    for hour in range(24):
        minutes = slice(60 * hour, 60 * hour + 60)
        assert sum(one.load_kw[minutes]) == pytest.approx(sum(calm.load_kw[minutes]))
        assert sum(one.ghi_w_m2[minutes]) == pytest.approx(sum(calm.ghi_w_m2[minutes]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"measured": "a.csv", "clouds": 0.5}, "measured already says what clouds would"),
        ({"temp_min": "5 °C", "temp_max": "3 °C"}, "temp_min 5 °C is above temp_max 3 °C"),
        ({"temp_min": 5}, "without a unit"),
        ({"clouds": 1.5}, "less than or equal to 1"),
        ({"load_day": "-3 kW"}, "must not be negative"),
        ({"cloud": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused(data, message) -> None:
    with pytest.raises(ValidationError, match=message):
        Outside.model_validate(data)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"larissa/nowhere\.csv: cannot be read"):
        Outside(measured="nowhere.csv").series(SITE, DAY, 1)
