"""OPC UA subscriptions: one per connection, made again with every new one, and counted per device.

A keeper makes the connection again when it is lost and nobody polls. Every change of a monitored node counts once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from energyctl.core.clock import Clock
from energyctl.core.errors import LinkError
from energyctl.core.points import Sample

from .points import Target
from .session import Connection, Session, UnknownNamespace, connected, ua

QUEUE = 100
"""Changes of one node that the server keeps for us between two publishings."""
KEEP_S = 5.0

Sink = Callable[[Sample], None]


class Watches:
    """Who wants to be told of which node."""

    def __init__(self, publishing_s: float, clock: Clock) -> None:
        self._publishing_s, self._clock = publishing_s, clock
        self._sinks: dict[Target, list[Sink]] = defaultdict(list)
        self._by_node: dict[Any, list[Target]] = {}
        """What is monitored on this connection."""
        self._subscription: Any = None
        self._keeper: asyncio.Task[None] | None = None
        self.received: Counter[str] = Counter()
        """Changes taken in, per device id."""

    def want(self, target: Target, sink: Sink) -> None:
        """From now on `sink` is to be told of a point."""
        self._sinks[target].append(sink)
        self.received[target.device] += 0

    def forget(self, target: Target) -> None:
        """The server will not tell of this point."""
        self._sinks.pop(target, None)

    async def connected(self, connection: Connection) -> None:
        """A new connection: subscribe to all that is wanted; what is refused now, polling will notice."""
        self._subscription, self._by_node = None, {}
        await self.add(connection, list(self._sinks))

    async def add(self, connection: Connection, targets: list[Target]) -> dict[Target, str]:
        """Monitor nodes that are not yet; those that the server refuses, with its reason."""
        refused: dict[Target, str] = {}
        new: list[Any] = []
        for target in targets:
            try:
                node = connection.node_id(target.node)
            except UnknownNamespace as exc:
                refused[target] = str(exc)
                continue
            if node not in self._by_node:
                new.append(node)
            there = self._by_node.setdefault(node, [])
            if target not in there:
                there.append(target)
        return refused | await self._monitor(connection, new) if new else refused

    async def _monitor(self, connection: Connection, new: list[Any]) -> dict[Target, str]:
        """A server that refuses subscriptions altogether can still be read, so that costs no connection."""
        try:
            if self._subscription is None:
                self._subscription = await connection.client.create_subscription(self._publishing_s * 1000, self)
            nodes = [connection.client.get_node(node) for node in new]
            handles = await self._subscription.subscribe_data_change(nodes, queuesize=QUEUE)
        except ua.UaStatusCodeError as exc:
            handles = [ua.StatusCode(exc.code)] * len(new)
        refused: dict[Target, str] = {}
        for node, handle in zip(new, handles, strict=True):
            if not isinstance(handle, int):
                refused |= dict.fromkeys(self._by_node.pop(node), str(handle.name))
        return refused

    def datachange_notification(self, node: Any, value: object, data: Any) -> None:
        """Called by the library for every change."""
        for target in self._by_node.get(node.nodeid, ()):
            sample = target.sample(self._clock.now(), data.monitored_item.Value)
            for sink in self._sinks.get(target, ()):
                sink(sample)
            self.received[target.device] += 1

    def keep(self, session: Session) -> None:
        """See to it that a lost connection is made again."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(_keep(session), name="opcua keeper")

    async def close(self) -> None:
        """Stop keeping."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None


async def _keep(session: Session) -> None:
    while True:
        await asyncio.sleep(KEEP_S)
        with suppress(LinkError):
            await session.call("", connected)
