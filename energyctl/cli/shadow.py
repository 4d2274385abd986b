"""`energyctl shadow`: what would have been written to the devices in mode shadow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import typer

from . import client
from .groups import group
from .output import local_time, print_json, print_table
from .values import show_number
from .where import JsonOption, SiteOption, StateOption, find

app = group()


@app.command()
def shadow(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """What would have been written to the devices in mode shadow, and what that is expected to save.

    The journal keeps every line of it, as kind "would".

    \b
    Example:
      energyctl shadow
    """
    answer = client.ask(find(site, state).paths.socket, "shadow")
    if json:
        print_json(answer)
    elif not answer["devices"]:
        typer.echo("no device is in mode shadow")
    else:
        _print(answer)


def _print(answer: dict[str, Any]) -> None:
    typer.echo(f"in shadow: {', '.join(answer['devices'])}; would have written {answer['count']} times, wrote nothing")
    rows = [(one["point"], _wish(one), one["by"], _at(one["time"]), one["reason"]) for one in answer["last"]]
    print_table(("point", ">would be", "by", "since", "why"), rows)
    saving = answer["saving"]
    if saving is None:
        typer.echo("expected saving: not known, there is no plan")
        return
    typer.echo(f"expected saving: {saving['eur']:.2f} EUR over the next {saving['hours']:g} h")
    typer.echo(f"  method: {saving['method']}")


def _wish(one: dict[str, Any]) -> str:
    return "handed back" if one["value"] is None else show_number(one["value"], one["unit"])


def _at(time: str) -> str:
    return local_time(datetime.fromisoformat(time))
