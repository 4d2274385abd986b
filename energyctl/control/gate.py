"""The write gate: the one way from a wish to a device, for the optimizer, rules, operators and the API alike.

Every rule either admits a setpoint or refuses it by name with the values it saw. Nothing is clamped silently: a caller
that wants a value inside the limits has to ask for one. The first refusal counts: of the rules that hold whatever the time
(`RULES` without `NOT_NOW`), then of the bans of others, then of those that refuse a change for the time being.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from energyctl.core.points import Access, Point, Setpoint

from .seams import Ban

RAMP_S = 60.0
"""A ramp is held within any span of so long; a point that rested longer has no more room for it."""


@dataclass(frozen=True, slots=True)
class PointLimits:
    """What may be written to a point: the tightest of profile and site, and how often and how fast it may change."""

    minimum: float | None = None
    maximum: float | None = None
    min_change_interval_s: float = 0.0
    """Least time between two different values."""
    max_step: float | None = None
    """Largest change from one written value to the next [unit]."""
    ramp_per_s: float | None = None
    """Fastest change [unit/s], within any span of `RAMP_S`."""
    min_on_s: float = 0.0
    min_off_s: float = 0.0
    """How long a switch stays on, or off, before we change that; for a number on is above 0."""

    @property
    def dwells(self) -> bool:
        """Whether it has to stay on or off for some time."""
        return self.min_on_s > 0 or self.min_off_s > 0

    @property
    def remembers(self) -> bool:
        """Whether what it has been through counts after a restart too."""
        return self.dwells or self.min_change_interval_s > 0 or self.ramp_per_s is not None


@dataclass(frozen=True, slots=True)
class LastWrite:
    """What a point was last set to, or shows while it is not ours. Times are on `Clock.monotonic()`."""

    value: float
    changed_at: float
    """When it last got another value from us; -inf: never."""
    on: bool | None = None
    """Whether it is on, whoever did it; None: not known."""
    switched_at: float | None = None
    """Since when it is so; None: not known."""
    settled: bool = True
    """Whether the value is ours and in effect, so that wanting it again writes nothing."""


@dataclass(frozen=True, slots=True)
class GateState:
    """All the gate looks at. `blocked` names devices that may not be written to and why; `held` points likewise."""

    points: Mapping[str, Point]
    limits: Mapping[str, PointLimits]
    last: Mapping[str, LastWrite] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    tripped: Mapping[str, str] = field(default_factory=dict)
    """Points that an interlock keeps from us now, and the condition that holds."""
    worn: Mapping[str, str] = field(default_factory=dict)
    """Points whose memory must not be written now, and why."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Points that are only written as part of another point's command, and that point."""
    bans: Sequence[Ban] = ()
    """What others keep from us now, each under the name of its own rule."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A setpoint that may not be written: the rule that says so, and the values in plain words."""

    setpoint: Setpoint
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"refused by rule '{self.rule}': {self.detail}"


Rule = Callable[[Setpoint, GateState, float], str | None]


def check(setpoint: Setpoint, state: GateState, now_s: float) -> Refusal | None:
    """The refusal of the first rule that says no, or None: the setpoint may be written. `now_s` is monotonic."""
    lasting = {name: rule for name, rule in RULES.items() if name not in NOT_NOW}
    return (
        _refused(setpoint, state, now_s, lasting)
        or _banned(setpoint, state)
        or _refused(setpoint, state, now_s, {name: rule for name, rule in RULES.items() if name in NOT_NOW})
    )


def _refused(setpoint: Setpoint, state: GateState, now_s: float, rules: Mapping[str, Rule]) -> Refusal | None:
    for name, rule in rules.items():
        detail = rule(setpoint, state, now_s)
        if detail is not None:
            return Refusal(setpoint, name, detail)
    return None


def _banned(setpoint: Setpoint, state: GateState) -> Refusal | None:
    for ban in state.bans:
        reason = ban.on(setpoint.point, setpoint.source)
        if reason is not None:
            return Refusal(setpoint, ban.rule, reason)
    return None


