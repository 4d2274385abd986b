"""What a run left behind, as one read-only object that expectations and standard checks look at.

The oracle is the bench: the trace (the truth of the plant), the writes that reached the devices, the events. What the daemon
left (journal, alarms, samples, plans) is the subject of judgement and never the proof of its own good behaviour.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from energyctl.config import Site
from energyctl.core.errors import EnergyctlError
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind
from energyctl.daemon.paths import StatePaths
from energyctl.store.times import from_us
from hil.device import WriteRecord
from hil.events import Event, Happened
from hil.world import Row

OUR_PROTOCOLS = ("modbus", "bacnet", "opcua")
"""How the `via` of a write begins that came over the wire, as the daemon's do; rivals and operators have other names."""
_QUALITIES = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to `end`."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()

    def __contains__(self, time: datetime) -> bool:
        return self.start <= time < self.end

    def cut(self, other: Span) -> Span | None:
        """What both have in common; None when that is nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that neither touch nor overlap, in order."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda item: item.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def within(spans: Iterable[Span], windows: Iterable[Span]) -> list[Span]:
    """The parts of `spans` that lie in `windows`."""
    windows = list(windows)
    return merged(common for span in spans for window in windows if (common := span.cut(window)) is not None)


def gaps(spans: Iterable[Span], whole: Span) -> list[Span]:
    """The parts of `whole` in which none of the spans is."""
    covered = within(spans, [whole])
    edges = [whole.start, *(edge for span in covered for edge in (span.start, span.end)), whole.end]
    return [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


class Course(Protocol):
    """What judging has to know of a scenario."""

    @property
    def step(self) -> float: ...

    @property
    def mode(self) -> str: ...

    def start(self, timezone: str) -> datetime: ...

    def end(self, timezone: str) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault or stimulus as it happened: its name, kind, what kind of thing it was done to, and to which ones."""

    name: str
    kind: str
    target: str
    things: frozenset[str]
    span: Span


