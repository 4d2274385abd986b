"""`energyctl config`: check a site file, show what it means, print the schema that editors complete it with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from energyctl.core.errors import ConfigError

from .groups import group
from .output import print_json, print_table
from .where import JsonOption

app = group("Check a site file, show it, or print its schema for editors.", "energyctl config validate site.yaml")

SiteArgument = Annotated[Path, typer.Argument(help="Site file.", metavar="SITE")]


@app.command()
def validate(site: SiteArgument, json: JsonOption = False) -> None:
    """Check a site file; every mistake is named with its line.

    \b
    Example:
      energyctl config validate site.yaml
    """
    from energyctl.config import load_site

    try:
        loaded = load_site(site)
    except ConfigError as error:
        if not json:
            raise
        print_json({"ok": False, "problems": list(error.problems)})
        raise typer.Exit(error.exit_code) from None
    counts = {"devices": len(loaded.devices), "points": len(loaded.points), "resources": len(loaded.resources)}
    if json:
        print_json({"ok": True, "site": loaded.id, **counts})
    else:
        typer.echo(f"{site}: right. {loaded.name}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))


@app.command()
def schema() -> None:
    """Print the JSON schema of a site file, for editors and other programs.

    \b
    Example:
      energyctl config schema > site.schema.json
    """
    from energyctl.config.schema import site_schema

    print_json(site_schema())


@app.command()
def show(site: SiteArgument, json: JsonOption = False) -> None:
    """Show what a site file means, with its defaults; secrets are left out.

    \b
    Example:
      energyctl config show site.yaml
    """
    summary = _summary(site)
    if json:
        print_json(summary)
        return
    _print(summary)


def _print(summary: dict[str, Any]) -> None:
    for key in ("id", "name", "timezone", "mode", "period_s", "import_limit_kw", "export_limit_kw", "lease_s"):
        typer.echo(f"{key:16} {summary[key]}")
    typer.echo("")
    print_table(("device", "profile", "connection"), [tuple(row.values()) for row in summary["devices"]])
    typer.echo("")
    print_table(
        ("resource", "kind", "points it reads", "points it writes"),
        [(r["resource"], r["kind"], ", ".join(r["reads"]), ", ".join(r["writes"])) for r in summary["resources"]],
    )
    if not summary["point_limits"]:
        return
    typer.echo("")
    print_table(
        ("limited point", ">from", ">to"),
        [(row["point"], row["minimum"], row["maximum"]) for row in summary["point_limits"]],
    )


def _summary(path: Path) -> dict[str, Any]:
    from energyctl.config import load_site

    site = load_site(path)
    return {
        "id": site.id,
        "name": site.name,
        "timezone": site.timezone,
        "mode": site.mode,
        "period_s": site.period_s,
        "meter": site.meter,
        "import_limit_kw": site.limits.import_kw,
        "export_limit_kw": site.limits.export_kw,
        "lease_s": site.safety.lease_s,
        "bacnet_priority": site.safety.bacnet_priority,
        "planner": site.planner.use,
        "devices": [
            {"device": name, "profile": device.profile.profile, "connection": site.link_of[name]}
            for name, device in site.devices.items()
        ],
        "resources": [
            {
                "resource": resource.id,
                "kind": resource.kind,
                "reads": [b.point for b in resource.bindings() if not b.writes],
                "writes": [b.point for b in resource.bindings() if b.writes],
            }
            for resource in site.resources
        ],
        "point_limits": [
            {"point": point, "minimum": low, "maximum": high} for point, (low, high) in site.safety.point_limits.items()
        ],
    }
