"""`energyctl config`: check a site file, show what it means, print the schema that editors complete it with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from energyctl.core.errors import ConfigError

from .groups import group
from .output import print_json, print_table
from .where import JsonOption, StateOption

app = group(
    "Check a site file, show it, put it in force, go back, or print its schema.", "energyctl config validate site.yaml"
)

SiteArgument = Annotated[Path, typer.Argument(help="Site file.", metavar="SITE")]
ReplaceOption = Annotated[
    list[str] | None, typer.Option("--replace", help="This id means another device from now on.", metavar="ID")
]
AbandonOption = Annotated[
    list[str] | None,
    typer.Option("--abandon", help="This device may leave although it cannot be handed back.", metavar="ID"),
]


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


@app.command()
def diff(
    site: SiteArgument,
    against: Annotated[
        str, typer.Option(help="Another site file, or 'running': what is in force.", metavar="FILE")
    ] = "running",
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show the values in which a site file differs from what is in force, or from another file.

    \b
    Example:
      energyctl config diff site.yaml
    """
    from .config_change import compared

    lines = compared(site, against, state)
    if json:
        print_json({"same": not lines, "lines": lines})
    else:
        typer.echo("\n".join(lines) or "no differences")


@app.command()
def plan(
    site: SiteArgument,
    online: Annotated[bool, typer.Option("--online", help="Ask the devices concerned who they are.")] = False,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a site file would change, and change nothing.

    \b
    Example:
      energyctl config plan site.yaml --online
    """
    from .config_change import plan_of, print_plan

    found = plan_of(site, online, state)
    if json:
        print_json(found)
    else:
        print_plan(site, found)


@app.command()
def apply(
    site: SiteArgument,
    replace: ReplaceOption = None,
    abandon: AbandonOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Put a site file in force: the running daemon takes it as a whole, or keeps what it has and says why.

    \b
    Example:
      energyctl config apply site.yaml
    """
    from .config_change import apply as put_in_force

    _say(put_in_force(site, replace or (), abandon or (), state), json)


@app.command()
def rollback(
    site: SiteArgument,
    to: Annotated[int | None, typer.Option(help="Number of the configuration; the one before.", metavar="N")] = None,
    replace: ReplaceOption = None,
    abandon: AbandonOption = None,
    state: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Go back to a configuration of before. The site file stays as it is, and is not taken by a restart.

    \b
    Example:
      energyctl config rollback site.yaml --to 3
    """
    from .config_change import rollback as go_back

    _say(go_back(site, to, replace or (), abandon or (), state), json)


@app.command()
def versions(site: SiteArgument, state: StateOption = None, json: JsonOption = False) -> None:
    """List the configurations that were accepted; the last 20 are kept.

    \b
    Example:
      energyctl config versions site.yaml
    """
    from .config_change import versions_of

    found = versions_of(site, state)
    if json:
        print_json(found)
        return
    rows = [(one["number"], one["time"][:19], one["who"], one["how"], one["hash"][:12]) for one in found]
    print_table((">number", "accepted (UTC)", "by", "how", "content"), rows)


def _say(result: dict[str, Any], json: bool) -> None:
    if json:
        print_json(result)
        return
    if not result["changed"]:
        typer.echo(f"nothing to change; number {result['number']} is in force")
        return
    typer.echo(f"number {result['number']} is in force; {result['missed_cycles']} cycles missed")
    for key, words in (("handed_back", "handed back"), ("reconnected", "connected anew"), ("new", "new")):
        if result.get(key):
            typer.echo(f"  {words}: {', '.join(result[key])}")
    if result.get("left_aside"):
        typer.echo(f"the site file says something else and is left as it is; what is in force: {result['file']}")


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
