"""Standard checks of what was written: limits, rates, intervals, wear, refusals, priority, interlocks, journal.

Every rule is worked out from the site here; the daemon's gate is not asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from energyctl.core.interlock import COMPARE, Interlock
from energyctl.core.points import Quality
from hil.device import WriteRecord
from hil.events import Happened
from hil.units import bounds

from .claims import told
from .evidence import OUR_PROTOCOLS, Evidence
from .finding import Finding
from .ledger import For, Ledger
from .when import spell

FLASH_S = 600.0
"""A flash memory stands one write in so long, in the mean."""
FLASH_FREE = 3
"""Writes to flash that a run may have on top, for taking over and handing back."""
QUICK_S = 300.0
QUICK_REPEATS = 3
"""While something is wrong with a point it may be written again, or over what others wrote, so often in `QUICK_S`."""
CALM_REPEATS = 2
"""A device without a watchdog may be told the same again so often in a day, when nothing is wrong."""
AFTER_S = 600.0
"""For so long after trouble has ended its consequences count as part of it."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that breaks a rule."""

    at: datetime
    text: str


def finding(check: str, wrong: Sequence[Wrong], fine: str, evidence: Evidence) -> Finding:
    """All that broke a rule as one finding; `fine` is what there is to say when nothing did."""
    if not wrong:
        return Finding(check, True, fine)
    wrong = sorted(wrong, key=lambda item: item.at)
    shown = "; ".join(f"{evidence.clock(item.at)} {item.text}" for item in wrong[:_SHOWN])
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Finding(check, False, shown + more, wrong[0].at)


def point_of(write: WriteRecord) -> str:
    """The full id of the point that was written."""
    return f"{write.device}.{write.point}"


def limits(evidence: Evidence) -> Finding:
    """No value outside the tightest of profile, site and resource is ever asked of a device, taken or not.

    What is put back when handing over was there before, so that only the profile's limits count for it.
    """
    ledger, wrong, writes = Ledger(evidence), [], evidence.ours()
    for write in writes:
        if write.value is None:
            continue
        low, high = _allowed(point_of(write), ledger, ledger.purpose(write) is For.HAND_BACK)
        spec = ledger.spec(point_of(write))
        slack = 1e-3 if spec is None or spec.tolerance is None else spec.tolerance
        if not (math.isfinite(write.value) and low - slack <= write.value <= high + slack):
            wrong.append(Wrong(write.time, f"{told(write)}, allowed is {low:g} to {high:g}"))
    return finding("limits", wrong, f"{len(writes)} writes, every value within its limits", evidence)


def _allowed(point: str, ledger: Ledger, hand_back: bool) -> tuple[float, float]:
    spec, site = ledger.spec(point), ledger.evidence.site
    spans: list[tuple[float | None, float | None]] = [] if spec is None else [bounds(spec)]
    if not hand_back:
        spans.append(site.safety.point_limits.get(point, (None, None)))
        spans += [
            (binding.minimum, binding.maximum)
            for resource in site.resources
            for binding in resource.bindings()
            if binding.writes and binding.point == point
        ]
    low = max((least for least, _ in spans if least is not None), default=-math.inf)
    high = min((most for _, most in spans if most is not None), default=math.inf)
    return low, high


def rates(evidence: Evidence) -> Finding:
    """No command differs from the one before by more than the site's `step` for its point."""
    ledger, wrong, looked = Ledger(evidence), [], 0
    for point, step in evidence.site.safety.point_steps.items():
        spec = ledger.spec(point)
        slack = 1e-3 + (2 * spec.tolerance if spec is not None and spec.tolerance is not None else 0.0)
        for before, after in _commands(point, ledger):
            looked += 1
            change = abs((after.value or 0.0) - (before.value or 0.0))
            if change > step + slack:
                wrong.append(
                    Wrong(after.time, f"{told(after)}, {change:g} away from {before.value:g}; at most {step:g} at once")
                )
    return finding("rates", wrong, f"{looked} changes of points with a largest step, none larger", evidence)


