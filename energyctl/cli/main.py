"""`energyctl`: the commands, and what an error becomes: plain lines on standard error and a stable exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from energyctl.core.errors import ConfigError, EnergyctlError

from .lazy import root

COMMANDS = {
    "init": ("energyctl.cli.init", "Write a commented site file to begin with."),
    "config": ("energyctl.cli.config", "Check a site file, show it, put it in force, go back."),
    "commission": ("energyctl.cli.commission", "Try every device before it may be controlled."),
    "run": ("energyctl.cli.run", "Control a site."),
    "handback": ("energyctl.cli.handback", "Give back whatever a dead daemon left on a site's devices."),
    "status": ("energyctl.cli.status", "How the site is doing, at a glance."),
    "device": ("energyctl.cli.device", "The site's devices."),
    "point": ("energyctl.cli.point", "Read, watch, and write single points."),
    "alarm": ("energyctl.cli.alarm", "What is wrong, what it means, and what to do."),
    "override": ("energyctl.cli.override", "Set points by hand for a while, by name or by pattern."),
    "estop": ("energyctl.cli.estop", "Emergency stop: hand everything back and write nothing."),
    "drain": ("energyctl.cli.drain", "Hand everything back, then end the daemon."),
    "shadow": ("energyctl.cli.shadow", "What would be written, where nothing is."),
    "plan": ("energyctl.cli.plan", "Make, show and explain the plan."),
}

EPILOG = """\b
Exit codes:
  0 done  1 error  2 the site file or the command line is wrong
  3 a device cannot be reached  4 a device refused  5 the write gate refused
  6 no plan  7 the store cannot be read or written  8 no daemon is running
  9 another daemon is running already  10 drained, but not everything was handed back
  70 the daemon crashed and was handed back  130 stopped with Ctrl-C

\b
Which site: --site FILE or $ENERGYCTL_SITE; without them, the only one known.

\b
Example:
  energyctl init && energyctl config validate site.yaml
  energyctl run site.yaml
  energyctl point get 'storage.*'
"""

app = typer.Typer(
    cls=root(COMMANDS),
    help="Controls a building's energy: reads its meters and machines, plans ahead, and writes setpoints safely.",
    epilog=EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"energyctl {version('energyctl')}")
        raise typer.Exit()


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def command() -> TyperGroup:
    """The root command, for tests and for documentation that is made from it."""
    made = typer.main.get_command(app)
    assert isinstance(made, TyperGroup)
    return made


def main(args: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    _forgiving_output()
    try:
        result = command().main(args, prog_name="energyctl", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except ConfigError as error:
        return _fail(str(error), error.exit_code)
    except EnergyctlError as error:
        return _fail(f"energyctl: {error}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing more may be written, not even by the interpreter at exit.
        _no_more_output()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        _no_more_output()
        return _fail(f"energyctl: the output cannot be written: {error.strerror}", 1)
    except typer.TyperException as error:
        return _usage(error)


def _forgiving_output() -> None:
    """A closed output takes everything and shows nothing; one that knows no '°' shows '?' instead."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - lives as long as the process
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _no_more_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    hint = f"; see '{context.command_path} --help'" if context is not None else ""
    return _fail(f"energyctl: {error.format_message().rstrip('.')}{hint}", error.exit_code)
