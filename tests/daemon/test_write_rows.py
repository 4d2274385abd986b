"""Rows of the test matrix about writing, on the whole loop in virtual time; each rule is also taken away to see it missed."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ruamel.yaml import YAML

from energyctl.control import gate
from energyctl.control.wear import FLASH_BURST, FLASH_S
from energyctl.core.driver import Refused
from energyctl.core.errors import StoreError
from energyctl.core.interlock import Interlock
from energyctl.core.records import JournalKind
from energyctl.daemon import remembering
from tests.daemon.whole_loop import FOUND, Loop
from tests.torture import count


def without(monkeypatch, *rules):
    """The gate without these rules."""
    monkeypatch.setattr(gate, "RULES", {name: rule for name, rule in gate.RULES.items() if name not in rules})


@pytest.fixture
def loop():
    """Makes loops whose stores are in memory where there is such a folder: virtual days are not to wait for a disk."""
    memory = Path("/dev/shm")
    made = []
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:

        def make(**more):
            made.append(Loop(Path(folder) / f"store{len(made)}", **more))
            return made[-1]

        yield make
        for one in made:
            one.store.close()


# -- row 36: rate of change, least times on and off, over restarts ----------------------------------------------------------

MIN_ON, MIN_OFF, STEP, EVERY = 600.0, 300.0, 5.0, 120.0
LIMITS = {
    "point_dwells": {"boiler.run": (MIN_ON, MIN_OFF)},
    "point_steps": {"bat.set": STEP},
    "point_intervals": {"hp.set": EVERY},
}


def too_short(writes, handed_back):
    """How often a switch was turned before its time, by the devices' log; what a hand-back after a kill did does not count."""
    wrong, state, since = [], FOUND["boiler.run"], None
    for at, value in writes:
        if value == state:
            continue
        least = MIN_ON if state else MIN_OFF
        if since is not None and at - since < least and at not in handed_back:
            wrong.append((at, value, at - since))
        state, since = value, at
    return wrong


def too_far(writes, handed_back):
    wrong, last = [], FOUND["bat.set"]
    for at, value in writes:
        if abs(value - last) > STEP + 1e-6 and at not in handed_back:
            wrong.append((at, last, value))
        last = value
    return wrong


def too_often(writes):
    """Changes of the claimed point closer together than `EVERY`; giving it up ends a span, taking it again begins one."""
    wrong, last, since = [], None, None
    for at, value in writes:
        if value is not None and value != last and since is not None and at - since < EVERY:
            wrong.append((at, value))
        if value != last:
            last, since = value, at
    return wrong


async def luckless_day(loop, cycles, luck):
    """Wishes that jump about, a kill every now and then; gives what was broken, by the devices' log."""
    released, killed = set(), set()
    for _ in range(cycles):
        if luck.random() < 0.1:
            loop.wants = {
                "boiler.run": float(luck.random() < 0.5),
                "bat.set": luck.uniform(-30, 30),
                "hp.set": luck.uniform(15, 25),
            }
            for point in list(loop.wants):
                if luck.random() < 0.2:
                    del loop.wants[point]
        held = set(loop.dispatcher.held)
        await loop.cycles()
        if "bat.set" in held - set(loop.dispatcher.held):
            released.add(loop.clock.monotonic() - loop.period_s)
        if luck.random() < 0.01:
            loop.clock.move(luck.choice((1.0, 20.0, 200.0)))
            killed.add(loop.clock.monotonic())
            await loop.again()
    writes = loop.driver.writes
    return (
        too_short(writes("boiler.run"), killed),
        too_far(writes("bat.set"), killed | released),
        too_often(writes("hp.set")),
    )


async def test_row36_rates_and_dwells_hold_over_restarts(loop):
    for seed in range(count(36, quick=2, full=50)):
        made = loop(period_s=10.0, **LIMITS)
        assert await luckless_day(made, 500, random.Random(seed)) == ([], [], [])
        assert len(made.driver.writes("boiler.run")) > 5 and len(made.driver.writes("bat.set")) > 20


