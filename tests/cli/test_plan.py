"""plan: shown from the daemon or its store, said in words, made here without a daemon."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energyctl.cli import offline
from energyctl.core.errors import PlanError
from energyctl.core.plan import CostSplit, Plan, PlanStatus, Provenance, Relaxation
from energyctl.core.planner import PlanRequest
from energyctl.core.points import Quality, Sample
from energyctl.core.timeline import Forecast, Horizon
from energyctl.daemon.paths import StatePaths
from energyctl.planning.explain import Span, explain, spans
from energyctl.store import Batch, Store, plan_from_json, plan_to_json

START = datetime(2026, 1, 14, 6, 0, tzinfo=UTC)
HORIZON = Horizon(START, 900, 8)
PRICE = (0.10, 0.10, 0.10, 0.10, 0.30, 0.30, 0.30, 0.30)


def _plan(issued: datetime = START) -> Plan:
    """Two hours: the battery charges for an hour at 10 kW, then gives 8 kW for half an hour."""
    return Plan(
        issued,
        HORIZON,
        PlanStatus.OPTIMAL,
        {"battery": (10.0,) * 4 + (-8.0, -8.0, 0.0, 0.02), "roof": (0.0,) * 8},
        {"office": (4.0,) * 8},
        {"office": tuple((20.0 + 0.25 * step, 19.0) for step in range(9))},
        (15.0,) * 4 + (-3.0, -3.0, 5.0, 5.0),
        PRICE,
        (0.05,) * 8,
        CostSplit(energy_import=1.75, energy_export=-0.075, co2_kg=4.2),
        Provenance("scipy", gap=0.003, forecast_ms=2, build_ms=3, solve_ms=45),
        (
            Relaxation("comfort in office", 2, 3, 0.4, "°C", 0.12),
            Relaxation("left out of the plan: hall: heatpump.zone2_temp has no good value", 0, 7, 0.0, "", 0.0),
        ),
        forecasts={"site.base_load": Forecast("site.base_load", HORIZON, (5.0,) * 8, "kW", issued, "like days")},
    )


def test_spans():
    assert spans(_plan()) == [
        Span("battery", START, HORIZON.time(4), 10.0, 10.0, pytest.approx(0.10)),
        Span("battery", HORIZON.time(4), HORIZON.time(6), -4.0, -8.0, pytest.approx(0.30)),
    ]


def test_in_words():
    assert explain(_plan(), lambda time: f"{time:%H:%M}") == [
        "Made 06:00 for 2 h in steps of 15 min by scipy: optimal, gap 0.3 %, 50 ms.",
        "Expected [EUR]: energy bought 1.75, energy sold -0.07; 4.2 kg of CO2.",
        "battery:",
        "  06:00 to 07:00 takes 10.0 kWh, up to 10.0 kW, while power is cheap (0.100 EUR/kWh; mean 0.200)"
        "; later 0.300 at 07:00",
        "  07:00 to 07:30 gives 4.0 kWh, up to 8.0 kW, while power is dear (0.300 EUR/kWh; mean 0.200)"
        "; later 0.300 at 07:30",
        "roof: rests.",
        "office: 20.0 to 22.0 °C with 8 kWh of heat or cold.",
        "Not met: comfort in office, 06:30 to 07:00, at worst by 0.40 °C (valued at 0.12 EUR).",
        "Not met: left out of the plan: hall: heatpump.zone2_temp has no good value, 06:00 to 08:00.",
        "Forecast site.base_load: 5.0 to 5.0 kW, by like days.",
    ]


@pytest.mark.parametrize("as_text", [True, False])
def test_show(cli, daemon, state, site, as_text):
    text = plan_to_json(_plan())
    daemon.answers["plan"] = text if as_text else json.loads(text)
    result = cli("plan", "show", "--state", state, "--site", site, "--hours", "1.25")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "made 2026-01-14 08:00:00, optimal", "in the site's timezone"
    assert [line.split() for line in lines[3:]] == [
        *(["01-14", f"08:{m:02}", "0.100", "15.0", "10.0", "0.0"] for m in (0, 15, 30, 45)),
        ["01-14", "09:00", "0.300", "-3.0", "-8.0", "0.0"],
    ]
    assert plan_from_json(cli("plan", "show", "--state", state, "--json").out) == _plan()


def test_explain(cli, daemon, state, site):
    held = {"value": 25.0, "unit": "°C", "source": "guard:frost hp.set", "reason": "frost protection: hp.air is 4.0 °C"}
    others = [{"value": 20.0, "source": "plan:office", "reason": "plan: heat"}]
    daemon.answers["status"] = {
        "held": {"hp.set": {**held, "instead_of": others}, "hp.two": {**held, "instead_of": []}}
    }
    daemon.answers["plan"] = plan_to_json(_plan())
    out = cli("plan", "explain", "--state", state, "--site", site).out
    text = "hp.set: the plan wants 20 °C, but guard:frost hp.set has it at 25 °C: frost protection: hp.air is 4.0 °C."
    assert text in out and "hp.two" not in out
    assert "01-14 08:00 to 01-14 09:00 takes 10.0 kWh" in cli("plan", "explain", "--state", state, "--site", site).out
    told = cli("plan", "explain", "--state", state, "--json").json
    assert [span["energy_kwh"] for span in told["spans"]] == [10.0, -4.0]
    assert told["relaxed"][0]["what"] == "comfort in office"


def test_run_asks_the_daemon(cli, daemon, state):
    """The new plan guides from the next cycle on; until then the daemon still tells the old one."""
    cycles = iter([7, 9, 9, 10, 10])
    daemon.answers |= {
        "status": lambda request: {"plans_made": 3, "cycle": next(cycles), "timezone": "Europe/Athens"},
        "replan": {"made": 4, "failed": 1},
        "plan": plan_to_json(_plan()),
    }
    assert cli("plan", "run", "--state", state).out.startswith("made 2026-01-14 08:00:00, optimal")
    assert [request["do"] for request in daemon.requests] == [
        *("status", "replan", "status", "status", "status"),
        *("plan", "status"),
    ]


def test_run_says_when_no_plan_came_of_it(cli, daemon, state):
    daemon.answers |= {
        "status": {"plans_made": 3, "cycle": 7},
        "replan": {"made": 3, "failed": 2},
        "plan": plan_to_json(_plan()),
    }
    result = cli("plan", "run", "--state", state)
    assert (result.code, result.out) == (6, "") and "energyctl status" in result.err


def test_no_plan_yet(cli, daemon, state):
    daemon.answers["plan"] = ("there is no plan yet", 6)
    assert cli("plan", "show", "--state", state)[::2] == (6, "energyctl: there is no plan yet\n")


def test_from_the_store_of_a_dead_daemon(cli, state):
    with Store.open(StatePaths(state).store) as store:
        empty = cli("plan", "show", "--state", state)
        assert empty.code == 6 and empty.err.endswith("energyctl: there is no plan in the store\n")
        store.commit(Batch(plan=_plan()))
    result = cli("plan", "show", "--state", state, "--json")
    assert plan_from_json(result.out) == _plan()
    assert result.err.startswith("the daemon is not running")


class FakePlanner:
    """Keeps the request; plans only when the battery's charge is known."""

    def __init__(self) -> None:
        self.request: PlanRequest | None = None

    def plan(self, request: PlanRequest) -> Plan:
        self.request = request
        if "storage.soc" not in request.values:
            raise PlanError("battery: storage.soc has no good value")
        return _plan()


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> FakePlanner:
    fake = FakePlanner()
    monkeypatch.setattr(offline, "load_planner", lambda name: fake)
    return fake


