"""`energyctl drain`: hand everything back, then end the daemon."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from energyctl.core.durations import parse_duration
from energyctl.core.errors import AlreadyRunning, EnergyctlError
from energyctl.daemon.paths import StatePaths

from . import client
from .groups import group
from .output import print_json, print_table
from .where import JsonOption, SiteOption, StateOption, find

app = group()

END_WITHIN_S = 60.0
"""A daemon has ended by then: it hands back once more and closes its store."""


@app.command()
def drain(
    within: Annotated[str, typer.Option(help="How long to wait for absent devices.", metavar="DURATION")] = "60s",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Hand everything back, write nothing more, and end the daemon.

    Ends with 0 when everything is handed back, with 10 when something is not: then it says what, and 'energyctl handback'
    or the next start tries again.

    \b
    Example:
      energyctl drain --within 5m
    """
    where, within_s = find(site, state), parse_duration(within)
    left = client.ask(where.paths.socket, "drain", within_s + client.TIMEOUT_S, within_s=within_s)["left"]
    _wait_for_end(where.paths)
    if json:
        print_json({"left": left})
    elif left:
        print_table(("not handed back", "why"), left.items())
    else:
        typer.echo("everything is handed back, and the daemon has ended")
    raise typer.Exit(10 if left else 0)


def _wait_for_end(paths: StatePaths) -> None:
    """Until nobody has the site's lock."""
    from energyctl.daemon.returning import one_daemon

    give_up = time.monotonic() + END_WITHIN_S
    while time.monotonic() < give_up:
        try:
            with one_daemon(paths):
                return
        except AlreadyRunning:
            time.sleep(0.1)
    raise EnergyctlError(f"everything was tried, but the daemon has not ended after {END_WITHIN_S:g} s")
