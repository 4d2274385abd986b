"""Commissioning a device on a running daemon, step by step as it is asked for: look, move every output, keep the record.

A move goes the way of every write: a wish, the gate, the cycle, dispatch with its read-back, and hand-back. While it lasts the
device is on trial (see `control.trials`). What was found is kept here until it is signed, so that nobody can send a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.commissioned import Records
from energyctl.control.dispatch import Dispatcher
from energyctl.control.gate import NOT_NOW, check
from energyctl.control.leases import Effect
from energyctl.control.nudge import Nudge, nudge
from energyctl.control.setpoints import base_load
from energyctl.control.trials import Trials
from energyctl.core.clock import Clock
from energyctl.core.errors import ConfigError, GateRefused
from energyctl.core.findings import Finding, Verdict, quantity
from energyctl.core.points import Setpoint
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.core.resources import Binding, Resource
from energyctl.field.inspection import inspect

from .cycle import Controller, point_limits
from .server import Handler

EFFECT_S = 15.0
"""How long a device may take to show what it was told."""
TAKEN_S = 15.0
"""How long a write may take until it is read back."""
RETURNED_S = 20.0
"""How long a hand-back may take."""
BEFORE_CYCLES = 3
SEEN = 0.5
"""Share of the expected change of power that counts as seen."""
TOO_MUCH = 2.0


@dataclass(frozen=True, slots=True)
class Span:
    """The least and most of what was seen [kW], and its mean."""

    low: float
    high: float
    mean: float


class Commissioning:
    """Answers the steps of a commissioning; one device moves at a time."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        controller: Controller,
        dispatcher: Dispatcher,
        alarms: Alarms,
        trials: Trials,
        records: Records,
        identities: Callable[[], Mapping[str, str | None]],
        period_s: float,
    ) -> None:
        self._site, self._clock, self._controller, self._dispatcher = site, clock, controller, dispatcher
        self._alarms, self._trials, self._records, self._identities = alarms, trials, records, identities
        self._period_s = period_s
        self._limits = point_limits(site)
        self._looked: dict[str, list[Finding]] = {}
        self._moved: dict[str, list[Finding]] = {}
        self._one = asyncio.Lock()

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {
            "commission": self.devices,
            "commission-look": self.look,
            "commission-move": self.move,
            "commission-keep": self.keep,
        }

    async def devices(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every device that is not off: what it says it is, its outputs, and why it does not count as commissioned."""
        identities = self._identities()
        return [
            {
                "device": name,
                "mode": self._site.modes[name],
                "identity": identities.get(name),
                "outputs": [binding.point for _, binding in self._outputs(name)],
                "commissioned": (why := self._records.why_not(name, identities.get(name))) is None,
                "why_not": why,
            }
            for name in self._site.devices
            if self._site.modes[name] != "off"
        ]

    async def look(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Judge the readings of "device"; begins its commissioning."""
        device, image = self._device(request), self._controller.image
        rest = base_load(self._site.resources, image, self._site.meter)
        self._looked[device] = inspect(self._site, device, image, rest)
        for _, binding in self._outputs(device):
            self._moved.pop(binding.point, None)
        return _shown(self._looked[device])

    async def move(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Move the output "point" a little, see what comes of it, and hand it back; with "dry", only say how. Raises
        GateRefused when it may not be moved just now.
        """
        point = str(request["point"])
        resource, binding = self._output(point)
        found = nudge(resource, binding, self._site.points[point], self._limits[point], self._controller.image)
        told = _told(found, self._site.points[point].unit)
        if request.get("dry"):
            return {"point": point, "would": told, "findings": []}
        async with self._one:
            with self._clock.busy():
                self._moved[point] = await self._tried(resource, point, found)
        return {"point": point, "would": told, "findings": _shown(self._moved[point])}

    async def keep(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sign what was found on "device" by "who". Raises ConfigError while something has not been tried."""
        device, who = self._device(request), str(request["who"]).strip()
        identity = self._identities().get(device)
        missing = [binding.point for _, binding in self._outputs(device) if binding.point not in self._moved]
        if device not in self._looked or missing:
            raise ConfigError(f"{device}: {', '.join(missing) or 'its readings'} still to be tried")
        if identity is None or not who:
            raise ConfigError(f"{device}: it is not known {'what it says it is' if who else 'who commissions it'}")
        moved = [found for _, binding in self._outputs(device) for found in self._moved[binding.point]]
        findings = (*self._looked[device], *moved)
        path = self._records.keep(device, identity, who, self._clock.now(), findings)
        wrong = [one.text for one in findings if one.verdict == "wrong"]
        verdict = f"did not pass commissioning: {wrong[0]}" if wrong else "passed commissioning"
        self._controller.record(
            JournalEntry(
                0, self._clock.now(), JournalKind.NOTE, device, source=who, reason="commissioning", detail=verdict
            )
        )
        return {"device": device, "passed": not wrong, "record": str(path)}

    def _device(self, request: Mapping[str, Any]) -> str:
        device = str(request["device"])
        if device not in self._site.devices or self._site.modes[device] == "off":
            known = ", ".join(name for name, mode in self._site.modes.items() if mode != "off")
            raise ConfigError(f"no device '{device}' that is not off; there are {known}")
        return device

    def _outputs(self, device: str) -> Sequence[tuple[Resource, Binding]]:
        """What resources write to a device."""
        return [
            (resource, binding)
            for resource in self._site.resources
            for binding in resource.bindings()
            if binding.writes and binding.point.partition(".")[0] == device
        ]

    def _output(self, point: str) -> tuple[Resource, Binding]:
        for resource, binding in self._outputs(point.partition(".")[0]):
            if binding.point == point:
                return resource, binding
        raise ConfigError(f"'{point}' is no output: no resource writes to it")

    # -- one move ------------------------------------------------------------------------------------------------------

    async def _tried(self, resource: Resource, point: str, found: Nudge | str) -> list[Finding]:
        if isinstance(found, str):
            return [_found(point, "write", "wrong", f"cannot be tried: {found}")]
        self._trials.device = point.partition(".")[0]
        try:
            if not await self._gone(point):
                return [_found(point, "write", "wrong", f"is held, and cannot be handed back: {self._stuck(point)}")]
            return await self._moving(resource, found)
        finally:
            self._trials.end()
            self._trials.device = None

    async def _moving(self, resource: Resource, step: Nudge) -> list[Finding]:
        point, power = step.point, resource.power
        before = await self._watched(BEFORE_CYCLES)
        until = self._clock.monotonic() + TAKEN_S + EFFECT_S
        wish = self._trials.move(point, step.value, f"commissioning: is {resource.id} as it should be?", until)
        refusal = check(wish, self._controller.gate_state(), self._clock.monotonic())
        if refusal is not None and refusal.rule in NOT_NOW:
            raise GateRefused(f"{point} cannot be tried now: {refusal}")
        if refusal is not None:
            return [_found(point, "write", "wrong", str(refusal))]
        text = await self._taken(wish)
        findings = [_found(point, "write", "wrong" if text else "right", text or _set(step, self._unit(point)))]
        if not text:
            findings += await self._effects(step, power, before)
        self._trials.end()
        handed = await self._gone(point)
        text = "handed back, and that was verified" if handed else f"not handed back: {self._stuck(point)}"
        return [*findings, _found(point, "hand-back", "right" if handed else "wrong", text)]

    async def _taken(self, wish: Setpoint) -> str:
        """Wait until a value is read back; why it was not, "" when it was."""
        until = self._clock.monotonic() + TAKEN_S
        while self._clock.monotonic() < until:
            held = self._dispatcher.held.get(wish.point)
            if held is not None and held.effect is Effect.EFFECTIVE and held.setpoint.value == wish.value:
                return ""
            if held is not None and held.effect is Effect.HELD_OFF:
                return self._stuck(wish.point)
            await self._a_while()
        return f"was not in effect within {TAKEN_S:g} s: {self._stuck(wish.point)}"

    async def _effects(self, step: Nudge, power: str | None, before: Mapping[str, Span]) -> list[Finding]:
        if step.change_kw is None or power is None or power not in before:
            text = step.text or "its resource has no good measurement of its power"
            return [_found(step.point, "effect", "not shown", text)]
        meter, restless = self._site.meter, 0.0
        if meter in before:
            restless = before[meter].high - before[meter].low
        until = self._clock.monotonic() + EFFECT_S
        findings: list[Finding] = []
        while self._clock.monotonic() < until and not _all_right(findings):
            now = await self._watched(1)
            changes = {name: now[name].mean - before[name].mean for name in now if name in before}
            findings = [_effect(step, power, changes.get(power)), _at_meter(step, meter, changes, restless)]
        return findings

    async def _watched(self, cycles: int) -> dict[str, Span]:
        """What the meter and all that measure their power show over so many cycles from the next one on; those without a
        good value are left out.
        """
        powers = [resource.power for resource in self._site.resources if resource.power in self._site.points]
        seen: dict[str, list[float]] = {point: [] for point in (self._site.meter, *powers) if point is not None}
        for _ in range(cycles):
            cycle = self._controller.cycle
            while self._controller.cycle == cycle:
                await self._a_while()
            for point, values in seen.items():
                value = self._controller.image.value(point)
                values += [] if value is None else [value]
        return {p: Span(min(v), max(v), sum(v) / len(v)) for p, v in seen.items() if v}

    async def _gone(self, point: str) -> bool:
        """Have a device handed back, also what did not take effect and would be left alone, until the point is not held."""
        until = self._clock.monotonic() + RETURNED_S
        await self._dispatcher.let_go(RETURNED_S, [point.partition(".")[0]])
        while point in self._dispatcher.held and self._clock.monotonic() < until:
            await self._a_while()
        return point not in self._dispatcher.held

    def _stuck(self, point: str) -> str:
        """What the standing alarms say of a point."""
        texts = [alarm.text for alarm in self._alarms.standing if alarm.subject == point]
        return "; ".join(texts) or "no answer"

    async def _a_while(self) -> None:
        await self._clock.sleep_until(self._clock.monotonic() + self._period_s / 4)

    def _unit(self, point: str) -> str:
        return self._site.points[point].unit


def _found(point: str, what: Any, verdict: Verdict, text: str) -> Finding:
    return Finding(point=point, what=what, verdict=verdict, text=text)


def _shown(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [one.model_dump() for one in findings]


def _told(step: Nudge | str, unit: str) -> str:
    if isinstance(step, str):
        return f"cannot be moved: {step}"
    sign = "" if step.exact else "at least "
    seen = "" if step.change_kw is None else f", which changes power by {sign}{step.change_kw:+.2g} kW"
    return f"set it to {quantity(step.value, unit)}{seen}"


def _set(step: Nudge, unit: str) -> str:
    return f"took {quantity(step.value, unit)}, read back"


def _all_right(findings: Sequence[Finding]) -> bool:
    return bool(findings) and all(one.verdict == "right" for one in findings)


def _enough(change: float | None, wanted: float) -> bool:
    return change is not None and change * wanted > 0 and abs(change) >= SEEN * abs(wanted)


def _effect(step: Nudge, power: str, change: float | None) -> Finding:
    wanted = step.change_kw or 0.0
    if change is None:
        return _found(step.point, "effect", "wrong", f"{power} has no good value")
    text = f"{power} changed by {change:+.2f} kW, {'' if step.exact else 'at least '}{wanted:+.2f} kW were expected"
    if change * wanted < 0 and abs(change) >= SEEN * abs(wanted):
        return _found(step.point, "effect", "wrong", f"{text}: is a sign the wrong way round?")
    if not _enough(change, wanted) or (step.exact and abs(change) > TOO_MUCH * abs(wanted)):
        return _found(step.point, "effect", "wrong", f"{text}: is it connected, and is its scale right?")
    return _found(step.point, "effect", "right", text)


def _at_meter(step: Nudge, meter: str, changes: Mapping[str, float], restless: float) -> Finding:
    """Whether the meter sees what the resources say they did, all of them: one may make up for another."""
    change, wanted = changes.get(meter), abs(step.change_kw or 0.0)
    expected = sum(kw for point, kw in changes.items() if point != meter)
    if change is None:
        return _found(step.point, "meter", "wrong", f"{meter} has no good value")
    text = f"{meter} changed by {change:+.2f} kW, all resources together by {expected:+.2f} kW"
    if abs(expected) < SEEN * wanted:
        return _found(step.point, "meter", "not shown", f"{text}: others made up for it")
    if _enough(change, expected) and abs(change) <= TOO_MUCH * abs(expected) + restless:
        return _found(step.point, "meter", "right", text)
    if restless > SEEN * wanted:
        return _found(step.point, "meter", "not shown", f"{text}; it moves by {restless:.2f} kW on its own")
    opposite = change * expected < 0 and abs(change) >= SEEN * wanted
    why = "is its sign the wrong way round?" if opposite else "is this what it measures, and is its scale right?"
    return _found(step.point, "meter", "wrong", f"{text}: {why}")
