"""Reloads that are wrong, torn, killed or interrupted: the old configuration stays whole, or the new one is, never a mixture.

The oracle is what the devices were told, by their own logs, and what lies in the state folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3

import pytest

from energyctl.config.accepted import Accepted
from tests.daemon.test_reload import SETPOINT, apply, edit, holding, number, swapped, without_storage
from tests.torture import count

RUN = "\nimport sys\nfrom energyctl.daemon.main import main\nsys.exit(main(sys.argv[1:]))"
FINE = {("power_setpoint", 5.0), ("power_setpoint", 6.0), ("setpoint_enable", 1.0), ("setpoint_timeout", 60.0)}


def misspelt(text: str, luck: random.Random) -> str:
    key = luck.choice(["import_limit", "devices:", "profile:", "timezone", "kind:"])
    return text.replace(key, key[:2] + "x" + key[2:], 1)


def nonsense(text: str, luck: random.Random) -> str:
    old, new = luck.choice(
        [("127.0.0.1", "''"), ("kW", "kg"), ("flat", "steep"), ("control", "fly"), ("unit:", "unti:")]
    )
    return text.replace(old, new, 1)


def torn(text: str, luck: random.Random) -> str:
    return text[: luck.randrange(len(text))]


def garbage(text: str, luck: random.Random) -> str:
    at = luck.randrange(len(text))
    return text[:at] + luck.choice(["\x00", "\t- [", "{{{", "&a *a", "\n: :\n"]) + text[at:]


def another_address(text: str, luck: random.Random) -> str:
    return text.replace("127.0.0.1", "127.0.0.9", 1)


WRONG = [misspelt, nonsense, torn, garbage, another_address]


def state_of(bench) -> dict[str, bytes]:
    """What decides which configuration is in force, byte by byte."""
    accepted = Accepted(bench.paths.config)
    records = {path.name: path.read_bytes() for path in (accepted.folder / "versions").iterdir()}
    return records | {"site": accepted.path(accepted.current()).read_bytes()}


def told(bench, mark: int) -> set[tuple[str, float]]:
    """What the battery was told that nobody wanted, by its own log."""
    log = bench.devices["storage"].log[mark:]
    return {(r.point, r.value) for r in log if r.point != "setpoint_mode" and (r.point, r.value) not in FINE}


async def writing(bench) -> None:
    """An operator who changes the battery's power all the time."""
    for value in [6.0, 5.0] * 100_000:
        with contextlib.suppress(ConnectionError):
            await bench.ask("write", point=SETPOINT, value=value, for_s=600, reason="torture")


async def test_row16_bad_and_partial_reloads_during_writes_leave_the_old_configuration(bench):
    rounds, luck = count(16, 20, 1000), random.Random(16)
    process = await holding(bench)
    whole, mark, before = bench.site.read_text(), len(bench.devices["storage"].log), state_of(bench)
    limit = (await bench.status())["import_limit_kw"]
    operator = asyncio.create_task(writing(bench))
    refused = 0
    for round_ in range(rounds):
        bench.site.write_text(WRONG[round_ % len(WRONG)](whole, luck), newline="")
        answer = await apply(bench)
        if answer["ok"]:  # what was cut off or put in was no more than a comment: it is right, and taken as a whole
            assert answer["result"]["changed"] is False or number(bench) == answer["result"]["number"]
            bench.site.write_text(whole)
            assert (await apply(bench))["ok"]
            before = state_of(bench)
            continue
        refused += 1
        assert str(bench.site) in answer["error"] or "another device" in answer["error"], answer
        assert state_of(bench) == before
        assert told(bench, mark) == set(), (round_, bench.site.read_text())
    operator.cancel()
    status = await bench.status()
    assert refused >= rounds * 3 // 4
    assert (status["import_limit_kw"], status["missed_cycles"]) == (limit, 0)
    assert SETPOINT in status["held"] and told(bench, mark) == set()
    assert await bench.stop(process) == 0


async def test_row16_negative_control_a_reload_that_releases_what_stays_is_seen(bench):
    code = (
        "from energyctl.daemon.succession import Succession\n"
        "async def everything(self, leaving, abandon): await self.ground.dispatcher.let_go(10.0)\n"
        "Succession._hand_back = everything" + RUN
    )
    await bench.start("--strategy", "rules", code=code)
    await bench.running()
    assert (await bench.ask("write", point=SETPOINT, value=5.0, for_s=600))["ok"]
    mark = len(bench.devices["storage"].log)
    edit(bench.site, lambda d: d["grid"].update(import_limit="41 kW"))
    assert (await apply(bench))["ok"]
    assert ("setpoint_enable", 0.0) in told(bench, mark)


