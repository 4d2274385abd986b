"""`energyctl hil`: a simulated site to develop and test against, live or a day in a minute, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from energyctl.core.durations import parse_duration

if TYPE_CHECKING:
    from .process import Ready
    from .run import RunResult

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Simulate any site on real Modbus, BACnet and OPC UA sockets, break it, and test what its controller does.",
    epilog="Example: energyctl hil up sites/larissa/town-hall.yaml",
)

SiteFile = Annotated[Path, typer.Argument(help="The site file.", exists=True, dir_okay=False)]
Where = Annotated[str, typer.Option(help="Which simulation: a site file, a site's id or an output folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def up(
    site: SiteFile,
    scenario: Annotated[str, typer.Option(help="Whose day repeats: a file, or the name of one that ships.")] = "",
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Use free ports, not the site file's.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the derived site file and the write log.")] = None,
    as_json: Json = False,
) -> None:
    """Run a site's devices as simulations until Ctrl-C.

    Example: energyctl hil up sites/larissa/town-hall.yaml
    """
    from .process import Options, quiet, run
    from .run import prepare
    from .scenario import load

    def announce(ready: Ready) -> None:
        typer.echo(ready.line() if as_json else describe(ready))

    folder, chosen = out or Path(tempfile.mkdtemp(prefix="hil-")), None
    if scenario:
        given = prepare(site, load(scenario), folder)
        site, chosen = given.site, str(given.scenario.file)
    quiet()
    asyncio.run(run(Options(site, chosen, out=folder, site_ports=not free_ports), announce))


@app.command("run")
def run_scenario(
    site: SiteFile,
    scenario: Annotated[str, typer.Option(help="A file, or the name of one that ships.")],
    strategy: Annotated[
        Literal["plan", "rules"] | None,
        typer.Option(help="Plan ahead, or simple rules alone; else the scenario's own."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for trace, write log, history and logs.")] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario under the real daemon, without judging it: in lockstep a day takes about a minute.

    Example: energyctl hil run sites/larissa/town-hall.yaml --scenario town-hall-winter --out /tmp/winter
    """
    from .run import run
    from .scenario import load

    folder, read = out or Path(tempfile.mkdtemp(prefix="hil-")), load(scenario)
    other = {} if strategy is None else {"strategy": strategy}
    with typer.progressbar(length=1000, label=read.name, hidden=as_json) as bar:
        result = asyncio.run(run(site, read, folder, lambda share: bar.update(round(share * 1000) - bar.pos), **other))
    typer.echo(_as_json(result) if as_json else _summary(result))


