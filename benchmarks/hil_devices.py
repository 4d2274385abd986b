"""What many simulated devices cost: `python benchmarks/hil_devices.py [--quick]`.

For each protocol a site file with 200 devices (--quick: 20) is written and run by `python -m hil.process`, live: the world
moves once a second. Start: from the start of the process until it says that all devices answer. Idle: CPU of the process
while nobody asks, as a share of one core, and resident memory (VmRSS), with what the process has with one device beside it.
Then clients in a process of their own ask for one value at a time, a few at once, each of another device: Modbus and BACnet
with requests put together by hand, OPC UA with asyncua. Replies per second depend on what else this machine does, and on the
client; CPU per reply is that of the simulator alone. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
DEVICES, QUICK_DEVICES = 200, 20
PER_LINK = 20
"""Devices behind one Modbus gateway, one OPC UA server."""
AT_ONCE = 8
"""Requests under way at a time."""
SETTLE_S, IDLE_S, ASK_S = 3.0, 15.0, 8.0
PROFILES = {"modbus": "eastron/sdm630@1", "bacnet": "generic/heat-pump-2zone@1", "opcua": "generic/ev-charger@1"}
NAMES = {"modbus": "Modbus TCP", "bacnet": "BACnet/IP", "opcua": "OPC UA"}
NAMESPACE, NODE = "urn:energyctl:building", "Charger.Power"


@dataclass(frozen=True)
class Row:
    """The figures of one protocol; CPU shares are of one core."""

    protocol: str
    devices: int
    start_s: float
    idle_cpu: float
    rss_mb: float
    rss_mb_one_device: float
    kb_per_device: float
    replies_per_s: float
    cpu_us_per_reply: float
    client_cpu: float
    """Share of a core that the client took while it asked: near 1 it was the client that was too slow."""


@dataclass(frozen=True)
class Used:
    """What a process has used so far."""

    at_s: float
    cpu_s: float
    rss_mb: float


def link(protocol: str, number: int) -> dict[str, Any]:
    return {
        "modbus": {"modbus": "tcp", "host": "127.0.0.1", "port": 15000 + number},
        "bacnet": {"bacnet": "ip", "host": "127.0.0.1", "port": 47900 + number},
        "opcua": {"opcua": "tcp", "url": f"opc.tcp://127.0.0.1:{48500 + number}"},
    }[protocol]


def device(protocol: str, number: int) -> dict[str, Any]:
    place = number % PER_LINK
    own: dict[str, Any] = {
        "modbus": {"unit": place + 1},
        "bacnet": {"device": number + 1},
        "opcua": {"prefix": f"D{place}."},
    }[protocol]
    return {"profile": PROFILES[protocol], "via": f"link{number // PER_LINK}", **own}


def site(folder: Path, protocol: str, count: int) -> Path:
    """A site with nothing but `count` devices of a protocol."""
    data = {
        "site": {
            "id": f"many-{protocol}",
            "name": f"{count} devices",
            "timezone": "Europe/Athens",
            "latitude": 39.64,
            "longitude": 22.42,
        },
        "connections": {f"link{number}": link(protocol, number) for number in range(-(-count // PER_LINK))},
        "devices": {f"d{number}": device(protocol, number) for number in range(count)},
        "grid": {"meter": "d0.power", "import_limit": "100 kW", "export_limit": "100 kW"},
        "resources": {"base": {"kind": "base-load"}},
        "tariff": {"kind": "flat", "import_price": "0.2 EUR/kWh"},
    }
    path = folder / f"{protocol}-{count}.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return path


@contextmanager
def simulator(path: Path, out: Path) -> Iterator[tuple[int, Mapping[str, str], float]]:
    """A running simulation: its process, where its devices answer, and what it took to start [s]."""
    command = [sys.executable, "-m", "hil.process", str(path), "--out", str(out)]
    begun = time.monotonic()
    with subprocess.Popen(command, text=True, cwd=ROOT, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            told = child.stdout.readline()
            if not told:
                sys.exit(f"the simulation of {path} did not start")
            yield child.pid, json.loads(told)["endpoints"], time.monotonic() - begun
        finally:
            child.send_signal(signal.SIGINT)


def used(pid: int) -> Used:
    """CPU and memory of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    rss_kb = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    return Used(time.monotonic(), (int(fields[11]) + int(fields[12])) * TICK_S, rss_kb / 1024)


def measure(protocol: str, count: int, folder: Path, quick: bool) -> Row:
    shorter = 0.25 if quick else 1.0
    with simulator(site(folder, protocol, 1), folder / f"{protocol}-one") as (pid, _, _):
        time.sleep(SETTLE_S)
        alone = used(pid)
    with simulator(site(folder, protocol, count), folder / protocol) as (pid, places, start_s):
        time.sleep(SETTLE_S)
        idle = used(pid)
        time.sleep(IDLE_S * shorter)
        before = used(pid)
        asked = ask(protocol, list(places.values()), ASK_S * shorter)
        after = used(pid)
    idle_cpu = (before.cpu_s - idle.cpu_s) / (before.at_s - idle.at_s)
    busy_s = after.cpu_s - before.cpu_s - idle_cpu * (after.at_s - before.at_s)
    return Row(
        protocol=NAMES[protocol],
        devices=count,
        start_s=round(start_s, 2),
        idle_cpu=round(idle_cpu, 4),
        rss_mb=round(before.rss_mb, 1),
        rss_mb_one_device=round(alone.rss_mb, 1),
        kb_per_device=round(1024 * (before.rss_mb - alone.rss_mb) / max(1, count - 1)),
        replies_per_s=round(asked["replies"] / asked["seconds"]),
        cpu_us_per_reply=round(1e6 * busy_s / asked["replies"]),
        client_cpu=round(asked["cpu_s"] / asked["seconds"], 2),
    )


