"""`energyctl hil`: a simulated site to develop and test against, live or a day in a minute."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from .process import Ready
    from .run import RunResult

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Simulate a site on real Modbus, BACnet and OPC UA sockets.",
    epilog="Example: energyctl hil up sites/larissa/town-hall.yaml",
)

SiteFile = Annotated[Path, typer.Argument(help="The site file.", exists=True, dir_okay=False)]
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

    def announce(ready: Ready) -> None:
        typer.echo(ready.line() if as_json else describe(ready))

    quiet()
    asyncio.run(run(Options(site, scenario or None, out=out, site_ports=not free_ports), announce))


@app.command("run")
def run_scenario(
    site: SiteFile,
    scenario: Annotated[str, typer.Option(help="A file, or the name of one that ships.")],
    strategy: Annotated[Literal["plan", "rules"], typer.Option(help="Plan ahead, or simple rules alone.")] = "plan",
    out: Annotated[Path | None, typer.Option(help="Folder for trace, write log, history and logs.")] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario under the real daemon in lockstep: a day takes about a minute.

    Example: energyctl hil run sites/larissa/town-hall.yaml --scenario town-hall-winter --out /tmp/winter
    """
    from .run import run_pair

    folder = out or Path(tempfile.mkdtemp(prefix="hil-"))
    with typer.progressbar(length=1000, label=f"{scenario}, {strategy}", hidden=as_json) as bar:
        result = asyncio.run(
            run_pair(site, scenario, strategy, folder, lambda share: bar.update(round(share * 1000) - bar.pos))
        )
    typer.echo(_as_json(result) if as_json else _summary(result))


def describe(ready: Ready) -> str:
    """What `hil up` tells a person: where each device answers, and what to do with it."""
    rows = [(e.device, e.protocol, e.address, e.link) for e in ready.endpoints]
    day = f"living the day of scenario '{ready.scenario}'" if ready.scenario else "at a standstill: no scenario fits it"
    return "\n".join(
        (
            *_columns([("device", "protocol", "address", "connection"), *rows]),
            "",
            f"The site is {day}. Its devices write down what they are told; control them with",
            f"  energyctl run {ready.site}",
            "Ctrl-C ends the simulation.",
        )
    )


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _summary(result: RunResult) -> str:
    hours = result.simulated_s / 3600
    return "\n".join(
        (
            f"{hours:.1f} h in {result.wall_s:.1f} s, {result.speed:.0f} times real time",
            f"  what happened           {result.trace}",
            f"  what devices were told  {result.writes}",
            f"  history and journal     {result.state}",
        )
    )


def _as_json(result: RunResult) -> str:
    return json.dumps(
        {
            "trace": str(result.trace),
            "writes": str(result.writes),
            "state": str(result.state),
            "site": str(result.site),
            "simulated_s": result.simulated_s,
            "wall_s": round(result.wall_s, 3),
            "speed": round(result.speed, 1),
        }
    )
