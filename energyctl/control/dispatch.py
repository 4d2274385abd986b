"""Dispatch: carries out the cycle's actions on the wire, device by device, and keeps what we hold.

The order for one action, on every path:
1. the intent is in the journal (the cycle committed it before calling `submit`);
2. before the first write to a point, what is found there is read and journaled as ours, and that is on disk; a point
   that could not be handed back, because what is there cannot be read, is not written to; that a point with a limited number
   of writes or a least time between them is written is on disk as well;
3. the command goes out, on a refresh without the steps that would wear flash;
4. value (and, where the protocol shows it, the winning priority) are read back;
5. the outcome is journaled. Written but not in effect twice in a row is an alarm, and the point is left alone for
   `HOLD_OFF_S`: we never fight an operator or another master.
Where the protocol shows who commands a point, that is looked at before every write: while a higher priority does, nothing
is written, an alarm says so, and it is looked at again every `LOOK_AGAIN_S`.
What was in effect is compared with every image after that, and with what is there just before the next write: a value that
somebody else has changed is an alarm at once; it is written once more, and after the second time the point is left alone as
well.

A device that is still busy with the last actions gets no new ones; the next cycle looks again. Devices are written to in
parallel; in lockstep, where two runs must leave one journal, one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace

from energyctl.core.clock import Clock
from energyctl.core.driver import Device, Driver, Refused, ShowsPriority, Written
from energyctl.core.errors import DeviceRefused, EnergyctlError
from energyctl.core.points import Command, ProcessImage, Quality, Rank, Sample, Setpoint
from energyctl.core.records import JournalEntry, JournalKind, Owned, Past

from .alarms import Alarms
from .gate import LastWrite
from .handback import Group, HandedBack, group_of, groups, hand_back
from .leases import Action, ActionKind, Effect, Holding
from .wear import Wear

log = logging.getLogger(__name__)

HOLD_OFF_S = 300.0
RELEASE_AGAIN_S = 10.0
LOOK_AGAIN_S = 30.0
MAX_TRIES = 2
OVERRULED_ONCE = 1
"""A value that others have changed is written again so often before the point is left alone."""


class Dispatcher:
    """Owns everything that is ours on the devices of a site."""

    def __init__(
        self,
        clock: Clock,
        devices: Mapping[str, Device],
        drivers: Mapping[str, Driver],
        lease_s: float,
        commit: Callable[[Sequence[JournalEntry]], Awaitable[None]],
        take: Callable[[Iterable[Sample]], None],
        alarms: Alarms,
        wear: Wear | None = None,
        keep: Callable[[Sequence[Past]], Awaitable[None]] | None = None,
    ) -> None:
        """`wear` knows what the points have been through, and `keep` puts that on disk; without them nothing is limited."""
        self._clock = clock
        self._devices = devices
        self._drivers = drivers
        self._lease_s = lease_s
        self._commit = commit
        self._take = take
        self._alarms = alarms
        self.wear = wear or Wear(devices, {}, clock, "UTC", "")
        self._keep = keep
        self._found: dict[str, float | None] = {}
        self._ours: dict[str, list[float]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn: AbstractAsyncContextManager[None] = asyncio.Lock() if clock.virtual else nullcontext()
        self._outcomes: list[JournalEntry] = []
        self._yielding: dict[str, tuple[float, str]] = {}
        self.cycle = 0
        self.barred: Callable[[str], str | None] = lambda point: None
        """Why a point may not be written to this very moment; asked just before the wire."""
        self.held: dict[str, Holding] = {}
        self.counts = {"written": 0, "refreshed": 0, "refused": 0, "failed": 0, "released": 0}

    def outcomes(self) -> tuple[JournalEntry, ...]:
        """What happened since the last call, to be committed; ordered by point within a cycle."""
        taken = tuple(sorted(self._outcomes, key=lambda entry: (entry.cycle, entry.point)))
        self._outcomes.clear()
        return taken

    def refit(self, devices: Mapping[str, Device], lease_s: float) -> None:
        """The site is another one from now on; what is held of the devices that stay is held on."""
        self._devices, self._lease_s = devices, lease_s

    def disown(self, devices: Collection[str]) -> list[str]:
        """Forget what is ours on devices that are given up; the points that were."""
        for point in [point for point in (*self.held, *self._yielding) if point.partition(".")[0] in devices]:
            self.held.pop(point, None)
            self._yielding.pop(point, None)
        ours = sorted(point for point in self._found if point.partition(".")[0] in devices)
        self._outcomes += [
            self._entry(JournalKind.RELEASED, point, self._found.pop(point), detail="given up, not handed back")
            for point in ours
        ]
        return ours

    def last_writes(self) -> dict[str, LastWrite]:
        """What the gate needs to know of what is held, and of what has limits of its own."""
        return self.wear.last_writes(self.held)

    def on_hold(self) -> dict[str, str]:
        """Points left alone for now, and why."""
        now_s = self._clock.monotonic()
        left = {
            point: f"{point} did not take our value twice; left alone for {holding.hold_until - now_s:.0f} s more"
            for point, holding in self.held.items()
            if holding.effect is Effect.HELD_OFF and holding.hold_until > now_s
        }
        return left | {point: text for point, (until, text) in self._yielding.items() if until > now_s}

    def adopt(self, owned: Sequence[Owned]) -> None:
        """Take over what an earlier run left and could not be handed back at the start: it is tried again and again, and
        what that run found stays what has to be restored.
        """
        self._found.update((item.point, item.found) for item in owned)
        self._ours.update((item.point, list(item.ours)) for item in owned)
        now_s = self._clock.monotonic()
        for device in self._devices.values():
            for group in groups(device, [item.point for item in owned]):
                left = Setpoint(
                    group.point,
                    self._found[group.point] or 0.0,
                    Rank.SAFETY,
                    "hand-back",
                    "left by an earlier run",
                    now_s,
                )
                self.held[group.point] = Holding(
                    left, now_s, now_s, now_s, Effect.HELD_OFF, tries=0, hold_until=now_s + RELEASE_AGAIN_S
                )

    def doubt(self, devices: Collection[str]) -> None:
        """These devices are away and may come back without what we wrote: then it has to be written again."""
        for point, holding in self.held.items():
            if holding.effect is Effect.EFFECTIVE and point.partition(".")[0] in devices:
                self.held[point] = replace(holding, effect=Effect.UNCONFIRMED, tries=0)

    def compare(self, image: ProcessImage) -> None:
        """Hold what is in effect against what the devices show now: did somebody else change it?"""
        self.wear.look(image, self.held)
        for point, holding in sorted(self.held.items()):
            if holding.effect is not Effect.EFFECTIVE:
                continue
            if detail := self._changed(holding.setpoint, image):
                self._overruled(holding, detail)
            elif holding.overruled and self._quiet(holding):
                self.held[point] = replace(holding, overruled=0)
                self._alarms.clear("overruled", point, self._clock.now())
        for point, (until, _) in list(self._yielding.items()):
            if self._clock.monotonic() > until + LOOK_AGAIN_S:  # nobody has wanted it since
                self._yield_no_more(point)

    async def _was_changed(self, device: Device, driver: Driver, point: str) -> bool:
        """Whether somebody else has changed a value of ours that was in effect; then it is dealt with."""
        holding = self.held.get(point)
        if holding is None or holding.effect is not Effect.EFFECTIVE:
            return False
        parts = [f"{device.id}.{name}" for name in _settled(device, holding.setpoint)]
        shown = {sample.point: sample for sample in await driver.read(parts)}
        self._take(shown.values())
        detail = self._changed(holding.setpoint, shown)
        if detail:
            self._overruled(holding, detail)
        return bool(detail)

    def _changed(self, setpoint: Setpoint, shown: Mapping[str, Sample]) -> str:
        """What is not as we left it, "" when all is or cannot be seen."""
        device = self._devices[setpoint.point.partition(".")[0]]
        for name, value in _settled(device, setpoint).items():
            part = f"{device.id}.{name}"
            sample = shown.get(part)
            if sample is None or sample.value is None or sample.quality is not Quality.GOOD:
                continue
            if _differs(device, sample, value):
                return _found(device, part, value, sample, setpoint.point, "now shows")
        return ""

    def _quiet(self, holding: Holding) -> bool:
        """Whether nobody else has changed it for long enough to forget that somebody has."""
        return self._clock.monotonic() - holding.overruled_at >= HOLD_OFF_S

    def _overruled(self, holding: Holding, detail: str) -> None:
        now_s, point = self._clock.monotonic(), holding.setpoint.point
        times = holding.overruled + 1 if now_s - holding.overruled_at < 2 * HOLD_OFF_S else 1
        changed = replace(holding, effect=Effect.UNCONFIRMED, tries=0, overruled=times, overruled_at=now_s)
        if times > OVERRULED_ONCE:
            changed = replace(changed, effect=Effect.HELD_OFF, hold_until=now_s + HOLD_OFF_S)
        self.held[point] = changed
        text = f"{detail}: somebody else has changed it, or the device has restarted"
        self._record(JournalKind.FAILED, holding.setpoint, None, text)
        self._alarms.raise_("overruled", point, text, self._clock.now())

    def submit(self, actions: Sequence[Action], cycle: int) -> None:
        """Start carrying out this cycle's actions; returns at once."""
        self.cycle = cycle
        by_device: dict[str, list[Action]] = {}
        for action in actions:
            by_device.setdefault(action.point.partition(".")[0], []).append(action)
        for device, items in by_device.items():
            running = self._tasks.get(device)
            if running is None or running.done():
                self._tasks[device] = asyncio.create_task(self._run(device, items), name=f"dispatch {device}")

    async def settle(self) -> None:
        """Wait until everything submitted is done."""
        pending = [task for task in self._tasks.values() if not task.done()]
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)

    async def release_all(self) -> list[HandedBack]:
        """Hand back everything that is held, devices in parallel; for a graceful stop."""
        await self.settle()
        by_device: dict[str, list[str]] = {}
        for point in sorted(self.held):
            by_device.setdefault(point.partition(".")[0], []).append(point)
        results = await asyncio.gather(*(self._release_device(points) for points in by_device.values()))
        return [item for device_results in results for item in device_results]

    async def let_go(self, within_s: float, only: Collection[str] | None = None) -> list[str]:
        """Hand back at once all that is held (of these devices `only`), also what is being left alone; returns the points
        still held.

        Each device begins as soon as it is done with what it is at, so that none waits for another. Beside a running cycle.
        """
        busy = {device for device, task in self._tasks.items() if not task.done()}
        devices = sorted(busy | {point.partition(".")[0] for point in self.held})
        devices = [device for device in devices if only is None or device in only]
        tasks = [asyncio.create_task(self._let_go_of(device)) for device in devices]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
        return sorted(point for point in self.held if only is None or point.partition(".")[0] in only)

    async def _let_go_of(self, device: str) -> None:
        while (running := self._tasks.get(device)) is not None and not running.done():
            await asyncio.wait([running])
        held = [self.held[point].setpoint for point in sorted(self.held) if point.partition(".")[0] == device]
        if held:
            self.submit([Action(ActionKind.RELEASE, setpoint) for setpoint in held], self.cycle)
            await asyncio.wait([self._tasks[device]])

    async def _release_device(self, points: Sequence[str]) -> list[HandedBack]:
        return [await self._release(self.held[point].setpoint) for point in points]

    async def _run(self, device: str, actions: Sequence[Action]) -> None:
        with self._clock.busy():
            async with self._turn:
                await self._carry_out(device, actions)

    async def _carry_out(self, device: str, actions: Sequence[Action]) -> None:
        for action in actions:
            try:
                if action.kind is ActionKind.RELEASE:
                    await self._release(action.setpoint)
                else:
                    await self._write(self._devices[device], self._drivers[device], action)
            except Exception as error:
                log.exception("%s of %s failed", action.kind, action.point)
                self._not_effective(action.setpoint, JournalKind.FAILED, f"{type(error).__name__}: {error}")

    async def _write(self, device: Device, driver: Driver, action: Action) -> None:
        setpoint, group = action.setpoint, group_of(device, action.point.partition(".")[2])
        command = self._command(device, action)
        if not command.steps:
            self.held[action.point] = replace(self.held[action.point], written_at=self._clock.monotonic())
            return
        try:
            if await self._was_changed(device, driver, action.point):
                return
            if commanding := await self._commanded(driver, action.point):
                self._give_way(setpoint, commanding)
                return
            await self._take_over(driver, group)
            self._hold(action)
            if reason := self.barred(action.point):
                self._record(JournalKind.REFUSED, setpoint, None, reason)
                return
            await self._remember(command)
            result = await driver.write(command)
            if isinstance(result, Written):
                await self._read_back(device, driver, action)
            elif isinstance(result, Refused):
                self.wear.not_taken(action.point, None)
                self._not_effective(setpoint, JournalKind.REFUSED, f"{result.point}: {result.reason}")
            else:
                self._not_effective(setpoint, JournalKind.FAILED, f"{result.reason}; left changed: {result.stuck}")
        except EnergyctlError as error:
            self._not_effective(setpoint, JournalKind.FAILED, str(error))

    def _command(self, device: Device, action: Action) -> Command:
        """What goes over the wire; a refresh may come to nothing."""
        make = device.profile.refresh if action.kind is ActionKind.REFRESH else device.profile.command
        return make(device.id, action.point.partition(".")[2], action.setpoint.value, self._lease_s)

    async def _remember(self, command: Command) -> None:
        """Note what is about to be written; on disk where a crash must not make that undone. Raises StoreError."""
        self.wear.wrote({step.point: step.value for step in command.steps})
        if self._keep is not None and self.wear.must_be_kept([step.point for step in command.steps]):
            pasts = self.wear.unsaved()
            await self._keep(pasts)
            self.wear.saved(pasts)

    async def _commanded(self, driver: Driver, point: str) -> str:
        """Which higher priority commands a point now, in words; "" when none does or the protocol has no such thing."""
        if not isinstance(driver, ShowsPriority):
            return ""
        slots = dict(await driver.priorities(point))
        higher = [slot for slot in sorted(slots) if slot < driver.our_priority]
        return f"priority {higher[0]} commands {slots[higher[0]]:g}" if higher else ""

    def _give_way(self, setpoint: Setpoint, commanding: str) -> None:
        """Somebody above us has the point: nothing is written, and what is held of it waits."""
        point, until = setpoint.point, self._clock.monotonic() + LOOK_AGAIN_S
        if point not in self._yielding:
            self._record(JournalKind.REFUSED, setpoint, None, f"not written: {commanding}")
        self._yielding[point] = until, f"{point}: {commanding}; looked at again in {LOOK_AGAIN_S:g} s"
        if point in self.held:
            self.held[point] = replace(self.held[point], effect=Effect.HELD_OFF, hold_until=until, tries=0)
        self._alarms.raise_("overridden", point, commanding, self._clock.now())

    def _yield_no_more(self, point: str) -> None:
        if self._yielding.pop(point, None) is not None:
            self._alarms.clear("overridden", point, self._clock.now())

    async def _take_over(self, driver: Driver, group: Group) -> None:
        new = [point for point in group.points if point not in self._found]
        if not new:
            return
        samples = await driver.read(new)
        values = {s.point: s.value if s.quality is not Quality.BAD else None for s in samples}
        restored = self._devices[group.device].profile.points[group.name].release == "restore"
        if restored and (self._found | values)[group.point] is None:
            raise DeviceRefused(
                group.device, group.point, "what is there cannot be read, so it could not be handed back"
            )
        await self._commit_owned(new, [self._entry(JournalKind.OWN, p, values[p], detail=group.point) for p in new])
        self._found.update(values)

    async def _commit_owned(self, points: Collection[str], entries: Sequence[JournalEntry]) -> None:
        """Commit OWN after what is still to be told of these points: a RELEASED that came later would disown them."""
        before = [entry for entry in self._outcomes if entry.point in points]
        self._outcomes = [entry for entry in self._outcomes if entry.point not in points]
        try:
            await self._commit([*before, *entries])
        except BaseException:
            self._outcomes = [*before, *self._outcomes]
            raise

    def _hold(self, action: Action) -> None:
        now_s, previous = self._clock.monotonic(), self.held.get(action.point)
        changed = previous is None or previous.setpoint.value != action.setpoint.value
        again = previous is not None and previous.effect is Effect.UNCONFIRMED
        self.held[action.point] = Holding(
            setpoint=action.setpoint,
            expires_at=now_s + self._lease_s,
            written_at=now_s,
            changed_at=now_s if previous is None or changed else previous.changed_at,
            effect=Effect.PENDING,
            tries=previous.tries + 1 if previous is not None and again else 1,
            overruled=0 if previous is None else previous.overruled,
            overruled_at=0.0 if previous is None else previous.overruled_at,
        )
        self._ours.setdefault(action.point, []).append(action.setpoint.value)
        self.counts["refreshed" if action.kind is ActionKind.REFRESH else "written"] += 1

    async def _read_back(self, device: Device, driver: Driver, action: Action) -> None:
        """In effect is a value that is read back and that no higher priority commands, even if it commands the same."""
        setpoint, point = action.setpoint, device.points[action.point]
        wanted = {f"{device.id}.{name}": value for name, value in _settled(device, setpoint).items()}
        samples = {sample.point: sample for sample in await driver.read(list(wanted))}
        self._take(samples.values())
        higher = await self._commanded(driver, action.point)
        wrong = next((part for part, value in wanted.items() if _differs(device, samples[part], value)), None)
        if not higher and wrong is None:
            self._effective(setpoint, samples[point.id].value)
            return
        wrong = wrong or point.id
        detail = _found(device, wrong, wanted[wrong], samples[wrong], point.id)
        if higher:
            detail += f"; {higher}"
        shown = samples[point.id].value
        if shown is not None:  # what the device made of our value is ours as well
            self._ours[point.id].append(shown)
            self.wear.not_taken(point.id, shown)
        self._not_effective(setpoint, JournalKind.FAILED, detail, shown)

    def _effective(self, setpoint: Setpoint, value: float | None) -> None:
        holding = self.held[setpoint.point]
        self._yield_no_more(setpoint.point)
        overruled = 0 if self._quiet(holding) else holding.overruled
        self.held[setpoint.point] = replace(holding, effect=Effect.EFFECTIVE, tries=1, overruled=overruled)
        self._ours[setpoint.point] = [setpoint.value, *([] if value is None else [value])]
        self._record(JournalKind.WRITTEN, setpoint, value)
        for name in ("not-effective", "not-released", "not-restored", *(("overruled",) if overruled == 0 else ())):
            self._alarms.clear(name, setpoint.point, self._clock.now())

    def _not_effective(self, setpoint: Setpoint, kind: JournalKind, detail: str, shown: float | None = None) -> None:
        self.counts["refused" if kind is JournalKind.REFUSED else "failed"] += 1
        self._record(kind, setpoint, shown, detail)
        holding = self.held.get(setpoint.point)
        if holding is None:
            return
        if holding.tries < MAX_TRIES:
            self.held[setpoint.point] = replace(holding, effect=Effect.UNCONFIRMED)
            return
        until = self._clock.monotonic() + HOLD_OFF_S
        self.held[setpoint.point] = replace(holding, effect=Effect.HELD_OFF, hold_until=until, tries=0)
        self._alarms.raise_("not-effective", setpoint.point, detail, self._clock.now())

    async def _release(self, setpoint: Setpoint) -> HandedBack:
        device_id, _, name = setpoint.point.partition(".")
        device = self._devices[device_id]
        group = group_of(device, name)
        if setpoint.point in self.held:
            self.held[setpoint.point] = replace(self.held[setpoint.point], effect=Effect.RELEASING)
        ours = self._ours.get(setpoint.point, ())
        result = await hand_back(device, self._drivers[device_id], group, self._found, ours)
        now = self._clock.now()
        self.wear.handed_back(result, device)
        if result.ok:
            self.counts["released"] += 1
            self.held.pop(setpoint.point, None)
            self._ours.pop(setpoint.point, None)
            for point in group.points:
                entry = self._entry(JournalKind.RELEASED, point, self._found.pop(point, None), detail=result.left)
                self._outcomes.append(entry)
            self._alarms.set("not-restored", setpoint.point, result.left or None, now)
            self._yield_no_more(setpoint.point)
            for name in ("not-released", "overruled"):
                self._alarms.clear(name, setpoint.point, now)
        else:
            self._outcomes.append(self._entry(JournalKind.FAILED, setpoint.point, None, detail=result.detail))
            self._alarms.raise_("not-released", setpoint.point, result.detail, now)
            if setpoint.point in self.held:
                until = self._clock.monotonic() + RELEASE_AGAIN_S
                self.held[setpoint.point] = replace(self.held[setpoint.point], effect=Effect.HELD_OFF, hold_until=until)
        return result

    def _record(self, kind: JournalKind, setpoint: Setpoint, value: float | None, detail: str = "") -> None:
        entry = self._entry(kind, setpoint.point, value, detail=detail)
        self._outcomes.append(
            replace(entry, rank=setpoint.rank.name.lower(), source=setpoint.source, reason=setpoint.reason)
        )

    def _entry(self, kind: JournalKind, point: str, value: float | None, detail: str = "") -> JournalEntry:
        return JournalEntry(self.cycle, self._clock.now(), kind, point, value, detail=detail)


def _settled(device: Device, setpoint: Setpoint) -> Mapping[str, float]:
    return device.profile.settled(setpoint.point.partition(".")[2], setpoint.value)


def _differs(device: Device, sample: Sample, value: float) -> bool:
    return sample.value is None or abs(sample.value - value) > device.points[sample.point].tolerance


def _found(device: Device, part: str, value: float, sample: Sample, point: str, verb: str = "read back") -> str:
    """What was written to a part of a command and what is there, in words; the part is named if it is not the point."""
    unit = device.points[part].unit
    found = "nothing readable" if sample.value is None else f"{sample.value:g} {unit}".strip()
    return f"{'' if part == point else part + ': '}wrote {value:g}, {verb} {found}"
