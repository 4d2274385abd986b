"""The write gate: the one way from a wish to a device, for the optimizer, rules, operators and the API alike.

Every rule either admits a setpoint or refuses it by name with the values it saw. Nothing is clamped silently: a caller
that wants a value inside the limits has to ask for one. Rules are checked in the order of `RULES`, then the bans of others;
the first refusal counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from energyctl.core.points import Access, Point, Setpoint

from .seams import Ban


@dataclass(frozen=True, slots=True)
class PointLimits:
    """What may be written to a point: the tightest of profile and site, and the least time between different values."""

    minimum: float | None = None
    maximum: float | None = None
    min_change_interval_s: float = 0.0
    max_step: float | None = None
    """Largest change from one written value to the next [unit]."""


@dataclass(frozen=True, slots=True)
class LastWrite:
    """What was last written to a point, and when on `Clock.monotonic()` it last changed."""

    value: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class GateState:
    """All the gate looks at. `blocked` names devices that may not be written to and why; `held` points likewise."""

    mode: str
    points: Mapping[str, Point]
    limits: Mapping[str, PointLimits]
    last: Mapping[str, LastWrite] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    tripped: Mapping[str, str] = field(default_factory=dict)
    """Points that an interlock keeps from us now, and the condition that holds."""
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
    for name, rule in RULES.items():
        detail = rule(setpoint, state, now_s)
        if detail is not None:
            return Refusal(setpoint, name, detail)
    for ban in state.bans:
        reason = ban.on(setpoint.point)
        if reason is not None:
            return Refusal(setpoint, ban.rule, reason)
    return None


def _mode(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    return None if state.mode == "control" else f"the site is in mode '{state.mode}', which writes nothing"


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


def _rate(setpoint: Setpoint, state: GateState, now_s: float) -> str | None:
    last, limits = state.last.get(setpoint.point), state.limits.get(setpoint.point)
    if last is None or limits is None or limits.max_step is None:
        return None
    step = abs(setpoint.value - last.value)
    return (
        None
        if step <= limits.max_step + 1e-9
        else f"a step of {step:g} exceeds {limits.max_step:g} on {setpoint.point}"
    )


RULES: dict[str, Rule] = {
    "mode": _mode,
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
    "rate": _rate,
}
"""Every rule by the name it refuses with, in the order they are checked."""

NOT_NOW = frozenset({"device", "hold", "interval", "rate"})
"""Rules that refuse a change for the time being."""


def in_force(
    wish: Setpoint, refusal: Refusal | None, held: Setpoint | None, max_step: float | None = None
) -> Setpoint | None:
    """What is to be in force: the wish if it is admitted; a step of `max_step` towards it if it is too large a change;
    what is held of its point if it is only too early for one, since handing back would be a change too; nothing otherwise.
    """
    if refusal is None:
        return wish
    if refusal.rule == "rate" and held is not None and max_step is not None:
        towards = held.value + math.copysign(max_step, wish.value - held.value)
        return replace(wish, value=towards, reason=f"{wish.reason} (a step towards {wish.value:g})")
    return held if refusal.rule in NOT_NOW else None
