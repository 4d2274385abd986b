"""The supervising parent without a daemon: how long it waits, and after which ends it hands back."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from energyctl.daemon import supervise
from energyctl.daemon.notify import patience


def test_cycles_slower_than_5_s_ask_for_patience():
    assert [patience(s) for s in (1.0, 5.0, 30.0, 60.0)] == [
        [],
        [],
        ["WATCHDOG_USEC=75000000"],
        ["WATCHDOG_USEC=150000000"],
    ]


def child(said: list[str], then: str) -> str:
    """A stand-in for the daemon: says something, then does something."""
    return (
        "import os, socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        f"for line in {said!r}: s.sendto(line.encode(), os.environ['NOTIFY_SOCKET'])\n{then}"
    )


def watched(tmp_path, said, then):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen([sys.executable, "-c", child(said, then)], env=env) as process:
            return supervise._watch(process, listener)


@pytest.mark.parametrize(
    ("said", "silent"),
    [(["READY=1", "WATCHDOG=1"], 0.3), (["READY=1\nWATCHDOG_USEC=9000000", "WATCHDOG=1"], 0.0)],
    ids=["usual", "asked for more"],
)
def test_a_silent_child_is_killed_unless_it_asked_for_more_time(tmp_path, monkeypatch, said, silent):
    monkeypatch.setattr(supervise, "WATCHDOG_S", 0.3)
    assert watched(tmp_path, said, "time.sleep(1.5)") == silent


@pytest.mark.parametrize(("code", "handed_back"), [(0, False), (2, False), (1, True), (-9, True)])
def test_a_daemon_that_failed_is_handed_back_like_one_that_was_killed(monkeypatch, code, handed_back):
    ran = []

    class Child:
        returncode = code

        def poll(self):
            return code

    monkeypatch.setattr(supervise.subprocess, "Popen", lambda *args, **kwargs: Child())
    monkeypatch.setattr(supervise.subprocess, "run", lambda command, check: ran.append(command[2]))
    monkeypatch.setattr(supervise.signal, "signal", lambda *args: None)
    assert supervise.supervise(["site.yaml"]) == (70 if code < 0 else code)
    assert ran == (["energyctl.daemon.handback"] if handed_back else [])
