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
    supervise: Annotated[
        bool, typer.Option("--supervise/--no-supervise", help="With a parent that hands back after a crash.")
    ] = True,
) -> None:
    """Control a site until Ctrl-C, then hand every device back.

    \b
    Example:
      energyctl run site.yaml
    """
    arguments = [str(site), "--strategy", strategy.value]
    if state is not None:
        arguments += ["--state", str(state)]
    raise typer.Exit(_supervised(arguments) if supervise else _alone(arguments))


def _supervised(arguments: list[str]) -> int:
    from energyctl.daemon.supervise import supervise

    return supervise(arguments)


def _alone(arguments: list[str]) -> int:
    from energyctl.daemon.main import main

    return main(arguments)
