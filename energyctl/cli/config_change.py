"""What `energyctl config diff|plan|apply|rollback|versions` do: through the running daemon, or in its place when none runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from energyctl.config.accepted import Accepted
from energyctl.config.change import differences
from energyctl.config.snapshot import site_id, take
from energyctl.config.yaml_source import read_yaml
from energyctl.core.clock import LiveClock
from energyctl.core.errors import ConfigError, DaemonDown
from energyctl.core.people import user_name
from energyctl.daemon.asking import ask_identities
from energyctl.daemon.paths import StatePaths, state_dir
from energyctl.daemon.planning_change import planned, with_identities
from energyctl.daemon.returning import one_daemon
from energyctl.daemon.starting import choose
from energyctl.store import Store

from .client import ask
from .output import note

RUNNING = "running"


def paths_of(site: Path, state: Path | None) -> StatePaths:
    """Where the state of a site file's site is. Raises ConfigError."""
    return state_dir(site_id(site), state)


def compared(site: Path, against: str, state: Path | None) -> list[str]:
    """The values in which a site file differs from the accepted configuration ("running") or from another file."""
    other = _in_force(site, state) if against == RUNNING else take(Path(against)).data
    return [str(line) for line in differences(other, take(site).data)]


def plan_of(site: Path, online: bool, state: Path | None) -> dict[str, Any]:
    """What a site file would change. Raises ConfigError for what is wrong with it."""
    paths = paths_of(site, state)
    try:
        found: dict[str, Any] = ask(paths.socket, "config-plan", file=str(site.resolve()), online=online)
    except DaemonDown:
        return {**_plan_alone(site, online, paths), "daemon": False}
    return {**found, "daemon": True}


def _plan_alone(site: Path, online: bool, paths: StatePaths) -> dict[str, Any]:
    accepted, snapshot = Accepted(paths.config), take(site)
    current = accepted.current()
    old = accepted.load(current) if current is not None else None
    new, document = planned(snapshot, old, _owned(paths), resolve_secrets=online)
    document |= {
        "same": current is not None and snapshot.hash == current.hash,
        "number": current.number if current is not None else None,
    }
    if not online:
        return document
    concerned = {*document["new"], *document["replaced"], *document["reconnected"]}
    return with_identities(document, asyncio.run(ask_identities(new, concerned, LiveClock())), {})


def apply(site: Path, replace: Sequence[str], abandon: Sequence[str], state: Path | None) -> dict[str, Any]:
    """Put a site file in force. Raises ConfigError or what the daemon refuses it with."""
    paths = paths_of(site, state)
    try:
        found: dict[str, Any] = ask(
            paths.socket, "config-apply", file=str(site.resolve()), replace=list(replace), abandon=list(abandon)
        )
    except DaemonDown:
        return _apply_alone(site, replace, paths)
    return found


def _apply_alone(site: Path, replace: Sequence[str], paths: StatePaths) -> dict[str, Any]:
    """Accept a site file for the next start."""
    with one_daemon(paths):
        accepted = Accepted(paths.config)
        user, now = user_name(os.getuid()), datetime.now(UTC)
        choice = choose(site, accepted, replace, user, now, how="apply", resolve_secrets=False)
        if choice.untaken:
            raise ConfigError(choice.untaken.splitlines())
        left = {point.partition(".")[0] for point in _owned(paths)} & set(choice.change.left if choice.change else ())
        if left:
            raise ConfigError(
                f"{', '.join(sorted(left))}: still to be handed back: run 'energyctl handback {site}' first"
            )
        if choice.is_new:
            accepted.accept(choice.version)
    note("no daemon is running; it will start with this configuration")
    return {
        "number": choice.version.number,
        "changed": choice.is_new,
        "file": str(accepted.path(choice.version)),
        "missed_cycles": 0,
    }


def rollback(
    site: Path, to: int | None, replace: Sequence[str], abandon: Sequence[str], state: Path | None
) -> dict[str, Any]:
    """Go back to a configuration of before, in the running daemon. Raises DaemonDown or what it refuses it with."""
    found: dict[str, Any] = ask(
        paths_of(site, state).socket, "config-rollback", to=to, replace=list(replace), abandon=list(abandon)
    )
    return found


def versions_of(site: Path, state: Path | None) -> list[dict[str, Any]]:
    """The accepted configurations that are kept, oldest first."""
    return [version.model_dump(mode="json") for version in Accepted(paths_of(site, state).config).versions()]


def print_plan(site: Path, plan: Mapping[str, Any]) -> None:
    """A plan, for people."""
    if plan["same"]:
        typer.echo(f"{site}: nothing would change; number {plan['number']} is in force")
    _section("values that change", plan["lines"])
    _section("new devices", plan["new"])
    _section("devices that leave", plan["gone"])
    _section("another device behind the same id", (f"{name}: {text}" for name, text in plan["replaced"].items()))
    _section("connected anew", plan["reconnected"])
    _section("undisturbed", plan["kept"])
    _section("handed back before", plan["handed_back"])
    _section("stay in control", plan["stay_held"])
    _section("who answers", (_who(name, one) for name, one in plan["identities"].items()))
    if plan["replaced"]:
        say = " ".join(f"--replace {name}" for name in plan["replaced"])
        typer.echo(f"to apply it, say that this is meant: energyctl config apply {site} {say}")
    elif not plan["same"]:
        typer.echo(f"to apply it: energyctl config apply {site}")


def _section(title: str, lines: Iterable[str]) -> None:
    shown = list(lines)
    if shown:
        typer.echo(f"{title}:\n" + "\n".join(f"  {line}" for line in shown))


def _who(name: str, one: Mapping[str, Any]) -> str:
    if one["error"]:
        return f"{name}: cannot be asked: {one['error']}"
    before = f" (accepted as '{one['expected']}')" if one["expected"] not in (None, one["says"]) else ""
    return f"{name}: says it is '{one['says']}'{before}" if one["says"] else f"{name}: does not say who it is"


def _in_force(site: Path, state: Path | None) -> Any:
    """The plain data of the accepted configuration. Raises ConfigError when there is none."""
    accepted = Accepted(paths_of(site, state).config)
    current = accepted.current()
    if current is None:
        raise ConfigError(f"{site}: no configuration of this site has been accepted yet; name a file with --against")
    return read_yaml(accepted.path(current)).data


def _owned(paths: StatePaths) -> tuple[str, ...]:
    if not paths.store.exists():
        return ()
    with Store.open(paths.store, read_only=True) as store:
        return tuple(item.point for item in store.owned())
