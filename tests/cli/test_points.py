"""device, point and status against the daemon's socket, and against its store when it is down."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.daemon.paths import StatePaths
from energyctl.store import Batch, Store


@pytest.fixture
def stored(state: Path) -> Path:
    """The store of a daemon that died five minutes ago, holding a point."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    with Store.open(StatePaths(state).store) as store:
        store.commit(
            Batch(
                (
                    Sample("meter.power", now - timedelta(minutes=2), 11.0),
                    Sample("meter.power", now, 12.5),
                    Sample("storage.soc", now, 0.5, Quality.UNCERTAIN, "old"),
                    Sample("inverter.power", now, None, Quality.BAD, "timeout"),
                ),
                (JournalEntry(1, now, JournalKind.OWN, "storage.power_setpoint", 0.0),),
            )
        )
    return state


def test_get(cli, daemon, state, reading):
    daemon.answers["points"] = [
        reading("storage.soc", 0.5, "1"),
        reading("storage.power", None, "kW", "bad", "timeout after 1 s"),
    ]
    result = cli("point", "get", "storage.*", "--state", state)
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()[2:]] == [
        ["storage.soc", "50", "%", "good", *_at()],
        ["storage.power", "-", "bad:", "timeout", "after", "1", "s", *_at()],
    ]
    assert daemon.requests == [{"do": "points", "match": "storage.*"}]
    assert cli("point", "get", "--state", state, "--json").json == daemon.answers["points"]


def _at() -> list[str]:
    return datetime(2026, 1, 14, 6, 0, tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S").split()


def test_get_shows_switches_and_choices_by_name(cli, daemon, state, reading):
    daemon.answers["points"] = [
        {**reading("charger.connected", 1.0, ""), "kind": "bool"},
        {**reading("heatpump.mode", 2.0, ""), "kind": "enum", "choices": {"heat": 1, "cool": 2}},
    ]
    out = cli("point", "get", "--state", state).out
    assert [line.split()[1] for line in out.splitlines()[2:]] == ["on", "cool"]


def test_get_of_nothing(cli, daemon, state):
    daemon.answers["points"] = []
    result = cli("point", "get", "no.*", "--state", state)
    assert (result.code, result.err) == (2, "no point matches 'no.*'; 'energyctl point get' lists them all\n")


def test_watch_prints_what_changes(cli, daemon, state, reading):
    daemon.answers["points"] = [
        [reading("m.p", 1.0, "kW"), reading("m.q", 1.0, "kW")],
        [reading("m.p", 1.0, "kW"), reading("m.q", 2.0, "kW")],
        [reading("m.p", 1.0, "kW"), reading("m.q", None, "kW", "bad", "timeout")],
    ]
    result = cli("point", "watch", "m.*", "--state", state, "--json", "--every", "2s")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [(line["point"], line["value"]) for line in lines] == [
        ("m.p", 1.0),
        ("m.q", 1.0),
        ("m.q", 2.0),
        ("m.q", None),
    ]
    assert daemon.requests == [{"do": "points", "match": "m.*", "watch_s": 2.0}]
    assert result.code == 8 and "ended" in result.err, "the stub hangs up as a daemon that stops does"


def test_history(cli, daemon, state, reading):
    daemon.answers["history"] = [reading("m.p", 1.0, "kW")]
    result = cli("point", "history", "m.p", "--since", "15m", "--state", state)
    assert result.out.splitlines()[2].split() == [*_at(), "1", "kW", "good"]
    assert daemon.requests == [{"do": "history", "point": "m.p", "since_s": 900.0}]


@pytest.mark.parametrize(
    ("point", "text", "value"),
    [
        ("heatpump.zone1_setpoint", "21 °C", 21.0),
        ("storage.power_setpoint", "-5 kW", -5.0),
        ("storage.power_setpoint", "-500 W", -0.5),
        ("inverter.power_limit", "40 %", 0.4),
        ("inverter.power_limit_enable", "on", 1.0),
        ("charger.current_limit", "16 A", 16.0),
    ],
)
def test_write(cli, daemon, state, point, text, value):
    daemon.answers["write"] = {"point": point, "value": value, "until_s": 600.0, "effect": "effective"}
    result = cli("point", "write", point, text, "--for", "10m", "--reason", "test", "--state", state)
    assert (result.code, result.out) == (0, f"{point}: {text} for 10m: effective\n")
    assert daemon.requests[-1] == {"do": "write", "point": point, "value": value, "for_s": 600.0, "reason": "test"}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["heatpump.zone1_setpoint", "21", "--for", "10m"], 2, ["heatpump.zone1_setpoint", "°C"]),
        (["heatpump.zone9", "21 °C", "--for", "10m"], 2, ["no point 'heatpump.zone9'"]),
        (["nothing.here", "21 °C", "--for", "10m"], 2, ["no point 'nothing.here'"]),
        (["storage.power_setpoint", "5 kW", "--for", "10"], 2, ["'10' is not a duration"]),
        (["storage.power_setpoint", "5 kW"], 2, ["Missing option '--for'"]),
    ],
)
def test_writes_that_never_reach_the_gate(cli, daemon, state, args, code, words):
    result = cli("point", "write", *args, "--state", state)
    assert result.code == code and all(word in result.err for word in words)
    assert "write" not in [request["do"] for request in daemon.requests]