@dataclass(frozen=True)
class Evidence:
    """All of it, in order of time. `end` is the instant after the last row."""

    site: Site
    start: datetime
    end: datetime
    rows: Sequence[Row] = ()
    writes: Sequence[WriteRecord] = ()
    events: Sequence[Event] = ()
    journal: Sequence[JournalEntry] = ()
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    plans: Sequence[datetime] = ()
    """When the plans that are still kept were issued."""
    plans_made: int = 0
    step_s: float = 60.0
    """The control period: of a lockstep run the scenario's, of a live run the site's."""
    live: bool = False

    @classmethod
    def load(cls, out: Path, site: Site, scenario: Course) -> Evidence:
        """Read the folder of a run. Raises EnergyctlError naming the file that is missing or makes no sense."""
        rows = [_row(item) for item in _read(out / "trace.json")]
        events = [_event(item) for item in _read(out / "events.json")]
        live = scenario.mode == "live"
        start, end = scenario.start(site.timezone), scenario.end(site.timezone)
        if live and rows:
            start, end = rows[0].time, rows[-1].time + timedelta(seconds=rows[-1].seconds)
        found = cls(
            site=site,
            start=start,
            end=end,
            rows=rows,
            writes=[_write(item) for item in _read(out / "writes.json")],
            events=events,
            step_s=site.period_s if live else scenario.step,
            live=live,
            **_state(StatePaths(out / "state").store),
        )
        return replace(found, journal=righted(found.journal, found.jumps))

    @property
    def whole(self) -> Span:
        """The run from first to last."""
        return Span(self.start, max(self.end, self.start + timedelta(microseconds=1)))

    @property
    def slack_s(self) -> float:
        """How far the bench's times may be from the daemon's [s]: a live world moves once a second."""
        return 2.0 if self.live else 0.0

    @property
    def lease_s(self) -> float:
        """How long a setpoint lives without a completed cycle [s]."""
        return max(60.0, self.site.safety.lease_s, 3 * self.step_s)

    def clock(self, time: datetime) -> str:
        """A time as people on the site read it; with the day when it is another than the first."""
        local, first = (t.astimezone(ZoneInfo(self.site.timezone)) for t in (time, self.start))
        text = f"{local:%H:%M:%S}"
        return text if local.date() == first.date() else f"{local:%b %d} {text}"

    @cached_property
    def troubles(self) -> list[Trouble]:
        """The faults and stimuli that happened; one that nothing ended lasts to the end of the run."""
        found = []
        for index, event in enumerate(self.events):
            if event.kind is not Happened.BEGAN:
                continue
            later = (e for e in self.events[index:] if e.kind is Happened.ENDED and e.subject == event.subject)
            end = next((e.time for e in later), self.whole.end)
            kind, target = (str(event.data.get(key) or "") for key in ("kind", "target"))
            things = frozenset(str(event.data[key]) for key in ("on", "other") if event.data.get(key))
            found.append(Trouble(event.subject, kind, target, things, Span(event.time, max(event.time, end))))
        return found

    @property
    def jumps(self) -> list[tuple[Span, timedelta]]:
        """When the bench made the daemon's wall clock wrong, and by how much."""
        began = [e for e in self.events if e.kind is Happened.BEGAN and e.data.get("kind") == "clock-jump"]
        by = {event.subject: timedelta(seconds=float(event.data.get("by") or 0.0)) for event in began}
        return [(trouble.span, by[trouble.name]) for trouble in self.troubles if trouble.name in by]

    def troubled(self, point: str, margin_s: float = 0.0) -> list[Trouble]:
        """The troubles of a point, its device, or the connection that it is behind, each longer by `margin_s`.

        What is done to the line of one device is done to all that share its connection.
        """
        device = point.partition(".")[0]
        link, margin = self.site.link_of.get(device, ""), timedelta(seconds=margin_s)
        names = {point, device, link} - {""}
        return [
            replace(trouble, span=Span(trouble.span.start, trouble.span.end + margin))
            for trouble in self.troubles
            if names & trouble.things
            or (
                trouble.target == "link" and link and link in {self.site.link_of.get(thing) for thing in trouble.things}
            )
        ]

    def ours(self, point: str | None = None) -> list[WriteRecord]:
        """The writes that came over the wire (of one point): the daemon's, or of who hands back for it."""
        return [
            write
            for write in self.writes
            if write.via.startswith(OUR_PROTOCOLS) and point in (None, f"{write.device}.{write.point}")
        ]

    def commanded(self, point: str) -> list[Span]:
        """When somebody on the wire was obeyed at a point."""
        changes = [
            (event.time, event.kind is Happened.COMMANDED)
            for event in self.events
            if event.subject == point and event.kind in (Happened.COMMANDED, Happened.LOCAL)
        ]
        return switched(changes, self.whole.end)

    def commanded_points(self) -> list[str]:
        """The points that somebody commanded at some time."""
        return sorted({event.subject for event in self.events if event.kind is Happened.COMMANDED})

    def alive(self) -> list[Span]:
        """When a daemon was there and running, by the bench's record; all the time when that says nothing of daemons."""
        on = {"started": True, "resumed": True, "killed": False, "hung": False, "stopped": False, "ended": False}
        told = [(e.time, on[e.text]) for e in self.events if e.kind is Happened.DAEMON and e.text in on]
        if not told:
            return [self.whole]
        return switched(told, self.whole.end)

    def standing(self, name: str, subject: str = "") -> list[Span]:
        """When the daemon's alarm stood, by its journal. `subject` may be its first part: "meter" for "meter.power"."""
        changes: dict[str, list[tuple[datetime, bool]]] = {}
        for entry in self.alarms(name, subject):
            changes.setdefault(entry.point, []).append((entry.time, entry.kind is JournalKind.ALARM))
        return merged(span for each in changes.values() for span in switched(each, self.whole.end))

    def alarms(self, name: str, subject: str = "") -> list[JournalEntry]:
        """The journal's lines that raise or clear an alarm."""
        return [
            entry
            for entry in self.journal
            if entry.kind in (JournalKind.ALARM, JournalKind.CLEARED)
            and entry.detail.partition(":")[0] == name
            and (not subject or entry.point == subject or entry.point.startswith((f"{subject}.", f"{subject} ")))
        ]

    def guided_by(self, level: str) -> list[Span]:
        """When the daemon's journal says that a step of its ladder guided the site."""
        notes = [e for e in self.journal if e.kind is JournalKind.NOTE and e.point == "site"]
        return switched([(note.time, note.detail == level) for note in notes], self.whole.end)

    def spans_when(self, holds: Callable[[Row], bool | None]) -> list[Span]:
        """When a condition of the trace's rows holds; None of it is no row to judge."""
        return merged(span_of(row) for row in self.rows if holds(row))


