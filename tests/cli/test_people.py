"""override, estop and drain: what they ask of a daemon, what they print, and what they do without one."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from energyctl.cli import client
from energyctl.core.estop_file import Pressed, press, pressed_at
from energyctl.daemon.paths import StatePaths

ZONES = [
    {"point": f"heatpump.zone{n}_setpoint", "unit": "°C", "kind": "number", "choices": {}, "value": 21.0 - n}
    for n in (1, 2)
]
MODE = {"point": "heatpump.mode", "unit": "", "kind": "enum", "choices": {"heat": 1, "cool": 2}, "value": 1.0}
WORDS = ("override", "set", "heatpump.*", "19 °C", "--for", "2h", "--reason", "windows open")


def kept(request):
    return {"kept": True, "until_s": request["for_s"], "effects": dict.fromkeys(request["values"], "effective")}


@pytest.fixture
def zones(daemon):
    daemon.answers |= {"writable": ZONES, "override": kept}
    return daemon


def test_override_by_pattern(cli, zones, state):
    done = cli(*WORDS, "--yes", "--state", state)
    assert done.code == 0 and [line.split() for line in done.out.splitlines()[2:]] == [
        ["heatpump.zone1_setpoint", "19", "°C", "effective"],
        ["heatpump.zone2_setpoint", "19", "°C", "effective"],
    ]
    assert zones.requests[-1] == {
        "do": "override",
        "values": {"heatpump.zone1_setpoint": 19.0, "heatpump.zone2_setpoint": 19.0},
        "for_s": 7200.0,
        "reason": "windows open",
    }


def test_several_points_are_asked_about_first(cli, zones, state, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    done = cli(*WORDS, "--state", state)
    assert done.code == 130 and "Set 2 points for 2h?" in done.out
    assert ["heatpump.zone1_setpoint", "20", "°C", "19", "°C"] in [line.split() for line in done.out.splitlines()]
    assert [request["do"] for request in zones.requests] == ["writable"]


def test_a_choice_by_name(cli, zones, state):
    zones.answers["writable"] = [MODE]
    assert "cool" in cli("override", "set", "*.mode", "cool", "--for", "1h", "--reason", "x", "--state", state).out
    assert zones.requests[-1]["values"] == {"heatpump.mode": 2.0}


def test_what_could_not_be_kept_is_said(cli, zones, state):
    zones.answers["override"] = lambda request: kept(request) | {"kept": False}
    assert "a restart of the daemon forgets it" in cli(*WORDS, "--yes", "--state", state).err


def test_override_list_and_clear(cli, daemon, state):
    until = datetime.now(UTC) + timedelta(hours=1)
    one = {"point": "bat.set", "value": 3.0, "unit": "kW", "by": "anna", "reason": "event", "left_s": 3600.0}
    daemon.answers["overrides"] = [one | {"until": until.isoformat(), "effect": "effective"}]
    shown = cli("override", "list", "--state", state).out
    assert "anna" in shown and "3 kW" in shown and "(60 min)" in shown
    daemon.answers |= {"overrides": [], "override-clear": {"cleared": ["bat.set"]}}
    assert cli("override", "list", "--state", state).out == "nothing is set by hand\n"
    assert cli("override", "clear", "bat.*", "--state", state).out == "bat.set: cleared\n"
    daemon.answers["override-clear"] = {"cleared": []}
    assert cli("override", "clear", "x", "--state", state).out == "nothing that matches was set by hand\n"


def test_estop_writes_the_file_first_and_then_tells_the_daemon(cli, daemon, state):
    there = []
    daemon.answers["estop"] = lambda _: there.append((state / "estop").exists()) or {"left": {}, "kept": True}
    done = cli("estop", "--reason", "smoke", "--state", state)
    assert (done.code, done.out.splitlines()[-1]) == (0, "everything is handed back") and there == [True, True]
    assert pressed_at(state / "estop").reason == "smoke"


def test_estop_says_what_is_still_held(cli, daemon, state):
    daemon.answers["estop"] = {"left": {"bat.set": "no answer"}, "kept": True}
    done = cli("estop", "--state", state)
    assert done.code == 1 and "bat.set" in done.out and "no answer" in done.out
    assert cli("estop", "--json", "--state", state).json == {"left": {"bat.set": "no answer"}}


def test_estop_without_a_daemon_that_never_ran_still_stands(cli, state):
    assert cli("estop", "--state", state).code == 0
    assert pressed_at(state / "estop") is not None
    assert cli("estop", "clear", "--state", state).out == "the emergency stop is cleared\n"
    assert cli("estop", "clear", "--state", state).out == "there was no emergency stop\n"


def test_estop_that_can_be_kept_nowhere_is_an_error(cli, state):
    state.rmdir()
    state.write_text("a file where the folder should be")
    done = cli("estop", "--state", state)
    assert done.code == 7 and "no emergency stop: it cannot be written down" in done.err


def test_clear_goes_by_the_daemon_where_there_is_one(cli, daemon, state):
    press(state / "estop", Pressed("anna", "", None))
    daemon.answers["estop-clear"] = {"cleared": True}
    assert cli("estop", "clear", "--state", state).out == "the emergency stop is cleared\n"
    assert daemon.requests == [{"do": "estop-clear"}]


def test_drain_waits_for_the_end(cli, daemon, state):
    daemon.answers["drain"] = {"left": {}}
    assert cli("drain", "--within", "5m", "--state", state).code == 0
    assert daemon.requests == [{"do": "drain", "within_s": 300.0}]
    daemon.answers["drain"] = {"left": {"bat.set": "no answer"}}
    done = cli("drain", "--json", "--state", state)
    assert (done.code, json.loads(done.out)) == (10, {"left": {"bat.set": "no answer"}})


def test_the_process_behind_a_socket_is_known(daemon, state):
    assert client.daemon_pid(StatePaths(state).socket) == os.getpid()