@pytest.mark.parametrize(("rule", "broken"), [("dwell", 0), ("rate", 1), ("interval", 2)])
async def test_row36_the_log_shows_a_rule_that_is_missing(loop, monkeypatch, rule, broken):
    without(monkeypatch, rule)
    monkeypatch.setattr(gate, "dwelling", lambda *args: None) if rule == "dwell" else None
    assert (await luckless_day(loop(period_s=10.0, **LIMITS), 500, random.Random(1)))[broken]


async def test_row36_the_log_shows_a_past_that_is_forgotten(loop, monkeypatch):
    """What was switched just before the kill is switched back at once when the store does not tell."""
    monkeypatch.setattr("energyctl.control.wear.Wear.load", lambda self, pasts: None)
    monkeypatch.setattr("energyctl.control.wear.Wear.unsaved", lambda self: ())
    made = loop(period_s=10.0, point_intervals={"hp.set": EVERY})
    made.wants = {"hp.set": 22.0}
    await made.cycles(2)
    await made.again()
    made.wants = {"hp.set": 23.0}
    await made.cycles(2)
    assert too_often(made.driver.writes("hp.set"))


async def test_row36_a_switch_is_not_turned_again_right_after_a_kill(loop):
    made = loop(**LIMITS)
    made.wants = {"boiler.run": 1.0}
    await made.cycles(int(MIN_OFF) - 1)
    assert made.driver.writes("boiler.run") == [], "it is not known for how long it has been off"
    await made.cycles(3)
    assert [value for _, value in made.driver.writes("boiler.run")] == [1.0]
    await made.again()
    back = made.clock.monotonic()
    assert made.driver.values["boiler.run"] == 0.0, "handed back at once, whatever was left of its time"
    await made.cycles(int(MIN_OFF) + 5)
    at, value = made.driver.writes("boiler.run")[-1]
    assert value == 1.0 and at - back >= MIN_OFF


@pytest.mark.parametrize(
    ("uptime_s", "jump_s", "waits_s"),
    [
        (None, 0.0, 270.0),  # 30 s have passed since it was handed back
        (None, 86_400.0, 270.0),  # the wall clock was set forward meanwhile
        (None, -86_400.0, 270.0),
        (30.0, 0.0, 270.0),  # after a reboot the time since then counts
        (5.0, 86_400.0, 295.0),
        (1000.0, 0.0, 0.0),
    ],
)
async def test_row36_no_clock_that_jumped_shortens_a_dwell(loop, monkeypatch, uptime_s, jump_s, waits_s):
    made = loop(**LIMITS)
    made.wants = {"boiler.run": 1.0}
    await made.cycles(int(MIN_OFF) + 2)
    await made.again()
    made.clock.move(30.0)
    made.clock.wall += timedelta(seconds=jump_s)
    if uptime_s is not None:
        made.clock.seconds = uptime_s
        monkeypatch.setattr(remembering, "boot_id", lambda: "another run of the machine")
    made.start()
    begun, before = made.clock.monotonic(), len(made.driver.writes("boiler.run"))
    await made.cycles(int(MIN_OFF) + 5)
    at, value = made.driver.writes("boiler.run")[before]
    assert value == 1.0 and at - begun == pytest.approx(waits_s, abs=1.5)


async def test_row36_what_nobody_wants_any_more_runs_for_its_least_time(loop):
    made = loop(**LIMITS)
    made.wants = {"boiler.run": 1.0}
    await made.cycles(int(MIN_OFF) + 2)
    made.wants = {}
    await made.cycles(int(MIN_ON) + 5)
    writes = made.driver.writes("boiler.run")
    assert [value for _, value in writes].count(0.0) == 1 and writes[-1][0] - writes[0][0] >= MIN_ON


