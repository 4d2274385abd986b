"""How long a plan of the town hall takes: `python benchmarks/plan_time.py [--quick]`.

CPU time of the planner process in ms, medians and the slowest, over winter and summer requests with the resources of
sites/larissa/town-hall.yaml (built here in code, with a synthetic load, price and weather). A plan is everything from
resources' flexibility to the checked Plan; the forecasts are timed apart. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from energyctl.core.comfort import Comfort, WeekSchedule
from energyctl.core.planner import Goals, GridLimits, PlanRequest
from energyctl.core.resources import Resource, SiteView
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, Series
from energyctl.resources.base_load import BaseLoad
from energyctl.resources.battery import Battery
from energyctl.resources.deferrable import Deferrable
from energyctl.resources.ev import Ev
from energyctl.resources.heat_pump import HeatPump
from energyctl.resources.pv import Pv
from energyctl.resources.zone import Zone
from optimizer.planner import planner

STEP_S = 900
HISTORY_DAYS = 35
AIM_BUILD_MS, AIM_PLAN_MS = 3.0, 60.0


def town_hall() -> tuple[Resource, ...]:
    plant = {"fed_by": "heating", "outdoor": "hp.out", "mode": "hp.mode"}
    return tuple(
        kind.model_validate({"id": name} | fields)
        for name, kind, fields in (
            ("base", BaseLoad, {}),
            ("roof", Pv, {"power": "pv.p", "limit": "pv.l", "peak": "40 kWp", "tilt": "15 deg"}),
            ("battery", Battery, {"power": "b.p", "soc": "b.soc", "setpoint": "b.set", "capacity": "60 kWh"}
             | {"max_charge": "30 kW", "max_discharge": "30 kW"}),
            ("heating", HeatPump, {"power": "hp.p", "outdoor": "hp.out", "mode": "hp.mode", "max_power": "20 kW"}),
            ("office", Zone, plant | {"temp": "z1.t", "setpoint": "z1.s", "comfort": "office", "area": "700 m2"}),
            ("hall", Zone, plant | {"temp": "z2.t", "setpoint": "z2.s", "comfort": "public", "area": "400 m2"}),
            ("car", Ev, {"power": "ev.p", "limit": "ev.l", "connected": "ev.c", "charged": "ev.e", "wants": "40 kWh"}
             | {"max_current": "32 A"}),
            ("fresh-air", Deferrable, {"power": "ahu.p", "switch": "ahu.f", "draws": "6 kW", "runs": "90 min"}
             | {"between": "02:00-07:30"}),
        )
    )  # fmt: skip


def site() -> SiteView:
    office = Comfort.model_validate(
        {"occupied": "Mo-Fr 07:30-17:00", "heat": "20 °C", "cool": "26 °C", "setback_heat": "16 °C"}
    )
    public = Comfort.model_validate(
        {"occupied": "Mo-Fr 08:00-15:00", "heat": "19 °C", "cool": "27 °C", "setback_heat": "15 °C"}
    )
    assert isinstance(office.occupied, WeekSchedule)
    return SiteView("Europe/Athens", 39.64, 22.42, {"office": office, "public": public})


def load_kw(time: datetime) -> float:
    hour, work = (time.hour + 2) % 24 + time.minute / 60, time.weekday() < 5
    return 7 + (16 * math.exp(-(((hour - 12) / 4.5) ** 4)) if work else 0) + 0.6 * math.sin(time.timestamp() / 5000)


def outdoor_c(time: datetime, summer: bool) -> float:
    swing = math.cos(2 * math.pi * (time.hour + time.minute / 60 - 13) / 24)
    return (25 + 7 * swing if summer else 4 + 4 * swing) + math.sin(time.timestamp() / 90000)


def pv_kw(time: datetime, summer: bool) -> float:
    return -max(0.0, math.sin(math.pi * (time.hour + time.minute / 60 - 5) / 12)) * (30 if summer else 14)


def price(time: datetime) -> float:
    hour = (time.hour + 2) % 24
    return (0.05 if 11 <= hour < 16 else 0.24 if 18 <= hour < 22 else 0.11) + 0.01 * math.sin(time.timestamp() / 20000)


def series(start: datetime, steps: int, value: object) -> Series:
    assert callable(value)
    return Series(start, STEP_S, tuple(value(start + timedelta(seconds=STEP_S * k)) for k in range(steps)))


def request(now: datetime, steps: int, summer: bool) -> PlanRequest:
    horizon = Horizon(now, STEP_S, steps)
    start, past = now - timedelta(days=HISTORY_DAYS), HISTORY_DAYS * 96
    prices = tuple(price(time) for time in horizon.times())
    history = {
        "site.base_load": series(start, past, load_kw),
        "hp.out": series(start, past, lambda time: outdoor_c(time, summer)),
        "pv.p": series(start, past, lambda time: pv_kw(time, summer)),
    }
    return PlanRequest(
        issued_at=now,
        horizon=horizon,
        site=site(),
        resources=town_hall(),
        values={"b.soc": 0.5, "hp.out": outdoor_c(now, summer), "hp.mode": 2.0 if summer else 1.0, "z1.t": 25.2}
        | ({"z2.t": 26.0} if summer else {"z1.t": 19.6, "z2.t": 18.2})
        | {"ev.c": 1.0, "ev.e": 5.0, "ahu.f": 0.0, "b.p": 0.0, "pv.p": pv_kw(now, summer), "site.base_load": 9.0},
        history=history,
        rates=RateTable(horizon, tuple(p + 0.075 for p in prices), prices, (0.26,) * steps),
        limits=GridLimits(60.0, 30.0),
        goals=Goals(co2_price=0.08),
    )


def requests(steps: int, quick: bool) -> Iterator[PlanRequest]:
    """Every few hours of a winter and a summer day, each following the plan before it."""
    for summer, day in ((False, datetime(2019, 1, 21, 22, tzinfo=UTC)), (True, datetime(2019, 7, 22, 21, tzinfo=UTC))):
        for hour in range(0, 24, 6 if quick else 2):
            yield request(day + timedelta(hours=hour), steps, summer)


def measure(steps: int, quick: bool) -> dict[str, float]:
    """CPU ms: forecasts, build, solve, and the plan as a whole without the forecasts."""
    parts: dict[str, list[float]] = {name: [] for name in ("forecast", "build", "solve", "plan")}
    planner.plan(request(datetime(2019, 1, 21, 22, tzinfo=UTC), steps, False))
    for asked in requests(steps, quick):
        first = planner.plan(replace(asked, previous=None))
        begun = time.process_time()
        plan = planner.plan(replace(asked, previous=first, given={}))
        whole = 1000 * (time.process_time() - begun)
        made = plan.provenance
        parts["forecast"].append(made.forecast_ms)
        parts["build"].append(made.build_ms)
        parts["solve"].append(made.solve_ms)
        parts["plan"].append(whole - made.forecast_ms)
    found = {f"{name}_ms": round(statistics.median(values), 1) for name, values in parts.items()}
    return found | {"plan_max_ms": round(max(parts["plan"]), 1), "plans": float(len(parts["plan"]))}


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    rows = {steps: measure(steps, quick) for steps in (96, 144)}
    print("CPU ms (medians)   forecasts   build   solve   plan   slowest")
    for steps, row in rows.items():
        figures = (row["forecast_ms"], row["build_ms"], row["solve_ms"], row["plan_ms"], row["plan_max_ms"])
        print(f"{steps:4d} steps          " + "".join(f"{figure:8.1f}" for figure in figures))
    print(f"aims at 96 steps: build {AIM_BUILD_MS:g}, plan {AIM_PLAN_MS:g}")
    print(json.dumps({f"steps_{steps}": row for steps, row in rows.items()}))


if __name__ == "__main__":
    main()
