"""How sentences ask: never, always, within, by, for at most, how often. One function per kind of claim, all of them pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .claims import Condition, Figure, Happening, Not
from .evidence import Evidence, Span, within
from .finding import Finding
from .when import Amount, Anchor, CannotTell, When, spell

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something may happen: `least` to `most` times (None: any number)."""

    least: int = 0
    most: int | None = None

    def __contains__(self, number: int) -> bool:
        return self.least <= number and (self.most is None or number <= self.most)

    def __str__(self) -> str:
        if self.most == 0:
            return "never"
        if self.least == self.most:
            return f"exactly {_times(self.least)}"
        return f"at least {_times(self.least)}" if self.most is None else f"at most {_times(self.most)}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def judge_condition(sentence: str, condition: Condition, never: bool, when: When, evidence: Evidence) -> Finding:
    """Whether a condition holds as asked; without a word about it, always (`never`: at no time) where it counts."""
    if when.limit_s is not None and not never:
        return _soon(sentence, condition.spans(evidence), when, evidence)
    if when.clock and not never:
        return _by(sentence, condition, when, evidence)
    windows = _until(when, evidence)
    if not windows:
        return Finding(sentence, False, f"the run has nothing{when.where}")
    spans = within(condition.spans(evidence), windows)
    if when.most_s is not None or when.least_s is not None:
        return _long(sentence, condition, spans, windows, when, evidence)
    wrong = spans if never else within(Not(condition).spans(evidence), windows)
    if wrong:
        total = spell(sum(span.seconds for span in wrong))
        times = f"{total} in {len(wrong)} pieces, the first" if len(wrong) > 1 else total
        seen = condition.seen(evidence, wrong[0])
        return Finding(
            sentence, False, f"broken for {times} from {_at(evidence, wrong[0].start)} on: {seen}", wrong[0].start
        )
    seen = condition.seen(evidence, Span(windows[0].start, windows[-1].end))
    return Finding(sentence, True, f"all the time{when.where}: {seen}")


def _soon(sentence: str, spans: Sequence[Span], when: When, evidence: Evidence) -> Finding:
    """It must hold at some instant from each anchor on, up to the limit."""
    assert when.limit_s is not None
    slowest, at = -1.0, evidence.start
    limit = f"the limit is {spell(when.limit_s)} of {when.anchor.text}"
    for anchor in when.anchor.times(evidence):
        first = next((max(span.start, anchor) for span in spans if span.end > anchor), None)
        if first is None:
            return Finding(sentence, False, f"never from {_at(evidence, anchor)} on; {limit}", anchor)
        took = (first - anchor).total_seconds()
        if took > when.limit_s:
            text = f"only {spell(took)} after {_at(evidence, anchor)}, at {evidence.clock(first)}; {limit}"
            return Finding(sentence, False, text, first)
        slowest, at = max((slowest, at), (took, first))
    return Finding(sentence, True, f"after {spell(slowest)}, at {evidence.clock(at)}; {limit}", at)


def _by(sentence: str, condition: Condition, when: When, evidence: Evidence) -> Finding:
    """It must hold just before that time of day, every day."""
    spans = condition.spans(evidence)
    for time in Anchor(when.clock).times(evidence):
        before = time - _INSTANT
        seen = condition.seen(evidence, Span(before, time))
        if not any(before in span for span in spans):
            return Finding(sentence, False, f"not so at {_at(evidence, time)}: {seen}", time)
    return Finding(sentence, True, f"so at {_at(evidence, time)}: {seen}", time)


def _long(
    sentence: str, condition: Condition, spans: Sequence[Span], windows: Sequence[Span], when: When, evidence: Evidence
) -> Finding:
    lengths = [span.seconds for span in spans]
    length = max(lengths, default=0.0) if when.at_once else sum(lengths)
    ok = (when.most_s is None or length <= when.most_s) and (when.least_s is None or length >= when.least_s)
    bound = f"at most {spell(when.most_s)}" if when.most_s is not None else f"at least {spell(when.least_s or 0.0)}"
    longest = max(spans, key=lambda span: span.seconds, default=None)
    where = Span(windows[0].start, windows[-1].end)
    text = f"for {spell(length)}{' at a stretch' if when.at_once else ' in all'}{when.where} (asked: {bound})"
    if longest is not None:
        text += f", the longest {spell(longest.seconds)} from {_at(evidence, longest.start)} on"
    text += f": {condition.seen(evidence, longest or where)}"
    return Finding(sentence, ok, text, longest.start if longest else None)


