"""`energyctl status`: what guides the site, what is held, what is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import typer

from energyctl.core.errors import DaemonDown

from . import client
from .estop import standing
from .groups import group
from .output import local_time, print_json, print_table
from .override import print_overrides
from .readings import open_store
from .values import show_number
from .where import JsonOption, SiteOption, StateOption, Where, find

app = group()


@app.command()
def status(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """How the site is doing, at a glance.

    Without a daemon it tells what the store knows: its last commit and what is still held.

    \b
    Example:
      energyctl status
    """
    where = find(site, state)
    try:
        answer = {"running": True, **client.ask(where.paths.socket, "status")}
    except DaemonDown as down:
        answer = {"running": False, **_stored(where, down)}
    if json:
        print_json(answer)
    elif answer["running"]:
        _print_running(answer)
    else:
        _print_stored(answer)


def _stored(where: Where, down: DaemonDown) -> dict[str, Any]:
    with open_store(where, down) as store:
        sequence, last = store.acknowledged()
        return {
            "estop": standing(where.paths),
            "committed": sequence,
            "last_commit": last.isoformat() if last else None,
            "owned": [
                {"point": owned.point, "found": owned.found, "since": owned.since.isoformat()}
                for owned in store.owned()
            ],
        }


def _print_stored(answer: dict[str, Any]) -> None:
    last = answer["last_commit"]
    typer.echo(f"not running; last commit {_at(last) if last else 'never'}")
    _print_estop(answer)
    if answer["owned"]:
        typer.echo("still held; 'energyctl handback SITE' gives it back:")
        rows = [(o["point"], show_number(o["found"], ""), _at(o["since"])) for o in answer["owned"]]
        print_table(("point", ">found there", "since"), rows)


def _why(held: dict[str, Any]) -> str:
    """The reason of what is held, with what others want instead."""
    others = [f"{show_number(one['value'], held['unit'])} by {one['source']}" for one in held["instead_of"]]
    return f"{held['reason']} (instead of {', '.join(others)})" if others else str(held["reason"])


def _answers(device: dict[str, Any]) -> str:
    return "yes" if device["answers"] else "-" if device["mode"] == "off" else "NO"


def _print_running(answer: dict[str, Any]) -> None:
    grid = show_number(answer["grid_kw"], "kW")
    typer.echo(f"{answer['name']} ({answer['site']}): {answer['mode']}, guided by {answer['guided_by']}")
    if answer["guided_reason"]:
        typer.echo(f"  because {answer['guided_reason']}")
    _print_estop(answer)
    typer.echo(f"  grid {grid}, limits {answer['import_limit_kw']:g} kW in, {answer['export_limit_kw']:g} kW out")
    typer.echo(f"  cycle {answer['cycle']}, missed {answer['missed_cycles']}, up {answer['up_s']:.0f} s")
    typer.echo(
        f"  plans made {answer['plans_made']}, failed {answer['plans_failed']}; writes refused {answer['refused']}"
    )
    if answer.get("plan_not_met"):
        typer.echo(f"  the plan cannot meet: {'; '.join(answer['plan_not_met'])} (see 'energyctl plan explain')")
    typer.echo("")
    print_table(
        ("device", "answers", "profile", "mode", "writes"),
        [
            (d["device"], _answers(d), d["profile"], d["mode"], d["writes_blocked"] or "allowed")
            for d in answer["devices"]
        ],
    )
    typer.echo("")
    print_table(
        ("held point", ">value", "by", "effect", ">lease", "why"),
        [
            (p, show_number(h["value"], h["unit"]), h["source"], h["effect"], f"{h['lease_s']:.0f} s", _why(h))
            for p, h in answer["held"].items()
        ],
    )
    typer.echo("")
    if answer.get("overrides"):
        print_overrides(answer["overrides"])
        typer.echo("")
    if answer["alarms"]:
        rows = [
            (a["severity"], a["name"], a["subject"], a["text"], _at(a["raised_at"]), a["acknowledged_by"])
            for a in answer["alarms"]
        ]
        print_table(("", "alarm", "about", "what", "since", "seen by"), rows)
        typer.echo("'energyctl alarm explain NAME' says what one means and what to do")
    else:
        typer.echo("no alarms")


def _print_estop(answer: dict[str, Any]) -> None:
    if answer.get("estop"):
        typer.echo(f"  EMERGENCY STOP: {answer['estop']}")


def _at(time: str) -> str:
    return local_time(datetime.fromisoformat(time))