async def test_row36_somebody_elses_switch_counts_too(loop):
    made = loop(**LIMITS)
    await made.cycles(int(MIN_OFF) + 2)
    made.driver.values["boiler.run"] = 1.0
    await made.cycles(2)
    made.driver.values["boiler.run"] = 0.0
    turned = made.clock.monotonic()
    made.wants = {"boiler.run": 1.0}
    await made.cycles(int(MIN_OFF) + 5)
    ((at, value),) = made.driver.writes("boiler.run")
    assert value == 1.0 and at - turned >= MIN_OFF


async def test_row36_what_cannot_be_remembered_is_not_written(loop, monkeypatch):
    made = loop(**LIMITS)
    await made.cycles(int(MIN_OFF) + 2)
    commit = made.store.commit

    def full(batch):
        if batch.pasts and not batch.samples:
            raise StoreError("no space left on device")
        return commit(batch)

    monkeypatch.setattr(made.store, "commit", full)
    made.wants = {"boiler.run": 1.0}
    await made.cycles(2)
    assert made.driver.writes("boiler.run") == []


async def test_row36_a_ramp_is_kept_in_every_minute(loop):
    made = loop(point_ramps={"bat.set": 10 / 60})
    made.wants = {"bat.set": 30.0}
    await made.cycles(300)
    writes = made.driver.writes("bat.set")
    assert writes[-1][1] == pytest.approx(30.0, abs=0.2)
    for at, value in writes:
        within = [v for t, v in writes if at <= t <= at + 60.0]
        assert max(within) - value <= 10.0 + 10.0 + 1e-6


def change_safety(path, **safety):
    """Put limits of the roof's limit into a site file."""
    yaml = YAML()
    data = yaml.load(path.read_text())
    data["safety"]["limits"] = {"inverter.power_limit": safety}
    with path.open("w") as file:
        yaml.dump(data, file)


async def asked_for(bench, value):
    return await bench.ask("write", point="inverter.power_limit", value=value, for_s=600, reason="test")


async def test_row36_least_times_hold_after_kill_9(bench):
    """A real daemon, killed while it holds the roof's limit; the inverter's own log says what came."""
    change_safety(bench.site, every="1 min")
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert (await asked_for(bench, 0.5))["ok"]
    await bench.until(lambda: bench.devices["inverter"].values["power_limit"] == pytest.approx(0.5))
    before = len(bench.written("inverter", "power_limit"))
    await bench.stop(process, signal.SIGKILL)
    process = await bench.start("--strategy", "rules")
    await bench.running()
    answer = await asked_for(bench, 0.4)
    assert not answer["ok"] and "rule 'interval'" in answer["error"]
    assert bench.written("inverter", "power_limit")[before:] == [1.0], "it was handed back and is left alone"
    assert (await bench.status())["writes_today"]["inverter.power_limit"] >= 2
    assert await bench.stop(process) == 0


async def test_row36_time_without_a_daemon_counts(bench):
    """What was on while no daemon ran has been on all that time."""
    change_safety(bench.site, min_on="6 s")
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert "rule 'dwell'" in (await asked_for(bench, 0.0))["error"], "nobody knows for how long it has been on"
    await asyncio.sleep(6.0)
    assert await bench.stop(process) == 0
    process = await bench.start("--strategy", "rules")
    await bench.running()
    assert (await asked_for(bench, 0.0))["ok"]
    await bench.until(lambda: bench.devices["inverter"].values["power_limit"] == pytest.approx(0.0))
    assert await bench.stop(process) == 0


# -- row 37: interlocks -----------------------------------------------------------------------------------------------------


async def trip(loop):
    """How many cycles after an interlock trips the point is on its own again, by the devices; None: not within five."""
    loop.wants = {"bat.set": 12.0, "boiler.run": 1.0}
    await loop.cycles(int(MIN_OFF) + 3)
    assert loop.driver.values["boiler.run"] == 1.0 and loop.driver.values["bat.enable"] == 1.0
    loop.driver.values["bat.power"] = 99.0
    for cycle in range(5):
        await loop.cycles()
        if loop.driver.values["boiler.run"] == 0.0 and loop.driver.values["bat.enable"] == 0.0:
            return cycle + 1
    return None


