"""Rows 32 and 34 with the real daemon: its wall clock is read from a file that the test sets; devices' logs and the journal
say what was written. Nothing else of the daemon is changed.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import timedelta
from itertools import pairwise

import pytest

FAKE = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from energyctl.core import clock
from energyctl.daemon import clock_trust, main

off, told = Path({off!r}), datetime.now
clock.LiveClock.now = lambda self: told(UTC) + timedelta(seconds=float(off.read_text()))
clock_trust.kernel_says_synchronised = lambda: False
{more}
sys.exit(main.main(sys.argv[1:]))
"""
CREDULOUS = "clock_trust.ClockTrust.doubt = property(lambda self: None)"
"""A daemon that trusts every clock."""


class Time:
    """The daemon's wall clock."""

    def __init__(self, folder) -> None:
        self.path = folder / "clock.off"
        self.off_s = 0.0

    def set(self, **by: float) -> None:
        """Let it be wrong by so much (see timedelta)."""
        self.off_s = timedelta(**by).total_seconds()
        new = self.path.with_suffix(".new")
        new.write_text(str(self.off_s))
        new.replace(self.path)

    def code(self, more: str = "") -> str:
        return FAKE.format(off=str(self.path), more=more)


@pytest.fixture
def clock(tmp_path):
    found = Time(tmp_path)
    found.set()
    return found


@pytest.fixture
def quick_to_settle(site_file):
    """A clock that was set is believed again after four seconds."""
    text = site_file.read_text()
    assert "  lease: 60 s\n" in text
    site_file.write_text(text.replace("  lease: 60 s\n", "  lease: 60 s\n  clock_settle: 4 s\n"))


def to_1970() -> dict[str, float]:
    return {"seconds": 3600 - time.time()}


def planned(bench):
    """Journal lines of intents of plans."""
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        return store.execute("select count(*) from journal where source like 'plan:%' and kind = 'intent'").fetchone()[
            0
        ]


async def guided(bench):
    """Whether a plan guides."""
    return (await bench.status())["guided_by"] == "plan"


async def follow(bench, meter_kw):
    """Let the meter show another power, and wait until the battery was told to follow."""
    before = len(bench.written("storage", "power_setpoint"))
    bench.devices["meter"].set("power", meter_kw)
    await bench.until(lambda: len(bench.written("storage", "power_setpoint")) > before)


async def alarm(bench, name="clock"):
    return next((one for one in (await bench.status())["alarms"] if one["name"] == name), None)


async def test_row34_booted_at_1970_nothing_is_scheduled_until_the_clock_is_set(quick_to_settle, bench, clock):
    clock.set(**to_1970())
    process = await bench.start(code=clock.code())
    await bench.running()
    status = await bench.status()
    assert status["time"].startswith("1970-01-01")
    assert status["guided_by"] == "rule" and "clock is not trusted" in status["guided_reason"]
    assert (await bench.ask("replan"))["ok"]
    assert (await bench.status())["plans_made"] == 0
    answer = await bench.ask("write", point="storage.power_setpoint", value=4.0, for_s=3, reason="a person")
    assert answer["ok"] and answer["result"]["effect"] == "effective", answer
    assert "1970" in (await alarm(bench))["text"]
    await follow(bench, 4.0)
    assert planned(bench) == 0, "the meter is followed by the battery's own rule"
    clock.set()

    async def trusted():
        return await alarm(bench) is None

    begun = time.monotonic()
    await bench.until(trusted)
    assert time.monotonic() - begun > 3.0, "not at once: a clock that was set has to go on for a while"
    await bench.ask("replan")
    await bench.until(lambda: guided(bench))
    await follow(bench, 9.0)
    await bench.until(lambda: planned(bench) > 0)
    assert await bench.stop(process) == 0


async def test_row34_control_a_daemon_that_trusts_any_clock_is_found_out(quick_to_settle, bench, clock):
    clock.set(**to_1970())
    process = await bench.start(code=clock.code(CREDULOUS))
    await bench.running()
    await bench.until(lambda: guided(bench))
    await follow(bench, 4.0)
    await bench.until(lambda: planned(bench) > 0)
    assert (await bench.status())["time"].startswith("1970-01-01")
    assert await bench.stop(process) == 0


@pytest.mark.parametrize("by", [{"hours": 1}, {"minutes": -10}], ids=["+1 h", "-10 min"])
async def test_row32_a_lease_and_a_poll_do_not_notice(quick_to_settle, bench, clock, by):
    process = await bench.start("--strategy", "rules", code=clock.code())
    await bench.running()
    asked = time.monotonic()
    answer = await bench.ask("write", point="storage.power_setpoint", value=4.0, for_s=6, reason="a person")
    assert answer["ok"], answer
    before = await bench.status()
    clock.set(**by)

    async def over():
        status = await bench.status()
        return status["held"].get("storage.power_setpoint", {}).get("value") != 4.0

    await bench.until(over)
    assert 5.5 < time.monotonic() - asked < 9.0, "six seconds by a clock that nobody set"
    after = await bench.status()
    assert after["cycle"] - before["cycle"] >= 4 and after["missed_cycles"] == before["missed_cycles"]
    assert all(device["errors"] == 0 for device in after["devices"])
    assert await bench.stop(process) == 0
    rows = samples(bench, "meter.power")
    jumps = [gap for gap in (abs(after - before) for before, after in pairwise(rows)) if gap > 300e6]
    assert len(rows) >= after["cycle"] - 3, "a sample each cycle, also while the clock was wrong"
    assert len(jumps) == 1


def samples(bench, point):
    """The times of a point's samples in the order they were committed, in microseconds."""
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        rows = store.execute(
            "select ts from sample join point on point.id = point_id where name = ? order by ts", (point,)
        ).fetchall()
    return [ts for (ts,) in rows]
