"""The frame of every command: help, laziness, exit codes, plain errors, Ctrl-C."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
import typer

from energyctl.cli import lazy
from energyctl.cli.main import COMMANDS, EPILOG, command
from energyctl.core import errors

PROGRAM = [sys.executable, "-c", "from energyctl.cli.main import main; main()"]


def _all_commands() -> Iterator[tuple[str, object]]:
    for name in COMMANDS:
        loaded = command().commands[name].load()
        for sub, child in getattr(loaded, "commands", {}).items():
            yield f"{name} {sub}", child
        if not hasattr(loaded, "commands"):
            yield name, loaded


def test_every_command_there_should_be():
    assert [name for name, _ in _all_commands()] == [
        "init",
        *("config validate", "config schema", "config show"),
        *("config diff", "config plan", "config apply", "config rollback", "config versions"),
        "commission",
        "run",
        "handback",
        "status",
        *("device list", "device describe"),
        *("point get", "point watch", "point history", "point write", "point release"),
        *("alarm list", "alarm ack", "alarm explain"),
        *("override set", "override list", "override clear"),
        "estop clear",
        "drain",
        "shadow",
        *("plan run", "plan show", "plan explain"),
    ]


@pytest.mark.parametrize("name", [name for name, _ in _all_commands()])
def test_every_help_shows_an_example_and_json(cli, name):
    result = cli(*name.split(), "--help")
    assert result.code == 0
    assert re.search(rf"Example:\n +energyctl {name}\b", result.out), result.out
    assert "--json" in result.out or name in ("run", "config schema")


def test_help_names_every_command_without_importing_any():
    code = (
        "import sys; from energyctl.cli.main import run; run(['--help']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('hil', 'optimizer', 'drivers', 'rich', 'pydantic', 'yaml',"
        " 'ruamel', 'sqlmodel', 'numpy') or m in ('energyctl.cli.point', 'energyctl.config', 'energyctl.store')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    listed = re.findall(r"^  (\w+) ", done.stdout.split("Commands:")[1].split("Exit codes")[0], re.MULTILINE)
    assert listed == [*COMMANDS, "demo", "hil"]


def test_help_is_fast():
    """Aim: 0.4 s, as processor time because wall time measures who else is at work on the machine."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(3)) < 0.4


def test_exit_codes_in_the_help_are_those_of_the_errors():
    told = {int(code) for code in re.findall(r"(?:^|  )(\d+) [a-z]", EPILOG)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.exit_code for kind in kinds} | {0, 10, 70, 130} == told


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nope"], ["No such command 'nope'", "energyctl --help"]),
        (["point", "wirte"], ["No such command 'wirte'. Did you mean 'write'?", "energyctl point --help"]),
        (["point", "write", "a.b", "1 kW"], ["Missing option '--for'", "energyctl point write --help"]),
        (["run", "site.yaml", "--strategy", "luck"], ["'luck'", "plan", "rules"]),
        (["plan"], ["Missing command"]),
    ],
)
def test_a_wrong_command_line_is_one_line(cli, args, words):
    result = cli(*args)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("energyctl: ") and result.err.count("\n") == 1
    assert all(word in result.err for word in words)


def test_no_arguments_show_the_help(cli):
    result = cli()
    assert result.code == 2
    assert "Commands:" in result.out


def test_version(cli):
    assert cli("--version").out.startswith("energyctl 0.")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.ConfigError(["a.yaml:1: x", "a.yaml:2: y"]), 2, "a.yaml:1: x\na.yaml:2: y\n"),
        (errors.LinkError("meter", "no route"), 3, "energyctl: meter: no route\n"),
        (errors.DeviceRefused("meter", "meter.x", "illegal address"), 4, "energyctl: meter.x: meter refused: illegal"),
        (errors.GateRefused("refused by rule 'limits'"), 5, "energyctl: refused by rule 'limits'\n"),
        (errors.PlanError("no value"), 6, "energyctl: no value\n"),
        (errors.StoreError("disk full"), 7, "energyctl: disk full\n"),
        (errors.DaemonDown("no daemon"), 8, "energyctl: no daemon\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
    ],
)
def test_an_error_is_plain_lines_and_its_exit_code(cli, monkeypatch, error, code, text):
    app = typer.Typer()

    @app.command()
    def fails() -> None:
        raise error

    monkeypatch.setattr(lazy.LazyCommand, "load", lambda self: typer.main.get_command(app))
    result = cli("status")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(text) if text else result.err == ""


def test_a_plugin_that_cannot_be_imported_spoils_only_itself(cli, monkeypatch):
    class Entry:
        name, value, dist = "broken", "no.such.module:app", None

        def load(self) -> None:
            raise ImportError("No module named 'no'")

    monkeypatch.setattr(lazy, "entry_points", lambda group: [Entry()])
    made = command()  # made anew, so that it sees the plug-in
    monkeypatch.setattr("energyctl.cli.main.command", lambda: made)
    assert "broken" in cli("--help").out
    result = cli("broken")
    assert (result.code, result.err) == (1, "energyctl: the command 'broken' cannot be loaded: No module named 'no'\n")


def test_ctrl_c_is_quiet(daemon, state, reading):
    daemon.answers["points"] = [[reading("m.p", n, "kW")] for n in range(3000)]
    process = subprocess.Popen(
        [*PROGRAM, "point", "watch", "*", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and "m.p" in process.stdout.readline()
    for _ in range(20):  # Python drops an interrupt that comes inside a finalizer; a person presses Ctrl-C again
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, err = process.communicate(timeout=2)
            break
    assert (process.returncode, err) == (130, "")


def test_a_reader_that_goes_away_is_no_error():
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*PROGRAM, "config", "schema"], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")
