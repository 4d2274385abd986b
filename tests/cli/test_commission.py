"""`energyctl commission` and `energyctl shadow` against a daemon that answers as it is told."""

from __future__ import annotations

import io

import pytest

DRY = {"point": "storage.power_setpoint", "would": "set it to 3 kW", "findings": []}
READ = {"point": "storage.soc", "what": "reading", "verdict": "right", "text": "50 %"}
WRONG = {"point": "storage.power_setpoint", "what": "effect", "verdict": "wrong", "text": "moved the other way"}
SITE = "site: {id: hall}\n"


@pytest.fixture
def walk(daemon, tmp_path, state, cli, monkeypatch):
    """Runs the command on a site with one device; `moved` is what moving it finds."""
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    daemon.answers |= {
        "commission": [{"device": "storage", "mode": "control", "identity": "A 1", "outputs": [DRY["point"]]}],
        "commission-look": lambda request: [READ],
        "commission-keep": {"record": "/var/storage.json"},
    }

    def run(*arguments, moved=(), typed=""):
        daemon.answers["commission-move"] = lambda request: DRY if request.get("dry") else {"findings": list(moved)}
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return cli("commission", str(site), "--state", str(state), *arguments)

    run.asked = lambda: [request["do"] for request in daemon.requests]
    return run


def test_a_device_that_passes_is_recorded(walk):
    result = walk("--yes", "--who", "Eleni")
    assert result.code == 0 and "storage: passed, nothing wrong; record /var/storage.json" in result.out
    assert walk.asked()[-1] == "commission-keep"


def test_a_device_that_does_not_pass_is_recorded_as_that(walk):
    result = walk("--yes", moved=[WRONG])
    assert result.code == 1 and "WRONG" in result.out and "DID NOT PASS, 1 wrong" in result.out


def test_a_dry_run_moves_and_records_nothing(walk, daemon):
    result = walk("--dry-run")
    assert result.code == 0 and "storage.power_setpoint: would set it to 3 kW" in result.out
    assert "commission-keep" not in walk.asked()
    assert all(request.get("dry") for request in daemon.requests if request["do"] == "commission-move")


def test_what_a_person_declines_is_not_moved_and_nothing_is_recorded(walk, daemon):
    result = walk(typed="Eleni\nn\n")
    assert result.code == 1 and "not recorded, because not tried: storage.power_setpoint" in result.out
    assert "commission-keep" not in walk.asked()
    assert all(request.get("dry") for request in daemon.requests if request["do"] == "commission-move")


def test_an_unknown_device_is_told(walk):
    result = walk("--yes", "--device", "boiler")
    assert result.code == 2 and "no device 'boiler' that is not off; there are storage" in result.err


def test_shadow_shows_wishes_and_the_saving_with_its_method(daemon, state, cli):
    last = {
        "value": -5.0,
        "unit": "kW",
        "time": "2026-01-14T10:00:00+00:00",
        "by": "plan:battery",
        "reason": "dear now",
    }
    daemon.answers["shadow"] = {
        "devices": ["storage"],
        "count": 4,
        "last": [{"point": "storage.power_setpoint", **last}],
        "saving": {"eur": 1.234, "hours": 36, "method": "the plan against the same energy taken evenly"},
    }
    result = cli("shadow", "--state", str(state))
    assert "would have written 4 times, wrote nothing" in result.out and "-5 kW" in result.out
    assert "1.23 EUR over the next 36 h" in result.out and "taken evenly" in result.out
    daemon.answers["shadow"] = {"devices": []}
    assert cli("shadow", "--state", str(state)).out == "no device is in mode shadow\n"
