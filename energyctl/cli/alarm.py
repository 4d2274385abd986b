"""`energyctl alarm`: what is wrong, what it means, and that somebody has seen it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from energyctl.config.problems import did_you_mean
from energyctl.control.alarm_kinds import KINDS, AlarmKind
from energyctl.core.errors import ConfigError
from energyctl.core.records import JournalEntry, JournalKind

from . import client
from .groups import group
from .output import local_time, print_json, print_table
from .where import JsonOption, SiteOption, StateOption, Where, find

app = group("What is wrong, what it means, and what to do.", "energyctl alarm list")

MOST_LINES = 100_000
"""Of the journal, looked through for past alarms."""


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Past alarms too, newest last.")] = False,
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """The alarms that stand, the worst first.

    \b
    Example:
      energyctl alarm list --all
    """
    where = find(site, state)
    alarms = _past(where) if all_ else client.ask(where.paths.socket, "alarms")
    if json:
        print_json(alarms)
    elif not alarms:
        typer.echo("no alarms")
    elif all_:
        rows = [(_at(a["time"]), a["what"], a["name"], a["subject"], a["text"], a["by"]) for a in alarms]
        print_table(("at", "", "alarm", "about", "what", "by"), rows)
    else:
        print_table(
            ("", "alarm", "about", "what", "since", ">seen", "acknowledged", "follows from"),
            [_row(a) for a in sorted(alarms, key=lambda a: ("critical", "warning", "info").index(a["severity"]))],
        )


@app.command()
def ack(
    name: Annotated[str, typer.Argument(help="Name of the alarm.", metavar="NAME")],
    subject: Annotated[str, typer.Argument(help="What it is about.", metavar="SUBJECT")],
    text: Annotated[str, typer.Option("--note", help="What you know or have done about it.")] = "",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Say that you have seen an alarm; it stands on, and its acknowledgement with it, until its condition ends.

    \b
    Example:
      energyctl alarm ack device-lost storage --note "electrician comes at 10"
    """
    where = find(site, state)
    alarm = client.ask(where.paths.socket, "acknowledge", name=name, subject=subject, note=text)
    if json:
        print_json(alarm)
    else:
        typer.echo(f"{name} {subject}: acknowledged by {alarm['acknowledged_by']}")


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(help="Name of the alarm; all when left out.", metavar="NAME")] = None,
    json: JsonOption = False,
) -> None:
    """What an alarm means and what to do about it.

    \b
    Example:
      energyctl alarm explain meter-lost
    """
    if name is not None and name not in KINDS:
        raise ConfigError(f"no alarm is called '{name}'{did_you_mean(name, KINDS)}")
    kinds = list(KINDS.values()) if name is None else [KINDS[name]]
    if json:
        print_json([asdict(kind) for kind in kinds])
    elif name is None:
        print_table(("alarm", "", "meaning"), [(kind.name, kind.severity.value, kind.meaning) for kind in kinds])
    else:
        _print_kind(kinds[0])


def _print_kind(kind: AlarmKind) -> None:
    typer.echo(f"{kind.name} ({kind.severity.value})\n  {kind.meaning}\n  {kind.what_to_do}")
    if kind.delay_s:
        typer.echo(f"  Raised once it has lasted {kind.delay_s / 60:g} min.")
    if kind.follows:
        typer.echo(f"  Not announced while one of these explains it: {', '.join(kind.follows)}.")


def _row(alarm: dict[str, Any]) -> tuple[object, ...]:
    seen = f"{alarm['count']}" + (f", came {alarm['times']} times" if alarm["times"] > 1 else "")
    told = f"{alarm['acknowledged_by']}: {alarm['note']}".rstrip(": ") if alarm["acknowledged_at"] else ""
    since = _at(alarm["raised_at"])
    return (alarm["severity"], alarm["name"], alarm["subject"], alarm["text"], since, seen, told, alarm["follows"])


def _past(where: Where) -> list[dict[str, Any]]:
    """What the journal tells of alarms, oldest first."""
    from energyctl.store import Store

    if not where.paths.store.exists():
        raise ConfigError(f"{where.paths.store}: no daemon has run here yet")
    with Store.open(where.paths.store, read_only=True) as store:
        told = [_happened(entry) for entry in store.journal(limit=MOST_LINES)]
    return [one for one in told if one is not None]


def _happened(entry: JournalEntry) -> dict[str, Any] | None:
    """A line of the journal as something that happened to an alarm; None when it is about something else."""
    name, _, text = entry.detail.partition(": ")
    acknowledged = entry.kind is JournalKind.NOTE and text == "acknowledged"
    what = {JournalKind.ALARM: "raised", JournalKind.CLEARED: "cleared"}.get(entry.kind)
    if what is None and not acknowledged:
        return None
    return {
        "time": entry.time.isoformat(),
        "what": what or text,
        "name": name,
        "subject": entry.point,
        "text": entry.reason if acknowledged else text,
        "by": entry.source,
    }


def _at(time: str) -> str:
    return local_time(datetime.fromisoformat(time))
