"""Our node on a BACnet/IP network: sends a confirmed request, gives back its answer, hands on notifications.

Below, bacpypes3 does the network layer (routing), the BVLL and the UDP socket. Above, this is a client and nothing else: it
has no objects, so nobody on the network can read or write it. Answers are matched by address, invoke id and service; an
id comes round again after 256 requests to the same address, so that an answer that comes late finds nobody waiting.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from bacpypes3.comm import Client, bind
from bacpypes3.errors import CommuncationError
from bacpypes3.ipv4.link import NormalLinkLayer
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import PDU, Address, IPv4Address

from . import apdu

MAX_ANSWER = 5
"""Code for the 1476 bytes that fit one Ethernet frame (clause 20.1.2.5); longer answers would need segments."""


class Refusal(Exception):
    """The device understood the request and said no, or could not make sense of it; the text is the standard's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Silence(Exception):
    """No answer in time."""


class Station(Client):  # type: ignore[misc]
    """One UDP port of ours and the requests that wait for an answer on it."""

    def __init__(self, local: socket.socket, timeout_s: float, notified: Callable[[Address, bytes], None]) -> None:
        super().__init__()
        self._timeout_s, self._notified = timeout_s, notified
        self._waiting: dict[tuple[Any, int], tuple[int, asyncio.Future[bytes]]] = {}
        self._last_id: dict[Any, int] = {}
        host, port = local.getsockname()
        own = IPv4Address(f"{host}:{port}")
        self._link = NormalLinkLayer(own, bind_socket=local)
        network = NetworkServiceAccessPoint()
        bind(NetworkServiceElement(), network)
        bind(self, network)
        network.bind(self._link, address=own)

    async def ask(self, address: Address, service: int, content: bytes) -> bytes:
        """Send a confirmed request; the answer's content, empty for a plain acknowledgement.

        Raises Refusal and Silence.
        """
        invoke = self._free_id(address)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[address, invoke] = (service, answer)
        head = bytes((0, MAX_ANSWER, invoke, service))
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.request(PDU(head + content, destination=address, expectingReply=True))
                return await answer
        except (TimeoutError, CommuncationError) as exc:
            raise Silence from exc
        finally:
            del self._waiting[address, invoke]

    async def confirmation(self, pdu: PDU) -> None:
        """A message from the network: an answer of ours, a notification, or nothing to us."""
        data = bytes(pdu.pduData)
        if len(data) < 3:
            return
        kind = data[0] >> 4
        if kind == 1:
            if data[1] == apdu.UNCONFIRMED_COV:
                self._notified(pdu.pduSource, data[2:])
            return
        service, answer = self._waiting.get((pdu.pduSource, data[1]), (0, None))
        if answer is None or answer.done() or (kind in (2, 3, 5) and data[2] != service):
            return
        _settle(answer, kind, data)

    def close(self) -> None:
        """Give the port back."""
        self._link.close()

    def _free_id(self, address: Address) -> int:
        invoke = self._last_id.get(address, -1)
        for _ in range(256):
            invoke = (invoke + 1) % 256
            if (address, invoke) not in self._waiting:
                self._last_id[address] = invoke
                return invoke
        raise Silence


def _settle(answer: asyncio.Future[bytes], kind: int, data: bytes) -> None:
    match kind:
        case 2:
            answer.set_result(b"")
        case 3 if data[0] & 0x08:
            answer.set_exception(Refusal("the answer does not fit one message"))
        case 3:
            answer.set_result(data[3:])
        case 5:
            answer.set_exception(Refusal(_error(data[3:])))
        case 6:
            answer.set_exception(Refusal(f"rejected: {_name('RejectReason', data[2])}"))
        case 7:
            answer.set_exception(Refusal(f"aborted: {_name('AbortReason', data[2])}"))


def _error(content: bytes) -> str:
    try:
        return error_name(apdu.error_answer(content))
    except ValueError:
        return "an error it does not name"


def error_name(failed: apdu.Failed) -> str:
    """The standard's name of an error code: "unknown-object"."""
    from bacpypes3.basetypes import ErrorCode

    return str(ErrorCode(failed.error_code))


def _name(table: str, number: int) -> str:
    import bacpypes3.apdu

    return str(getattr(bacpypes3.apdu, table)(number))
