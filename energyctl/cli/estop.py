"""`energyctl estop`: everything is handed back and nothing is written until it is cleared; needs no living daemon.

First the file is written that is the truth. Then a daemon that answers hands back at once; one that is hung is killed; what a
dead one left is handed back from the journal. Whoever supervises may start a daemon meanwhile: it finds the file.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from energyctl.core import estop_file as file
from energyctl.core.errors import AlreadyRunning, ConfigError, DaemonDown, StoreError
from energyctl.core.people import user_name
from energyctl.daemon.paths import StatePaths

from . import client
from .groups import group
from .output import note, print_json, print_table
from .where import JsonOption, SiteOption, StateOption, Where, find

app = group()

ANSWER_WITHIN_S = 5.0
"""A daemon that does not answer for so long is hung."""
HAND_BACK_WITHIN_S = 10.0
GIVE_UP_AFTER_S = 60.0
AGAIN_S = 0.3


@app.callback(
    invoke_without_command=True,
    help="Stop everything at once: all is handed back, and nothing is written until 'energyctl estop clear'.",
    epilog="\b\nExample:\n  energyctl estop --reason 'smoke in the plant room'",
)
def estop(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, for the journal and the alarm.")] = "",
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Emergency stop. Ends with 0 when everything is handed back, with 1 when something is not yet."""
    if context.invoked_subcommand is not None:
        return
    where = find(site, state)
    written = _press(where.paths, reason)
    left = _carried_out(where, reason, written)
    if json:
        print_json({"left": left})
    else:
        typer.echo("emergency stop: nothing is written until 'energyctl estop clear'")
        print_table(("still held", "why"), left.items()) if left else typer.echo("everything is handed back")
    raise typer.Exit(1 if left else 0)


@app.command()
def clear(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """End the emergency stop; plan, rules and people take over again.

    \b
    Example:
      energyctl estop clear
    """
    where = find(site, state)
    try:
        cleared = bool(client.ask(where.paths.socket, "estop-clear")["cleared"])
    except DaemonDown:
        cleared = _clear_file(where.paths)
    if json:
        print_json({"cleared": cleared})
    else:
        typer.echo("the emergency stop is cleared" if cleared else "there was no emergency stop")


def _clear_file(paths: StatePaths) -> bool:
    cleared = standing(paths) is not None
    try:
        file.clear(paths.estop)
    except OSError as error:
        raise StoreError(f"{paths.estop}: cannot be removed, so the emergency stop stands: {error.strerror}") from error
    return cleared


def standing(paths: StatePaths) -> str | None:
    """The emergency stop of a site in words, None when there is none; needs no daemon."""
    try:
        pressed = file.pressed_at(paths.estop)
    except OSError as error:
        return f"whether an emergency stop stands cannot be known: {error.strerror}"
    return None if pressed is None else str(pressed)


def _press(paths: StatePaths, reason: str) -> bool:
    try:
        file.press(paths.estop, file.Pressed(user_name(os.getuid()), reason, datetime.now(UTC)))
        return True
    except OSError as error:
        note(f"{paths.estop}: {error.strerror}; the next start may not know of the emergency stop")
        return paths.estop.exists()


def _carried_out(where: Where, reason: str, written: bool) -> dict[str, str]:
    """What is still held and why, after everything was tried. Raises StoreError when nothing stops the next start."""
    give_up = time.monotonic() + GIVE_UP_AFTER_S
    while True:
        try:
            return _by_daemon(where.paths, reason)
        except client.DaemonSilent as silent:
            note(f"{silent}; it is killed")
            _kill(where.paths)
        except DaemonDown as down:
            if not written:
                raise StoreError(f"no emergency stop: it cannot be written down, and {down}") from down
            try:
                return _by_hand_back(where)
            except AlreadyRunning:  # it starts, or somebody else is handing back
                if time.monotonic() > give_up:
                    raise
        time.sleep(AGAIN_S)


def _by_daemon(paths: StatePaths, reason: str) -> dict[str, str]:
    client.ask(paths.socket, "estop", ANSWER_WITHIN_S, reason=reason)
    wait_s = HAND_BACK_WITHIN_S
    answer: dict[str, Any] = client.ask(paths.socket, "estop", wait_s + ANSWER_WITHIN_S, reason=reason, wait_s=wait_s)
    if not answer["kept"]:
        note(f"the daemon keeps the emergency stop in mind alone: {file.NOT_KEPT}")
    return dict(answer["left"])


def _kill(paths: StatePaths) -> None:
    try:
        os.kill(client.daemon_pid(paths.socket), signal.SIGKILL)
    except (DaemonDown, ProcessLookupError):
        return


def _by_hand_back(where: Where) -> dict[str, str]:
    """Without a daemon: from the journal, with the site file that we are told or that it ran with last."""
    if not where.paths.store.exists():
        return {}
    import asyncio

    from energyctl.daemon.returning import handback, remembered

    site = where.site or remembered(where.paths)
    if site is None:
        raise ConfigError("the emergency stop stands, and no daemon runs; write --site FILE to hand back now")
    results = asyncio.run(handback(site, where.paths.root))
    return {result.group.point: result.detail for result in results if not result.ok}
