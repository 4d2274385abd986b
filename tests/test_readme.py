"""Every command the README shows is run here, in its order, on simulated devices; CI runs its two make targets."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", "\n".join(re.findall(r"```console\n(.*?)```", README, re.S)), re.M)
INDENTED = re.findall(r"^    (make \w+)$", README, re.M)


def energyctl(command: str) -> list[str]:
    """A command line of the README, by this environment's own interpreter."""
    name, *arguments = shlex.split(command.removesuffix("&"))
    assert name == "energyctl"
    return [sys.executable, "-c", "from energyctl.cli.main import main; main()", *arguments]


@pytest.fixture
def environment(tmp_path):
    """A user without any other site."""
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}


@pytest.fixture
def background():
    """What the README starts with &; stopped in the opposite order, as one would with Ctrl-C."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in reversed(started):
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_the_readme_shows_commands():
    assert len(COMMANDS) > 10 and INDENTED == ["make demo", "make test"]


def test_every_command_of_the_readme_works(tmp_path, environment, background):
    for command in COMMANDS:
        if command.endswith("&"):
            log = (tmp_path / f"{len(background)}.log").open("wb")
            background.append(
                subprocess.Popen(
                    energyctl(command), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )
            wait_for(
                background[-1], "energyctl plan show" if "run" in command else None, tmp_path / log.name, environment
            )
            continue
        if command.startswith("energyctl handback"):
            background[-1].send_signal(signal.SIGINT)
            assert background.pop().wait(60) == 0, "Ctrl-C ends the daemon with everything handed back"
        done = subprocess.run(
            energyctl(command), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"{command} says nothing"


def wait_for(process: subprocess.Popen[bytes], probe: str | None, log: Path, environment: dict[str, str]) -> None:
    """Until the probe succeeds, or without one until the started command has said where its devices are."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if probe is None and "charger" in log.read_text():
            return
        if probe is not None:
            done = subprocess.run(energyctl(probe), cwd=ROOT, env=environment, capture_output=True, check=False)
            if done.returncode == 0:
                return
        time.sleep(0.3)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("target", INDENTED)
def test_the_readmes_make_targets_exist(target):
    done = subprocess.run(
        ["make", "-n", target.removeprefix("make ")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_files_the_readme_names_exist():
    for name in re.findall(r"\]\(([^)#]+)\)", README):
        assert name.startswith("http") or (ROOT / name).exists(), name
