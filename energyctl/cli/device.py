"""`energyctl device`: the site's devices, and what one of them can do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from energyctl.core.errors import ConfigError, DaemonDown
from energyctl.core.profile import Profile

from . import client
from .groups import group
from .output import note, print_json, print_table
from .where import JsonOption, SiteOption, StateOption, Where, find

app = group("The site's devices.", "energyctl device list")


@app.command("list")
def list_(site: SiteOption = None, state: StateOption = None, json: JsonOption = False) -> None:
    """The devices and whether they answer.

    \b
    Example:
      energyctl device list
    """
    devices = _devices(find(site, state))
    if json:
        print_json(devices)
        return
    print_table(
        ("device", "answers", "profile", "connection", ">reads", ">errors", "it says it is"),
        [
            (
                d["device"],
                _yes(d.get("answers")),
                d["profile"],
                d["link"],
                d.get("reads"),
                d.get("errors"),
                d.get("identity"),
            )
            for d in devices
        ],
    )


@app.command()
def describe(
    device: Annotated[str, typer.Argument(help="Id of the device.", metavar="DEVICE")],
    site: SiteOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """What a device is, its points, and what it does when nobody commands it any more.

    \b
    Example:
      energyctl device describe storage
    """
    from energyctl.config import load_profiles

    devices = {d["device"]: d for d in _devices(find(site, state))}
    if device not in devices:
        raise ConfigError(f"no device '{device}'; there are {', '.join(devices)}")
    profile = load_profiles()[devices[device]["profile"]]
    described = _described(devices[device], profile)
    if json:
        print_json(described)
    else:
        _print(described)


def _devices(where: Where) -> list[dict[str, Any]]:
    """As the daemon sees them; without a daemon as the site file has them, where we know it."""
    try:
        return list(client.ask(where.paths.socket, "devices"))
    except DaemonDown:
        if where.site is None:
            raise
    from energyctl.config import load_site

    note("the daemon is not running; this is from the site file")
    site = load_site(where.site)
    return [
        {"device": name, "profile": device.profile.profile, "link": site.link_of[name]}
        for name, device in site.devices.items()
    ]


def _described(device: dict[str, Any], profile: Profile) -> dict[str, Any]:
    writes = device.get("writes_today", {})
    return {
        **device,
        "maker": profile.vendor,
        "model": profile.model,
        "description": profile.description,
        "protocol": profile.protocol,
        "verified": profile.verified,
        "watchdog": profile.watchdog.model_dump(),
        "caveats": list(profile.caveats),
        "points": [
            {
                "point": f"{device['device']}.{name}",
                "unit": point.unit,
                "kind": point.kind,
                "access": point.access.value,
                "minimum": point.minimum,
                "maximum": point.maximum,
                "choices": dict(point.choices),
                "memory": spec.memory,
                "writes_today": writes.get(f"{device['device']}.{name}", 0),
                "note": spec.note,
            }
            for name, spec in profile.points.items()
            for point in [spec.point(device["device"], name)]
        ],
    }


def _print(described: dict[str, Any]) -> None:
    typer.echo(f"{described['device']}: {described['maker']} {described['model']} ({described['profile']})")
    for line in (described["description"], _watchdog(described["watchdog"]), *described["caveats"]):
        if line:
            typer.echo(f"  {line}")
    typer.echo("")
    print_table(
        ("point", "unit", "access", ">from", ">to", "values", ">writes today", "note"),
        [
            (
                p["point"],
                p["unit"],
                p["access"],
                _plain(p["minimum"]),
                _plain(p["maximum"]),
                _values(p),
                p["writes_today"] or None,
                "; ".join(word for word in ("kept in flash" if p["memory"] == "flash" else "", p["note"]) if word),
            )
            for p in described["points"]
        ],
    )


def _watchdog(watchdog: dict[str, Any]) -> str:
    match watchdog["kind"]:
        case "reversion":
            return "when commands stop: a timer in the device ends the last one"
        case _:
            return "when commands stop: it keeps the last value until somebody hands it back"


def _values(point: dict[str, Any]) -> str:
    return "on, off" if point["kind"] == "bool" else ", ".join(point["choices"])


def _plain(number: float | None) -> str | None:
    return None if number is None else f"{number:g}"


def _yes(answers: bool | None) -> str | None:
    return None if answers is None else "yes" if answers else "NO"