def ask(protocol: str, places: Sequence[str], seconds: float) -> dict[str, float]:
    """Let the client ask; what it counted."""
    command = [sys.executable, __file__, "--client", protocol, str(seconds)]
    done = subprocess.run(command, text=True, input=json.dumps(places), stdout=subprocess.PIPE, check=True)
    asked: dict[str, float] = json.loads(done.stdout)
    return asked


def client(protocol: str, seconds: float, places: Sequence[str]) -> dict[str, float]:
    """Ask for `seconds`; every reply is looked at."""
    if protocol == "opcua":
        return asyncio.run(opcua(seconds, places))
    return {"modbus": modbus, "bacnet": bacnet}[protocol](seconds, places)


def counted(replies: int, begun: float, cpu_s: float) -> dict[str, float]:
    return {"replies": replies, "seconds": time.monotonic() - begun, "cpu_s": time.process_time() - cpu_s}


def modbus(seconds: float, places: Sequence[str]) -> dict[str, float]:
    """Input registers 52 and 53, the meter's power, of each unit; places are "modbus HOST:PORT unit N"."""
    by_port: dict[tuple[str, int], list[int]] = {}
    for place in places:
        _, address, _, unit = place.split()
        host, _, port = address.rpartition(":")
        by_port.setdefault((host, int(port)), []).append(int(unit))
    gateways = [(socket.create_connection(address), units) for address, units in by_port.items()]
    for sock, _ in gateways:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    replies, begun, cpu_s, turn = 0, time.monotonic(), time.process_time(), 0
    while time.monotonic() - begun < seconds:
        asked = [gateways[(turn + step) % len(gateways)] for step in range(min(AT_ONCE, len(gateways)))]
        for sock, units in asked:
            sock.sendall(struct.pack(">HHHBBHH", turn & 0xFFFF, 0, 6, units[turn % len(units)], 4, 52, 2))
        for sock, _ in asked:
            answer = sock.recv(260)
            assert len(answer) == 13 and answer[7] == 4, answer
        replies, turn = replies + len(asked), turn + 1
    return counted(replies, begun, cpu_s)


def bacnet(seconds: float, places: Sequence[str]) -> dict[str, float]:
    """ReadProperty of analog-input 5, present-value, of each device; places are "bacnet HOST:PORT device N"."""
    addresses = []
    for place in places:
        host, _, port = place.split()[1].rpartition(":")
        addresses.append((host, int(port)))
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(2.0)
    replies, begun, cpu_s, turn = 0, time.monotonic(), time.process_time(), 0
    while time.monotonic() - begun < seconds:
        for step in range(AT_ONCE):
            invoke = (turn + step) & 0xFF
            apdu = bytes([0x00, 0x05, invoke, 0x0C, 0x0C]) + struct.pack(">I", 5) + b"\x19\x55"
            npdu = b"\x01\x04" + apdu
            sock.sendto(
                b"\x81\x0a" + struct.pack(">H", 4 + len(npdu)) + npdu, addresses[(turn + step) % len(addresses)]
            )
        for _ in range(AT_ONCE):
            answer = sock.recv(1500)
            assert answer[6] == 0x30, answer
        replies, turn = replies + AT_ONCE, turn + AT_ONCE
    return counted(replies, begun, cpu_s)


async def opcua(seconds: float, places: Sequence[str]) -> dict[str, float]:
    """One value per read, of each device in turn; places are "opcua URL"."""
    from asyncua import Client

    urls = [place.split()[1] for place in places]
    clients = [Client(url, timeout=10) for url in dict.fromkeys(urls)][:AT_ONCE]
    for it in clients:
        it.session_timeout = 600_000  # as long as the server grants; asking for more makes asyncua print
        await it.connect()
    deadline, replies = float("inf"), 0

    async def one(it: Client) -> None:
        nonlocal replies
        space = await it.get_namespace_index(NAMESPACE)
        count = urls.count(it.server_url.geturl())
        nodes = [it.get_node(f"ns={space};s=D{number}.{NODE}") for number in range(count)]
        turn = 0
        while time.monotonic() < deadline:
            assert isinstance(await nodes[turn % count].read_value(), float)
            replies, turn = replies + 1, turn + 1

    begun, cpu_s = time.monotonic(), time.process_time()
    deadline = begun + seconds
    await asyncio.gather(*(one(it) for it in clients))
    figures = counted(replies, begun, cpu_s)
    for it in clients:
        await it.disconnect()
    return figures


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    count = QUICK_DEVICES if quick else DEVICES
    with tempfile.TemporaryDirectory(prefix="energyctl-bench-") as name:
        rows = [measure(protocol, count, Path(name), quick) for protocol in PROFILES]
    print(f"{count} devices each, {PER_LINK} behind a connection; load average {os.getloadavg()[0]:.1f}\n")
    print("              start   idle CPU  resident   with one  per device  replies   CPU per  client's")
    print("                  s  of a core        MB  device MB          kB      /s  reply us  CPU share")
    for row in rows:
        print(
            f"{row.protocol:12s} {row.start_s:6.2f} {row.idle_cpu:10.1%} {row.rss_mb:9.1f} {row.rss_mb_one_device:10.1f}"
            f" {row.kb_per_device:11.0f} {row.replies_per_s:7.0f} {row.cpu_us_per_reply:9.0f} {row.client_cpu:10.0%}"
        )
    print(json.dumps({"load_average": round(os.getloadavg()[0], 2), "protocols": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        print(json.dumps(client(sys.argv[2], float(sys.argv[3]), json.load(sys.stdin))))
    else:
        main()