INTERLOCKS = tuple(Interlock(point, "bat.power", ">", 90.0, "bat.power > 90 kW") for point in ("boiler.run", "bat.set"))


async def test_row37_an_interlock_hands_back_within_a_cycle_also_what_has_to_dwell(loop):
    made = loop(interlocks=INTERLOCKS, **LIMITS)
    assert await trip(made) == 1
    before = len(made.driver.log)
    await made.cycles(50)
    assert len(made.driver.log) == before, "and nothing is written while it holds"


async def test_row37_the_devices_show_an_interlock_that_is_missing(loop, monkeypatch):
    without(monkeypatch, "interlock")
    assert await trip(loop(interlocks=INTERLOCKS, **LIMITS)) is None


# -- rows 38 to 40: values that do not take, people above us, rivals --------------------------------------------------------


@pytest.mark.parametrize("how", ["ignored", "clamped", "reverted"])
async def test_row38_two_tries_an_alarm_within_three_cycles_and_peace(loop, how):
    made = loop()
    write = made.driver.write

    async def odd(command):
        result = await write(command)
        if how == "clamped":
            made.driver.values["bat.set"] = min(made.driver.values["bat.set"], 10.0)
        if how == "reverted":
            made.driver.values["bat.set"] = FOUND["bat.set"]
        return result

    made.driver.write = odd
    made.driver.ignored = {"bat.set"} if how == "ignored" else set()
    made.wants = {"bat.set": 20.0}
    await made.cycles(3)
    assert [alarm.name for alarm in made.alarms.standing] == ["not-effective"]
    await made.cycles(200)
    assert len(made.driver.writes("bat.set")) == 2


async def test_row38_the_log_shows_tries_without_end(loop, monkeypatch):
    monkeypatch.setattr("energyctl.control.dispatch.MAX_TRIES", 10**9)
    made = loop()
    made.driver.ignored = {"bat.set"}
    made.wants = {"bat.set": 20.0}
    await made.cycles(20)
    assert len(made.driver.writes("bat.set")) > 2 and not made.alarms.standing


async def test_row39_nothing_is_written_while_a_person_has_the_point_and_it_comes_back(loop):
    made = loop()
    made.wants = {"hp.set": 22.0}
    await made.cycles(3)
    made.driver.slots["hp.set"][8] = 25.0
    made.driver.values["hp.set"] = 25.0
    held = len(made.driver.log)
    for value in range(100):
        made.wants = {"hp.set": 20.0 + value % 5}
        await made.cycles()
    assert len(made.driver.log) == held and "overridden" in [alarm.name for alarm in made.alarms.standing]
    del made.driver.slots["hp.set"][8]
    made.driver.values["hp.set"] = 22.0
    made.wants = {"hp.set": 21.0}
    await made.cycles(320)
    assert made.driver.values["hp.set"] == 21.0 and made.alarms.standing == []
    made.wants = {}
    await made.cycles(3)
    assert made.driver.slots["hp.set"] == {} and made.driver.log[-1][1:] == ("hp.set", None)


async def test_row39_the_log_shows_a_person_who_is_not_seen(loop, monkeypatch):
    async def nobody(self, driver, point):
        return ""

    monkeypatch.setattr("energyctl.control.dispatch.Dispatcher._commanded", nobody)
    made = loop()
    made.driver.slots["hp.set"] = {8: 25.0}
    made.wants = {"hp.set": 22.0}
    await made.cycles(3)
    assert made.driver.writes("hp.set")


