"""`energyctl override`: set points by hand for a while, by name or by pattern, over the plan and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from energyctl.core.durations import parse_duration, words
from energyctl.core.errors import ConfigError
from energyctl.core.points import Point

from . import client
from .groups import group
from .output import local_time, note, print_json, print_table
from .values import parse_value, show_number, show_value
from .where import JsonOption, SiteOption, StateOption, find

app = group("Set points by hand for a while.", "energyctl override set 'heatpump.zone*_setpoint' '19 °C' --for 2h")

MatchArgument = Annotated[str, typer.Argument(help="Points, with * for any letters.", metavar="POINTS")]


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(
    match: MatchArgument,
    value: Annotated[str, typer.Argument(help="With its unit: '12 kW', '21 °C', on, off.", metavar="VALUE")],
    for_: Annotated[str, typer.Option("--for", help="How long it holds, at most a day.", metavar="DURATION")],
    reason: Annotated[str, typer.Option(help="Why, for the journal and whoever comes next.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask when there are several points.")] = False,
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Set all writable points that match; the safety limits still hold, and if one point is refused none is set.

    \b
    Example:
      energyctl override set 'heatpump.zone*_setpoint' '19 °C' --for 2h --reason 'windows are open'
    """
    where, seconds = find(site, state), parse_duration(for_)
    found = {one["point"]: one for one in client.ask(where.paths.socket, "writable", match=match)}
    if not found:
        raise ConfigError(f"no point that can be written to matches '{match}'; 'energyctl point get' lists all points")
    points = {name: _point(one) for name, one in found.items()}
    values = {name: parse_value(value, point) for name, point in points.items()}
    if len(values) > 1 and not yes:
        rows = [(p, show_value(found[p]["value"], points[p]), show_value(v, points[p])) for p, v in values.items()]
        print_table(("point", ">now", ">will be"), rows)
        typer.confirm(f"Set {len(values)} points for {for_}?", abort=True)
    answer = client.ask(where.paths.socket, "override", values=values, for_s=seconds, reason=reason)
    if not answer["kept"]:
        note("this could not be written down: a restart of the daemon forgets it")
    if json:
        print_json(answer)
    else:
        print_table(
            ("point", ">value", "effect"),
            [(p, show_value(v, points[p]), answer["effects"][p]) for p, v in values.items()],
        )


@app.command("list")
def list_(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """What is set by hand, by whom, why, and for how long still.

    \b
    Example:
      energyctl override list
    """
    standing = client.ask(find(site, state).paths.socket, "overrides")
    if json:
        print_json(standing)
    else:
        print_overrides(standing)


@app.command()
def clear(match: MatchArgument, site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """End overrides before their time; plan, rules or the devices themselves take over.

    \b
    Example:
      energyctl override clear 'heatpump.*'
    """
    cleared = client.ask(find(site, state).paths.socket, "override-clear", match=match)["cleared"]
    if json:
        print_json(cleared)
    else:
        typer.echo("\n".join(f"{point}: cleared" for point in cleared) or "nothing that matches was set by hand")


def print_overrides(standing: list[Mapping[str, Any]]) -> None:
    """A table of overrides as the daemon tells them, or a line that there are none."""
    if not standing:
        typer.echo("nothing is set by hand")
        return
    rows = [
        (
            one["point"],
            show_number(one["value"], one["unit"]),
            one["by"],
            f"{local_time(datetime.fromisoformat(one['until']))} ({words(timedelta(seconds=one['left_s']))})",
            one["effect"],
            one["reason"],
        )
        for one in standing
    ]
    print_table(("set by hand", ">value", "by", "until", "effect", "why"), rows)


def _point(one: Mapping[str, Any]) -> Point:
    return Point(id=one["point"], unit=one["unit"], kind=one["kind"], choices=one["choices"])
