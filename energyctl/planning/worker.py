"""The planner's own process: a solver that hangs, leaks or is killed costs one plan, never a cycle.

Parent and child talk in pickles over a pipe: PlanRequest down, Plan or the words of a PlanError back. The child imports
the planner (and with it SciPy) only here. When no answer comes in time, or the child dies, the parent gets a PlanError, and
the next request starts a new child.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from energyctl.config.plugins import load_planner
from energyctl.core.errors import PlanError
from energyctl.core.plan import Plan
from energyctl.core.planner import PlanRequest

from .sound import sound


def serve(pipe: Connection, planner_name: str) -> None:
    """Answer requests until the parent closes the pipe or is gone; runs in the child, where SIGINT is blocked."""
    planner = load_planner(planner_name)
    with suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            request = pipe.recv()
            try:
                answer: Plan | str = sound(planner.plan(request))
            except PlanError as error:
                answer = str(error)
            except Exception as error:  # noqa: BLE001 - a planner is a plug-in: whatever it raises costs this plan only
                answer = f"the planner failed: {type(error).__name__}: {error}"
            pipe.send(answer)


class PlannerProcess:
    """Owns the child. One request at a time."""

    def __init__(self, planner_name: str, timeout_s: float = 60.0) -> None:
        self._name = planner_name
        self._timeout_s = timeout_s
        self._pipe: Connection | None = None
        self._child: multiprocessing.process.BaseProcess | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start the child and wait until its planner is loaded. Raises PlanError when it cannot be."""
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._child = context.Process(target=serve, args=(other, self._name), name="energyctl-planner", daemon=True)
        # Ctrl-C in a terminal reaches the child too, and while it still imports it could not ignore it. The tracker is
        # started first, because starting it unblocks signals again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._child.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        other.close()
        await self._receive("did not start")

    async def plan(self, request: PlanRequest) -> Plan:
        """A plan from the child. Raises PlanError with the planner's words, or saying that it died or hung."""
        if self._child is None or not self._child.is_alive():
            self.restarts += self._child is not None
            self.kill()
            await self.start()
        assert self._pipe is not None
        await self._send(request)
        answer = await self._receive("did not answer")
        if isinstance(answer, Plan):
            return answer
        raise PlanError(str(answer))

    async def _send(self, request: PlanRequest) -> None:
        """Sent by a thread: weeks of history do not fit into a pipe, and a child that does not read must block nobody."""
        assert self._pipe is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.get_running_loop().run_in_executor(None, self._pipe.send, request)
        except TimeoutError as error:
            self.kill()
            raise PlanError(
                f"the planner did not take the request within {self._timeout_s:g} s and was stopped"
            ) from error
        except OSError as error:
            self.kill()
            raise PlanError("the planner process died") from error

    async def _receive(self, complaint: str) -> object:
        assert self._pipe is not None
        loop, descriptor, readable = asyncio.get_running_loop(), self._pipe.fileno(), asyncio.Event()
        loop.add_reader(descriptor, readable.set)
        try:
            await asyncio.wait_for(readable.wait(), self._timeout_s)
        except TimeoutError:
            readable.clear()
        finally:
            loop.remove_reader(descriptor)
        if not readable.is_set():
            self.kill()
            raise PlanError(f"the planner {complaint} within {self._timeout_s:g} s and was stopped")
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            self.kill()
            raise PlanError("the planner process died") from error

    def kill(self) -> None:
        """End the child at once; nothing of it is worth keeping."""
        if self._child is not None and self._child.is_alive():
            self._child.kill()
            self._child.join(5)
        if self._pipe is not None:
            self._pipe.close()
        self._child = self._pipe = None
