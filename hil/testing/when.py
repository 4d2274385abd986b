"""Time in sentences: what a claim counts from, until when, and for how long. The same words after every claim.

After a claim may stand, in any order, each word once:
- within 60 s of ANCHOR, or within 2 min (of the start): it must come true by then, at every time the anchor came;
- by 07:30: it must be true at that time of day;
- for at most 5 min, for at least 10 min (at once): how long it is true, in all or at a stretch;
- during NAME, after ANCHOR, from 60 s after ANCHOR, before ANCHOR: only this part of the run counts, or what they share.

An ANCHOR is the name of an event (its beginning), "the end of NAME", "the start", "the end", a time of day like 07:30, or what
became of the daemon: daemon-started, daemon-killed, daemon-hung, daemon-resumed, daemon-stopped, daemon-ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from energyctl.core.errors import ConfigError
from energyctl.core.units import UNITS, from_canonical, parse_quantity, spellings, to_canonical
from hil.events import Happened

from .evidence import Evidence, Span, merged, within

NAME = r"(?:'[^']+'|[\w@#][\w@#.-]*)"
CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
ANCHOR = rf"(?:the start of {NAME}|the end of {NAME}|the start|the end|{CLOCK}|{NAME})"
AMOUNT = r"[+-]?\d+(?:\.\d+)?(?: ?[^\s\d,;]+)?"
DURATION = r"\d+(?:\.\d+)? ?(?:ms|s|min|h|d)"
DAEMON = ("started", "killed", "hung", "resumed", "stopped", "ended")


class CannotTell(ConfigError):
    """A sentence is about something that the run or the site does not have."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as it was written: canonical value, and the unit to tell others in."""

    value: float
    unit: str

    @classmethod
    def of(cls, text: str) -> Amount:
        """Parse "60 kW". Raises ConfigError."""
        found = re.fullmatch(r"([+-]?\d+(?:\.\d+)?) ?(.*)", text)
        if found is None or found.group(2) not in UNITS:
            raise ConfigError(f"'{text}': write a number and a unit, like '60 kW', '10 %' or '2 K·h'")
        return cls(to_canonical(float(found.group(1)), found.group(2)), found.group(2))

    @property
    def canonical_unit(self) -> str:
        """The unit of its value."""
        return UNITS[self.unit].unit

    def must_be(self, unit: str) -> None:
        """Raises ConfigError when it is no quantity in `unit`."""
        if self.canonical_unit.replace("1", "") != unit.replace("1", ""):
            raise ConfigError(f"unit '{self.unit}' does not fit here; write {spellings(unit)}")

    def tell(self, value: float) -> str:
        """Another value [canonical] in the unit of this one."""
        return f"{from_canonical(value, self.unit):.4g} {self.unit}".rstrip()

    def __str__(self) -> str:
        return self.tell(self.value)


def duration(text: str) -> float:
    """Seconds of "5 min"."""
    return parse_quantity(text, "s")


def spell(seconds: float) -> str:
    """Seconds for people: 45 s, 2.5 min, 3 h."""
    if seconds < 120:
        return f"{round(seconds, 1):g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def bare(name: str) -> str:
    """A name without its quotes."""
    return name.strip("'")


@dataclass(frozen=True, slots=True)
class Anchor:
    """An instant, or several, that a sentence counts from."""

    text: str = "the start"

    @property
    def event(self) -> str:
        """The name of the scenario's event that it needs; "" when it needs none."""
        name = bare(self.text.removeprefix("the start of ").removeprefix("the end of "))
        built_in = self.text in ("the start", "the end") or re.fullmatch(CLOCK, self.text)
        return "" if built_in or name.removeprefix("daemon-") in DAEMON else name

    def times(self, evidence: Evidence) -> list[datetime]:
        """When it came, in order. Raises CannotTell when it never did."""
        found = sorted(self._times(evidence))
        if not found:
            raise CannotTell(f"{self.text} never came in this run{_what_came(evidence)}")
        return found

    def _times(self, evidence: Evidence) -> list[datetime]:
        if self.text == "the start":
            return [evidence.start]
        if self.text == "the end":
            return [evidence.end]
        if re.fullmatch(CLOCK, self.text):
            return _at_clock(evidence, self.text)
        if self.text.startswith("the end of "):
            name = bare(self.text.removeprefix("the end of "))
            return [e.time for e in evidence.events if e.kind is Happened.ENDED and e.subject == name]
        name = bare(self.text.removeprefix("the start of "))
        began = [e.time for e in evidence.events if e.kind is Happened.BEGAN and e.subject == name]
        told = name.removeprefix("daemon-")
        if began or told == name:
            return began
        return [e.time for e in evidence.events if e.kind is Happened.DAEMON and e.text == told]


