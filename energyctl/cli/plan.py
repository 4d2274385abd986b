"""`energyctl plan`: make a plan, show it, say it in words."""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from energyctl.core.errors import ConfigError, DaemonDown, PlanError
from energyctl.core.plan import Plan
from energyctl.planning.explain import explain as in_words
from energyctl.planning.explain import spans
from energyctl.store import plan_from_json, plan_to_json

from . import client
from .groups import group
from .output import local_time, print_json, print_table
from .readings import open_store
from .values import show_number
from .where import JsonOption, SiteOption, StateOption, Where, find

TAKEN_OVER_S = 130.0
"""Two of the longest control periods."""

app = group("Make, show and explain the plan.", "energyctl plan explain")

HoursOption = Annotated[float, typer.Option(help="How many hours of it.", min=0.25, max=168)]


@app.command()
def run(
    offline: Annotated[
        bool, typer.Option("--offline", help="Plan in this process, with what the site's store knows.")
    ] = False,
    value: Annotated[
        list[str] | None,
        typer.Option(help="With --offline: a point's value, e.g. storage.soc='50 %'.", metavar="POINT=VALUE"),
    ] = None,
    hours: HoursOption = 24,
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Make a plan now: the daemon does and follows it, or, with --offline, this process for a look.

    \b
    Example:
      energyctl plan run
      energyctl plan run --offline --site site.yaml --value storage.soc='50 %'
    """
    if offline:
        from .offline import plan_offline

        if site is None:
            raise ConfigError("--offline needs the site file: --site FILE")
        _show(plan_offline(site, state, value or []), hours, json, find(site, state))
        return
    if value:
        raise ConfigError("--value needs --offline; the daemon plans with what it measures")
    where = find(site, state)
    _show(_replanned(where), hours, json, where)


@app.command()
def show(hours: HoursOption = 24, site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """The plan that guides now, step by step; --json gives all of it.

    \b
    Example:
      energyctl plan show --hours 12
    """
    where = find(site, state)
    _show(_current(where), hours, json, where)


@app.command()
def explain(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """Why the plan is as it is: what each resource does when, what it costs, what had to give.

    \b
    Example:
      energyctl plan explain
    """
    where = find(site, state)
    plan = _current(where)
    if json:
        told = [{**asdict(s), "start": s.start.isoformat(), "end": s.end.isoformat()} for s in spans(plan)]
        print_json({"cost": asdict(plan.cost), "spans": told, "relaxed": [asdict(one) for one in plan.relaxed]})
    else:
        timezone = _timezone(where)
        typer.echo("\n".join(in_words(plan, lambda time: local_time(time, timezone)[5:16])))
        for line in _overruled(where):
            typer.echo(line)


def _overruled(where: Where) -> list[str]:
    """Where the running site does not do what the plan wants, and whose reason that is."""
    try:
        held = client.ask(where.paths.socket, "status")["held"]
    except DaemonDown:
        return []
    return [
        f"{point}: the plan wants {show_number(one['value'], now['unit'])}, but {now['source']} has it at "
        f"{show_number(now['value'], now['unit'])}: {now['reason']}."
        for point, now in held.items()
        for one in now["instead_of"]
        if one["source"].startswith("plan:")
    ]


def _current(where: Where) -> Plan:
    """The daemon's plan, or the last one in its store."""
    try:
        answer = client.ask(where.paths.socket, "plan")
    except DaemonDown as down:
        with open_store(where, down) as store:
            plan = store.last_plan()
        if plan is None:
            raise PlanError("there is no plan in the store") from None
        return plan
    return plan_from_json(answer if isinstance(answer, str) else json_module.dumps(answer))


def _replanned(where: Where) -> Plan:
    """Ask for a plan and wait for the cycle that takes it over. Raises PlanError when none came of it."""

    def status() -> Any:
        return client.ask(where.paths.socket, "status")

    made = status()["plans_made"]
    if client.ask(where.paths.socket, "replan")["made"] <= made:
        raise PlanError("no plan could be made; the alarms in 'energyctl status' say why")
    cycle, until = status()["cycle"], time.monotonic() + TAKEN_OVER_S
    while status()["cycle"] <= cycle:
        if time.monotonic() > until:
            raise PlanError("the new plan is made, but no cycle takes it over")
        time.sleep(0.1)
    return _current(where)


def _show(plan: Plan, hours: float, json: bool, where: Where) -> None:
    if json:
        print_json(json_module.loads(plan_to_json(plan)))
        return
    timezone = _timezone(where)
    typer.echo(f"made {local_time(plan.issued_at, timezone)}, {plan.status.value}")
    steps = min(plan.horizon.steps, int(hours / plan.horizon.hours))
    names = list(plan.power_kw)
    print_table(
        ("from", ">EUR/kWh", ">grid kW", *(f">{name} kW" for name in names)),
        (_row(plan, step, names, timezone) for step in range(steps)),
    )


def _row(plan: Plan, step: int, names: Sequence[str], timezone: str | None) -> tuple[Any, ...]:
    powers = (f"{plan.power_kw[name][step]:.1f}" for name in names)
    at = local_time(plan.horizon.time(step), timezone)[5:16]
    return at, f"{plan.import_price[step]:.3f}", f"{plan.grid_kw[step]:.1f}", *powers


def _timezone(where: Where) -> str | None:
    """The site's, from its file or its daemon; None (this machine's) when neither says."""
    if where.site is not None:
        from energyctl.config import load_site

        return load_site(where.site).timezone
    try:
        found: str | None = client.ask(where.paths.socket, "status").get("timezone")
    except DaemonDown:
        return None
    return found
