"""`energyctl commission`: walks a person through the commissioning of a site's devices, by day one's rules of the trade."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from energyctl.core.errors import ConfigError

from . import client
from .commissioning_daemon import some_daemon
from .groups import group
from .output import note, print_json, print_table
from .where import JsonOption, StateOption, find

app = group()

WRONG = "WRONG"


@app.command()
def commission(
    site: Annotated[Path, typer.Argument(help="Site file.", metavar="SITE")],
    device: Annotated[
        list[str] | None, typer.Option(help="Only this device; may be given again.", metavar="DEVICE")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: move every output.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge the readings and say what would be moved; move nothing.")
    ] = False,
    who: Annotated[str | None, typer.Option(help="Your name, for the record.", metavar="NAME")] = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Walk through the devices of a site: is what they show right, and do they do what they are told?

    Every point is read and judged, every output moved a little and its effect watched, and handed back. What was found is
    signed and kept: only devices that pass may be controlled. Ends with 0 when all passed, with 1 when one did not.

    \b
    Example:
      energyctl commission site.yaml --dry-run
      energyctl commission site.yaml --device storage
    """
    where = find(site, state)
    person = who or (getpass.getuser() if yes or dry_run else typer.prompt("Your name, for the record", err=True))
    with some_daemon(site, where.paths) as socket:
        walk = _Walk(socket, str(person), yes, dry_run, json)
        results = [walk.device(one) for one in _chosen(client.ask(socket, "commission"), device)]
    if json:
        print_json(results)
    raise typer.Exit(0 if all(result["passed"] for result in results) else 1)


def _chosen(devices: list[dict[str, Any]], names: list[str] | None) -> list[dict[str, Any]]:
    known = {one["device"]: one for one in devices}
    for name in names or ():
        if name not in known:
            raise ConfigError(f"no device '{name}' that is not off; there are {', '.join(known)}")
    return [known[name] for name in names] if names else devices


class _Walk:
    """One person's walk from device to device."""

    def __init__(self, socket: Path, who: str, yes: bool, dry_run: bool, json: bool) -> None:
        self._socket, self._who, self._yes, self._dry_run, self._json = socket, who, yes, dry_run, json

    def device(self, found: dict[str, Any]) -> dict[str, Any]:
        """One device: look, move, keep. Returns what came of it."""
        name = found["device"]
        self._say(f"\n{name}: says it is '{found['identity'] or '(nothing)'}', mode {found['mode']}")
        findings = client.ask(self._socket, "commission-look", device=name)
        self._show(findings)
        skipped = [point for point in found["outputs"] if not self._output(point, findings)]
        wrong = sum(one["verdict"] == "wrong" for one in findings)
        result = {"device": name, "passed": not wrong, "skipped": skipped, "record": None, "findings": findings}
        if self._dry_run:
            self._say(f"{name}: {_count(wrong)}; nothing was moved, nothing is recorded")
        elif skipped:
            result["passed"] = False
            self._say(f"{name}: not recorded, because not tried: {', '.join(skipped)}")
        else:
            result["record"] = client.ask(self._socket, "commission-keep", device=name, who=self._who)["record"]
            self._say(
                f"{name}: {'passed' if not wrong else 'DID NOT PASS'}, {_count(wrong)}; record {result['record']}"
            )
        return result

    def _output(self, point: str, findings: list[dict[str, Any]]) -> bool:
        """Move an output, if the person agrees; whether it was tried, or only had to be told of."""
        would = client.ask(self._socket, "commission-move", point=point, dry=True)["would"]
        if self._dry_run:
            self._say(f"  {point}: would {would}")
            return True
        if not self._yes and not typer.confirm(f"  {point}: {would}, for some seconds?", default=False, err=True):
            return False
        self._say(f"  {point}: {would} ...")
        try:
            found = client.ask(self._socket, "commission-move", point=point)["findings"]
        except client.RefusedByDaemon as refused:
            self._say(f"  {refused}")
            return False
        self._show(found)
        findings += found
        return True

    def _show(self, findings: list[dict[str, Any]]) -> None:
        if not self._json:
            rows = [(one["point"], one["what"], _verdict(one), one["text"]) for one in findings]
            print_table(("point", "what", "is", "found"), rows)

    def _say(self, text: str) -> None:
        note(text) if self._json else typer.echo(text)


def _verdict(finding: dict[str, Any]) -> str:
    return WRONG if finding["verdict"] == "wrong" else str(finding["verdict"])


def _count(wrong: int) -> str:
    return "nothing wrong" if not wrong else f"{wrong} wrong"