def test_a_write_that_the_gate_refuses(cli, daemon, state):
    daemon.answers["write"] = ("refused by rule 'limits': 50 kW is more than 30 kW", 5)
    result = cli("point", "write", "storage.power_setpoint", "50 kW", "--for", "10m", "--state", state)
    assert (result.code, result.err) == (5, "energyctl: refused by rule 'limits': 50 kW is more than 30 kW\n")


@pytest.mark.parametrize("verb", [["write", "a.b", "1 kW", "--for", "1m"], ["release", "a.b"], ["watch", "a.b"]])
def test_without_a_daemon_nothing_can_be_written_or_watched(cli, stored, verb):
    result = cli("point", *verb, "--state", stored)
    assert result.code == 8
    assert result.err == (
        f"energyctl: no daemon is running (no answer at {stored / 'control.sock'}); start it with 'energyctl run SITE'\n"
    )


@pytest.mark.parametrize(("released", "words"), [(True, "released"), (False, "was not set by hand")])
def test_release(cli, daemon, state, released, words):
    daemon.answers["release"] = {"point": "a.b", "released": released}
    assert cli("point", "release", "a.b", "--state", state).out == f"a.b: {words}\n"
    assert cli("point", "release", "a.b", "--state", state, "--json").json["released"] is released


def test_get_from_the_store_of_a_dead_daemon(cli, stored, site):
    result = cli("point", "get", "--state", stored, "--site", site)
    assert result.code == 0
    assert result.err.startswith("the daemon is not running; this is from its store, ")
    assert "s old" in result.err
    rows = {line.split()[0]: line.split()[1:] for line in result.out.splitlines()[2:]}
    assert rows["meter.power"][:3] == ["12.5", "kW", "good"]
    assert rows["storage.soc"][:4] == ["50", "%", "uncertain:", "old"]
    assert rows["inverter.power"][:3] == ["-", "bad:", "timeout"]


def test_history_from_the_store_of_a_dead_daemon(cli, stored):
    found = cli("point", "history", "meter.power", "--since", "1h", "--state", stored, "--json").json
    assert [one["value"] for one in found] == [11.0, 12.5]
    assert [
        one["value"]
        for one in cli("point", "history", "meter.power", "--since", "6m", "--state", stored, "--json").json
    ] == [12.5]


def test_history_of_a_point_that_is_not_there(cli, stored):
    result = cli("point", "history", "meter.pwoer", "--state", stored)
    assert result.code == 2 and "no point 'meter.pwoer'" in result.err


def test_a_stale_socket_is_a_dead_daemon(cli, stored, daemon):
    daemon._server.socket.close()  # as after kill -9: the file stays, nobody listens
    assert (stored / "control.sock").exists()
    assert cli("point", "get", "meter.power", "--state", stored, "--json").json[0]["value"] == 12.5


def test_status_of_a_dead_daemon_names_what_is_still_held(cli, stored):
    result = cli("status", "--state", stored)
    assert result.code == 0
    assert "not running; last commit" in result.out and "energyctl handback" in result.out
    assert "storage.power_setpoint" in result.out
    assert cli("status", "--state", stored, "--json").json["running"] is False


