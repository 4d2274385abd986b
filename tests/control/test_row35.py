"""Generated commands at the gate (matrix row 35) against an oracle that knows the rules' text and none of their code.

The oracle answers with every rule that has to refuse; the gate has to refuse exactly when there is one, by one of them. What
is put in force instead of a wish has to pass the oracle as well.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from energyctl.control import gate
from energyctl.control.gate import GateState, LastWrite, PointLimits, check, decide
from energyctl.control.seams import Ban
from energyctl.core.points import Access, Point, Rank, Setpoint
from tests.torture import count

NOW = 50_000.0
SOURCES = ("plan:bat", "rule:bat", "operator", "district")
POINTS = {
    point.id: point
    for point in (
        Point(id="bat.set", unit="kW", access=Access.READ_WRITE, minimum=-30.0, maximum=30.0),
        Point(id="bat.timer", unit="s", access=Access.READ_WRITE, minimum=0.0),
        Point(id="bat.soc", unit="1"),
        Point(id="hp.set", unit="°C", access=Access.READ_WRITE, maximum=35.0),
        Point(id="hp.mode", access=Access.READ_WRITE, kind="enum", choices={"off": 1, "heat": 2, "cool": 4}),
        Point(id="hp.run", access=Access.READ_WRITE, kind="bool"),
        Point(id="pump.speed", unit="1", access=Access.READ_WRITE, minimum=0.0, maximum=1.0),
    )
}
SPANS = {"bat.set": (-30, 30), "bat.timer": (0, math.inf), "hp.set": (-math.inf, 35), "pump.speed": (0, 1)}
"""The devices' own limits, by hand."""
CHOICES = {"hp.mode": (1, 2, 4), "hp.run": (0, 1)}
OFF = {"hp.mode": 1, "hp.run": 0}
"""The value that means off; of numbers it is whatever is not above 0."""


def some(luck, chance, thing):
    return thing() if luck.random() < chance else None


def value_for(luck, point):
    """A value: mostly one that may do, often one just beside it, sometimes nonsense."""
    kind = luck.random()
    if kind < 0.1:
        wild = (math.nan, math.inf, -math.inf, 1e308, -1e308, 65535.0, -32768.0, 2.5, 3, 1e-300, -0.0, True, False)
        return luck.choice(wild)
    if point in CHOICES:
        return luck.choice((*CHOICES[point], *CHOICES[point], 0, 3, 5, 0.5))
    if kind < 0.3:
        edge = luck.choice((-30.0, 30.0, 0.0, 1.0, 35.0, 20.0, 10.0))
        return edge + luck.choice((0.0, 1e-6, -1e-6, 1e-12, 0.01, -0.01))
    return luck.uniform(*luck.choice(((-31, 31), (0, 1), (15, 36), (0, 100))))


def limits_for(luck):
    low = some(luck, 0.3, lambda: luck.uniform(-25, 18))
    return PointLimits(
        low,
        some(luck, 0.3, lambda: (low or 0.0) + luck.uniform(0, 15)),
        some(luck, 0.3, lambda: luck.choice((60.0, 600.0))) or 0.0,
        some(luck, 0.2, lambda: luck.choice((0.5, 3.0))),
        some(luck, 0.2, lambda: luck.choice((0.02, 0.2))),
        some(luck, 0.3, lambda: luck.choice((120.0, 600.0))) or 0.0,
        some(luck, 0.3, lambda: luck.choice((120.0, 600.0))) or 0.0,
    )


def ago(luck):
    return NOW - luck.choice((0.0, 1.0, 30.0, 59.9, 60.0, 119.0, 121.0, 599.0, 601.0, 1e4, -500.0))


def last_for(luck, point):
    value = luck.choice(CHOICES[point]) if point in CHOICES else luck.uniform(-5, 30)
    on = some(luck, 0.9, lambda: luck.random() < 0.5)
    switched = some(luck, 0.9, lambda: ago(luck))
    return LastWrite(float(value), ago(luck), on, switched, luck.random() < 0.5)


def generated(luck):
    """A command and the state of a site."""
    point = luck.choice((*POINTS, "bat.nothing", "", "bat.set ")) if luck.random() < 0.2 else luck.choice(tuple(SPANS))
    point = luck.choice(tuple(CHOICES)) if luck.random() < 0.3 else point
    names = tuple(POINTS)

    def rarely(keys):
        return {luck.choice(keys): "because"} if luck.random() < 0.08 else {}

    bans = [
        Ban(luck.choice(("estop", "mode")), {luck.choice((*names, "hp", "bat", "*")): "because"}, luck.choice(((("",)), ("plan",))))
        for _ in range(luck.random() < 0.1)
    ]  # fmt: skip
    state = GateState(
        points=POINTS,
        limits={name: limits_for(luck) for name in names if luck.random() < 0.6},
        last={name: last_for(luck, name) for name in names if luck.random() < 0.6},
        blocked=rarely(("bat", "hp", "pump")),
        held=rarely(names),
        tripped=rarely(names),
        worn=rarely(names),
        parts=rarely(names),
        bans=bans,
    )
    expires = NOW + luck.choice((60.0, 60.0, 60.0, 60.0, 0.1, 0.0, -1.0))
    return Setpoint(point, value_for(luck, point), Rank.OPTIMIZER, luck.choice(SOURCES), "because", expires), state


