"""`energyctl point`: read, watch, and write single points. A write is a wish that the daemon's gate decides on."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Annotated, Any

import typer

from energyctl.core.durations import parse_duration
from energyctl.core.errors import ConfigError

from . import client, readings
from .groups import group
from .output import local_time, print_json, print_table
from .readings import Reading
from .values import parse_value
from .where import JsonOption, SiteOption, StateOption, Where, find

app = group("Read, watch, and write single points.", "energyctl point get 'storage.*'")

PointArgument = Annotated[str, typer.Argument(help="Id of the point, as device.point.", metavar="POINT")]
MatchArgument = Annotated[str, typer.Argument(help="Points, with * for any letters.", metavar="POINTS")]


@app.command()
def get(
    match: MatchArgument = "*", site: SiteOption = None, state: StateOption = None, json: JsonOption = False
) -> None:
    """The newest values.

    \b
    Example:
      energyctl point get 'storage.*'
    """
    found = readings.current(find(site, state), match)
    if json:
        print_json(found)
    else:
        print_table(("point", ">value", "quality", "at"), [_row(reading) for reading in found])


@app.command()
def watch(
    match: MatchArgument,
    every: Annotated[str, typer.Option(help="How often.", metavar="DURATION")] = "1s",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Print values as they change, until Ctrl-C; with --json one line per change.

    \b
    Example:
      energyctl point watch 'meter.*' --every 5s
    """
    from json import dumps

    last: dict[str, Any] = {}
    answers = client.stream(find(site, state).paths.socket, "points", match=match, watch_s=parse_duration(every))
    with closing(answers):
        for answer in answers:
            if not answer and not last:
                raise ConfigError(f"no point matches '{match}'; 'energyctl point get' lists them all")
            for reading in answer:
                shown = (reading["value"], reading["quality"])
                if last.get(reading["point"]) != shown:
                    last[reading["point"]] = shown
                    typer.echo(dumps(reading) if json else _line(reading))


@app.command()
def history(
    point: PointArgument,
    since: Annotated[str, typer.Option(help="How far back.", metavar="DURATION")] = "1h",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Stored values of a point, oldest first.

    \b
    Example:
      energyctl point history meter.power --since 15m
    """
    found = readings.past(find(site, state), point, parse_duration(since))
    if json:
        print_json(found)
    else:
        rows = (_row(reading) for reading in found)
        print_table(("at", ">value", "quality"), [(at, value, quality) for _, value, quality, at in rows])


@app.command(context_settings={"ignore_unknown_options": True})
def write(
    point: PointArgument,
    value: Annotated[str, typer.Argument(help="With its unit: '12 kW', '21 °C', on, off.", metavar="VALUE")],
    for_: Annotated[str, typer.Option("--for", help="How long it holds, at most a day.", metavar="DURATION")],
    reason: Annotated[str, typer.Option(help="Why, for the journal.")] = "",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Set a point for a while, over the plan and the rules; the safety limits still hold.

    \b
    Example:
      energyctl point write heatpump.zone1_setpoint '21 °C' --for 2h --reason 'evening event'
      energyctl point write storage.power_setpoint '-5 kW' --for 10m
    """
    where, seconds = find(site, state), parse_duration(for_)
    number = _parsed(where, point, value)
    answer = client.ask(where.paths.socket, "write", point=point, value=number, for_s=seconds, reason=reason)
    if json:
        print_json(answer)
    else:
        typer.echo(f"{point}: {value} for {for_}: {answer['effect']}")


@app.command()
def release(point: PointArgument, site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """End a write before its time; plan, rules or the device itself take over.

    \b
    Example:
      energyctl point release heatpump.zone1_setpoint
    """
    answer = client.ask(find(site, state).paths.socket, "release", point=point)
    if json:
        print_json(answer)
    else:
        typer.echo(f"{point}: {'released' if answer['released'] else 'was not set by hand'}")


def _parsed(where: Where, point: str, text: str) -> float:
    points = readings.points_of_device(where, point.partition(".")[0])
    if point not in points:
        raise ConfigError(f"no point '{point}'; 'energyctl point get' lists them all")
    return parse_value(text, points[point])


def _row(reading: Reading) -> tuple[str, str, str, str]:
    quality = f"{reading['quality']}: {reading['reason']}" if reading["reason"] else reading["quality"]
    at = local_time(datetime.fromisoformat(reading["time"]))
    return reading["point"], readings.shown(reading), quality, at


def _line(reading: Reading) -> str:
    point, value, quality, at = _row(reading)
    return f"{at}  {point:32} {value:>14}  {quality}"
