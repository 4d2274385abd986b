"""`energyctl handback`: release what the journal says a dead daemon still holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from .groups import group
from .output import print_json, print_table
from .where import JsonOption, StateOption

app = group()


@app.command()
def handback(
    site: Annotated[Path, typer.Argument(help="Site file.", metavar="SITE")],
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Give back whatever a dead daemon left on a site's devices, and verify it.

    Ends with 0 when nothing is left, with 1 when something could not be given back. A running daemon is not disturbed.

    \b
    Example:
      energyctl handback site.yaml
    """
    from energyctl.daemon.returning import handback as hand_back

    results = [
        {"point": result.group.point, "ok": result.ok, "detail": result.detail}
        for result in asyncio.run(hand_back(site, state))
    ]
    if json:
        print_json(results)
    elif results:
        print_table(
            ("point", "given back", "how"), [(r["point"], "yes" if r["ok"] else "NO", r["detail"]) for r in results]
        )
    else:
        typer.echo("nothing to give back")
    raise typer.Exit(0 if all(result["ok"] for result in results) else 1)
