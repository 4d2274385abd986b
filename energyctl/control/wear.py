"""What every point has been through: when we last changed it, since when it is on or off, how often it was written.

The rules:
- Flash is written at most once in `FLASH_S`, in the mean, and `FLASH_BURST` times at once; the last write of these is kept for
  handing back, which is never refused.
- A switch is on, or off, since we made it so or since it was first seen so, whoever did it.
- A restart forgets none of it. What has passed meanwhile is told by the machine's clock that nobody sets; after a reboot only
  the time since then is sure, and what is not known counts as just now.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from energyctl.core.clock import Clock
from energyctl.core.driver import Device
from energyctl.core.points import Point, ProcessImage
from energyctl.core.records import Past

from .gate import LastWrite, PointLimits, is_on
from .handback import HandedBack
from .leases import Effect, Holding

FLASH_S = 600.0
FLASH_BURST = 3
FOR_HAND_BACK = 1


@dataclass(slots=True)
class _State:
    """What is known of a point; times on `Clock.monotonic()`."""

    value: float | None = None
    """What it was last set to, or shows."""
    changed_at: float = -math.inf
    on: bool | None = None
    switched_at: float | None = None
    before: tuple[bool | None, float | None] = (None, None)
    """On or off, and since when, before the last write."""
    tokens: float = FLASH_BURST
    tokens_at: float = 0.0
    day: str = ""
    writes: int = 0


class Wear:
    """Keeps what the points of `devices` have been through. `boot` names the run of the machine, "" where that is not known."""

    def __init__(
        self, devices: Mapping[str, Device], limits: Mapping[str, PointLimits], clock: Clock, timezone: str, boot: str
    ) -> None:
        self._clock, self._zone, self._boot = clock, ZoneInfo(timezone), boot
        self._states: dict[str, _State] = {}
        self._unsaved: set[str] = set()
        self.refit(devices, limits)

    def refit(self, devices: Mapping[str, Device], limits: Mapping[str, PointLimits]) -> None:
        """These are the devices and limits from now on; what points have been through stays."""
        self._points: dict[str, Point] = {k: p for device in devices.values() for k, p in device.points.items()}
        self._limits = {k: limit for k, limit in limits.items() if limit.remembers or limit.max_step is not None}
        flash = {
            f"{device.id}.{name}"
            for device in devices.values()
            for name, spec in device.profile.points.items()
            if spec.memory == "flash"
        }
        touched = {
            f"{device.id}.{name}": [f"{device.id}.{part}" for part in device.profile.touched(name)]
            for device in devices.values()
            for name in device.profile.points
        }
        self._in_flash = {
            point: [part for part in parts if part in flash] for point, parts in touched.items() if flash & set(parts)
        }
        self._kept = {point for point, limit in limits.items() if limit.remembers} | flash

    def load(self, pasts: Iterable[Past]) -> None:
        """Take over what an earlier run has kept."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        for past in pasts:
            since = self._passed(past, now_s, now)
            self._states[past.point] = _State(
                changed_at=-math.inf if past.changed_s is None else now_s - since - past.changed_s,
                on=past.on,
                switched_at=None if past.switched_s is None else now_s - since - past.switched_s,
                tokens=min(float(FLASH_BURST), past.tokens + since / FLASH_S),
                tokens_at=now_s,
                day=past.day,
                writes=past.writes,
            )

    def _passed(self, past: Past, now_s: float, now: datetime) -> float:
        """Seconds that have surely passed since it was saved."""
        if self._clock.virtual:
            return max(0.0, (now - past.saved_at).total_seconds())
        same = self._boot != "" and past.boot == self._boot
        return max(0.0, now_s - past.uptime_s if same else now_s)

    def look(self, image: ProcessImage, held: Mapping[str, Holding]) -> None:
        """Take note of what points show; where a write is on its way that says nothing yet."""
        now_s = self._clock.monotonic()
        for point, limit in self._limits.items():
            holding, value = held.get(point), image.value(point)
            if value is None or (holding is not None and holding.effect in (Effect.PENDING, Effect.RELEASING)):
                continue
            state = self._state(point)
            if holding is None:
                state.value = value
            if limit.dwells and state.on != is_on(self._points[point], value):
                state.on, state.switched_at = is_on(self._points[point], value), now_s
                self._unsaved.add(point)

    def wrote(self, values: Mapping[str, float]) -> None:
        """These values are about to be written, or were when handing back."""
        now_s, day = self._clock.monotonic(), self._clock.now().astimezone(self._zone).date().isoformat()
        for point, value in values.items():
            state = self._state(point)
            state.before = state.on, state.switched_at
            on = is_on(self._points[point], value)
            if state.value != value:
                state.value, state.changed_at = value, now_s
            if state.on != on:
                state.on, state.switched_at = on, now_s
            state.tokens, state.tokens_at = self._tokens(state) - 1, now_s
            state.day, state.writes = day, state.writes + 1 if state.day == day else 1
            self._unsaved.add(point)

    def relinquished(self, point: str) -> None:
        """Our claim on a point was given up: it has another value now, and we do not know which."""
        state = self._state(point)
        state.value, state.changed_at = None, self._clock.monotonic()
        self._unsaved.add(point)

    def handed_back(self, result: HandedBack, device: Device) -> None:
        """What handing back has done to the points of a device."""
        self.wrote({step.point: step.value for step in result.written})
        if result.ok and device.profile.points[result.group.name].release == "relinquish":
            self.relinquished(result.group.point)

    def not_taken(self, point: str, shown: float | None) -> None:
        """The device refused a write (None), or shows this right after it: if it is what it was before nothing was switched."""
        state = self._state(point)
        if shown is None or is_on(self._points[point], shown) == state.before[0]:
            state.on, state.switched_at = state.before
            self._unsaved.add(point)

    def last_writes(self, held: Mapping[str, Holding]) -> dict[str, LastWrite]:
        """What the gate needs to know of every point that is held, or that may not change at any time or by any step."""
        found = {}
        for point in {**self._limits, **held}:
            state, holding = self._state(point), held.get(point)
            value = state.value if holding is None else holding.setpoint.value
            if value is not None:
                settled = holding is not None and holding.effect in (Effect.EFFECTIVE, Effect.PENDING)
                found[point] = LastWrite(value, state.changed_at, state.on, state.switched_at, settled)
        return found

    def worn(self) -> dict[str, str]:
        """Controlled points whose memory must not be written now, and why."""
        found = {}
        for point, parts in self._in_flash.items():
            scarce = min(parts, key=lambda part: self._tokens(self._state(part)))
            missing = 1 + FOR_HAND_BACK - self._tokens(self._state(scarce))
            if missing > 1e-9:
                found[point] = (
                    f"{scarce} is kept in flash and was written {self.today().get(scarce, 0)} times today, at most once "
                    f"in {FLASH_S:.0f} s in the mean; it may be again in {math.ceil(missing * FLASH_S)} s"
                )
        return found

    def today(self) -> dict[str, int]:
        """How often each point was written today, by the site's calendar; points that were not are left out."""
        day = self._clock.now().astimezone(self._zone).date().isoformat()
        return {
            point: state.writes for point, state in sorted(self._states.items()) if state.day == day and state.writes
        }

    def must_be_kept(self, points: Collection[str]) -> bool:
        """Whether a write to these points has to be on disk before it goes out, so that no crash makes it undone."""
        return not self._kept.isdisjoint(points)

    def unsaved(self) -> tuple[Past, ...]:
        """What has changed since it was last saved."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        return tuple(self._past(point, self._states[point], now_s, now) for point in sorted(self._unsaved))

    def saved(self, pasts: Iterable[Past]) -> None:
        """These are on disk; one that has changed again since is saved again."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        for past in pasts:
            same = self._past(past.point, self._states[past.point], now_s, now)
            if (same.day, same.writes, same.on) == (past.day, past.writes, past.on):
                self._unsaved.discard(past.point)

    def _past(self, point: str, state: _State, now_s: float, now: datetime) -> Past:
        return Past(
            point,
            now,
            now_s,
            self._boot,
            None if math.isinf(state.changed_at) else now_s - state.changed_at,
            state.on,
            None if state.switched_at is None else now_s - state.switched_at,
            self._tokens(state),
            state.day,
            state.writes,
        )

    def _state(self, point: str) -> _State:
        return self._states.setdefault(point, _State(tokens_at=self._clock.monotonic()))

    def _tokens(self, state: _State) -> float:
        passed = self._clock.monotonic() - state.tokens_at
        return min(float(FLASH_BURST), state.tokens + passed / FLASH_S)
