"""What people ask of a running daemon: set points by hand for a while, stop everything at once, drain.

`point write` is an override of a single point. A request is checked by the gate before anything of it counts: when one of its
points is refused, none is set.
"""

from __future__ import annotations

import asyncio
import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.dispatch import Dispatcher
from energyctl.control.drain import Drain
from energyctl.control.estop import EmergencyStop
from energyctl.control.gate import GateState, check
from energyctl.control.leases import Effect
from energyctl.control.overrides import Override, Overrides
from energyctl.core.clock import Clock
from energyctl.core.errors import ConfigError, GateRefused, StoreError
from energyctl.core.points import Access
from energyctl.core.records import JournalEntry, JournalKind

from .cycle import Controller
from .server import Handler

MOST_S = 24 * 3600.0
EFFECT_CYCLES = 5
MOST_WAIT_S = 3600.0


class People:
    """Answers what people ask."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        controller: Controller,
        dispatcher: Dispatcher,
        alarms: Alarms,
        overrides: Overrides,
        estop: EmergencyStop,
        drain: Drain,
        stop: Callable[[], None],
        period_s: float,
    ) -> None:
        self._site, self._clock, self._controller, self._dispatcher = site, clock, controller, dispatcher
        self._alarms, self._overrides, self._estop, self._drain = alarms, overrides, estop, drain
        self._stop, self._period_s = stop, period_s
        self._keeping = asyncio.Lock()
        overrides.on_change = self._note

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {
            "write": self.write,
            "release": self.release,
            "writable": self.writable,
            "override": self.override,
            "overrides": self.standing,
            "override-clear": self.clear,
            "estop": self.estop,
            "estop-clear": self.estop_clear,
            "drain": self.drain,
        }

    async def write(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """An override of one point; answers once it took effect or was refused."""
        point = str(request["point"])
        made = await self._set({point: request["value"]}, request)
        return {"point": point, **made, "value": float(request["value"]), "effect": made["effects"][point]}

    async def override(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Override all points of "values" at once; answers once each took effect or it is not known yet."""
        values = request["values"]
        if not isinstance(values, dict) or not values:
            raise ConfigError('"values" must name at least one point with its value')
        return await self._set(values, request)

    async def release(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End the override of a point; it goes back to whoever else wants it, or to the device."""
        point = str(request["point"])
        if point not in self._controller.image:
            raise ConfigError(f"no point '{point}'; 'energyctl point get' lists them all")
        return {"point": point, "released": bool(await self._cleared(point, request))}

    async def clear(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End the overrides of the points that match a glob."""
        return {"cleared": await self._cleared(str(request["match"]), request)}

    async def writable(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The points that match "match" (a glob) and may be written to as such, with what they take and what they show."""
        wanted, parts = str(request["match"]), self._controller.gate_state().parts
        return [
            {
                "point": name,
                "unit": point.unit,
                "kind": point.kind,
                "choices": dict(point.choices),
                "value": self._controller.image.value(name),
            }
            for name, point in sorted(self._site.points.items())
            if point.access is Access.READ_WRITE and name not in parts and fnmatch.fnmatchcase(name, wanted)
        ]

    async def standing(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The overrides that stand, and what became of each."""
        return self.overrides()

    def overrides(self) -> list[dict[str, Any]]:
        """The overrides that stand, and what became of each."""
        now_s, standing = self._clock.monotonic(), self._overrides.standing
        if not standing:
            return []
        state = self._controller.gate_state()
        return [
            {
                "point": one.point,
                "value": one.value,
                "unit": self._site.points[one.point].unit if one.point in self._site.points else "",
                "by": one.by,
                "reason": one.reason,
                "until": self._overrides.until(one).isoformat(),
                "left_s": round(one.ends_s - now_s, 1),
                "effect": self._became(one, state),
            }
            for one in standing
        ]

    async def estop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Emergency stop; answers at once, or after "wait_s" with what is then still held and why."""
        kept = self._estop.press(request["user"], str(request.get("reason") or ""))
        await self._let_go(_seconds(request, "wait_s", MOST_WAIT_S) if request.get("wait_s") else 0.0)
        return {"estop": str(self._estop.standing), "kept": kept, "left": self._left()}

    async def estop_clear(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End the emergency stop."""
        was = self._estop.standing
        try:
            self._estop.clear()
        except OSError as error:
            raise StoreError(f"the emergency stop cannot be cleared: {error}") from error
        return {"cleared": was is not None}

    async def drain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Hand everything back, for at most "within_s", then end the daemon; answers with what could not be."""
        within_s = _seconds(request, "within_s", MOST_WAIT_S)
        self._drain.by = request["user"]
        await self._let_go(within_s)
        left = self._left()
        self._stop()
        return {"left": left}

    async def _let_go(self, within_s: float) -> None:
        """Hand back what is held now; what fails is left to the cycles, and waited for."""
        with self._clock.busy():
            until_s = self._clock.monotonic() + within_s
            if within_s > 0:
                await self._dispatcher.let_go(within_s)
            while self._dispatcher.held and self._clock.monotonic() < until_s:
                await self._clock.sleep_until(self._clock.monotonic() + min(0.1, self._period_s / 4))

    def _left(self) -> dict[str, str]:
        """What is still held, and why as far as it is known."""
        why = {alarm.subject: alarm.text for alarm in self._alarms.standing if alarm.name == "not-released"}
        return {point: why.get(point, "not handed back yet") for point in sorted(self._dispatcher.held)}

    async def _set(self, wanted: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        seconds = _seconds(request, "for_s", MOST_S)
        values = {str(point): _number(str(point), value) for point, value in wanted.items()}
        reason = str(request.get("reason") or "set by hand")
        self._admit(values, request["user"], reason, seconds)
        self._overrides.set(values, request["user"], reason, seconds)
        kept = await self._keep()
        return {"until_s": seconds, "kept": kept, "effects": await self._effects(values)}

    def _admit(self, values: Mapping[str, float], by: str, reason: str, seconds: float) -> None:
        """Raises GateRefused naming the rule for every value that the gate refuses."""
        state, now_s = self._controller.gate_state(), self._clock.monotonic()
        wishes = [Override(p, v, by, reason, now_s + seconds).setpoint for p, v in values.items()]
        refusals = [refusal for wish in wishes if (refusal := check(wish, state, now_s)) is not None]
        self._controller.refusals += len(refusals)
        if refusals:
            raise GateRefused("\n".join(map(str, refusals)))

    async def _cleared(self, match: str, request: Mapping[str, Any]) -> list[str]:
        points = self._overrides.clear(match, request["user"])
        if points:
            await self._keep()
        return points

    async def _keep(self) -> bool:
        """Off the loop: a slow disk must not hold up a cycle. One at a time, so that the last word is the last written."""
        async with self._keeping:
            kept = await asyncio.to_thread(self._overrides.keep)
        text = None if kept else "they could not be written down, so a restart forgets them"
        self._alarms.set("overrides-not-kept", "site", text, self._clock.now())
        return kept

    async def _effects(self, values: Mapping[str, float]) -> dict[str, str]:
        """Watch a few cycles for the outcome."""
        with self._clock.busy():
            for _ in range(EFFECT_CYCLES * 4):
                effects = {point: self._effect(point, value) for point, value in values.items()}
                if Effect.PENDING not in effects.values():
                    break
                await self._clock.sleep_until(self._clock.monotonic() + self._period_s / 4)
        return {point: effect.value for point, effect in effects.items()}

    def _effect(self, point: str, value: float) -> Effect:
        holding = self._dispatcher.held.get(point)
        if holding is None or holding.setpoint.value != value:
            return Effect.PENDING
        return holding.effect

    def _became(self, one: Override, state: GateState) -> str:
        """The effect of an override, or why the gate refuses it now."""
        refusal = check(one.setpoint, state, self._clock.monotonic())
        return self._effect(one.point, one.value).value if refusal is None else str(refusal)

    def _note(self, one: Override, text: str) -> None:
        wish = one.setpoint
        self._controller.record(
            JournalEntry(
                0, self._clock.now(), JournalKind.NOTE, one.point, one.value, "operator", wish.source, one.reason, text
            )
        )


def _number(point: str, value: Any) -> float:
    """A value as it must come. Raises GateRefused: nothing is read into words, and true is not 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GateRefused(f"refused by rule 'type': {point} takes a number, not {value!r:.60}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _seconds(request: Mapping[str, Any], name: str, most: float) -> float:
    """A time that a request gives. Raises GateRefused."""
    seconds = _number(f'"{name}"', request[name])
    if math.isfinite(seconds) and 0 < seconds <= most:
        return seconds
    raise GateRefused(f"refused by rule 'duration': for more than 0 s and at most {most / 3600:g} h, not {seconds:g} s")