async def test_row25_negative_control_a_reload_that_asks_for_no_consent_is_seen(bench):
    code = "import energyctl.daemon.reload as reload\nreload.consent = lambda change, replace: frozenset()" + RUN
    await bench.start("--strategy", "rules", code=code)
    await bench.running()
    before = state_of(bench)
    edit(bench.site, swapped)
    assert (await apply(bench))["ok"] and state_of(bench) != before


ARMED = """
import os, signal
from energyctl.config import accepted
from energyctl.daemon.links import Links
from energyctl.daemon.reload import Reloader
from energyctl.daemon.succession import Succession
def die(): os.kill(os.getpid(), signal.SIGKILL)
def arm(self, request, apply=Reloader.apply):
    prepare()
    return apply(self, request)
Reloader.apply = arm
"""

STEPS = {
    "copy written": (
        "def prepare(write=accepted.Accepted.write):\n"
        "    accepted.Accepted.write = lambda self, snapshot: (write(self, snapshot), die())",
        1,
    ),
    "handed back": (
        "def prepare(before=Succession._hand_back):\n"
        "    async def then(self, *args):\n"
        "        await before(self, *args); die()\n"
        "    Succession._hand_back = then",
        1,
    ),
    "connections opened": (
        "def prepare(before=Links.open):\n"
        "    async def then(self, site):\n"
        "        await before(self, site); die()\n"
        "    Links.open = then",
        1,
    ),
    "record half written": (
        "def prepare():\n"
        "    def half(path, text):\n"
        "        path.with_name(path.name + '.new').write_text(text[: len(text) // 2]); die()\n"
        "    accepted.write_whole = half",
        1,
    ),
    "record written": (
        "def prepare(accept=accepted.Accepted.accept):\n"
        "    accepted.Accepted.accept = lambda self, version: (accept(self, version), die())",
        2,
    ),
    "switched": (
        "def prepare(before=Succession._make_known):\n"
        "    Succession._make_known = lambda self, *args: (before(self, *args), die())",
        2,
    ),
}


def changed(data):
    without_storage(data)
    data["grid"]["import_limit"] = "41 kW"


@pytest.mark.parametrize("step", STEPS)
async def test_row16_killed_in_the_middle_it_is_the_old_or_the_new_one(bench, step):
    patch, expected = STEPS[step]
    process = await bench.start("--strategy", "rules", code=ARMED + patch + RUN)
    await bench.running()
    assert (await bench.ask("write", point=SETPOINT, value=5.0, for_s=600))["ok"]
    limit = (await bench.status())["import_limit_kw"]
    edit(bench.site, changed)
    with contextlib.suppress(ConnectionError, ValueError):
        await apply(bench)
    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
    assert number(bench) == expected
    mark = len(bench.devices["storage"].log)
    enabled = bench.devices["storage"].values["setpoint_enable"]
    bench.site.write_text("gone in the crash")  # only what was accepted is left
    again = await bench.start("--strategy", "rules")

    async def cycling():
        return (await bench.status())["cycle"] > 2

    await bench.until(cycling)
    status = await bench.status()
    devices = {device["device"] for device in status["devices"]}
    found = ("storage" in devices, status["import_limit_kw"])
    assert found == ((True, limit) if expected == 1 else (False, 41.0))
    restored = [(r.point, r.value) for r in bench.devices["storage"].log[mark:]]
    assert enabled == 0.0 or ("setpoint_enable", 0.0) in restored
    assert await bench.stop(again) == 0
    with sqlite3.connect(f"file:{bench.paths.store}?mode=ro", uri=True) as store:
        assert store.execute("select point from owned").fetchall() == []


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.4])
async def test_row16_ctrl_c_in_the_middle_is_a_stop(bench, after_s):
    process = await holding(bench)
    edit(bench.site, changed)
    asked = asyncio.create_task(apply(bench))
    await asyncio.sleep(after_s)
    os.kill(process.pid, signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0, bench.log()
    with contextlib.suppress(ConnectionError, ValueError):
        await asked
    assert bench.devices["storage"].values["setpoint_enable"] == 0.0 and "Traceback" not in bench.log()
    assert number(bench) in (1, 2)
