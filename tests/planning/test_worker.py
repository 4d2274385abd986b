"""The planner's process with planners that misbehave: each costs one plan and a clear message."""

from __future__ import annotations

import os
import signal
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
