"""Our own bad line: a TCP or UDP proxy that delays, loses, doubles, reorders, swallows and cuts, as it is told.

Any device can stand behind one, simulated or real. `TcpProxy` and `UdpProxy` are `async with`; what they do to the traffic
is in `.impair`, changed at any time; what they did is in `.counts`. `python -m hil.proxy --help` is the same as a command.
"""

from __future__ import annotations

from typing import Literal, Protocol

from .framing import Framing
from .impair import Counts, Direction, Impairment, Tally
from .tcp import TcpProxy
from .udp import UdpProxy


class Line(Protocol):
    """A proxy in front of a server, as faults see it."""

    @property
    def transport(self) -> Literal["tcp", "udp", "serial"]:
        """`half_open`, `refuse` and `reset` of connections mean something on TCP only."""
        ...

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where clients reach it; of a serial line its path, and 0."""
        ...

    @property
    def target(self) -> tuple[str, int]:
        """Host and port of what is behind it."""
        ...

    @property
    def impair(self) -> Impairment:
        """What is wrong with the line now; set its fields."""
        ...

    @property
    def counts(self) -> Counts:
        """What it has done so far."""
        ...

    async def reset(self) -> None:
        """End all connections with an RST on both sides (UDP: forget all clients); what is under way is dropped."""
        ...

    def retarget(self, host: str, port: int) -> None:
        """Whoever connects from now on reaches another server; `reset` as well when those connected shall notice."""
        ...


__all__ = ["Counts", "Direction", "Framing", "Impairment", "Line", "Tally", "TcpProxy", "UdpProxy"]