def test_status_without_daemon_or_store(cli, tmp_path):
    assert cli("status", "--state", tmp_path / "none").code == 8


STATUS = {
    "site": "hall",
    "name": "Town hall",
    "mode": "control",
    "cycle": 77,
    "missed_cycles": 0,
    "up_s": 78.0,
    "guided_by": "plan",
    "guided_reason": "made 06:00",
    "grid_kw": -3.25,
    "import_limit_kw": 60.0,
    "export_limit_kw": 30.0,
    "plans_made": 1,
    "plans_failed": 0,
    "refused": 2,
    "held": {
        "storage.power_setpoint": {
            "value": -5.0,
            "unit": "kW",
            "source": "optimizer",
            "reason": "dear hours",
            "effect": "effective",
            "lease_s": 58.0,
            "instead_of": [{"value": 1.0, "source": "rule:battery", "reason": "rest"}],
        }
    },
    "alarms": [],
}


def test_status(cli, daemon, state):
    daemon.answers["status"] = {**STATUS, "devices": daemon.answers["devices"]}
    result = cli("status", "--state", state)
    assert (result.code, result.err) == (0, "")
    for words in (
        "Town hall (hall): control, guided by plan",
        "-3.25 kW",
        "-5 kW",
        "dear hours",
        "instead of 1 kW by rule:battery",
        "no alarms",
    ):
        assert words in result.out
    assert (
        next(line for line in result.out.splitlines() if line.startswith(" inverter") or "inverter" in line).split()[1]
        == "NO"
    )
    assert cli("status", "--state", state, "--json").json["cycle"] == 77


def test_status_shows_alarms(cli, daemon, state):
    alarm = {
        "name": "device-silent",
        "subject": "meter",
        "text": "no answer for 5 s",
        "raised_at": "2026-01-14T06:00:00+00:00",
        "severity": "critical",
        "acknowledged_by": "",
    }
    daemon.answers["status"] = {**STATUS, "devices": [], "alarms": [alarm]}
    assert "no answer for 5 s" in cli("status", "--state", state).out


def test_device_list(cli, daemon, state):
    result = cli("device", "list", "--state", state)
    assert [line.split()[:2] for line in result.out.splitlines()[2:]] == [
        ["charger", "yes"],
        ["heatpump", "yes"],
        ["inverter", "NO"],
        ["storage", "yes"],
    ]
    assert cli("device", "list", "--state", state, "--json").json == daemon.answers["devices"]


def test_device_list_from_the_site_file(cli, site):
    result = cli("device", "list", "--site", site)
    assert (result.code, result.err) == (0, "the daemon is not running; this is from the site file\n")
    assert [line.split()[:2] for line in result.out.splitlines()[2:]] == [
        ["meter", "-"],
        ["inverter", "-"],
        ["storage", "-"],
    ]


def test_device_describe(cli, daemon, state):
    described = cli("device", "describe", "storage", "--state", state, "--json").json
    points = {point["point"]: point for point in described["points"]}
    assert points["storage.power_setpoint"]["access"] == "rw"
    assert points["storage.power_setpoint"]["unit"] == "kW"
    assert described["watchdog"]["kind"] == "reversion"
    table = cli("device", "describe", "storage", "--state", state).out
    assert "a timer in the device ends the last one" in table and "storage.soc" in table


def test_device_describe_of_none(cli, daemon, state):
    result = cli("device", "describe", "batery", "--state", state)
    assert (result.code, result.err) == (2, "no device 'batery'; there are charger, heatpump, inverter, storage\n")


def test_a_daemon_that_refuses_to_talk(cli, daemon, state, monkeypatch):
    """It hangs up on other users without a word."""
    monkeypatch.setattr(daemon, "answers_to", lambda request: (_ for _ in ()).throw(ConnectionAbortedError))
    monkeypatch.setattr(daemon._server, "handle_error", lambda *_: None)
    result = cli("device", "list", "--state", state)
    assert result.code == 8 and "only its own user and root may" in result.err


def test_environment_variable_for_the_state(cli, daemon, state, monkeypatch):
    monkeypatch.setenv("ENERGYCTL_STATE", os.fspath(state))
    assert cli("device", "list").code == 0
