"""What is on a leash ends with whoever holds it, and with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLEEPER = "import time; time.sleep(600)"
PARENT = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); print(c.pid, flush=True); c.wait()"


def leashed(code: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hil.leash", sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("code", "expected"), [("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_the_exit_code_is_the_commands(code, expected):
    held = leashed(code)
    assert held.wait(20) == expected
    held.communicate()


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "its holder is killed"])
def test_it_ends_with_all_that_it_started(how):
    if how == "its holder is killed":
        holder = f"import subprocess, sys; subprocess.run([sys.executable, '-m', 'hil.leash', sys.executable, '-c', {PARENT!r}], stdin=subprocess.PIPE)"
        holder = holder.replace("subprocess.run", "subprocess.Popen") + ".wait()"
        held = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE)
    else:
        held = leashed(PARENT)
    assert held.stdout is not None
    grandchild = int(held.stdout.readline())
    assert runs(grandchild)
    if how == "end of input":
        assert held.stdin is not None
        held.stdin.close()
    else:
        held.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGKILL)
    held.wait(20)
    deadline = time.monotonic() + 10
    while runs(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(grandchild)


def test_a_command_that_ignores_the_wish_is_killed(monkeypatch):
    from hil import leash

    monkeypatch.setattr(leash, "GRACE_S", 0.3)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()
    assert leash._end(child) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
