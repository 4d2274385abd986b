"""The webhook against real HTTP servers that are well, slow, refuse, answer errors, redirect or dribble."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from energyctl.config.site import Webhook
from energyctl.control.alarms import Alarm, Alarms
from energyctl.core.clock import LiveClock
from energyctl.core.severity import Severity
from energyctl.daemon.webhook import MOST_WAITING, WebhookSender

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ALARM = Alarm("meter-lost", "meter.power", "no good value", NOW)


class Server:
    """Answers with what `answers` says, in turn, then 200; remembers every request."""

    def __init__(self, port=0):
        self.answers, self.slow_s, self.got = [], 0.0, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.headers, body))
                time.sleep(outer.slow_s)
                status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def messages(self):
        return [json.loads(body) for _, body in self.got]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


class Sending:
    """A sender that runs."""

    def __init__(self, url, waits_s=(0.05, 0.1), timeout_s=0.5, **hook):
        self.alarms = Alarms()
        self.sender = WebhookSender(Webhook(url, **hook), "depot", self.alarms, LiveClock(), waits_s, timeout_s)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.sender.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def until(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.sender.sent, self.sender.lost, self.alarms.standing)
            await asyncio.sleep(0.01)

    @property
    def failing(self):
        return [alarm.text for alarm in self.alarms.standing if alarm.name == "webhook-failing"]


async def test_a_message_says_what_happened_what_it_means_and_is_signed(server):
    async with Sending(server.url, secret="k3y") as sending:
        sending.sender.announce("raised", ALARM)
        await sending.until(lambda: sending.sender.sent == 1)
    headers, body = server.got[0]
    message = json.loads(body)
    assert (message["site"], message["event"], message["alarm"]["name"]) == ("depot", "raised", "meter-lost")
    assert message["alarm"]["severity"] == "critical" and message["meaning"] and message["what_to_do"]
    assert headers["X-Energyctl-Signature"] == "sha256=" + hmac.new(b"k3y", body, hashlib.sha256).hexdigest()
    assert headers["Content-Type"] == "application/json" and b"k3y" not in body


async def test_without_a_secret_nothing_is_signed(server):
    async with Sending(server.url) as sending:
        sending.sender.announce("raised", ALARM)
        await sending.until(lambda: sending.sender.sent == 1)
    assert server.got[0][0]["X-Energyctl-Signature"] is None


async def test_errors_are_tried_again_in_order_with_the_same_id_and_alarmed_meanwhile(server):
    server.answers = [500, 503]
    async with Sending(server.url, waits_s=(0.2, 0.2)) as sending:
        sending.sender.announce("raised", ALARM)
        sending.sender.announce("cleared", ALARM)
        await sending.until(lambda: sending.failing)
        assert "it answers 500" in sending.failing[0] and "2 messages wait" in sending.failing[0]
        await sending.until(lambda: sending.sender.sent == 2)
        assert not sending.failing
    assert [m["event"] for m in server.messages] == ["raised", "raised", "raised", "cleared"]
    assert len({m["id"] for m in server.messages}) == 2


async def test_a_server_that_refuses_is_given_up_after_the_last_try_and_counted():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with Sending(url) as sending:
            sending.sender.announce("raised", ALARM)
            await sending.until(lambda: sending.sender.lost == 1)
            assert "cannot be reached" in sending.failing[0] and "1 were given up" in sending.failing[0]


@pytest.mark.parametrize("status", [400, 401, 404, 302, 307])
async def test_what_will_never_be_taken_is_not_tried_again(server, status):
    server.answers = [status]
    async with Sending(server.url) as sending:
        sending.sender.announce("raised", ALARM)
        await sending.until(lambda: sending.sender.lost == 1)
        await asyncio.sleep(0.2)
    assert len(server.got) == 1


async def test_a_slow_server_holds_up_nothing_but_its_own_queue(server):
    server.slow_s = 1.0
    async with Sending(server.url, waits_s=()) as sending:
        begun = time.monotonic()
        for _ in range(MOST_WAITING + 10):
            sending.sender.announce("raised", ALARM)
        assert time.monotonic() - begun < 0.5
        late = []
        for _ in range(20):
            at = time.monotonic()
            await asyncio.sleep(0.05)
            late.append(time.monotonic() - at - 0.05)
        assert max(late) < 0.2
        await sending.until(lambda: sending.failing)
        assert sending.sender.lost >= 10


async def test_a_server_that_dribbles_for_ever_is_not_waited_for():
    stop = threading.Event()

    def dribble(listener):
        while not stop.is_set():
            connection, _ = listener.accept()
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(connection):
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.is_set():
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=dribble, args=(listener,), daemon=True).start()
        async with Sending(f"http://127.0.0.1:{listener.getsockname()[1]}/", (0.01,) * 5, 0.1) as sending:
            sending.sender.announce("raised", ALARM)
            await sending.until(lambda: sending.sender.lost == 1)
            assert sum(thread.name == "webhook" for thread in threading.enumerate()) <= 4
        stop.set()


@pytest.mark.parametrize(("least", "told"), [(Severity.INFO, 2), (Severity.WARNING, 1), (Severity.CRITICAL, 1)])
async def test_lesser_alarms_are_not_sent_nor_is_its_own(server, least, told):
    async with Sending(server.url, min_severity=least) as sending:
        for name in ("webhook-failing", "overridden", "meter-lost"):
            sending.sender.announce("raised", Alarm(name, "x", "t", NOW))
        await sending.until(lambda: sending.sender.sent == told)
        await asyncio.sleep(0.05)
    assert len(server.got) == told


async def test_what_is_left_at_the_end_is_tried_once_more(server):
    server.answers = [500]
    async with Sending(server.url, waits_s=(60.0,)) as sending:
        sending.sender.announce("raised", ALARM)
        sending.sender.announce("cleared", ALARM)
        await sending.until(lambda: sending.failing)
    await sending.sender.close(2.0)
    assert [m["event"] for m in server.messages] == ["raised", "raised", "cleared"]