@app.command("test")
def test_scenarios(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Site files, and names or files of scenarios.", metavar="[SITE] [SCENARIO]..."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="How many at once; else as many as there are cores.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only scenarios with this tag; may be repeated.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="This seed instead of the scenarios' own.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Run each so many times, with seeds counting up.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all evidence; else that of failures is kept in /tmp.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit report for CI to this file.")] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Show what would run, and what does not apply and why.")
    ] = False,
    help_expect: Annotated[
        bool, typer.Option("--help-expect", help="Show every sentence that `expect` understands.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run scenarios against the real daemon and judge what it did.

    \b
    With a site, all scenarios that are for any site or made for it; without one, those made for a site of their own.
    Exit codes: 0 all passed, 1 something failed, 2 a mistake in a file or nothing that applies.

    \b
    Examples:
      energyctl hil test sites/larissa/town-hall.yaml
      energyctl hil test sites/larissa/town-hall.yaml meter-dead --repeat 5
      energyctl hil test my-scenario.yaml --junit report.xml
    """
    from .testing.command import Wanted, listed, test
    from .testing.expect import forms

    if help_expect:
        return typer.echo("\n".join(_columns(forms())))
    wanted = Wanted(what or (), tag or (), jobs, seed, repeat, out, junit, as_json)
    if not only_list:
        raise typer.Exit(test(wanted))
    rows = listed(wanted)
    if as_json:
        keys = ("scenario", "site", "about", "not_applicable")
        return typer.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    shown = [
        (name, Path(site).stem, f"does not apply: {lacks}" if lacks else about) for name, site, about, lacks in rows
    ]
    typer.echo("\n".join(_columns([("scenario", "site", "about"), *shown])))


@app.command()
def scenarios(as_json: Json = False) -> None:
    """Show the scenarios that ship.

    Example: energyctl hil scenarios
    """
    from .scenario import load, shipped
    from .testing.when import spell

    found = [(name, load(name)) for name in shipped()]
    if as_json:
        rows = [{"name": n, "about": s.about, "site": s.site, "mode": s.mode, "tags": list(s.tags)} for n, s in found]
        return typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    table = [(n, s.site or _needs(s.model_dump_json()), s.mode, spell(s.lasts), s.about) for n, s in found]
    typer.echo("\n".join(_columns([("scenario", "for", "mode", "lasts", "about"), *table])))


@app.command()
def faults(
    kind: Annotated[str, typer.Argument(help="One kind, to see its parameters.")] = "", as_json: Json = False
) -> None:
    """Show the faults and stimuli there are, or the parameters of one.

    \b
    Examples:
      energyctl hil faults
      energyctl hil faults stuck
    """
    from .catalogue import kinds, parameters
    from .faults import KINDS

    rows = parameters(kind) if kind else kinds()
    if as_json:
        return typer.echo(json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]], indent=2))
    if kind:
        typer.echo(f"{kind}: {KINDS[kind].about}\n")
    typer.echo("\n".join(_columns(rows)))


@app.command()
def inject(
    kind: Annotated[str, typer.Argument(help="What to do, see 'energyctl hil faults'.")],
    on: Annotated[str, typer.Argument(help="The point, device, connection or part to do it to.")] = "",
    parameters: Annotated[
        list[str] | None, typer.Argument(help="Its parameters, as NAME=VALUE.", metavar="[NAME=VALUE]...")
    ] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long, like 10m; else until it is ended.")] = "",
    name: Annotated[str, typer.Option(help="What to call it; else its kind.")] = "",
    site: Where = "",
    as_json: Json = False,
) -> None:
    """Begin a fault or stimulus in a simulation that runs.

    \b
    Examples:
      energyctl hil inject silent meter --for 10m
      energyctl hil inject bias meter.power 'by=2 kW' --name high-meter
      energyctl hil inject clouds 'sun=20 %'
    """
    from . import control

    written = [*([on] if "=" in on else []), *(parameters or ())]
    fault = {"fault": kind, **({"on": on} if on and "=" not in on else {}), **dict(map(_parameter, written))}
    begun = control.inject(site or None, fault, f"{parse_duration(lasts):g} s" if lasts else None, name)
    until = f"until {begun['until']}" if begun["until"] else f"until 'energyctl hil end {begun['name']}'"
    typer.echo(json.dumps(begun) if as_json else f"{begun['name']} began at {begun['began']}, {until}")


@app.command()
def end(
    name: Annotated[str, typer.Argument(help="What it is called, see 'energyctl hil status'.")],
    site: Where = "",
    as_json: Json = False,
) -> None:
    """End a fault or stimulus in a simulation that runs.

    Example: energyctl hil end high-meter
    """
    from . import control

    ended = control.end(site or None, name)
    typer.echo(json.dumps(ended) if as_json else f"{ended['name']} ended at {ended['ended']}")


@app.command()
def status(site: Where = "", as_json: Json = False) -> None:
    """Show where the devices of a running simulation answer, and what is wrong with them now.

    Example: energyctl hil status
    """
    from . import control

    now = control.status(site or None)
    if as_json:
        return typer.echo(json.dumps(now))
    rows = [(e["device"], e["protocol"], e["address"], e["connection"]) for e in now["endpoints"]]
    faults = [(f["name"], f["kind"], f["on"], f["since"], f["until"] or "it is ended") for f in now["faults"]]
    typer.echo(f"{now['site']} at {now['time']}\n")
    typer.echo("\n".join(_columns([("device", "protocol", "address", "connection"), *rows])))
    typer.echo("")
    typer.echo(
        "\n".join(_columns([("fault", "kind", "on", "since", "until"), *faults])) if faults else "nothing is wrong"
    )


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def proxy(context: typer.Context) -> None:
    """Put a bad line in front of any device, simulated or real.

    Example: energyctl hil proxy 127.0.0.1:1502 192.168.1.20:502 --carries modbus --delay 200ms --loss 5%
    """
    from .proxy.__main__ import main

    main(context.args)


def describe(ready: Ready) -> str:
    """What `hil up` tells a person: where each device answers, and what to do with it."""
    rows = [(e.device, e.protocol, e.address, e.link) for e in ready.endpoints]
    day = f"living the day of scenario '{ready.scenario}'" if ready.scenario else "living a day like any other"
    return "\n".join(
        (
            *_columns([("device", "protocol", "address", "connection"), *rows]),
            "",
            f"The site is {day}. Its devices write down what they are told; control them with",
            f"  energyctl run {ready.site}",
            "and break them with, for example,",
            f"  energyctl hil inject silent {ready.endpoints[0].device} --for '1 min'",
            "('energyctl hil faults' shows what else can go wrong). Ctrl-C ends the simulation.",
        )
    )


def _parameter(written: str) -> tuple[str, object]:
    from energyctl.config.yaml_source import resolve
    from energyctl.core.errors import ConfigError

    name, equals, value = written.partition("=")
    if not equals:
        raise ConfigError(f"'{written}': write parameters as NAME=VALUE, like 'by=2 kW'")
    return name, resolve(value)


def _needs(document: str) -> str:
    from .scenario import ALIAS

    kinds = sorted({found[1] for found in ALIAS.finditer(document)} - {"meter"})
    return f"any with {', '.join(kinds)}" if kinds else "any"


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _summary(result: RunResult) -> str:
    hours = result.simulated_s / 3600
    return "\n".join(
        (
            f"{hours:.1f} h in {result.wall_s:.1f} s, {result.speed:.0f} times real time",
            f"  what happened           {result.trace}, {result.events.name}",
            f"  what devices were told  {result.writes}",
            f"  history and journal     {result.state}",
        )
    )


def _as_json(result: RunResult) -> str:
    return json.dumps(
        {
            "trace": str(result.trace),
            "writes": str(result.writes),
            "events": str(result.events),
            "state": str(result.state),
            "site": str(result.site),
            "simulated_s": result.simulated_s,
            "wall_s": round(result.wall_s, 3),
            "speed": round(result.speed, 1),
            "daemon_exit_code": result.daemon_code,
        }
    )
