"""The airing: 90 minutes once between 02:00 and 07:30 local, wherever in its run the last plan says it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energyctl.core.flexibility import Fixed, Shiftable
from energyctl.resources.hours import next_clock, windows

ATHENS = ZoneInfo("Europe/Athens")


def local(text: str, day: int = 22, month: int = 1) -> datetime:
    hour, minute = map(int, text.split(":"))
    return datetime(2019, month, day, hour, minute, tzinfo=ATHENS).astimezone(UTC)


def starts(bench: Any, now: datetime, steps: int = 144, **values: float) -> list[str]:
    """Local clock times at which it may start, as first-last."""
    horizon = bench.horizon(steps, now)
    flexibilities = bench["fresh-air"].flexibility(bench.outlook(horizon, _keys(values)))
    if not flexibilities:
        return []
    (flex,) = flexibilities
    assert isinstance(flex, Shiftable)
    assert flex.profile_kw == (6.0,) * 6
    allowed = [horizon.time(step).astimezone(ATHENS) for step, may in enumerate(flex.may_start) if may]
    return [allowed[0].strftime("%a %H:%M"), allowed[-1].strftime("%a %H:%M")]


def _keys(values: dict[str, float]) -> dict[str, float]:
    return {"airhandler.flush": values.get("on", 0.0)} | {
        f"fresh-air:run_{name}_s": values[name] for name in ("start", "end") if name in values
    }


@pytest.mark.parametrize(
    ("now", "values", "expected"),
    [
        ("12:00", {}, ["Wed 02:00", "Wed 06:00"]),
        ("03:10", {}, ["Tue 03:10", "Tue 05:55"]),  # first start inside its hours: what is left of them
        ("03:00", {"start": 3600.0, "end": 9000.0}, ["Tue 03:00", "Tue 06:00"]),  # still ahead: it may move
        ("05:00", {"start": -7200.0, "end": -1800.0}, ["Wed 02:00", "Wed 06:00"]),  # today's is done
        ("05:15", {"start": 75600.0, "end": 81000.0}, ["Wed 02:00", "Wed 06:00"]),  # ... and the next already planned
        ("03:30", {"start": -1800.0, "end": 3600.0, "on": 0.0}, ["Tue 03:30", "Tue 06:00"]),  # it never came on
        ("06:30", {}, ["Wed 02:00", "Wed 06:00"]),  # too late for today
    ],
)
def test_when_it_may_start(bench: Any, now: str, values: dict[str, float], expected: list[str]) -> None:
    assert starts(bench, local(now), **values) == expected


@pytest.mark.parametrize(("begun", "ends", "left"), [(-1800.0, 3600.0, 4), (0.0, 5400.0, 6), (-5400.0, 600.0, 1)])
def test_a_run_under_way_goes_on(bench: Any, begun: float, ends: float, left: int) -> None:
    values = _keys({"start": begun, "end": ends, "on": 1.0 if begun < 0 else 0.0})
    if begun == 0.0:
        del values["airhandler.flush"]
    (flex,) = bench["fresh-air"].flexibility(bench.outlook(bench.horizon(8, local("03:30")), values))
    assert flex == Fixed("fresh-air", (6.0,) * left + (0.0,) * (8 - left))


def test_a_horizon_without_its_hours_has_no_run(bench: Any) -> None:
    assert starts(bench, local("12:00"), steps=8) == []


@pytest.mark.parametrize(("row", "value"), [((6.0,), 1.0), ((0.0,), 0.0), (None, 0.0)])
def test_the_switch_follows_the_plan(bench: Any, row: tuple[float, ...] | None, value: float) -> None:
    plan = bench.plan(bench.horizon(1), power={} if row is None else {"fresh-air": row})
    (target,) = bench["fresh-air"].follow(plan, 0, bench.image(), bench.site)
    assert (target.point, target.value) == ("airhandler.flush", value)


@pytest.mark.parametrize(("now", "value"), [("01:59", 0.0), ("02:00", 1.0), ("03:29", 1.0), ("03:30", 0.0)])
def test_by_rule_it_runs_first_thing(bench: Any, now: str, value: float) -> None:
    (target,) = bench["fresh-air"].rule(local(now), bench.image(), bench.site)
    assert target.value == value


def test_hours_pass_midnight() -> None:
    (start, end), (following, _) = list(windows(local("01:00"), "22:00-06:00", "Europe/Athens"))[:2]
    assert (start, end) == (local("22:00", 21), local("06:00", 22))
    assert following == local("22:00", 22)


def test_hours_keep_to_the_clock_when_it_changes() -> None:
    """31 March 2019: 02:00 local is 00:00 UTC, 07:30 local already 04:30 UTC; the night is an hour short."""
    start, end = next(windows(local("22:00", 30, 3), "02:00-07:30", "Europe/Athens"))
    assert (start, end) == (datetime(2019, 3, 31, 0, 0, tzinfo=UTC), datetime(2019, 3, 31, 4, 30, tzinfo=UTC))
    assert end - start == timedelta(hours=4, minutes=30)


@pytest.mark.parametrize(
    ("now", "expected"), [("07:29", ("07:30", 22)), ("07:30", ("07:30", 23)), ("20:00", ("07:30", 23))]
)
def test_ready_by_means_the_next_one(now: str, expected: tuple[str, int]) -> None:
    assert next_clock(local(now), "07:30", "Europe/Athens") == local(*expected)
