"""`energyctl run`: the daemon, under a parent that hands its devices back should it crash or hang."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .groups import group
from .where import StateOption

app = group()


class Strategy(StrEnum):
    """What guides the site: plans, or the resources' own simple rules."""

    PLAN = "plan"
    RULES = "rules"


@app.command()
def run(
    site: Annotated[Path, typer.Argument(help="Site file.", metavar="SITE")],
    state: StateOption = None,
    strategy: Annotated[Strategy, typer.Option(help="What guides the site.")] = Strategy.PLAN,
    replace: Annotated[
        list[str] | None, typer.Option("--replace", help="This id means another device from now on.", metavar="ID")
    ] = None,
    supervise: Annotated[
        bool, typer.Option("--supervise/--no-supervise", help="With a parent that hands back after a crash.")
    ] = True,
) -> None:
    """Control a site until Ctrl-C, then hand every device back.

    A site file that was changed is taken, and kept as the accepted configuration. One that is wrong, or in which an id means
    another device, is not: the site runs on with what was accepted last, and an alarm says why ('energyctl config plan').

    \b
    Example:
      energyctl run site.yaml
    """
    arguments = [str(site), "--strategy", strategy.value]
    if state is not None:
        arguments += ["--state", str(state)]
    for name in replace or ():
        arguments += ["--replace", name]
    raise typer.Exit(_supervised(arguments) if supervise else _alone(arguments))


def _supervised(arguments: list[str]) -> int:
    from energyctl.daemon.supervise import supervise

    return supervise(arguments)


def _alone(arguments: list[str]) -> int:
    from energyctl.daemon.main import main

    return main(arguments)
