"""The first hour of docs/hil.md, lived through: its files, its commands in their order, and what it says they print."""

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

TEXT = (Path(__file__).parent.parent / "docs" / "hil.md").read_text()
FILES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.S))
STEPS = re.findall(r"```console\n(.*?)```", TEXT, re.S)


def steps() -> list[tuple[str, list[str]]]:
    """Every command, and the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "\n".join(STEPS).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line.strip())
    return found


def argv(command: str) -> list[str]:
    """A command by this environment's own interpreter."""
    name, *arguments = shlex.split(command.removesuffix("&"))
    return [sys.executable, "-c", "from energyctl.cli.main import main; main()", *arguments] if name == "energyctl" else [
        name,
        *arguments,
    ]  # fmt: skip


class Hour:
    """A person in an empty folder, with programs in the background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.background: list[subprocess.Popen[bytes]] = []

    def do(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv(command),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def start(self, command: str) -> None:
        log = self.folder / f"{len(self.background)}.log"
        with log.open("wb") as out:
            self.background.append(
                subprocess.Popen(argv(command), cwd=self.folder, env=self.environment, stdout=out, stderr=out,
                                 start_new_session=True)
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._is_up(command, log):
            assert time.monotonic() < deadline and self.background[-1].poll() is None, f"{command}\n{log.read_text()}"
            time.sleep(0.2)

    def _is_up(self, command: str, log: Path) -> bool:
        return (
            "storage" in log.read_text()
            if "hil up" in command
            else self.do("energyctl point get storage.soc").returncode == 0
        )

    def end(self) -> None:
        """Ctrl-C for everything, the last first."""
        for process in reversed(self.background):
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


@pytest.fixture
def hour(tmp_path):
    living = Hour(tmp_path)
    yield living
    for process in living.background:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_page_has_a_red_and_a_green_end():
    shown = [line for _, lines in steps() for line in lines]
    assert "[1/1] failed" in shown and "[1/1] passed" in shown and set(FILES) == {"depot.yaml", "evening.yaml"}


def test_every_command_of_the_page_does_what_it_says(hour):
    for name, body in FILES.items():
        (hour.folder / name).write_text(body)
    for command, lines in steps():
        if command.endswith("&"):
            hour.start(command)
            continue
        done = hour.do(command)
        for line in lines:
            assert line in done.stdout, f"{command}: the page shows '{line}', it printed\n{done.stdout}{done.stderr}"
        expected = 1 if any("failed" in line for line in lines) else 0
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"
    hour.end()