def _at_clock(evidence: Evidence, text: str) -> list[datetime]:
    hour, minute = map(int, text.split(":"))
    zone = ZoneInfo(evidence.site.timezone)
    day, found = evidence.start.astimezone(zone).date(), []
    while (time := datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)) <= evidence.end:
        if time >= evidence.start:
            found.append(time.astimezone(evidence.start.tzinfo))
        day += timedelta(days=1)
    return found


def _what_came(evidence: Evidence) -> str:
    names = dict.fromkeys(trouble.name for trouble in evidence.troubles)
    return f"; what came: {', '.join(names)}" if names else "; no event did"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the run: during a name, or after or before an anchor, which `later_s` shifts."""

    word: str
    anchor: Anchor
    later_s: float = 0.0

    def spans(self, evidence: Evidence) -> list[Span]:
        """Raises CannotTell when what it names never came."""
        whole = evidence.whole
        times = self.anchor.times(evidence)
        if self.word == "during":
            spans = [t.span for t in evidence.troubles if t.name == bare(self.anchor.text)]
        elif self.word == "before":
            spans = [Span(whole.start, times[0])]
        else:
            spans = [Span(times[0] + timedelta(seconds=self.later_s), whole.end)]
        return merged(span for span in spans if span.seconds > 0)

    def __str__(self) -> str:
        later = f"from {spell(self.later_s)} after" if self.later_s else self.word
        return f"{later} {self.anchor.text}"


@dataclass(frozen=True, slots=True)
class When:
    """All that a sentence says about time."""

    limit_s: float | None = None
    anchor: Anchor = Anchor()
    clock: str = ""
    most_s: float | None = None
    least_s: float | None = None
    at_once: bool = False
    parts: tuple[Part, ...] = ()
    """What all of them have in common counts."""

    @property
    def plain(self) -> bool:
        """Whether it says nothing but which part of the run counts."""
        return self.limit_s is None and not self.clock and self.most_s is None and self.least_s is None

    @property
    def anchors(self) -> list[Anchor]:
        """All anchors in it."""
        return [self.anchor, *(part.anchor for part in self.parts)]

    def windows(self, evidence: Evidence) -> list[Span]:
        """The parts of the run that count."""
        spans = [evidence.whole]
        for part in self.parts:
            spans = within(part.spans(evidence), spans)
        return spans

    @property
    def where(self) -> str:
        """The part of the run in words, with a space before; "" for all of it."""
        return "".join(f" {part}" for part in self.parts)


def _within(when: When, found: re.Match[str]) -> When:
    return replace(when, limit_s=duration(found["limit"]), anchor=Anchor(found["anchor"] or "the start"))


def _lasting(when: When, found: re.Match[str]) -> When:
    seconds = duration(found["limit"])
    at_once = bool(found["once"])
    if found["bound"] == "most":
        return replace(when, most_s=seconds, at_once=at_once)
    return replace(when, least_s=seconds, at_once=at_once)


def _part(when: When, found: re.Match[str]) -> When:
    groups = found.groupdict()
    later = duration(groups["later"]) if groups.get("later") else 0.0
    part = Part(groups.get("word") or "after", Anchor(found["anchor"]), later)
    return replace(when, parts=(part, *when.parts))


def _by(when: When, found: re.Match[str]) -> When:
    return replace(when, clock=found["clock"])


_Change = Callable[[When, "re.Match[str]"], When]
_TAILS: list[tuple[str, _Change, re.Pattern[str]]] = [
    (kind, change, re.compile(f"^(.*?),? {pattern}$"))
    for kind, change, pattern in (
        ("within", _within, rf"within (?P<limit>{DURATION})(?: (?:of|after) (?P<anchor>{ANCHOR}))?"),
        ("by", _by, rf"by (?P<clock>{CLOCK})"),
        ("for", _lasting, rf"for at (?P<bound>most|least) (?P<limit>{DURATION})(?P<once> at once)?"),
        ("after", _part, rf"from (?P<later>{DURATION}) after (?P<anchor>{ANCHOR})"),
        *((word, _part, rf"(?P<word>{word}) (?P<anchor>{ANCHOR})") for word in ("during", "after", "before")),
    )
]
TAILS = (
    "within 60 s of ANCHOR",
    "within 2 min",
    "by 07:30",
    "for at most 5 min",
    "for at least 10 min at once",
    "during NAME",
    "after ANCHOR",
    "from 60 s after ANCHOR",
    "before ANCHOR",
)
"""What may be said about time, as it is written."""


def split(sentence: str) -> tuple[str, When]:
    """A sentence as its claim and what it says about time. Raises ConfigError when it says the same kind of thing twice."""
    when, used = When(), set[str]()
    while found := _tail(sentence):
        kind, change, match = found
        if kind in used:
            raise ConfigError(f"'{sentence}': '{kind}' may be said once")
        used.add(kind)
        sentence, when = match.group(1), change(when, match)
    return sentence, when


def _tail(sentence: str) -> tuple[str, _Change, re.Match[str]] | None:
    for kind, change, pattern in _TAILS:
        if match := pattern.match(sentence):
            return kind, change, match
    return None
