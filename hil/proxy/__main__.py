"""`python -m hil.proxy LISTEN TARGET`: a bad line in front of any device, until Ctrl-C.

Prints where it listens at the start and, last, one line of JSON with what it counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import get_args

from energyctl.core.errors import ConfigError
from energyctl.core.units import parse_quantity

from . import Direction, Framing, Impairment, TcpProxy, UdpProxy

CARRIES: dict[str, Framing | None] = {"modbus": "modbus", "opcua": "opcua", "tcp": "raw", "bacnet": None, "udp": None}
"""What the line carries, and where its units end; None is a datagram."""
EXAMPLE = """Example, a meter on the network that loses 5 % of its replies and is slow:
  python -m hil.proxy 127.0.0.1:1502 192.168.1.20:502 --carries modbus --delay 200ms --loss 5% --direction to_client
"""


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or PORT alone (this machine)."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no address; write HOST:PORT, such as 192.168.1.20:502")
    return host.strip("[]") or "127.0.0.1", int(port)


def seconds(text: str) -> float:
    """A time with its unit [s]."""
    return _quantity(text, "s")


def share(text: str) -> float:
    """A share such as "5%" (0..1)."""
    return _quantity(text, "1")


def _quantity(text: str, unit: str) -> float:
    try:
        return parse_quantity(text, unit)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': {error}") from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(
        "python -m hil.proxy",
        description=(__doc__ or "").partition("\n")[0],
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument("listen", type=address, help="where clients connect, HOST:PORT; port 0 takes a free one")
    it.add_argument("target", type=address, help="the device, HOST:PORT")
    it.add_argument("--carries", choices=CARRIES, default="tcp", help="the protocol; says what one unit is")
    for name, what in (
        ("delay", "every unit this much later"),
        ("jitter", "and up to this much more, evenly distributed; never reorders"),
        ("late-by", "how much later late replies come"),
        ("reorder-within", "a unit held back goes after this long without a next one (1 s)"),
    ):
        it.add_argument(f"--{name}", type=seconds, metavar="TIME", help=what)
    for name, what in (
        ("loss", "units that never arrive"),
        ("duplicate", "units that arrive twice"),
        ("reorder", "units that come behind the next one"),
        ("late", "replies that are late"),
    ):
        it.add_argument(f"--{name}", type=share, metavar="SHARE", help=what)
    it.add_argument("--rate", type=float, metavar="BYTES", help="bytes per second each way")
    it.add_argument("--blackhole", action="store_true", help="swallow everything")
    it.add_argument("--half-open", action="store_true", help="TCP: take connections and forward nothing")
    it.add_argument("--refuse", action="store_true", help="TCP: refuse connections")
    it.add_argument("--direction", choices=get_args(Direction), default="both", help="which way it is bad")
    it.add_argument("--seed", type=int, default=0, help="its luck; the same seed, the same luck")
    return it


FIELDS = {"delay": "delay_s", "jitter": "jitter_s", "late_by": "late_s", "reorder_within": "reorder_within_s"}


def settings(arguments: argparse.Namespace) -> Impairment:
    """What was asked for. Raises ConfigError."""
    asked = {FIELDS.get(name, name): value for name, value in vars(arguments).items() if value is not None}
    impair = Impairment()
    impair.set({name: value for name, value in asked.items() if name in Impairment.__dataclass_fields__})
    if arguments.late and not arguments.late_by:
        raise ConfigError("--late: late by how much? Add --late-by, such as --late-by 5s")
    return impair


def line(arguments: argparse.Namespace) -> TcpProxy | UdpProxy:
    """The proxy that was asked for. Raises ConfigError."""
    framing, impair = CARRIES[arguments.carries], settings(arguments)
    if framing is not None:
        return TcpProxy(arguments.target, *arguments.listen, framing=framing, impair=impair, seed=arguments.seed)
    if impair.half_open or impair.refuse:
        raise ConfigError(f"--half-open, --refuse: {arguments.carries} has no connections; use --blackhole")
    return UdpProxy(arguments.target, *arguments.listen, impair=impair, seed=arguments.seed)


async def run(proxy: TcpProxy | UdpProxy) -> None:
    """Serve until a signal, then print the counts."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with proxy:
        host, port = proxy.address
        print(
            f"listening on {host}:{port}, in front of {proxy.target[0]}:{proxy.target[1]}; Ctrl-C ends it", flush=True
        )
        await stop.wait()
    print(json.dumps(asdict(proxy.counts)), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    try:
        asyncio.run(run(line(arguments)))
    except ConfigError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.listen[0]}:{arguments.listen[1]}: {error.strerror}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