def judge_happening(sentence: str, happening: Happening, count: Count, when: When, evidence: Evidence) -> Finding:
    """Whether something happens as often as asked, or within its time of each anchor."""
    if when.most_s is not None or when.least_s is not None:
        return Finding(sentence, False, "what happens at an instant cannot be asked to last")
    found = happening.times(evidence)
    if when.limit_s is not None and count.most is None:
        return _happens_soon(sentence, found, when, evidence)
    windows = _until(when, evidence)
    if not windows:
        return Finding(sentence, False, f"the run has nothing{when.where}")
    inside = [(time, what) for time, what in found if any(_in(time, window, evidence) for window in windows)]
    text = f"{_times(len(inside)) if inside else 'never'}{when.where}; asked: {count}"
    if inside:
        shown = inside[: 1 if len(inside) in count else 3]
        text += "; " + "; ".join(f"{_at(evidence, time)} {what}" for time, what in shown)
    at = inside[0][0] if inside else None
    return Finding(sentence, len(inside) in count, text, at)


def _until(when: When, evidence: Evidence) -> list[Span]:
    """The parts of the run that count: with a limit those after the anchors, with a time of day all before it."""
    if when.limit_s is not None:
        limit = timedelta(seconds=when.limit_s)
        return [Span(time, time + limit) for time in when.anchor.times(evidence)]
    if when.clock:
        return [Span(evidence.start, Anchor(when.clock).times(evidence)[0])]
    return when.windows(evidence)


def _in(time: datetime, window: Span, evidence: Evidence) -> bool:
    """The last instant of the run belongs to it."""
    return time in window or time == window.end == evidence.whole.end


def _happens_soon(sentence: str, found: Sequence[tuple[datetime, str]], when: When, evidence: Evidence) -> Finding:
    assert when.limit_s is not None
    limit = f"the limit is {spell(when.limit_s)} of {when.anchor.text}"
    slowest, text, at = -1.0, "", evidence.start
    slack = timedelta(seconds=evidence.slack_s)
    for anchor in when.anchor.times(evidence):
        first = next(((time, what) for time, what in found if time >= anchor - slack), None)
        if first is None:
            return Finding(sentence, False, f"never from {_at(evidence, anchor)} on; {limit}", anchor)
        took = max(0.0, (first[0] - anchor).total_seconds())
        if took > when.limit_s:
            late = f"only {spell(took)} after {_at(evidence, anchor)}, at {evidence.clock(first[0])}; {limit}"
            return Finding(sentence, False, late, first[0])
        slowest, text, at = max((slowest, text, at), (took, first[1], first[0]))
    return Finding(sentence, True, f"after {spell(slowest)}, at {evidence.clock(at)}, {text}; {limit}", at)


def judge_figure(
    sentence: str, figure: Figure, low: Amount | None, high: Amount | None, when: When, evidence: Evidence
) -> Finding:
    """Whether a number of the run lies between its bounds, which belong to it."""
    if not when.plain:
        return Finding(
            sentence, False, "a figure is of a part of the run: say during, after or before, not within or for"
        )
    value = figure.value(evidence, when.windows(evidence))
    unit = low or high
    assert unit is not None
    ok = (low is None or value >= low.value - 1e-9) and (high is None or value <= high.value + 1e-9)
    bounds = [f"{word} {bound}" for word, bound in (("at least", low), ("at most", high)) if bound is not None]
    asked = str(low) if low == high else " and ".join(bounds)
    return Finding(sentence, ok, f"{unit.tell(value)}{when.where}; asked: {asked}")


def _at(evidence: Evidence, time: datetime) -> str:
    return evidence.clock(time)


def untold(sentence: str, error: CannotTell) -> Finding:
    """The finding when a sentence cannot be judged, which is never a pass."""
    return Finding(sentence, False, f"cannot be judged: {error}")
