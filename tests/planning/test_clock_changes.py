"""Row 33: days of 23 and of 25 hours, and the 29th of February, are planned right.

The oracle knows no time zone database: Athens is two hours ahead of UTC, three from 01:00 UTC on the last Sunday of March
to 01:00 UTC on the last Sunday of October, and what a wall clock shows is counted from that by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from energyctl.config import load_site
from energyctl.core import comfort
from energyctl.core.points import ProcessImage, Sample
from energyctl.planning.history import History
from energyctl.planning.requests import needed_points, request
from energyctl.resources import hours
from optimizer.planner import planner

LARISSA = Path(__file__).parents[2] / "sites" / "larissa"
QUARTER = timedelta(minutes=15)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@dataclass(frozen=True)
class Day:
    """A local day: when it begins, how many quarters of an hour it has, from when the clock is an hour further or back."""

    name: str
    midnight: datetime
    quarters: int
    changes: datetime
    before_h: int
    after_h: int
    weekday: int

    def minute(self, time: datetime) -> int:
        """Minutes since midnight that a clock on the wall shows at a time of this day."""
        ahead = self.before_h if time < self.changes else self.after_h
        wall = time + timedelta(hours=ahead)
        return wall.hour * 60 + wall.minute

    @property
    def times(self) -> list[datetime]:
        return [self.midnight + QUARTER * step for step in range(self.quarters)]


SPRING = Day("spring", utc(2026, 3, 28, 22), 92, utc(2026, 3, 29, 1), 2, 3, 6)
AUTUMN = Day("autumn", utc(2026, 10, 24, 21), 100, utc(2026, 10, 25, 1), 3, 2, 6)
LEAP = Day("leap day", utc(2028, 2, 28, 22), 96, utc(2028, 3, 26, 1), 2, 3, 1)
DAYS = pytest.mark.parametrize("day", [SPRING, AUTUMN, LEAP], ids=lambda day: day.name)

CHEAP, DEAR = 0.05, 0.30
VALUES = {
    "meter.power": 12.0,
    "inverter.power": -1.0,
    "inverter.power_limit": 1.0,
    "storage.power": 0.0,
    "storage.soc": 0.5,
    "heatpump.power": 1.0,
    "heatpump.outdoor_temp": 9.0,
    "heatpump.mode": 1.0,
    "heatpump.zone1_temp": 18.0,
    "heatpump.zone2_temp": 18.0,
    "airhandler.power": 0.0,
    "airhandler.flush": 0.0,
    "charger.power": 0.0,
    "charger.connected": 1.0,
    "charger.session_energy": 0.0,
}


def site_of(tmp_path, day, timezone="Europe/Athens"):
    """The town hall with dear power from 02:00 to 05:00 on site, planned for just that day."""
    yaml = YAML()
    data = yaml.load((LARISSA / "town-hall.yaml").read_text())
    data["resources"]["base"]["prior"] = str(LARISSA / "measured/base_load_history.csv")
    data["tariff"] = {
        "kind": "time-of-use",
        "import_price": f"{CHEAP} EUR/kWh",
        "bands": [{"hours": "02:00-05:00", "import_price": f"{DEAR} EUR/kWh"}],
    }
    data["planner"] = {"horizon": f"{day.quarters * 15} min", "step": "15 min"}
    data["comfort"]["office"]["occupied"] = "02:30-07:30"
    data["site"]["timezone"] = timezone
    path = tmp_path / "site.yaml"
    with path.open("w") as file:
        yaml.dump(data, file)
    return load_site(path)


def request_of(site, day, at=None):
    time = at or day.midnight
    image = ProcessImage(time, 1, {point: Sample(point, time, value) for point, value in VALUES.items()})
    return request(site, image, History(needed_points(site)), None, live=False)


@DAYS
def test_row33_prices_and_hours_of_use_by_the_wall_clock(tmp_path, day):
    site = site_of(tmp_path, day)
    asked = request_of(site, day)
    assert asked.horizon.times() == day.times
    dear = [120 <= day.minute(time) < 300 for time in day.times]
    assert sum(dear) == {"spring": 8, "autumn": 16, "leap day": 12}[day.name]
    assert list(asked.rates.import_price) == pytest.approx([DEAR if one else CHEAP for one in dear])
    used = [150 <= day.minute(time) < 450 for time in day.times]
    assert sum(used) == {"spring": 16, "autumn": 24, "leap day": 20}[day.name]
    assert [site.view.comfort["office"].in_use(time, site.timezone) for time in day.times] == used


@DAYS
def test_row33_a_plan_of_the_whole_day(tmp_path, day):
    site = site_of(tmp_path, day)
    plan = planner.plan(request_of(site, day))
    assert len(plan.grid_kw) == day.quarters
    assert plan.horizon.end == day.midnight + QUARTER * day.quarters
    air = [time for time, kw in zip(day.times, plan.power_kw["fresh-air"], strict=True) if kw > 0]
    assert len(air) == 6 and air[-1] - air[0] == 5 * QUARTER, "90 minutes at a stretch"
    assert all(120 <= day.minute(time) < 450 for time in air), "between 02:00 and 07:30 on site"
    assert all(day.minute(time) >= 300 for time in air), "and after the dear hours"
    charged = [(time, kw) for time, kw in zip(day.times, plan.power_kw["car"], strict=True) if kw > 0.01]
    in_time = sum(kw / 4 for time, kw in charged if time < ready(day))
    assert in_time == pytest.approx(40.0, rel=0.02), "by 07:30 on site"
    warm = [states[0] for states in plan.states["office"]]
    opening = next(step for step, time in enumerate(day.times) if day.minute(time) >= 150)
    assert min(warm[opening:][: len([t for t in day.times if 150 <= day.minute(t) < 450])]) > 19.0


def ready(day):
    """When clocks on site show 07:30."""
    return next(time for time in day.times if day.minute(time) == 450)


@DAYS
def test_row33_rules_without_a_plan(tmp_path, day):
    site = site_of(tmp_path, day)
    by_id = {resource.id: resource for resource in site.resources}
    image = ProcessImage(day.midnight, 1, {p: Sample(p, day.midnight, v) for p, v in VALUES.items()})
    for time in day.times:
        (airing,) = by_id["fresh-air"].rule(time, image, site.view)
        from_two = time - first(day, 120)
        assert airing.value == (1.0 if timedelta(0) <= from_two < timedelta(minutes=90) else 0.0), time
        (office,) = by_id["office"].rule(time, image, site.view)
        soon = any(150 <= day.minute(at) < 450 for at in (time, time + timedelta(hours=2)) if at in day.times)
        assert office.value == (20.0 if soon else 16.0), time


def first(day, minute):
    """The first time that clocks on site show so many minutes since midnight."""
    return next(time for time in day.times if day.minute(time) == minute)


@DAYS
def test_row33_windows_of_the_day(day):
    start, end = next(hours.windows(day.midnight, "02:00-07:30", "Europe/Athens"))
    assert (start, end) == (first(day, 120), ready(day))
    assert (end - start) / QUARTER == {"spring": 18, "autumn": 26, "leap day": 22}[day.name]
    assert hours.next_clock(day.midnight, "07:30", "Europe/Athens") == ready(day)


def test_row33_a_time_that_comes_twice_is_the_first_and_one_that_is_left_out_is_an_hour_later():
    assert hours.next_clock(AUTUMN.midnight, "03:30", "Europe/Athens") == utc(2026, 10, 25, 0, 30)
    assert hours.next_clock(SPRING.midnight, "03:30", "Europe/Athens") == utc(2026, 3, 29, 1, 30)


def test_row33_the_29th_is_a_tuesday_and_is_followed_by_march():
    assert LEAP.midnight.astimezone(UTC) + QUARTER * LEAP.quarters == utc(2028, 2, 29, 22)
    schedule = comfort.WeekSchedule("Tu 07:00-18:00")
    noon = [datetime(2028, 2, 28, 12), datetime(2028, 2, 29, 12), datetime(2028, 3, 1, 12)]  # noqa: DTZ001
    assert [schedule.covers(local) for local in noon] == [False, True, False]


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=lambda day: day.name)
def test_row33_control_a_clock_that_does_not_change_is_found_out(tmp_path, day):
    """A site that keeps the winter's (or the summer's) time all day is seen by what the tests above look at."""
    site = site_of(tmp_path, day, timezone={"spring": "Etc/GMT-2", "autumn": "Etc/GMT-3"}[day.name])
    prices = request_of(site, day).rates.import_price
    assert [price > 0.1 for price in prices] != [120 <= day.minute(time) < 300 for time in day.times]
    assert hours.next_clock(day.midnight, "07:30", site.timezone) != ready(day)
