"""Rules about equipment: roofs, batteries, chargers, heat pumps and the rooms they serve. Powers in kW, consuming positive."""

from __future__ import annotations

from math import sqrt

from .rule import FINE, Case, Finding, Rule

_MIN, _H = 60.0, 3600.0
_HIGH_DEG, _LOW_DEG, _NIGHT_DEG = 15.0, 10.0, -6.0
"""The sun is high: even under thick clouds a roof gives a few percent; it is up; it is night."""
_HEAT, _COOL = 1.0, 2.0
_PHASE_KV = 0.23


def pv_silent(case: Case) -> Finding:
    """Nothing, for 15 min, with the sun high and no limit in force. With a low sun nothing can be told."""
    power, peak = case.mean("power", 15 * _MIN), case.facts["peak"]
    if power is None:
        return None
    if -power >= 0.005 * peak:
        return FINE
    if case.sun_deg < _HIGH_DEG or _limited(case):
        return None
    return (
        f"gives {-power:.2f} kW of {peak:g} kWp with the sun {case.sun_deg:.0f}° high: "
        "inverter off or tripped, snow, or its meter does not count?"
    )


def _limited(case: Case) -> bool:
    """Whether a limit holds the roof down, or may."""
    if "limit" not in case.tracks:
        return False
    return min(case.tracks["limit"].values(15 * _MIN), default=0.0) < 0.999


def pv_at_night(case: Case) -> Finding:
    """Generation while it is dark."""
    power = case.mean("power", 5 * _MIN)
    if power is None:
        return None
    if case.sun_deg > _NIGHT_DEG or -power <= max(0.1, 0.02 * case.facts["peak"]):
        return FINE
    return (
        f"gives {-power:.1f} kW with the sun {-case.sun_deg:.0f}° below the horizon: wrong register, clock or place, "
        "or a battery behind the inverter?"
    )


def pv_above_peak(case: Case) -> Finding:
    """More than a tenth above what it can be."""
    power, peak = case.mean("power", 5 * _MIN), case.facts["peak"]
    if power is None:
        return None
    if -power <= 1.1 * peak:
        return FINE
    return f"gives {-power:.1f} kW, but its peak is {peak:g} kWp: is 'peak' right, does its meter see something else?"


def pv_consumes(case: Case) -> Finding:
    """Consumption by day: what it gives is counted the wrong way round."""
    power, peak = case.mean("power", 5 * _MIN), case.facts["peak"]
    if power is None:
        return None
    if power <= max(0.1, 0.01 * peak):
        return FINE
    if case.sun_deg < _LOW_DEG:
        return None
    return f"takes {power:.1f} kW by day: is its current transformer, or the sign in its profile, the wrong way round?"


def soc_drift(case: Case) -> Finding:
    """Over an hour the charge moves by 5 % (and a quarter of what flows) more or less than by the power that flowed."""
    soc, flow = case.tracks["soc"], case.tracks["power"].span(_H)
    marks = soc.marks(_H)
    if flow is None or flow.mean is None or soc.value is None or marks[0].value is None or soc.span(_H) is None:
        return None
    capacity, eta = case.facts["capacity"], sqrt(case.facts["efficiency"])
    charged, taken = flow.positive / _H, -flow.negative / _H
    due, moved = (charged * eta - taken / eta) / capacity, soc.value - marks[0].value
    if abs(moved - due) <= 0.05 + 0.25 * (charged + taken) / capacity:
        return FINE
    return (
        f"the charge moved by {moved * 100:+.0f} %, the power of the last hour accounts for {due * 100:+.0f} %: "
        "does it need a full charge to calibrate, are capacity and sign right?"
    )


def ev_not_following(case: Case) -> Finding:
    """More than 1 A, and a tenth for the mains' voltage, above the largest limit of the last 90 s."""
    power, limits = case.mean("power", _MIN), list(case.tracks["limit"].values(90.0))
    if power is None or not limits or case.tracks["limit"].value is None:
        return None
    drawn, allowed = power / (_PHASE_KV * case.facts["phases"]), max(limits)
    if drawn <= 1.1 * allowed + 1.0:
        return FINE
    return f"draws {drawn:.1f} A, allowed are {allowed:.1f} A: does the charger, or the car, take the limit?"


