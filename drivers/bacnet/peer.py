"""One BACnet device as seen from our station: where it is, whether it answers, its properties in batches.

Here the station's outcomes become this project's: silence is LinkTimeout, nonsense GarbledError, a no DeviceRefused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence

from bacpypes3.pdu import Address

from energyctl.core.driver import Device
from energyctl.core.errors import DeviceRefused, GarbledError, LinkError, LinkTimeout

from . import apdu
from .apdu import Ref
from .options import DeviceOptions, LinkOptions, ProfileOptions
from .points import Found, Target
from .station import Refusal, Silence, Station

AT_ONCE = 8
"""Requests one device may have to deal with at the same time."""


class Peer:
    """A device on the network. Every method raises LinkError and LinkTimeout; `came_back` is told when silence ends."""

    def __init__(self, device: Device, link: LinkOptions, came_back: Callable[[str], None]) -> None:
        options = DeviceOptions.model_validate(dict(device.options))
        profile = device.profile
        self.id, self.instance = device.id, options.device
        self.options = ProfileOptions.model_validate(profile.options)
        self.targets = {point: Target(point, profile.points[its.name]) for point, its in device.points.items()}
        self.refused: set[str] = set()
        """Points for whose sake the device turned down a whole batch; they are read alone until it answers them."""
        self.station: Station | None = None
        self.where = f"{options.host or link.host}:{options.port or link.port}"
        self._timeout_s, self._came_back = link.timeout, came_back
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._address: Address | None = None
        self._silent = False

    async def ask(self, service: int, content: bytes) -> bytes:
        """One confirmed request. Raises DeviceRefused besides."""
        address = await self.locate()
        if self.station is None:
            raise LinkError(self.id, "the connection is closed")
        try:
            async with self._turns:
                answer = await self.station.ask(address, service, content)
        except Silence as exc:
            self._address, self._silent = None, True
            raise LinkTimeout(self.id, f"no answer from {self.where} within {self._timeout_s:g} s") from exc
        except Refusal as exc:
            raise DeviceRefused(self.id, self.id, exc.reason) from exc
        if self._silent:
            self._silent = False
            self._came_back(self.id)
        return answer

    async def properties(self, refs: Sequence[Ref]) -> Found:
        """Properties of the device's objects; DeviceRefused when the whole request is turned down."""
        answer = await self.ask(apdu.READ_MULTIPLE, apdu.read_request(refs))
        try:
            found = apdu.read_answer(answer)
        except ValueError as exc:
            raise GarbledError(self.id, f"an answer that makes no sense: {exc}") from exc
        if not found.keys() >= set(refs):
            raise GarbledError(self.id, "an answer to another question")
        return found

    async def put(self, target: Target, value: bytes, priority: int) -> None:
        """Write a present-value in a slot. Raises DeviceRefused besides."""
        await self.ask(apdu.WRITE, apdu.write_request(target.object, value, priority))

    async def locate(self) -> Address:
        """Its address, looked up again after a silence."""
        if self._address is None:
            host, _, port = self.where.rpartition(":")
            self._address = Address(f"{await self._ip(host)}:{port}")
        return self._address

    async def _ip(self, host: str) -> str:
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            pass
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
        except (OSError, TimeoutError) as exc:
            raise LinkError(self.id, f"there is no host '{host}'") from exc
        return str(found[0][4][0])