def span_of(row: Row) -> Span:
    """The time a row is about."""
    return Span(row.time, row.time + timedelta(seconds=row.seconds))


def switched(changes: Sequence[tuple[datetime, bool]], end: datetime) -> list[Span]:
    """When something was on that was off at first and switched at these times, in order, until `end`."""
    times = [*changes, (max([end, *(time for time, _ in changes)]), False)]
    return merged(Span(a, b) for (a, on), (b, _) in pairwise(times) if on and a < b)


def righted(journal: Sequence[JournalEntry], jumps: Sequence[tuple[Span, timedelta]]) -> list[JournalEntry]:
    """The journal with the times of the bench, where the daemon's clock had jumped.

    The lines are in the order in which they were written; of the times that a line may mean, the first that is not before
    the line before is meant.
    """
    found: list[JournalEntry] = []
    for entry in journal:
        meant = [entry.time - by for span, by in jumps if entry.time - by in span]
        if not any(entry.time in span for span, _ in jumps):
            meant.append(entry.time)
        later = [time for time in meant if not found or time >= found[-1].time]
        found.append(replace(entry, time=min(later, default=entry.time)))
    return found


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise EnergyctlError(f"{file}: {error.strerror}: the run did not get so far") from None
    except ValueError as error:
        raise EnergyctlError(f"{file}: is not what a run leaves: {error}") from None
    if not isinstance(data, list):
        raise EnergyctlError(f"{file}: is not a list of rows")
    return data


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _row(item: Mapping[str, Any]) -> Row:
    return Row(
        time=_time(item["time"]), seconds=item["seconds"], powers_kw=item["powers_kw"], states=item.get("states", {})
    )


def _event(item: Mapping[str, Any]) -> Event:
    kind = Happened(item["kind"])
    return Event(_time(item["time"]), kind, item["subject"], item.get("text", ""), item.get("data", {}))


def _write(item: Mapping[str, Any]) -> WriteRecord:
    return WriteRecord(**{**item, "time": _time(item["time"])})


def _state(store: Path) -> dict[str, Any]:
    """What the daemon left, read without any of its code; nothing when it never got so far."""
    if not store.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return {"journal": _journal(connection), "samples": _samples(connection), **_plans(connection)}
    except sqlite3.DatabaseError as error:
        raise EnergyctlError(f"{store}: cannot be read: {error}") from None


def _journal(connection: sqlite3.Connection) -> list[JournalEntry]:
    rows = connection.execute(
        "SELECT cycle, ts, kind, point, value, rank, source, reason, detail FROM journal ORDER BY id"
    )
    return [JournalEntry(cycle, from_us(ts), JournalKind(kind), *rest) for cycle, ts, kind, *rest in rows]


def _samples(connection: sqlite3.Connection) -> dict[str, list[Sample]]:
    rows = connection.execute(
        "SELECT name, ts, value, quality, reason FROM sample JOIN point ON point.id = point_id ORDER BY ts"
    )
    found: dict[str, list[Sample]] = {}
    for name, ts, value, quality, reason in rows:
        found.setdefault(name, []).append(Sample(name, from_us(ts), value, _QUALITIES[quality], reason or ""))
    return found


def _plans(connection: sqlite3.Connection) -> dict[str, Any]:
    rows = list(connection.execute('SELECT id, issued_at FROM "plan" ORDER BY id'))
    return {
        "plans": [from_us(issued) for _, issued in rows],
        "plans_made": max((number for number, _ in rows), default=0),
    }