async def test_row40_a_rival_is_fought_with_three_writes_at_most(loop):
    made = loop()
    made.wants = {"bat.set": 12.0}
    await made.cycles(3)
    first = len(made.driver.writes("bat.set"))
    for _ in range(40):
        made.driver.values["bat.set"] = 20.0
        await made.cycles(5)
    assert len(made.driver.writes("bat.set")) - first <= 3
    assert "overruled" in [alarm.name for alarm in made.alarms.standing]


async def test_row40_the_log_shows_a_fight(loop, monkeypatch):
    monkeypatch.setattr("energyctl.control.dispatch.OVERRULED_ONCE", 10**9)
    made = loop()
    made.wants = {"bat.set": 12.0}
    await made.cycles(3)
    for _ in range(40):
        made.driver.values["bat.set"] = 20.0
        await made.cycles(5)
    assert len(made.driver.writes("bat.set")) > 10


# -- what somebody else has set is not written over when handing back -------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
async def test_row40_a_hand_back_leaves_what_somebody_else_has_set(loop, crash):
    made = loop()
    made.wants = {"bat.set": 12.0}
    await made.cycles(3)
    made.driver.values["bat.set"] = 20.0
    results = await made.again() if crash else await made.dispatcher.release_all()
    assert [result.ok for result in results] == [True]
    assert made.driver.values["bat.set"] == 20.0 and made.driver.values["bat.enable"] == 0.0
    assert results[0].left == (
        "released, not restored: bat.set shows 20 kW, which is neither ours (12) nor what was found (7), "
        "so somebody else has set it"
    )
    await made.controller.flush()
    assert "bat.set" not in [item.point for item in made.store.owned()]
    assert any("not restored" in entry.detail for entry in made.journal(JournalKind.RELEASED))
    if not crash:
        assert ("not-restored", "bat.set") in [(alarm.name, alarm.subject) for alarm in made.alarms.standing]


async def test_row40_the_devices_show_a_hand_back_that_does_not_look(loop, monkeypatch):
    monkeypatch.setattr("energyctl.control.handback._somebody_elses", lambda *args: {})
    made = loop()
    made.wants = {"bat.set": 12.0}
    await made.cycles(3)
    made.driver.values["bat.set"] = 20.0
    await made.dispatcher.release_all()
    assert made.driver.values["bat.set"] == FOUND["bat.set"]


@pytest.mark.parametrize("crash", [False, True])
async def test_what_a_device_made_of_our_value_is_ours_and_restored(loop, crash):
    made = loop()
    write = made.driver.write

    async def clamping(command):
        result = await write(command)
        made.driver.values["bat.set"] = min(made.driver.values["bat.set"], 10.0)
        return result

    made.driver.write = clamping
    made.wants = {"bat.set": 20.0}
    await made.cycles(5)
    assert made.driver.values["bat.set"] == 10.0
    results = await made.again() if crash else await made.dispatcher.release_all()
    assert [result.ok for result in results] == [True] and made.driver.values["bat.set"] == FOUND["bat.set"]


async def test_a_kill_before_anything_took_effect_is_handed_back_whatever_is_there(loop):
    made = loop()
    made.wants = {"bat.set": 12.0}
    await made.controller.step()
    await made.dispatcher.settle()  # written, and the outcome is not on disk yet
    assert [result.ok for result in await made.again()] == [True]
    assert made.driver.values["bat.set"] == FOUND["bat.set"]


# -- row 45: a command of several points that fails midway ------------------------------------------------------------------


async def test_row45_a_command_the_device_refuses_midway_is_tried_twice_and_handed_back(loop):
    """The driver rolls back (see tests/drivers); dispatch says so, stops, and keeps owning until it is handed back."""
    made = loop()
    write, refused = made.driver.write, []

    async def refusing(command):
        if len(command.steps) == 3 and command.steps[0].point == "bat.timer" and made.wants != {}:
            refused.append(command)
            return Refused("bat.enable", "illegal data value")
        return await write(command)

    made.driver.write = refusing
    made.wants = {"bat.set": 12.0}
    await made.cycles(50)
    assert len(refused) == 2 and [alarm.name for alarm in made.alarms.standing] == ["not-effective"]
    made.wants = {}
    await made.cycles(300)
    assert {p: v for p, v in made.driver.values.items() if p.startswith("bat.")} == {
        p: v for p, v in FOUND.items() if p.startswith("bat.")
    }