def test_offline_with_values_given(cli, site, state, planner):
    args = ("plan", "run", "--offline", "--site", site, "--state", state)
    result = cli(*args, "--value", "storage.soc=45 %", "--value", "storage.power=-2 kW", "--json")
    assert plan_from_json(result.out) == _plan()
    assert planner.request is not None
    assert planner.request.values == {"storage.soc": 0.45, "storage.power": -2.0}
    assert [resource.id for resource in planner.request.resources] == ["base", "roof", "battery"]


def test_offline_with_what_the_store_knows(cli, site, state, planner):
    now = datetime.now(UTC)
    with Store.open(StatePaths(state).store) as store:
        store.commit(
            Batch((Sample("storage.soc", now, 0.6), Sample("storage.power", now, 1.0, Quality.UNCERTAIN, "old")))
        )
    result = cli("plan", "run", "--offline", "--site", site, "--state", state, "--json")
    assert result.code == 0 and result.err.startswith("measured values are from the store, ")
    assert planner.request is not None and planner.request.values == {"storage.soc": 0.6}


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ([], 6, "battery: storage.soc has no good value (a value can be given with --value POINT=VALUE)"),
        (["--value", "storage.soc"], 2, "--value 'storage.soc': write POINT=VALUE"),
        (["--value", "no.such=1 kW"], 2, "with a point of the site"),
        (["--value", "storage.soc=5 kW"], 2, "storage.soc: '5 kW'"),
    ],
)
def test_offline_complaints(cli, site, state, planner, more, code, words):
    result = cli("plan", "run", "--offline", "--site", site, "--state", state, *more)
    assert (result.code, result.out) == (code, "") and words in result.err


def test_offline_needs_a_site_file(cli):
    assert cli("plan", "run", "--offline").code == 2
    assert "--value needs --offline" in cli("plan", "run", "--value", "a.b=1").err


def test_offline_with_the_real_planner(cli, site: Path, state):
    values = ("--value", "storage.soc=50 %", "--value", "site.base_load=12 kW")
    result = cli("plan", "run", "--offline", "--site", site, "--state", state, *values, "--json")
    assert result.code == 0, result.err
    plan = plan_from_json(result.out)
    assert set(plan.power_kw) >= {"battery", "roof"}
    assert plan.states["battery"][0][0] == pytest.approx(30.0)  # half of 60 kWh
