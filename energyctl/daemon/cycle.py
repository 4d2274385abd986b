"""The control cycle: input, process, output, once per period.

One cycle takes a snapshot of the field, finds what guides the site (see planning.ladder), collects every wish, lets them
compete and pass the gate, commits samples and intents to disk, hands the actions to dispatch, and only then renews the
leases and feeds the watchdog. Nothing in it waits for a device or for the planner. A cycle that comes late skips the
periods it missed and counts them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from energyctl.config.partaking import mode_of, partaking
from energyctl.config.site import MODES, Site
from energyctl.control.alarms import Alarm, Alarms
from energyctl.control.arbitrate import Verdict, arbitrate
from energyctl.control.dispatch import Dispatcher
from energyctl.control.gate import NOT_EVEN_AGAIN, GateState, PointLimits, Refusal, decide, outlast
from energyctl.control.leases import Action, reconcile, renew
from energyctl.control.modes import RULE as MODE_RULE
from energyctl.control.seams import Ban, Seams
from energyctl.control.setpoints import Course, Wishes, base_load, wishes
from energyctl.control.shadow import Shadow
from energyctl.control.tracking import Tracked
from energyctl.core.clock import Clock, Turn
from energyctl.core.errors import StoreError
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage, Quality, Sample, Setpoint
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.core.resources import BASE_LOAD, Resource
from energyctl.field.acquire import Acquisition
from energyctl.planning.history import History
from energyctl.planning.ladder import Guidance, Level, guide
from energyctl.store import Batch

from .notify import Notifier
from .storing import StoreThread

log = logging.getLogger(__name__)

_T = TypeVar("_T")

FIRST_IMAGE_WITHIN_S = 1.0
LOOK_EVERY_S = 0.02
WAITING_ENTRIES = 10_000
"""Journal lines kept in memory while the disk refuses them."""


class Controller:
    """Runs cycles, and holds what the rest of the daemon may look at."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        acquisition: Acquisition,
        dispatcher: Dispatcher,
        store: StoreThread,
        history: History,
        alarms: Alarms,
        notifier: Notifier,
        period_s: float,
        lease_s: float,
        rules_only: bool,
        seams: Seams | None = None,
    ) -> None:
        self._site, self._clock, self._acquisition, self._dispatcher = site, clock, acquisition, dispatcher
        self._store, self._history, self._alarms, self._notifier = store, history, alarms, notifier
        self._period_s, self._lease_s, self._rules_only = period_s, lease_s, rules_only
        self.seams = seams or Seams()
        self._resources = partaking(site)
        self._by_mode = {mode: [one for one in self._resources if mode_of(site, one) == mode] for mode in MODES}
        self.shadow = Shadow(site, lease_s)
        self.bans: Sequence[Ban] = ()
        self._limits = point_limits(site)
        self._watchdogs = {name: device.profile.watchdog.kind != "none" for name, device in site.devices.items()}
        self._unaccepted = {
            name: f"{name} has no watchdog and the site file does not accept that (safety.accept_no_watchdog)"
            for name, watched in self._watchdogs.items()
            if not watched and name not in site.safety.accept_no_watchdog
        }
        self._parts = command_parts(site)
        self._due: float | None = None
        self.turn = asyncio.Lock()
        """Held during a cycle: who holds it stands between two cycles."""
        self._new_plan: Plan | None = None
        self._entries: list[JournalEntry] = []
        self._refused: dict[str, str] = {}
        self._waiting: set[str] = set()
        self._doubted: set[str] = set()
        self.cycle = 0
        self.missed = 0
        self.refusals = 0
        self.refused_by: Counter[str] = Counter()
        """Refusals by rule."""
        self.plan: Plan | None = None
        self.guidance = Guidance(Level.RELEASE, "not started")
        self.tracked = Tracked((), None)
        self.verdicts: Mapping[str, Verdict] = {}
        self.image = ProcessImage(clock.now(), 0)
        self.informed = False
        """Whether the image has been taken since every device answered or failed to; before that no plan is worth making."""

    async def run(self) -> None:
        """Run cycles for ever."""
        with self._clock.busy():
            if self._due is None:
                await self._hear_first()
                self._due = self._clock.monotonic()
            while True:
                await self._clock.sleep_until(self._due, Turn.CYCLE)
                async with self.turn:
                    await self.step()
                self._due += self._period_s
                late = self._clock.monotonic() - self._due
                if late > 0:
                    skipped = int(late // self._period_s) + 1
                    self.missed += skipped
                    self._due += skipped * self._period_s

    def succeed(self, before: Controller) -> None:
        """Go on where the controller of another configuration stands: same beat, same counts, same plan."""
        self._due = before._due
        self.cycle, self.missed, self.refusals = before.cycle, before.missed, before.refusals
        self.refused_by = before.refused_by
        self.plan, self._new_plan, self.guidance = before.plan, before._new_plan, before.guidance
        self.image, self.informed = before.image, before.informed
        self._entries, self._refused, self._doubted = before._entries, before._refused, before._doubted

    async def _hear_first(self) -> None:
        """Give every device the time to answer, or to fail to, before the first image is taken; a little time."""
        now_s = self._clock.monotonic()
        last = now_s + min(FIRST_IMAGE_WITHIN_S, self._period_s)
        await self._clock.sleep_until(now_s, Turn.CYCLE)
        while not self._acquisition.settled and self._clock.monotonic() < last:
            await self._clock.sleep_until(self._clock.monotonic() + LOOK_EVERY_S, Turn.CYCLE)

    def new_plan(self, plan: Plan) -> None:
        """A plan has arrived; it guides from the next cycle on."""
        self._new_plan = plan

    def note(self, alarm: Alarm) -> None:
        """Put a raised or cleared alarm into the journal."""
        kind = JournalKind.CLEARED if alarm.cleared_at else JournalKind.ALARM
        detail = f"{alarm.name}: {alarm.text}"
        self._entries.append(JournalEntry(self.cycle, self._clock.now(), kind, alarm.subject, detail=detail))

    def record(self, entry: JournalEntry) -> None:
        """Put a line into the journal, as of this cycle."""
        self._entries.append(replace(entry, cycle=self.cycle))

    async def step(self) -> None:
        """One cycle."""
        self.cycle += 1
        now_s = self._clock.monotonic()
        plan, self._new_plan = self._new_plan, None
        self.plan = plan or self.plan
        derived = self._look()
        self._dispatcher.compare(self.image)
        wanted = self._decide(now_s)
        dispatcher, blocked = self._dispatcher, self._acquisition.blocked()
        dispatcher.doubt({name for name, state in self._acquisition.states.items() if state.quarantined})
        actions = reconcile(
            dispatcher.held,
            wanted,
            self._site.points,
            self._watchdogs,
            self._lease_s,
            now_s,
            blocked.keys(),
            self._waiting,
        )
        await self._commit(derived, actions, plan)
        dispatcher.submit(actions, self.cycle)
        dispatcher.held = renew(dispatcher.held, self._lease_s, now_s)
        self._notifier.send("WATCHDOG=1")

    async def flush(self) -> None:
        """Commit what is left, when no more cycles come."""
        await self._commit([], [], None)

    def _look(self) -> list[Sample]:
        """Freeze the image, with what is derived from it."""
        image = self._acquisition.image(self.cycle)
        load = base_load(self._resources, image, self._site.meter)
        sample = (
            Sample.bad(BASE_LOAD, image.time, "a power measurement is missing")
            if load is None
            else Sample(BASE_LOAD, image.time, load)
        )
        self.image = replace(image, samples={**image.samples, BASE_LOAD: sample})
        self.informed = self.informed or self._acquisition.settled
        self._watch()
        if self.seams.clock_doubt is None:
            self._history.add(self.image)
        return [sample]

    def _watch(self) -> None:
        """The alarms that follow from what acquisition knows."""
        now = self.image.time
        for name, state in self._acquisition.states.items():
            self._alarms.set("device-lost", name, state.last_error if state.quarantined else None, now)
            self._alarms.set("wrong-device", name, state.identity_error, now)
        doubted = {p: s.reason for p, s in self.image.items() if s.quality is Quality.UNCERTAIN}
        for point in sorted(self._doubted | doubted.keys()):
            self._alarms.set("implausible", point, doubted.get(point), now)
        self._doubted = set(doubted)
        lost = self.image.value(self._site.meter) is None and self.cycle > 3 and self._site.mode != "off"
        text = f"no good value: {self.image[self._site.meter].reason}" if lost else None
        self._alarms.set("meter-lost", self._site.meter, text, now)
        now_s = self._clock.monotonic()
        for one in self.seams.watches:
            self._ask(one.look, self.image, now_s)

    def _decide(self, now_s: float) -> dict[str, Setpoint]:
        """The setpoints that should be in force, by point."""
        image, site = self.image, self._site
        measured = any(image.value(point) is not None for point in self._measured())
        doubt = self.seams.clock_doubt
        self._guide(guide(self.plan, image.time, site.planner.every_s, measured, self._rules_only, doubt))
        wanted = self._wanted(now_s)
        taken = {wish.point for wish in wanted}
        if self.guidance.level is not Level.RELEASE:
            made = self._wishes(taken, now_s + self._lease_s)
            self.tracked = made.tracked
            wanted += (*made.setpoints, *self._shadowed(taken, now_s + self._lease_s))
            text = f"{made.tracked.excess_kw:.1f} kW over, and nothing left to move" if made.tracked.excess_kw else None
            self._alarms.set("limit-exceeded", "grid", text, image.time)
        self.verdicts = arbitrate(wanted, now_s)
        state = self.gate_state()
        self._entries += self.shadow.decide((v.winner for v in self.verdicts.values()), state, image, now_s)
        self._waiting = set()
        decided = {point: self._in_force(verdict.winner, state, now_s) for point, verdict in self.verdicts.items()}
        for point in self._dispatcher.held.keys() - decided.keys():
            decided[point] = outlast(self._dispatcher.held[point].setpoint, state, now_s, now_s + self._lease_s)
        return {point: wish for point, wish in decided.items() if wish is not None}

    def _in_force(self, wish: Setpoint, state: GateState, now_s: float) -> Setpoint | None:
        holding = self._dispatcher.held.get(wish.point)
        found, refusal = decide(wish, state, None if holding is None else holding.setpoint, now_s)
        self._told(refusal, wish.point)
        if refusal is not None and refusal.rule in NOT_EVEN_AGAIN:
            self._waiting.add(wish.point)
        return found

    def _measured(self) -> list[str]:
        powers = [resource.power for resource in self._resources if resource.power not in (None, BASE_LOAD)]
        return [self._site.meter, *(power for power in powers if power is not None)]

    def _wishes(self, taken: Collection[str], expires_at: float) -> Wishes:
        """What is in control, which has to keep the limits alone: those in shadow do not do what the plan counts on."""
        return self._wishes_of(self._by_mode["control"], self._astray_kw(), taken, expires_at)

    def _shadowed(self, taken: Collection[str], expires_at: float) -> Sequence[Setpoint]:
        """What those in shadow would want."""
        found = self._by_mode["shadow"]
        return self._wishes_of(found, 0.0, taken, expires_at).setpoints if found else ()

    def _wishes_of(
        self, resources: Sequence[Resource], astray_kw: float, taken: Collection[str], expires_at: float
    ) -> Wishes:
        site, course = self._site, Course(self.guidance.plan, self.guidance.step or 0, astray_kw)
        return wishes(resources, course, self.image, site.meter, site.limits, site.view, taken, expires_at)

    def _astray_kw(self) -> float:
        """How much more those in shadow take than the plan says [kW]."""
        plan, step, total = self.guidance.plan, self.guidance.step or 0, 0.0
        if plan is None:
            return 0.0
        for resource in self._by_mode["shadow"]:
            planned, measured = plan.power_kw.get(resource.id), self.image.value(resource.power)
            if planned is not None and measured is not None:
                total += measured - planned[step]
        return total

    def _guide(self, guidance: Guidance) -> None:
        if guidance.level is not self.guidance.level:
            log.info("guided by: %s%s", guidance.level, f" ({guidance.reason})" if guidance.reason else "")
            self._entries.append(
                JournalEntry(
                    self.cycle, self.image.time, JournalKind.NOTE, "site", reason=guidance.reason, detail=guidance.level
                )
            )
        self.guidance = guidance
        self._alarms.set("fallback", "planner", guidance.reason or None, self.image.time)

    def gate_state(self) -> GateState:
        """What the gate looks at now."""
        self.bans = self._banned()
        return GateState(
            points=self._site.points,
            limits=self._limits,
            last=self._dispatcher.last_writes(),
            blocked={**self._unaccepted, **self._acquisition.blocked()},
            held=self._dispatcher.on_hold(),
            tripped=self._tripped(),
            worn=self._dispatcher.wear.worn(),
            parts=self._parts,
            bans=self.bans,
        )

    def _wanted(self, now_s: float) -> list[Setpoint]:
        """What those who have joined want."""
        asked = [self._ask(one.wishes, self.image, now_s, now_s + self._lease_s) for one in self.seams.wants]
        return [wish for wishes in asked for wish in wishes or ()]

    def _banned(self) -> tuple[Ban, ...]:
        """What those who have joined keep from us."""
        asked = [self._ask(one.ban, self.image, self._clock.monotonic()) for one in self.seams.bans]
        return tuple(ban for ban in asked if ban is not None)

    def _ask(self, question: Callable[..., _T], *about: Any) -> _T | None:
        """The answer of one who has joined; an error costs nothing but itself."""
        name = type(getattr(question, "__self__", question)).__name__
        try:
            answer = question(*about)
        except Exception as error:
            log.exception("%s failed", name)
            self._alarms.raise_("fault", name, f"{type(error).__name__}: {error}", self.image.time)
            return None
        self._alarms.clear("fault", name, self.image.time)
        return answer

    def _tripped(self) -> dict[str, str]:
        """The points that an interlock keeps from us in this image."""
        found = {}
        for interlock in self._site.safety.interlocks:
            reason = interlock.tripped(self.image)
            self._alarms.set("interlock", f"{interlock.point} ({interlock.text})", reason, self.image.time)
            if reason is not None:
                found[interlock.point] = reason
        return found

    def _told(self, refusal: Refusal | None, point: str) -> None:
        """Journal a refusal once while it stays the same; count it every time."""
        if refusal is None or (refusal.rule == MODE_RULE and self.shadow.covers(point)):
            self._refused.pop(point, None)
            return
        self.refusals += 1
        self.refused_by[refusal.rule] += 1
        if self._refused.get(point) != refusal.rule:
            self._refused[point] = refusal.rule
            wish = refusal.setpoint
            log.warning("%s: %s from %s %s", point, wish.value, wish.source, refusal)
            self._entries.append(self._entry(JournalKind.REFUSED, wish, str(refusal)))

    def _entry(self, kind: JournalKind, wish: Setpoint, detail: str = "") -> JournalEntry:
        return JournalEntry(
            self.cycle,
            self.image.time,
            kind,
            wish.point,
            wish.value,
            wish.rank.name.lower(),
            wish.source,
            wish.reason,
            detail,
        )

    async def _commit(self, derived: list[Sample], actions: list[Action], plan: Plan | None) -> None:
        """Everything of this cycle in one transaction.

        When that fails, control goes on with the points whose ownership is on disk already (dispatch takes over no new
        ones), and the journal's lines wait for the next commit.
        """
        intents = [self._entry(_INTENTS[action.kind], action.setpoint, action.kind) for action in actions]
        journal = (*self._dispatcher.outcomes(), *self._entries, *intents)
        self._entries.clear()
        samples = (*self._acquisition.fresh(), *derived)
        pasts = self._dispatcher.wear.unsaved()
        try:
            await self._store.commit(Batch(samples=samples, journal=journal, plan=plan, pasts=pasts))
            self._dispatcher.wear.saved(pasts)
        except StoreError as error:
            log.error("%s", error)
            self._entries = [*journal, *self._entries][-WAITING_ENTRIES:]


_INTENTS = {"write": JournalKind.INTENT, "refresh": JournalKind.INTENT, "release": JournalKind.RELEASE}


def command_parts(site: Site) -> dict[str, str]:
    """Points that are only ever written as a step of another point's command, and that point."""
    return {
        f"{device.id}.{step.set}": f"{device.id}.{name}"
        for device in site.devices.values()
        for name, spec in device.profile.points.items()
        for step in spec.command
        if step.set != name
    }


def point_limits(site: Site) -> dict[str, PointLimits]:
    """The write limits of a site's points beyond the device's own: the tightest of the site file's and the resources'."""
    bindings = [binding for resource in site.resources for binding in resource.bindings() if binding.writes]
    limits = {}
    for device in site.devices.values():
        for name, spec in device.profile.points.items():
            point = f"{device.id}.{name}"
            own = [(binding.minimum, binding.maximum) for binding in bindings if binding.point == point]
            spans = [site.safety.point_limits.get(point, (None, None)), *own]
            low = max((least for least, _ in spans if least is not None), default=None)
            high = min((most for _, most in spans if most is not None), default=None)
            every = max(spec.min_change_interval_s, site.safety.point_intervals.get(point, 0.0))
            on, off = site.safety.point_dwells.get(point, (0.0, 0.0))
            limits[point] = PointLimits(
                low,
                high,
                every,
                site.safety.point_steps.get(point),
                site.safety.point_ramps.get(point),
                max(spec.min_on_s, on),
                max(spec.min_off_s, off),
            )
    return limits
