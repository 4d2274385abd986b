"""Tells a web server of alarms: a JSON POST when one is raised, cleared or acknowledged.

It never delays a cycle: what is to be told is put into a queue, and a task of its own sends it from a thread, in order. A
message is tried again, after waits that double, when the server cannot be reached, is too slow or answers 408, 429 or 5xx;
any other answer but 2xx gives it up at once, as does the last try. A full queue gives up its oldest. What was given up is
counted, and while deliveries fail the alarm "webhook-failing" stands (which itself is never sent: it would only add to
the queue).

A message has an `id` that stays the same however often it is sent, so that a receiver can drop one that it has. With a secret
it carries the header X-Energyctl-Signature: "sha256=" and the HMAC-SHA256 of the body in hex.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from energyctl.config.site import Webhook
from energyctl.control.alarm_kinds import kind_of
from energyctl.control.alarms import Alarm, Alarms
from energyctl.core.clock import Clock

log = logging.getLogger(__name__)

FAILING = "webhook-failing"
TIMEOUT_S = 10.0
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0)
"""Between the tries of one message; after the last it is given up."""
MOST_WAITING = 500
MOST_THREADS = 4
LAST_S = 2.0
"""For what is left when the daemon ends [s]."""
AGAIN = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that did not deliver: what happened, and whether it makes sense to try again."""

    why: str
    again: bool


class _NoRedirect(HTTPRedirectHandler):
    """A POST that is sent elsewhere would become a GET, and its body would be lost."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def signature(secret: str, body: bytes) -> str:
    """What X-Energyctl-Signature says of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(hook: Webhook, body: bytes, timeout_s: float = TIMEOUT_S) -> Failed | None:
    """Send a body and wait for the answer, at most `timeout_s` for each of its parts; None when it was taken."""
    headers = {"Content-Type": "application/json", "User-Agent": "energyctl"}
    if hook.secret is not None:
        headers["X-Energyctl-Signature"] = signature(hook.secret, body)
    try:
        request = Request(hook.url, body, headers, method="POST")
        with build_opener(_NoRedirect).open(request, timeout=timeout_s):
            return None
    except HTTPError as error:
        error.close()
        return Failed(f"it answers {error.code} {error.reason}", error.code >= 500 or error.code in AGAIN)
    except (OSError, HTTPException, ValueError) as error:
        return Failed(f"it cannot be reached: {getattr(error, 'reason', None) or error or type(error).__name__}", True)


class WebhookSender:
    """Sends what `announce` is told. `lost` counts messages given up, `sent` those taken."""

    def __init__(
        self,
        hook: Webhook,
        site_id: str,
        alarms: Alarms,
        clock: Clock,
        waits_s: Sequence[float] = WAITS_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._hook, self._site_id, self._alarms, self._clock = hook, site_id, alarms, clock
        self._waits_s, self._timeout_s = waits_s, timeout_s
        self._waiting: deque[bytes] = deque()
        self._now: bytes | None = None
        self._threads: list[threading.Thread] = []
        self._more = asyncio.Event()
        self.sent = 0
        self.lost = 0

    def announce(self, what: str, alarm: Alarm) -> None:
        """Something has happened to an alarm; returns at once."""
        if alarm.name == FAILING or alarm.severity.level < self._hook.min_severity.level:
            return
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(self._message(what, alarm))
        self._more.set()

    async def run(self) -> None:
        """Send whatever comes, for ever."""
        while True:
            while not self._waiting:
                self._more.clear()
                await self._more.wait()
            self._now = self._waiting.popleft()
            await self._deliver(self._now)
            self._now = None

    async def close(self, within_s: float = LAST_S) -> None:
        """Once `run` has ended: try what is left once more, for at most so long."""
        if self._now is not None:
            self._waiting.appendleft(self._now)
        try:
            async with asyncio.timeout(within_s):
                while self._waiting and await self._try(self._waiting[0]) is None:
                    self._waiting.popleft()
                    self.sent += 1
        except TimeoutError:
            pass
        if self._waiting:
            log.warning("webhook: %d messages were not delivered before the end", len(self._waiting))

    async def _deliver(self, body: bytes) -> None:
        for wait_s in (*self._waits_s, None):
            failed = await self._try(body)
            if failed is None:
                self.sent += 1
                self._alarms.clear(FAILING, "webhook", self._clock.now())
                return
            gives_up = wait_s is None or not failed.again
            self._tell(failed.why, gives_up)
            if wait_s is None or not failed.again:
                return
            await asyncio.sleep(wait_s)

    async def _try(self, body: bytes) -> Failed | None:
        """One try, on a thread that nobody waits for longer than makes sense: a server may dribble for ever."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST_THREADS:
            return Failed("it has not ended its earlier answers", True)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Failed | None] = loop.create_future()

        def settle(failed: Failed | None) -> None:
            if not answer.done():
                answer.set_result(failed)

        def work() -> None:
            failed = post(self._hook, body, self._timeout_s)
            with suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(settle, failed)

        self._threads.append(threading.Thread(target=work, name="webhook", daemon=True))
        self._threads[-1].start()
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                return await answer
        except TimeoutError:
            return Failed(f"it has not answered within {2 * self._timeout_s:g} s", True)

    def _tell(self, why: str, gives_up: bool) -> None:
        self.lost += gives_up
        text = f"{why}; {len(self._waiting) + (not gives_up)} messages wait, {self.lost} were given up"
        log.warning("webhook: %s", text)
        self._alarms.raise_(FAILING, "webhook", text, self._clock.now())

    def _message(self, what: str, alarm: Alarm) -> bytes:
        kind = kind_of(alarm.name)
        message = {
            "id": str(uuid.uuid4()),
            "time": self._clock.now().isoformat(),
            "site": self._site_id,
            "event": what,
            "alarm": alarm.as_json(),
            "meaning": kind.meaning,
            "what_to_do": kind.what_to_do,
        }
        return json.dumps(message).encode()