def _known(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return None if setpoint.point in state.points else f"the site has no point '{setpoint.point}'"


def _writable(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    point = state.points[setpoint.point]
    return None if point.access is Access.READ_WRITE else f"{point.id} is read-only"


def _part(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    whole = state.parts.get(setpoint.point)
    return None if whole is None else f"{setpoint.point} is part of the command for {whole}; write that instead"


def _interlock(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return state.tripped.get(setpoint.point)


def _finite(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return None if math.isfinite(setpoint.value) else f"{setpoint.point} cannot be set to {setpoint.value}"


def _type(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    point = state.points[setpoint.point]
    allowed = {"bool": (0, 1), "enum": tuple(point.choices.values())}.get(point.kind)
    if allowed is None or setpoint.value in allowed:
        return None
    names = ", ".join(point.choices) if point.choices else ", ".join(map(str, allowed))
    return f"{point.id} is a {point.kind} ({names}), not {setpoint.value:g}"


def _limits(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    point, limits = state.points[setpoint.point], state.limits.get(setpoint.point, PointLimits())
    low = max((v for v in (point.minimum, limits.minimum) if v is not None), default=-math.inf)
    high = min((v for v in (point.maximum, limits.maximum) if v is not None), default=math.inf)
    if low - 1e-9 <= setpoint.value <= high + 1e-9:
        return None
    return f"{setpoint.value:g} {point.unit} is outside {low:g}..{high:g} {point.unit} of {point.id}".replace("  ", " ")


def _lease(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    late = now_s - setpoint.expires_at
    return None if late < 0 else f"it expired {late:.0f} s ago"


def _device(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return state.blocked.get(state.points[setpoint.point].device)


def _hold(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return state.held.get(setpoint.point)


def _interval(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    last, limits = state.last.get(setpoint.point), state.limits.get(setpoint.point)
    if last is None or limits is None or setpoint.value == last.value:
        return None
    since = now_s - last.changed_at
    if since >= limits.min_change_interval_s:
        return None
    return f"{setpoint.point} changed {since:.0f} s ago and may change every {limits.min_change_interval_s:.0f} s"


def _dwell(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    point, last = state.points[setpoint.point], state.last.get(setpoint.point)
    if last is not None and is_on(point, setpoint.value) == last.on:
        return None
    return dwelling(setpoint.point, state, now_s)


def dwelling(point: str, state: GateState, now_s: float) -> str | None:
    """Why a switch has to stay on or off for now; None when it need not. What is not known counts as just now."""
    limits, last = state.limits.get(point), state.last.get(point)
    if limits is None or not limits.dwells:
        return None
    if last is None or last.on is None or last.switched_at is None:
        return f"it is not known whether {point} is on or off and since when"
    since, least = max(0.0, now_s - last.switched_at), limits.min_on_s if last.on else limits.min_off_s
    if since >= least:
        return None
    return f"{point} has been {'on' if last.on else 'off'} for {since:.0f} s and stays so for {least:.0f} s"


def is_on(point: Point, value: float) -> bool:
    """Whether a value of a point means on: not the lowest choice of a switch, above 0 for a number."""
    return value > (min(point.choices.values(), default=0) if point.kind == "enum" else 0)


def _wear(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    last = state.last.get(setpoint.point)
    repeats = last is not None and last.settled and last.value == setpoint.value
    return None if repeats else state.worn.get(setpoint.point)


def _rate(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    most, last = largest_step(setpoint.point, state, now_s), state.last.get(setpoint.point)
    if most is None or last is None:
        return None
    step = abs(setpoint.value - last.value)
    return None if step <= most + 1e-9 else f"a step of {step:g} exceeds {most:g} on {setpoint.point}"


def largest_step(point: str, state: GateState, now_s: float) -> float | None:
    """How far a point may move from its last value now [unit]; None when that is not limited."""
    limits, last = state.limits.get(point), state.last.get(point)
    if limits is None or last is None:
        return None
    passed = min(RAMP_S, max(0.0, now_s - last.changed_at))
    rooms = [limits.max_step, None if limits.ramp_per_s is None else limits.ramp_per_s * passed]
    return min((room for room in rooms if room is not None), default=None)


RULES: dict[str, Rule] = {
    "known-point": _known,
    "writable": _writable,
    "part": _part,
    "finite": _finite,
    "type": _type,
    "limits": _limits,
    "lease": _lease,
    "interlock": _interlock,
    "device": _device,
    "hold": _hold,
    "interval": _interval,
    "dwell": _dwell,
    "wear": _wear,
    "rate": _rate,
}
"""Every rule by the name it refuses with, in the order they are checked."""

NOT_NOW = frozenset({"device", "hold", "interval", "dwell", "wear", "rate"})
"""Rules that refuse a change for the time being."""

NOT_EVEN_AGAIN = frozenset({"dwell", "wear"})
"""Those of them that also refuse to write once more what is held and not in effect."""


def in_force(
    wish: Setpoint,
    refusal: Refusal | None,
    held: Setpoint | None,
    max_step: float | None = None,
    start: float | None = None,
) -> Setpoint | None:
    """What is to be in force: the wish if it is admitted; a step of `max_step` towards it if it is too large a change, from
    what is held or from `start` while nothing is; what is held of its point if it is only too early for one, since handing
    back would be a change too; nothing otherwise.
    """
    if refusal is None:
        return wish
    start = start if held is None else held.value
    if refusal.rule == "rate" and start is not None and max_step is not None:
        towards = start + math.copysign(max_step, wish.value - start)
        return replace(wish, value=towards, reason=f"{wish.reason} (a step towards {wish.value:g})")
    return held if refusal.rule in NOT_NOW else None


def decide(
    wish: Setpoint, state: GateState, held: Setpoint | None, now_s: float
) -> tuple[Setpoint | None, Refusal | None]:
    """What is to be in force of the winner of a point, and why it is not the wish itself. A step towards it has to pass the
    gate too.
    """
    refusal, last = check(wish, state, now_s), state.last.get(wish.point)
    step, start = largest_step(wish.point, state, now_s), None if last is None else last.value
    found = in_force(wish, refusal, held, step, start)
    if found is None or found is wish or found is held:
        return found, refusal
    return (found if check(found, state, now_s) is None else held), refusal


def outlast(held: Setpoint, state: GateState, now_s: float, expires_at: float) -> Setpoint | None:
    """What is held and nobody wants any more stays until its least time on or off is over, where nothing forbids it."""
    if dwelling(held.point, state, now_s) is None:
        return None
    kept = replace(held, expires_at=expires_at)
    return kept if check(kept, state, now_s) is None else None