def intervals(evidence: Evidence) -> Finding:
    """Between two different commands of a point lies at least the time that profile and site ask for."""
    ledger, wrong, looked = Ledger(evidence), [], 0
    for point in ledger.controlled:
        spec = ledger.spec(point)
        own = 0.0 if spec is None else spec.min_change_interval_s
        least = max(own, evidence.site.safety.point_intervals.get(point, 0.0))
        if least <= 0:
            continue
        changed: WriteRecord | None = None
        for before, after in _commands(point, ledger):
            if ledger.same(point, after.value or 0.0, before.value or 0.0):
                continue
            looked += 1
            last = changed if changed is not None and changed.time >= before.time else _changed(point, before, ledger)
            passed = (after.time - last.time).total_seconds()
            found = ledger.found(point, last.time)
            if changed is None and found is not None and ledger.same(point, last.value or 0.0, found):
                passed = math.inf  # the first command was what had been there: no change
            if passed < least - evidence.slack_s - 1e-3:
                wrong.append(
                    Wrong(after.time, f"{told(after)}, {spell(passed)} after the last change; at least {spell(least)}")
                )
            changed = after
    return finding(
        "intervals", wrong, f"{looked} changes of points that may not change often, none too early", evidence
    )


def _changed(point: str, write: WriteRecord, ledger: Ledger) -> WriteRecord:
    """The write that brought the value which `write` repeats."""
    first = write
    for before, after in reversed(_commands(point, ledger)):
        if after.time <= first.time and after.value == first.value and before.value == first.value:
            first = before
    return first


def _commands(point: str, ledger: Ledger) -> list[tuple[WriteRecord, WriteRecord]]:
    """Each command of a point that was taken with the one before, where no hand-back or new daemon lies between."""
    restarts = ledger.restarts()
    writes = [write for write in ledger.evidence.ours(point) if write.accepted]
    return [
        (before, after)
        for before, after in pairwise(writes)
        if For.HAND_BACK not in (ledger.purpose(before), ledger.purpose(after))
        and None not in (before.value, after.value)
        and not any(before.time < restart <= after.time for restart in restarts)
    ]


def wear(evidence: Evidence) -> Finding:
    """Flash is written once in 10 min at most, in the mean; elsewhere a value is repeated only for a device's watchdog.

    A repeat is early within a third of the lease; without a watchdog any repeat is. Trouble with the point and values
    that others wrote excuse some repeats, but never a fight: not even other values go over theirs again and again.
    """
    ledger = Ledger(evidence)
    wrong = [
        *_flash(ledger),
        *(item for point in ledger.controlled for item in (*_repeats(point, ledger), *_overwrites(point, ledger))),
    ]
    busiest = max(ledger.controlled, key=lambda point: len(evidence.ours(point)), default="")
    fine = f"most written is {busiest}, {len(evidence.ours(busiest))} times" if busiest else "nothing may be written"
    return finding("wear", wrong, fine, evidence)


def _flash(ledger: Ledger) -> Iterable[Wrong]:
    seconds = ledger.evidence.whole.seconds
    budget = FLASH_FREE + seconds / FLASH_S
    for point in ledger.wholes:
        spec, writes = ledger.spec(point), [write for write in ledger.evidence.ours(point) if write.accepted]
        if spec is not None and spec.memory == "flash" and len(writes) > budget:
            text = f"{point} is kept in flash and was written {len(writes)} times in {spell(seconds)}; at most {budget:.0f}"
            yield Wrong(writes[-1].time, text)


def _repeats(point: str, ledger: Ledger) -> Iterable[Wrong]:
    evidence = ledger.evidence
    watched = evidence.site.devices[point.partition(".")[0]].profile.watchdog.kind != "none"
    early_s = evidence.lease_s / 3 if watched else math.inf
    calm: list[WriteRecord] = []
    excused: list[WriteRecord] = []
    for before, after in _commands(point, ledger):
        passed = (after.time - before.time).total_seconds()
        if passed > early_s + 1e-3 - evidence.slack_s or not ledger.same(
            point, after.value or 0.0, before.value or 0.0
        ):
            continue
        if not _disturbed(point, before.time, after.time, ledger):
            calm.append(after)
        elif passed >= evidence.step_s / 2:  # what comes sooner is a line that says everything twice
            excused.append(after)
    free = 0 if watched else CALM_REPEATS * max(1.0, evidence.whole.seconds / 86400)
    if len(calm) > free:
        why = (
            f"its watchdog needs it every {spell(evidence.lease_s / 2)}" if watched else "it has no watchdog to refresh"
        )
        yield Wrong(calm[0].time, f"{told(calm[0])} again, {len(calm)} times in all with the same value; {why}")
    yield from _fight(excused, "is repeated", evidence)


def _overwrites(point: str, ledger: Ledger) -> Iterable[Wrong]:
    """Commands of ours that follow a value which somebody else wrote."""
    evidence = ledger.evidence
    writes = [write for write in evidence.writes if write.accepted and point_of(write) == point]
    over = [
        after
        for before, after in pairwise(writes)
        if after.via.startswith(OUR_PROTOCOLS)
        and not before.via.startswith(OUR_PROTOCOLS)
        and ledger.purpose(after) is not For.HAND_BACK
    ]
    yield from _fight(over, "goes over what somebody else wrote", evidence)