def on(point, value):
    return value != OFF[point] if point in OFF else value > 0


def forbidden(wish, state):
    """Every rule that has to refuse a command, from the rules' text."""
    point, value = wish.point, wish.value
    if point not in POINTS:
        return {"known-point"}
    found = set()
    if point == "bat.soc":
        found.add("writable")
    if point in state.parts:
        found.add("part")
    if value != value or value in (math.inf, -math.inf):
        return found | {"finite"}
    if point in CHOICES and value not in CHOICES[point]:
        found.add("type")
    limits, last = state.limits.get(point), state.last.get(point)
    low, high = SPANS.get(point, (-math.inf, math.inf))
    if limits is not None:
        low = low if limits.minimum is None else max(low, limits.minimum)
        high = high if limits.maximum is None else min(high, limits.maximum)
    if value < low - 1e-9 or value > high + 1e-9:
        found.add("limits")
    if wish.expires_at <= NOW:
        found.add("lease")
    if point in state.tripped:
        found.add("interlock")
    device = point.split(".")[0]
    if device in state.blocked:
        found.add("device")
    if point in state.held:
        found.add("hold")
    for ban in state.bans:
        covered = [key for key in ban.reasons if key in (point, device, "*")]
        if covered and any(wish.source.startswith(source) for source in ban.sources):
            found.add(ban.rule)
    if point in state.worn and not (last is not None and last.settled and last.value == value):
        found.add("wear")
    if limits is not None:
        found |= changes(point, value, limits, last)
    return found


def changes(point, value, limits, last):
    """The rules about how often and how far."""
    found = set()
    if last is not None and value != last.value and NOW - last.changed_at < limits.min_change_interval_s:
        found.add("interval")
    if limits.min_on_s or limits.min_off_s:
        known = last is not None and last.on is not None
        if not known:
            found.add("dwell")
        elif on(point, value) != last.on:
            least = limits.min_on_s if last.on else limits.min_off_s
            passed = -math.inf if last.switched_at is None else NOW - last.switched_at
            if (least and passed < least) or last.switched_at is None or (passed < 0 and least > 0):
                found.add("dwell")
    if last is not None:
        passed = min(60.0, max(0.0, NOW - last.changed_at))
        rooms = [] if limits.max_step is None else [limits.max_step]
        rooms += [] if limits.ramp_per_s is None else [limits.ramp_per_s * passed]
        if any(abs(value - last.value) > room + 1e-9 for room in rooms):
            found.add("rate")
    return found


def judged(commands, seed=35):
    """Bypasses, needless refusals, wrong names, wrong substitutes; and how many were admitted and refused by which rule."""
    luck, wrong, names = random.Random(seed), [], {}
    for number in range(commands):
        wish, state = generated(luck)
        refusal, expected = check(wish, state, NOW), forbidden(wish, state)
        name = None if refusal is None else refusal.rule
        names[name] = names.get(name, 0) + 1
        if (name is None) != (not expected) or (name is not None and name not in expected):
            wrong.append((number, wish, name, expected))
        found, _ = decide(wish, state, None, NOW)
        if found is not None and forbidden(found, state):
            wrong.append((number, wish, found, forbidden(found, state)))
    return wrong, names


def test_row35_generated_commands_at_the_gate():
    commands = count(35, quick=5000, full=100_000)
    wrong, names = judged(commands)
    assert wrong == []
    assert set(names) == {None, "estop", *gate.RULES} | {"mode"}, "every rule had something to refuse"
    assert names[None] > commands / 20


@pytest.mark.parametrize("rule", sorted(gate.RULES.keys() - {"known-point"}))
def test_row35_the_oracle_sees_each_rule_that_is_missing(monkeypatch, rule):
    """All but the one without which the others could not even look."""
    monkeypatch.setattr(gate, "RULES", {name: one for name, one in gate.RULES.items() if name != rule})
    assert judged(3000)[0]


def test_row35_the_oracle_sees_a_ban_that_is_missing(monkeypatch):
    monkeypatch.setattr(gate, "_banned", lambda wish, state: None)
    assert judged(3000)[0]


@pytest.mark.parametrize("name", ["min_on_s", "min_off_s", "minimum", "maximum", "max_step", "ramp_per_s"])
def test_row35_the_oracle_sees_a_limit_that_is_not_looked_at(monkeypatch, name):
    """The gate is given states without the limit, the oracle with it."""
    lost = {"min_on_s": 0.0, "min_off_s": 0.0}.get(name)
    original = gate._refused

    def blind(wish, state, now_s, rules):
        limits = {point: replace(limit, **{name: lost}) for point, limit in state.limits.items()}
        return original(wish, replace(state, limits=limits), now_s, rules)

    monkeypatch.setattr(gate, "_refused", blind)
    assert judged(3000)[0]