def short_cycling(case: Case) -> Finding:
    """More than six starts within the last hour; running is above 20 % of full power, standing below 10 %."""
    if case.tracks["power"].value is None:
        return None
    most, starts, running = case.facts["max_power"], 0, True
    for value in case.tracks["power"].values(_H):
        if value > 0.2 * most:
            starts += not running
            running = True
        elif value < 0.1 * most:
            running = False
    if starts <= 6:
        return FINE
    return f"{starts} starts within an hour: too little water or load, or too narrow a hysteresis?"


def setpoint_not_followed(case: Case) -> Finding:
    """Off by more than 1 K, no closer than an hour ago, at full power, with a setpoint that has not moved."""
    power, goals = case.mean("plant_power", 15 * _MIN), list(case.tracks["setpoint"].values(_H))
    temps = case.tracks["temp"].marks(_H)
    now, before = case.tracks["temp"].value, temps[0].value
    if power is None or now is None or before is None or not goals or case.tracks["temp"].span(_H) is None:
        return None
    goal = goals[-1]
    if max(goals) - min(goals) > 0.5:
        return None
    cooling = case.tracks["mode"].value == _COOL if "mode" in case.tracks else now > goal
    off, was = (now - goal, before - goal) if cooling else (goal - now, goal - before)
    if off <= 1.0 or off < was - 0.3 or power < 0.9 * case.facts["plant_max_power"]:
        return FINE
    verb = "cooled" if cooling else "heated"
    return (
        f"{now:.1f} °C where {goal:.1f} °C is wanted, {verb} at full power and no closer than an hour ago: "
        "open window, closed valve, misplaced sensor, or too small a plant?"
    )


def heating_and_cooling(case: Case) -> Finding:
    """One plant heats while another cools, both with more than a tenth of their power."""
    powers = [case.mean(name, 5 * _MIN) for name in ("power", "other_power")]
    modes = [case.tracks[name].value for name in ("mode", "other_mode")]
    if None in powers or None in modes:
        return None
    most = (case.facts["max_power"], case.facts["other_max_power"])
    working = all((power or 0.0) > 0.1 * full for power, full in zip(powers, most, strict=True))
    if not working or set(modes) != {_HEAT, _COOL}:
        return FINE
    return (
        f"one plant heats with {powers[0]:.1f} kW while its neighbour cools with {powers[1]:.1f} kW, or the other way"
    )


def frozen_sensor(case: Case) -> Finding:
    """The very same reading for six hours; nothing at all (0) is a reading that rightly stays."""
    track = case.tracks["value"]
    if track.value is None:
        return None
    if abs(track.value) < 1e-6 or track.still_s < 6 * _H:
        return FINE
    return f"the very same {track.value:g} for {track.still_s / _H:.0f} h: a sensor, or a gateway, that stands still?"


def reading_gaps(case: Case) -> Finding:
    """Known for less than 80 % of half an hour, but not altogether gone."""
    span = case.tracks["value"].span(30 * _MIN)
    if span is None or span.known_s < 0.05 * span.seconds:
        return None
    if span.known_s >= 0.8 * span.seconds:
        return FINE
    return f"known for {100 * span.known_s / span.seconds:.0f} % of the last half hour: a weak line, or a busy device?"


EQUIPMENT: tuple[Rule, ...] = (
    Rule("pv-silent", "pv", ("power",), pv_silent, 15 * _MIN, ("limit",), ("peak",)),
    Rule("pv-at-night", "pv", ("power",), pv_at_night, 5 * _MIN, (), ("peak",)),
    Rule("pv-above-peak", "pv", ("power",), pv_above_peak, 5 * _MIN, (), ("peak",)),
    Rule("pv-consumes", "pv", ("power",), pv_consumes, 5 * _MIN, (), ("peak",)),
    Rule("soc-drift", "battery", ("soc", "power"), soc_drift, _H, (), ("capacity", "efficiency")),
    Rule("ev-not-following", "ev", ("power", "limit"), ev_not_following, 90.0, (), ("phases",)),
    Rule("short-cycling", "heat-pump", ("power",), short_cycling, _H, (), ("max_power",)),
    Rule(
        "setpoint-not-followed",
        "zone",
        ("temp", "setpoint", "plant_power"),
        setpoint_not_followed,
        _H,
        ("mode",),
        ("plant_max_power",),
    ),
    Rule(
        "heating-and-cooling",
        "two-plants",
        ("mode", "power", "other_mode", "other_power"),
        heating_and_cooling,
        5 * _MIN,
        (),
        ("max_power", "other_max_power"),
    ),
    Rule("frozen-sensor", "reading", ("value",), frozen_sensor, 0.0),
    Rule("reading-gaps", "reading", ("value",), reading_gaps, 30 * _MIN),
)