# -- row 46: wear -----------------------------------------------------------------------------------------------------------


def budget(seconds):
    return FLASH_BURST + seconds / FLASH_S


async def fickle_day(loop, hours, luck):
    """Wishes for the flash point that change all the time, taken and released, with kills; its writes by the log."""
    for _ in range(int(hours * 60)):
        loop.wants = {"boiler.set": luck.uniform(40, 70)} if luck.random() < 0.8 else {}
        await loop.cycles()
        if luck.random() < 0.005:
            await loop.again()
    return loop.driver.writes("boiler.set")


def worst(writes):
    """The most writes beyond the mean rate in any span of time."""
    times = [at for at, _ in writes]
    return max(j - i + 1 - (times[j] - times[i]) / FLASH_S for i in range(len(times)) for j in range(i, len(times)))


async def test_row46_a_fickle_plan_writes_flash_once_in_ten_minutes(loop):
    made = loop(period_s=60.0)
    hours = count(46, quick=6, full=240)
    writes = await fickle_day(made, hours, random.Random(46))
    assert hours < len(writes) <= budget(hours * 3600)
    assert worst(writes) <= FLASH_BURST + 1e-3
    assert made.controller.refused_by["wear"] > 0
    words = next(entry.detail for entry in made.journal(JournalKind.REFUSED) if "wear" in entry.detail)
    assert words.startswith("refused by rule 'wear': boiler.set is kept in flash and was written ")


async def test_row46_the_log_shows_a_budget_that_is_missing(loop, monkeypatch):
    without(monkeypatch, "wear")
    assert worst(await fickle_day(loop(period_s=60.0), 2, random.Random(46))) > FLASH_BURST


async def test_row46_a_constant_plan_writes_flash_once_and_refreshes_the_watchdog_without_it(loop):
    made = loop(period_s=30.0)
    made.wants = {"boiler.set": 60.0}
    await made.cycles(24 * 120)
    assert [value for _, value in made.driver.writes("boiler.set")] == [60.0]
    timers = [at for at, _ in made.driver.writes("boiler.timer")]
    assert max(b - a for a, b in pairwise(timers)) <= 60.0
    await made.dispatcher.release_all()
    assert [value for _, value in made.driver.writes("boiler.set")] == [60.0, FOUND["boiler.set"]]


async def test_row46_the_log_shows_a_refresh_that_wears(loop, monkeypatch):
    monkeypatch.setattr("energyctl.core.profile.Profile.refresh", lambda self, *args: self.command(*args))
    made = loop(period_s=10.0)
    made.wants = {"boiler.set": 60.0}
    await made.cycles(360)
    assert len(made.driver.writes("boiler.set")) > budget(3600)


async def test_row46_a_value_that_does_not_take_is_not_burned_in(loop):
    made = loop(period_s=10.0)
    made.driver.ignored = {"boiler.set"}
    made.wants = {"boiler.set": 60.0}
    await made.cycles(4 * 360)
    assert worst(made.driver.writes("boiler.set")) <= FLASH_BURST + 1e-3


async def test_row46_writes_are_counted_by_the_sites_day(loop):
    made = loop(period_s=60.0)
    made.wants = {"boiler.set": 60.0}
    await made.cycles(3)
    assert made.dispatcher.wear.today()["boiler.set"] == 1
    await made.again()
    assert made.dispatcher.wear.today()["boiler.set"] == 2
    made.wants = {}
    await made.cycles(24 * 60)
    assert "boiler.set" not in made.dispatcher.wear.today()
