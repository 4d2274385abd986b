"""Rules about meters: signs, phases, counters, and whether they agree with each other. Powers in kW, import positive."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log10, sqrt
from statistics import fmean

from .rule import FINE, Case, Finding, Rule
from .track import Mark, Track

_MIN, _H = 60.0, 3600.0
_ROLLOVER = 0.9
"""A counter that falls from above this share of a power of ten has started again from 0."""
_LEAST_DROP_KWH = 0.1


def negative_base_load(case: Case) -> Finding:
    """What is left of the grid's power without all resources is below nothing by 2 % of the connection, over 10 min."""
    load = case.mean("base_load", 10 * _MIN)
    if load is None:
        return None
    if load >= -max(0.5, 0.02 * case.facts["import_limit"]):
        return FINE
    return (
        f"the resources are measured to take {-load:.1f} kW more than the grid meter sees: a transformer the wrong way "
        "round, a wrong sign or ratio, or something measured twice?"
    )


def reversed_phase(case: Case) -> Finding:
    """A phase exports, for 5 min, while nothing that could generate does."""
    power, generated = case.mean("phase", 5 * _MIN), [track.mean(5 * _MIN) for track in case.all_tracks]
    if power is None or any(one is None for one in generated):
        return None
    if power >= -max(0.1, 0.01 * case.facts["import_limit"]):
        return FINE
    if any(one is not None and one < -0.05 for one in generated):
        return None
    return f"exports {-power:.1f} kW while nothing generates: is its current transformer the wrong way round?"


def energy_mismatch(case: Case) -> Finding:
    """Over an hour, import less export by the counters and by the power differ by more than 2 %.

    Both are taken at instants at which the counters have just moved, since they are read seldom. What a power that is only
    looked at now and then may be off by is estimated by how much it jumps between looks, and allowed for.
    """
    power, imported, exported = (case.tracks[name] for name in ("power", "energy_import", "energy_export"))
    ends = _moved(imported, exported)
    if ends is None:
        return None
    (first_in, last_in), (first_out, last_out) = ends
    span = _between(power, first_in.at_s, last_in.at_s)
    if span is None or last_in.at_s - first_in.at_s < 0.75 * _H:
        return None
    counts = [mark.value for mark in (first_in, last_in, first_out, last_out)]
    if any(count is None for count in counts):
        return None
    before_in, after_in, before_out, after_out = (count or 0.0 for count in counts)
    counted, flowed = (after_in - before_in) - (after_out - before_out), (span[1].area - span[0].area) / _H
    throughput = abs(after_in - before_in) + abs(after_out - before_out)
    allowed = 0.02 * max(throughput, abs(flowed)) + 3 * _noise_kwh(power) + 0.1
    if after_in < before_in or after_out < before_out:
        return None
    if abs(counted - flowed) <= allowed:
        return FINE
    return (
        f"its counters say {counted:.2f} kWh, its power {flowed:.2f} kWh for the same {_words(span)}: "
        "transformer ratio, or unit of one of the two?"
    )


def counter_backwards(case: Case) -> Finding:
    """A counter fell within the last hour and had not come to the end of its digits."""
    values = list(case.tracks["counter"].values(_H))
    if case.tracks["counter"].value is None:
        return None
    for before, after in pairwise(values):
        if after < before - _LEAST_DROP_KWH and not _rolled_over(before):
            return f"went back from {before:.1f} to {after:.1f} kWh: was it reset, or the meter replaced?"
    return FINE


def _rolled_over(before: float) -> bool:
    return before > 1 and before > _ROLLOVER * 10.0 ** ceil(log10(before))


def _moved(imported: Track, exported: Track) -> tuple[tuple[Mark, Mark], tuple[Mark, Mark]] | None:
    """The first and the last mark of both counters within the last hour at which one of them had just moved."""
    pairs = list(zip(imported.marks(_H), exported.marks(_H), strict=False))
    moves = [
        (import_mark, export_mark)
        for (import_mark, export_mark), before in zip(pairs[1:], pairs, strict=False)
        if (import_mark.value, export_mark.value) != (before[0].value, before[1].value)
    ]
    if len(moves) < 2:
        return None
    return (moves[0][0], moves[-1][0]), (moves[0][1], moves[-1][1])


def _between(track: Track, start_s: float, end_s: float) -> tuple[Mark, Mark] | None:
    """The marks of a track at two instants, if all between is known."""
    found = [mark for mark in track.marks(_H) if start_s <= mark.at_s <= end_s]
    if len(found) < 2 or found[0].at_s != start_s or found[-1].at_s != end_s:
        return None
    known = found[-1].known_s - found[0].known_s
    return (found[0], found[-1]) if known >= 0.99 * (end_s - start_s) else None


def _noise_kwh(track: Track) -> float:
    """One standard deviation of an hour's energy, from how much the power jumps from mark to mark."""
    marks = [mark for mark in track.marks(_H) if mark.value is not None]
    if len(marks) < 3:
        return 0.0
    jumps = [((b.value or 0.0) - (a.value or 0.0)) ** 2 / 2 for a, b in pairwise(marks)]
    step_h = (marks[-1].at_s - marks[0].at_s) / (len(marks) - 1) / _H
    return sqrt(fmean(jumps) * len(jumps)) * step_h


def _words(span: tuple[Mark, Mark]) -> str:
    return f"{(span[1].at_s - span[0].at_s) / _MIN:.0f} min"


METERING: tuple[Rule, ...] = (
    Rule("negative-base-load", "base-load", ("base_load",), negative_base_load, 10 * _MIN, (), ("import_limit",)),
    Rule("reversed-phase", "phase", ("phase",), reversed_phase, 5 * _MIN, (), ("import_limit",)),
    Rule("energy-mismatch", "meter", ("energy_import", "power", "energy_export"), energy_mismatch, _H),
    Rule("counter-backwards", "counter", ("counter",), counter_backwards, _H),
)