def _fight(writes: Sequence[WriteRecord], how: str, evidence: Evidence) -> Iterable[Wrong]:
    """The first time that there are more of these writes within `QUICK_S` than may be."""
    for first, last in zip(writes, writes[QUICK_REPEATS:], strict=False):
        passed = (last.time - first.time).total_seconds()
        if passed < QUICK_S - evidence.slack_s:
            text = f"{told(last)} {how} for the {QUICK_REPEATS + 1}th time within {spell(passed)}: a fight"
            yield Wrong(last.time, text)
            return


def _disturbed(point: str, start: datetime, end: datetime, ledger: Ledger) -> bool:
    """Whether a repeat may have been needed: trouble, others that write, or a restart of the device."""
    evidence, since = ledger.evidence, start - timedelta(seconds=AFTER_S)
    if any(t.span.start <= end and t.span.end >= start for t in evidence.troubled(point, AFTER_S)):
        return True
    whole = {part for part, (owner, _) in ledger.wholes.items() if owner == point}
    others = [w for w in evidence.writes if point_of(w) in whole and not w.via.startswith(OUR_PROTOCOLS)]
    reboots = [e for e in evidence.events if e.kind is Happened.LOCAL and e.data.get("why") in ("reboot", "lapsed")]
    times = [w.time for w in others] + [e.time for e in reboots if e.subject == point]
    return any(since <= time <= end for time in times)


def refusals(evidence: Evidence) -> Finding:
    """The daemon never tries what cannot be: no write of ours is refused by a device that is well."""
    wrong = []
    for write in evidence.ours():
        point = point_of(write)
        if not write.accepted and not any(
            write.time in t.span for t in evidence.troubled(point, evidence.slack_s + 1.0)
        ):
            wrong.append(Wrong(write.time, told(write)))
    return finding("refusals", wrong, f"no device refused any of {len(evidence.ours())} writes", evidence)


def priority(evidence: Evidence) -> Finding:
    """On BACnet nothing is written or given up above our configured slot."""
    ours, wrong, count = evidence.site.safety.bacnet_priority, [], 0
    for write in evidence.ours():
        words = write.via.split()
        if words[0] != "bacnet" or not words[-1].isdigit():
            continue
        count += 1
        if int(words[-1]) != ours:
            wrong.append(Wrong(write.time, f"{told(write)}; ours is priority {ours}"))
    return finding("priority", wrong, f"{count} BACnet writes, all at priority {ours}", evidence)


def interlocks(evidence: Evidence) -> Finding:
    """While the daemon's own readings trip an interlock it commands nothing at the guarded point.

    A cycle is given to notice; handing the point back is what it should do.
    """
    ledger = Ledger(evidence)
    wrong = [
        Wrong(write.time, f"{told(write)} while {interlock.text}")
        for interlock in evidence.site.safety.interlocks
        for write in evidence.ours(interlock.point)
        if ledger.purpose(write) is not For.HAND_BACK and _tripped(interlock, write.time, evidence)
    ]
    count = len(evidence.site.safety.interlocks)
    return finding("interlocks", wrong, f"{count} interlocks, none written against", evidence)


def _tripped(interlock: Interlock, time: datetime, evidence: Evidence) -> bool:
    """Whether the last good reading before the cycle that `time` is in, and every one since, trips it."""
    before = time - timedelta(seconds=evidence.step_s + evidence.slack_s)
    good = [
        sample
        for sample in evidence.samples.get(interlock.watched, ())
        if sample.quality is Quality.GOOD and sample.value is not None and sample.time <= time
    ]
    since = [sample for sample in good if sample.time > before]
    told_by = [*[sample for sample in good if sample.time <= before][-1:], *since]
    compare: Callable[[float, float], bool] = COMPARE[interlock.comparison]
    return bool(told_by) and all(compare(sample.value or 0.0, interlock.value) for sample in told_by)


def journal(evidence: Evidence) -> Finding:
    """Every write that a device took stands in the journal before: as an intent with its value, or as ours to give back."""
    ledger, writes = Ledger(evidence), [write for write in evidence.ours() if write.accepted]
    wrong = [
        Wrong(write.time, f"{told(write)} has no line before it in the journal that explains it")
        for write in writes
        if ledger.purpose(write) is For.UNKNOWN
    ]
    return finding("journal", wrong, f"{len(writes)} writes, each in the journal before it", evidence)
