"""A daemon's configurations, one after another: runs the one in force, and puts another in its place between two cycles.

The new one takes the place of the old one as a whole. Before that, devices that leave are handed back, while the old one
goes on; then, between two cycles, connections that change are opened and the new parts are put together, and `commit` makes
it the accepted configuration on disk. Whatever fails until then leaves the old one in force. What is held on devices that
stay is held on: they notice nothing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from energyctl.config.change import Change
from energyctl.config.site import Site
from energyctl.control.seams import Ban, Watches
from energyctl.core.clock import LockstepClock
from energyctl.core.errors import EnergyctlError
from energyctl.core.points import ProcessImage
from energyctl.planning.history import History

from .composition import Daemon
from .ground import Ground, poll_name
from .server import ControlServer, Handler

log = logging.getLogger(__name__)

RULE = "reload"
HAND_BACK_WITHIN_S = 10.0


class NotHandedBack(EnergyctlError):
    """Devices that leave could not be handed back."""

    exit_code = 4

    def __init__(self, points: Sequence[str], advice: str = "") -> None:
        self.points = tuple(points)
        gone = "could not be handed back, and the configuration that knows how would be gone"
        super().__init__(f"{', '.join(points)}: {gone}{advice}")


class Keeper(Watches, Protocol):
    """Who keeps the configurations: has a look at every image, and something to be asked for."""

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        ...


class Leaving:
    """A ban on devices that are about to leave the site."""

    def __init__(self, devices: Collection[str]) -> None:
        self.devices = frozenset(devices)
        self._ban = Ban(RULE, dict.fromkeys(devices, "it leaves the site or becomes another device"))

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """See `seams.Bans`."""
        return self._ban


class Succession:
    """Runs a daemon whose configuration can be replaced."""

    def __init__(self, ground: Ground, daemon: Daemon, server: ControlServer) -> None:
        self.ground, self.daemon, self._server = ground, daemon, server
        self._keeper: Keeper
        self.one = asyncio.Lock()
        """Held while the configuration is being replaced, or for good once the daemon ends."""

    async def run(self, stop: asyncio.Event, keeper: Keeper) -> int:
        """Run until `stop` is set, then hand everything back. Returns the exit code."""
        self._keeper = keeper
        ground, first = self.ground, self.daemon
        first.place.starts.begin()
        await first.load_plan()
        await first.start_planner()
        for name, device in first.site.devices.items():
            ground.acquisition.add(device, first.site.modes[name] == "off")
        self._serve()
        await self._server.start()
        ground.poll(first.site, first.site.devices)
        first.begin()
        if isinstance(ground.clock, LockstepClock):
            ground.loops.drive(ground.clock)
        gc.freeze()  # what start-up made stays for good: collections need not look at it again
        try:
            await stop.wait()
            if not ground.loops.failed:
                first.place.starts.end()
        finally:
            code = await self._end()
        return code

    async def _end(self) -> int:
        ground = self.ground
        ground.notifier.send("STOPPING=1")
        await self.one.acquire()
        await ground.loops.end()
        code = await self.daemon.hand_back()
        await self._server.stop()
        await self.daemon.close()
        await ground.store.close()
        return code if not ground.loops.failed else max(1, code)

    async def replace(
        self,
        site: Site,
        change: Change,
        epochs: Mapping[str, int],
        abandon: Collection[str],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        """Put `site` in force. `abandon`: devices that may leave without being handed back. Call it with `one` held.

        Raises NotHandedBack, ConfigError or StoreError; then the old configuration is in force as before.
        """
        old = self.daemon
        history = await old.history_for(site)
        leaving = Leaving({*change.left, *_switched_off(old.site, site)})
        abandon = leaving.devices.intersection(abandon)
        async with old.controller.turn:
            old.controller.seams.bans.append(leaving)
        try:
            await self._hand_back(leaving.devices, abandon)
            async with old.controller.turn:
                await self._switch(site, change, epochs, history, abandon, commit)
        finally:
            old.controller.seams.bans.remove(leaving)
        await old.close()

    async def _hand_back(self, leaving: Collection[str], abandon: Collection[str]) -> None:
        left = await self.ground.dispatcher.let_go(HAND_BACK_WITHIN_S, leaving)
        stuck = [point for point in left if point.partition(".")[0] not in abandon]
        if stuck:
            raise NotHandedBack(stuck)

    async def _switch(
        self,
        site: Site,
        change: Change,
        epochs: Mapping[str, int],
        history: History,
        abandon: Collection[str],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        old, ground = self.daemon, self.ground
        anew = self._anew(old.site, site, change)
        note = old.place.overrides.on_change
        await ground.dispatcher.settle()
        await ground.loops.end([poll_name(name) for name in {*anew, *change.left}])
        try:
            await ground.links.open(site)
            new = Daemon(site, ground, old.place.succeed(site, ground.acquisition.states, epochs), history)
            await new.start_planner()
            await old.controller.flush()
            await commit()
        except BaseException:
            old.place.overrides.on_change = note
            await ground.links.open(old.site)
            ground.poll(old.site, [name for name in {*anew, *change.left} if name in old.site.devices])
            raise
        ground.dispatcher.disown(abandon)
        await old.controller.flush()
        await old.cease()
        self._make_known(old.site, site, change, anew)
        new.controller.succeed(old.controller)
        self.daemon = new
        self._serve()
        ground.poll(site, anew)
        new.begin()

    def _anew(self, old: Site, new: Site, change: Change) -> list[str]:
        """The devices that are polled anew: because something about them is different, or the beat is."""
        if self.ground.period_s(old) != self.ground.period_s(new):
            return sorted(new.devices)
        turned = [name for name in change.kept if (old.modes[name] == "off") != (new.modes[name] == "off")]
        return sorted({*change.new, *change.replaced, *change.reconnected, *turned})

    def _make_known(self, old: Site, new: Site, change: Change, anew: Collection[str]) -> None:
        """Tell acquisition, dispatch and alarms what has become of the devices."""
        ground = self.ground
        ground.refit(new)
        for name in change.left:
            ground.acquisition.remove(name)
        for name in anew:
            off = new.modes[name] == "off"
            if name in change.reconnected and not off:
                ground.acquisition.ask_again(new.devices[name])
            elif name not in change.kept or off != (old.modes[name] == "off"):
                ground.acquisition.add(new.devices[name], off)
        now = ground.clock.now()
        for alarm in ground.alarms.standing:
            if alarm.subject.partition(".")[0] in change.left:
                ground.alarms.clear(alarm.name, alarm.subject, now)

    def _serve(self) -> None:
        self._server.handlers = {**self.daemon.table, **self._keeper.table()}
        self.daemon.controller.seams.watches.append(self._keeper)


def _switched_off(old: Site, new: Site) -> list[str]:
    return [name for name in old.devices if name in new.devices and old.modes[name] != "off" == new.modes[name]]
