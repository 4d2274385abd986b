"""Whether the bad line is as bad as asked: `python benchmarks/proxy.py [--quick]`.

An echo server, `python -m hil.proxy` and this client are processes of their own; everything is measured here with this
process's clock, over UDP and over TCP with Modbus frames. Delays: median of round trips through the proxy minus the median of
those straight to the echo server, taken in turns, with nothing else taken off; so what the proxy itself takes counts against
it. Shares: units sent with a number each through a line that is bad on the way back, and what came. They are luck, so with
each stands how far off chance alone puts 99 of 100 measurements; without --quick enough units are sent to make that 2 %.
Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

ROOT = Path(__file__).parent.parent
AIM = 0.02
NORMAL_99 = 2.576
SHARE = 0.05
QUICK_UNITS = 20_000
AT_ONCE = 48
"""Datagrams sent before the echo server is asked whether it has them; the socket buffers hold several times as many."""
WINDOW = 1 << 14
"""Bytes sent over TCP that have not come back; more would only lie in front of the proxy."""
GIVE_UP_S = 10.0
QUIET_S = 1.5
"""Longer than a proxy holds a unit back."""
DELAYS_MS = {10: 400, 50: 120, 200: 40, 1000: 10}
"""Round trips per delay."""
Transport = Literal["udp", "tcp"]
Address = tuple[str, int]

ECHO = """
import select, socket
udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))
udp.bind(("127.0.0.1", 0))
print(udp.getsockname()[1], tcp.getsockname()[1], flush=True)
open_, heard = [udp, tcp], 0
while True:
    for sock in select.select(open_, [], [])[0]:
        if sock is udp:
            data, address = udp.recvfrom(2048)
            heard += data != b"?"
            udp.sendto(data if data != b"?" else b"%d" % heard, address)
        elif sock is tcp:
            open_.append(tcp.accept()[0])
            open_[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            if data:
                sock.sendall(data)
            else:
                open_.remove(sock)
                sock.close()
"""


@dataclass(frozen=True)
class Row:
    """One figure: what was asked for, what came, by how much it is off, and how far off chance may put it (shares)."""

    transport: Transport
    what: str
    asked: float
    measured: float
    off: float | None
    """Relative to what was asked."""
    chance: float
    units: int
    own_count: int | None = None
    """What the proxy says it did, for shares."""


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended at the end; its output is read by the caller."""
    with subprocess.Popen(command, text=True, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


@contextmanager
def echo() -> Iterator[dict[Transport, Address]]:
    with child(sys.executable, "-c", ECHO) as process:
        assert process.stdout is not None
        udp, tcp = map(int, process.stdout.readline().split())
        yield {"udp": ("127.0.0.1", udp), "tcp": ("127.0.0.1", tcp)}


class Line:
    """A proxy in front of the echo server; its counts once it has ended."""

    def __init__(self, transport: Transport, target: Address, *options: str) -> None:
        carries = {"udp": "udp", "tcp": "modbus"}[transport]
        command = [sys.executable, "-m", "hil.proxy", "0", f"{target[0]}:{target[1]}", "--carries", carries, *options]
        self._process = subprocess.Popen(command, text=True, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        host, _, port = self._process.stdout.readline().split()[2].rstrip(",").rpartition(":")
        self.address = (host, int(port))

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end()

    def end(self) -> dict[str, Any]:
        self._process.terminate()
        out, _ = self._process.communicate()
        counts: dict[str, Any] = json.loads(out)
        return counts


def connect(transport: Transport, address: Address) -> socket.socket:
    sock = socket.socket(type={"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[transport])
    sock.connect(address)
    if transport == "tcp":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def frame(number: int) -> bytes:
    """A Modbus frame with a number to know it by."""
    return b"\0\0\0\0\0\x06\x01\x03" + number.to_bytes(4, "big")


def round_trip_s(sock: socket.socket) -> float:
    begun = time.monotonic()
    sock.sendall(frame(1))
    sock.recv(2048)
    return time.monotonic() - begun


def delays(transport: Transport, far: Address, quick: bool) -> Iterator[Row]:
    """Each delay on the way back, one with jitter, and the line without any."""
    rounds = [(0, 0, 400), *((delay, 0, count) for delay, count in DELAYS_MS.items()), (50, 40, 400)]
    for delay_ms, jitter_ms, count in rounds:
        count = max(count // 4, 5) if quick else count
        options = ["--delay", f"{delay_ms}ms", "--jitter", f"{jitter_ms}ms", "--direction", "to_client"]
        with Line(transport, far, *options) as line:
            bad, good = connect(transport, line.address), connect(transport, far)
            round_trip_s(bad)
            pairs = [(round_trip_s(bad), round_trip_s(good)) for _ in range(count)]
        came_s = median(one for one, _ in pairs) - median(other for _, other in pairs)
        asked_s = (delay_ms + jitter_ms / 2) / 1000
        off = came_s / asked_s - 1 if asked_s else None
        chance = jitter_chance(jitter_ms / 1000, count) / asked_s if asked_s else 0.0
        what = f"delay {delay_ms} ms" + (f" + jitter {jitter_ms} ms" if jitter_ms else "")
        yield Row(transport, what if asked_s else "nothing", asked_s, round(came_s, 6), off, chance, count)


def jitter_chance(jitter_s: float, count: int) -> float:
    """How far chance puts the median of `count` even draws from its middle [s]: its standard error is range / (2 sqrt n)."""
    return NORMAL_99 * jitter_s / (2 * count**0.5)


def arrivals(transport: Transport, address: Address, far: Address, count: int) -> list[int]:
    """The numbers of the units that came back, in order; all are sent as fast as they come."""
    sock = connect(transport, address)
    sock.setblocking(False)
    return datagrams(sock, connect("udp", far), count) if transport == "udp" else stream(sock, count)


def datagrams(sock: socket.socket, direct: socket.socket, count: int) -> list[int]:
    """A few at a time, so that no buffer on the way overflows: nothing but the proxy shall lose any."""
    came: list[int] = []
    before = heard(direct)
    for start in range(0, count, AT_ONCE):
        upto = min(start + AT_ONCE, count)
        for number in range(start, upto):
            sock.send(frame(number))
        sent_at = time.monotonic()
        while heard(direct) < before + upto:
            came += waiting(sock, 0.0)
            if time.monotonic() > sent_at + GIVE_UP_S:
                sys.exit("datagrams do not come to the echo server; is this machine too busy?")
    return came + waiting(sock, QUIET_S)


def heard(direct: socket.socket) -> int:
    """How many datagrams the echo server has had, asked past the proxy."""
    direct.send(b"?")
    return int(direct.recv(64))


def waiting(sock: socket.socket, patience_s: float) -> list[int]:
    """The numbers of the datagrams that came, until none comes for so long."""
    came = []
    while select.select([sock], [], [], patience_s)[0]:
        came.append(int.from_bytes(sock.recv(2048)[8:], "big"))
    return came


def stream(sock: socket.socket, count: int) -> list[int]:
    """Frames back to back; the window allows for twice the losses that were asked for, so that they do not close it."""
    unsent = b"".join(frame(number) for number in range(count))
    size, got, sent = len(frame(0)), bytearray(), 0
    while True:
        wanted = [sock] if sent < len(unsent) and sent * (1 - 2 * SHARE) - len(got) < WINDOW else []
        readable, writable, _ = select.select([sock], wanted, [], QUIET_S)
        if writable:
            sent += sock.send(unsent[sent : sent + 8192])
        if readable:
            got += sock.recv(65536)
        elif not writable:
            break
    return [int.from_bytes(got[start + 8 : start + size], "big") for start in range(0, len(got), size)]


def shares(transport: Transport, far: Address, quick: bool) -> Iterator[Row]:
    """Loss, duplicates and reordering, each on its own, and a good line to show that nothing else loses any."""
    count = QUICK_UNITS if quick else enough(SHARE)
    for what in ("good", "loss", "duplicate", "reorder"):
        bad = [f"--{what}", f"{SHARE:.0%}"] if what != "good" else []
        with Line(transport, far, *bad, "--direction", "to_client", "--seed", "20") as line:
            came = arrivals(transport, line.address, far, count)
            own = line.end()["to_client"]
        if own["seen"] != count:
            sys.exit(
                f"{transport} {what}: {count - own['seen']} units never came to the proxy; is this machine too busy?"
            )
        seen = share_of(what, came, count)
        asked = SHARE if bad else 0.0
        done = own[{"loss": "lost", "duplicate": "duplicated", "reorder": "reordered", "good": "lost"}[what]]
        off = seen / count / SHARE - 1 if bad else None
        yield Row(transport, what, asked, seen / count, off, chance(asked, count), count, done)


def share_of(what: str, came: list[int], count: int) -> int:
    """How many units had it: those that never came, came again, or came when a later one was there."""
    first = list(dict.fromkeys(came))
    if what == "duplicate":
        return len(came) - len(first)
    if what == "reorder":
        return passed(first)
    return count - len(first) + len(came) - len(first) + passed(first) if what == "good" else count - len(first)


def passed(numbers: list[int]) -> int:
    highest, found = -1, 0
    for number in numbers:
        found += number < highest
        highest = max(number, highest)
    return found


def enough(share: float) -> int:
    """Units for which chance puts 99 of 100 measured shares within the aim."""
    return round((NORMAL_99 / AIM) ** 2 * (1 - share) / share)


def chance(share: float, count: int) -> float:
    """Half the width of the 99 % interval of a measured share, relative to the share."""
    return NORMAL_99 * ((1 - share) / share / count) ** 0.5 if share else 0.0


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    with echo() as far:
        rows = [row for kind, place in far.items() for part in (delays, shares) for row in part(kind, place, quick)]
    print(f"aim: within {AIM:.0%}; load average {os.getloadavg()[0]:.1f}\n")
    print("                                  asked  measured       off  chance, 99 %    units  own count")
    for row in rows:
        unit = "ms" if row.what.startswith(("delay", "nothing")) else "%"
        scale = 1000 if unit == "ms" else 100
        print(
            f"{row.transport} {row.what:24s} {row.asked * scale:8.2f} {row.measured * scale:8.3f} {unit:2s}"
            f" {'' if row.off is None else f'{row.off:+.2%}':>7s} {row.chance:10.2%} {row.units:11d}"
            f" {'' if row.own_count is None else row.own_count:>10}"
        )
    print(json.dumps({"aim": AIM, "load_average": round(os.getloadavg()[0], 2), "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
