"""The planner's process with planners that misbehave: each costs one plan and a clear message."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import pytest

from energyctl.core.errors import PlanError
from energyctl.planning import worker


class Sleeper:
    def plan(self, request):
        if request == "hang":
            time.sleep(60)
        if request == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if request == "refuse":
            raise PlanError("the import limit of 5 kW is below the base load of 9 kW")
        if request == "bug":
            raise ZeroDivisionError("division by zero")
        raise PlanError(f"got {request}")


def load(name: str) -> Sleeper:
    return Sleeper()


@pytest.fixture
async def process(monkeypatch):
    # the child is a fork here, so that it sees the stand-in planner
    monkeypatch.setattr(worker, "load_planner", load)
    monkeypatch.setattr(
        worker.multiprocessing, "get_context", lambda kind: __import__("multiprocessing").context.ForkContext()
    )
    process = worker.PlannerProcess("test", timeout_s=1.0)
    await process.start()
    yield process
    process.kill()


async def test_a_planner_that_does_not_read_blocks_nobody(process):
    os.kill(process._child.pid, signal.SIGSTOP)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.05)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(PlanError, match="did not take the request within 1 s and was stopped"):
        await process.plan("x" * 10_000_000)
    ticking.cancel()
    assert ticks >= 10
    with pytest.raises(PlanError, match="got hello"):
        await process.plan("hello")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("refuse", "the import limit of 5 kW is below the base load of 9 kW"),
        ("bug", "the planner failed: ZeroDivisionError: division by zero"),
        ("die", "the planner process died"),
        ("hang", "the planner did not answer within 1 s and was stopped"),
    ],
)
async def test_a_failure_has_words_and_the_next_request_works(process, request_, words):
    with pytest.raises(PlanError, match=words):
        await process.plan(request_)
    with pytest.raises(PlanError, match="got hello"):
        await process.plan("hello")


async def test_ctrl_c_in_a_terminal_does_not_reach_a_planner_that_still_imports():
    """The real start: a new interpreter that takes a while before it could ignore a signal by itself."""
    process = worker.PlannerProcess("scipy", timeout_s=30.0)
    starting = asyncio.create_task(process.start())
    while process._child is None or process._child.pid is None:
        await asyncio.sleep(0)
    while not starting.done():
        os.kill(process._child.pid, signal.SIGINT)
        await asyncio.sleep(0.01)
    await starting  # raises PlanError when the child has died
    process.kill()


async def test_a_planner_whose_parent_is_gone_ends_without_a_word():
    code = "import sys; from multiprocessing import Pipe; from energyctl.planning import worker\n" \
        "ours, theirs = Pipe(); ours.close(); worker.serve(theirs, 'scipy')"  # fmt: skip
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE)
    _, told = await asyncio.wait_for(child.communicate(), 20)
    assert (child.returncode, told) == (0, b"")
