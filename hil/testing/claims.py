"""What sentences are about: conditions that last, things that happen, figures of the whole.

A condition gives the spans in which it holds, a happening its instants, a figure one number for parts of the run. None of
them knows how a sentence asks (never, within, for at most): see `judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from energyctl.accounting import bill, discomfort_kh
from energyctl.config.problems import did_you_mean
from energyctl.core.records import JournalKind
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, Series
from energyctl.resources.zone import Zone
from hil.device import WriteRecord
from hil.events import Happened
from hil.world import Row

from .evidence import Evidence, Span, gaps, merged, span_of, within
from .when import Amount, CannotTell

Compare = Callable[[float], bool]
_FILLED_KWH = 0.1
"""A car that is missing less counts as charged [kWh]."""
_METER_KW = 0.05
"""A limit of power counts as broken beyond this: what rounding on the wire makes [kW]."""


class Condition(Protocol):
    """Something that holds or does not hold at every instant."""

    def spans(self, evidence: Evidence) -> list[Span]:
        """When it holds. Raises CannotTell when the run has no such thing."""
        ...

    def seen(self, evidence: Evidence, span: Span) -> str:
        """What there was to see in a span, in words."""
        ...


class Happening(Protocol):
    """Something that happens at instants."""

    def times(self, evidence: Evidence) -> list[tuple[datetime, str]]:
        """When, and what, in order. Raises CannotTell when the site has no such thing."""
        ...


class Figure(Protocol):
    """One number of a run, or of parts of it."""

    @property
    def unit(self) -> str: ...

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        """The number [canonical]. Raises CannotTell when it cannot be had."""
        ...


def known(thing: str, evidence: Evidence) -> list[str]:
    """The points that a device, a point or a resource's id means. Raises CannotTell when there is none."""
    site = evidence.site
    if thing in site.points:
        return [thing]
    if thing in site.devices:
        return [point for point in site.points if point.startswith(f"{thing}.")]
    bound = [b.point for resource in site.resources if resource.id == thing for b in resource.bindings() if b.writes]
    if bound:
        return bound
    raise CannotTell(f"the site has no '{thing}'{did_you_mean(thing, [*site.devices, *site.points])}")


@dataclass(frozen=True, slots=True)
class Commanded:
    """Somebody on the wire is obeyed at the point, or at any of the device."""

    thing: str

    def spans(self, evidence: Evidence) -> list[Span]:
        return merged(span for point in known(self.thing, evidence) for span in evidence.commanded(point))

    def seen(self, evidence: Evidence, span: Span) -> str:
        points = [p for p in known(self.thing, evidence) if within(evidence.commanded(p), [span])]
        return f"{', '.join(points)} commanded" if points else f"{self.thing} on local control"


@dataclass(frozen=True, slots=True)
class Not:
    """The other condition does not hold."""

    other: Condition

    def spans(self, evidence: Evidence) -> list[Span]:
        return gaps(self.other.spans(evidence), evidence.whole)

    def seen(self, evidence: Evidence, span: Span) -> str:
        return self.other.seen(evidence, span)


Value = Callable[[Row], "float | None"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of the trace by the name that sentences call it."""

    name: str

    def of(self, evidence: Evidence) -> Value:
        """How to read it from a row. Raises CannotTell listing what the trace has."""
        match self.name:
            case "grid import" | "grid power":
                return lambda row: row.grid_kw
            case "grid export":
                return lambda row: -row.grid_kw
        if self.name == evidence.site.meter:
            return lambda row: row.grid_kw
        for name in (self.name, *_measured(self.name, evidence)):
            part, _, what = name.rpartition(".")
            if what == "power" and any(part in row.powers_kw for row in evidence.rows):
                return lambda row, part=part: row.powers_kw.get(part)  # type: ignore[misc]
            if any(name in row.states for row in evidence.rows):
                return lambda row, name=name: row.states.get(name)  # type: ignore[misc]
        names = {name for row in evidence.rows[:1] for name in (*row.states, *(f"{p}.power" for p in row.powers_kw))}
        raise CannotTell(f"the trace has no '{self.name}'{did_you_mean(self.name, names, 'it has')}")


_TRUTH = {"temp": "air_c", "charged": "charged_kwh"}
"""What the trace calls the truth behind a field of a resource, where the names differ."""


def _measured(point: str, evidence: Evidence) -> list[str]:
    """What the trace calls the truth behind a point that a resource is bound to."""
    bound = [(r.id, b.field) for r in evidence.site.resources for b in r.bindings() if b.point == point]
    return [f"{part}.{_TRUTH.get(field, field)}" for part, field in bound]


@dataclass(frozen=True, slots=True)
class Compared:
    """A quantity of the trace lies above `low` and below `high`; `tight`: by more than the slack, else up to the slack."""

    quantity: Quantity
    low: Amount | None
    high: Amount | None
    tight: bool

    def spans(self, evidence: Evidence) -> list[Span]:
        value = self.quantity.of(evidence)
        return evidence.spans_when(lambda row: self._holds(value(row)))

    def seen(self, evidence: Evidence, span: Span) -> str:
        value, unit = self.quantity.of(evidence), self.low or self.high or _NONE
        rows = [(number, row) for row in evidence.rows if span_of(row).cut(span) and (number := value(row)) is not None]
        if not rows:
            return f"{self.quantity.name} is not in the trace then"
        (low, first), (high, last) = min(rows, key=_number), max(rows, key=_number)
        if low == high:
            return f"{self.quantity.name} {unit.tell(low)}"
        return (
            f"{self.quantity.name} from {unit.tell(low)} (at {evidence.clock(first.time)})"
            f" to {unit.tell(high)} (at {evidence.clock(last.time)})"
        )

    def _holds(self, value: float | None) -> bool:
        if value is None:
            return False
        slack = _METER_KW if (self.high or self.low or _NONE).canonical_unit == "kW" else 1e-9
        slack = slack if self.tight else -slack
        above = self.low is None or value > self.low.value + slack
        below = self.high is None or value < self.high.value - slack
        return above and below


_NONE = Amount(0.0, "")


def _number(item: tuple[float, Row]) -> float:
    return item[0]


@dataclass(frozen=True, slots=True)
class Stands:
    """A daemon's alarm stands."""

    name: str
    subject: str = ""

    def spans(self, evidence: Evidence) -> list[Span]:
        return evidence.standing(self.name, self.subject)

    def seen(self, evidence: Evidence, span: Span) -> str:
        found = within(self.spans(evidence), [span])
        return f"alarm {self.name} {'stood' if found else 'did not stand'}"


@dataclass(frozen=True, slots=True)
class GuidedBy:
    """What the daemon's journal says guides the site."""

    level: str

    def spans(self, evidence: Evidence) -> list[Span]:
        return evidence.guided_by(self.level)

    def seen(self, evidence: Evidence, span: Span) -> str:
        notes = [e for e in evidence.journal if e.kind is JournalKind.NOTE and e.point == "site"]
        before = [note for note in notes if note.time <= span.start][-1:]
        inside = [note for note in notes if note.time in span and note not in before]
        told = [f"{note.detail} from {evidence.clock(note.time)}" for note in (*before, *inside)]
        return f"guided by {', '.join(told)}" if told else "guided by nothing that the journal tells of"


@dataclass(frozen=True, slots=True)
class Charged:
    """No car at a charging point is missing anything, nor was one that has left, by the trace."""

    part: str

    def spans(self, evidence: Evidence) -> list[Span]:
        missing = _missing(self.part, evidence)
        return evidence.spans_when(lambda row: missing(row) <= _FILLED_KWH)

    def seen(self, evidence: Evidence, span: Span) -> str:
        missing = _missing(self.part, evidence)
        rows = [row for row in evidence.rows if span_of(row).cut(span)]
        return f"{missing(rows[-1]):.2f} kWh missing at {evidence.clock(span_of(rows[-1]).end)}" if rows else "no trace"


def _missing(part: str, evidence: Evidence) -> Callable[[Row], float]:
    """What the car that is there still needs, and what those that left did not get [kWh]."""
    here, gone = (Quantity(f"{part}.{name}").of(evidence) for name in ("missing_kwh", "unserved_kwh"))
    return lambda row: (here(row) or 0.0) + (gone(row) or 0.0)


@dataclass(frozen=True, slots=True)
class Alarmed:
    """A daemon's alarm is raised or cleared."""

    name: str
    subject: str
    cleared: bool

    def times(self, evidence: Evidence) -> list[tuple[datetime, str]]:
        kind = JournalKind.CLEARED if self.cleared else JournalKind.ALARM
        entries = [entry for entry in evidence.alarms(self.name, self.subject) if entry.kind is kind]
        return [(entry.time, f"on {entry.point}: {entry.detail.partition(': ')[2]}".rstrip(": ")) for entry in entries]


@dataclass(frozen=True, slots=True)
class Written:
    """Writes of ours reach a device or a point, with a value beyond a bound if there is one; taken or not."""

    thing: str
    above: Amount | None = None
    below: Amount | None = None

    def times(self, evidence: Evidence) -> list[tuple[datetime, str]]:
        points = known(self.thing, evidence)
        found = [write for point in points for write in evidence.ours(point) if self._counts(write)]
        return sorted(((write.time, told(write)) for write in found), key=lambda item: item[0])

    def _counts(self, write: WriteRecord) -> bool:
        if self.above is None and self.below is None:
            return True
        if write.value is None:
            return False
        over = self.above is not None and write.value > self.above.value + 1e-6
        return over or (self.below is not None and write.value < self.below.value - 1e-6)


def told(write: WriteRecord) -> str:
    """A write in words."""
    value = "given back" if write.value is None else f"= {write.value:.5g}"
    refused = "" if write.accepted else f", refused: {write.reason}"
    return f"{write.device}.{write.point} {value} ({write.via}{refused})"


@dataclass(frozen=True, slots=True)
class Planned:
    """The daemon's store got a plan. Only the newest are kept with their times."""

    def times(self, evidence: Evidence) -> list[tuple[datetime, str]]:
        earlier = max(0, evidence.plans_made - len(evidence.plans))
        known = [(time, "a plan was issued") for time in evidence.plans]
        return [(evidence.start, "an earlier plan, which is no longer kept")] * earlier + known


@dataclass(frozen=True, slots=True)
class DaemonDid:
    """What became of the daemon, by the bench's record."""

    what: str

    def times(self, evidence: Evidence) -> list[tuple[datetime, str]]:
        found = [e for e in evidence.events if e.kind is Happened.DAEMON and e.text == self.what]
        return [(event.time, f"the daemon was {self.what}") for event in found]


def _rows(evidence: Evidence, windows: Sequence[Span]) -> list[Row]:
    """The rows of the trace that begin in the windows."""
    return [row for row in evidence.rows if any(row.time in window for window in windows)]


def energy_kwh(values: Iterable[tuple[float, float]]) -> float:
    """The integral of (power in kW, seconds)."""
    return sum(power * seconds for power, seconds in values) / 3600


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy [kWh] that flowed: what the site imports or exports, or what a part takes or gives."""

    name: str
    sign: float
    unit: str = "kWh"

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        power = Quantity(self.name).of(evidence)
        values = ((power(row) or 0.0, row.seconds) for row in _rows(evidence, windows))
        return energy_kwh((max(0.0, self.sign * number), seconds) for number, seconds in values)


@dataclass(frozen=True, slots=True)
class Discomfort:
    """Degree hours outside the comfort band while rooms are in use, of one zone or all that the site has."""

    zone: str = ""
    unit: str = "K·h"

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        zones = [r for r in evidence.site.resources if isinstance(r, Zone) and self.zone in ("", r.id)]
        if not zones:
            raise CannotTell(f"the site has no zone '{self.zone}'" if self.zone else "the site has no zone")
        return sum(self._of(zone, evidence, windows) for zone in zones)

    def _of(self, zone: Zone, evidence: Evidence, windows: Sequence[Span]) -> float:
        air, comfort = Quantity(f"{zone.id}.air_c").of(evidence), evidence.site.view.comfort[zone.comfort]
        return sum(
            discomfort_kh(Series(row.time, 1, (air(row),)), comfort, evidence.site.timezone) * row.seconds
            for row in _rows(evidence, windows)
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What the energy at the connection costs by the site's tariff [EUR], or its CO2 [kg], or its 15-min peak [kW]."""

    what: str
    unit: str

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        rows = _rows(evidence, windows)
        if not rows:
            raise CannotTell("the trace has no rows there")
        step_s = round(min(row.seconds for row in rows)) or 1
        values = tuple(row.grid_kw for row in rows for _ in range(max(1, round(row.seconds / step_s))))
        result = bill(Series(rows[0].time, step_s, values), _rates(evidence, rows, step_s))
        return {"cost": result.total_eur, "co2": result.co2_kg, "peak": result.peak_kw}[self.what]


def _rates(evidence: Evidence, rows: Sequence[Row], step_s: int) -> RateTable:
    total = (span_of(rows[-1]).end - rows[0].time).total_seconds()
    return evidence.site.tariff.rates(Horizon(rows[0].time, step_s, int(total // step_s) + 1))


@dataclass(frozen=True, slots=True)
class Short:
    """What cars that have left a charging point were missing, in all [kWh]."""

    part: str
    unit: str = "kWh"

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        gone = Quantity(f"{self.part}.unserved_kwh").of(evidence)
        return max((gone(row) or 0.0 for row in _rows(evidence, windows)), default=0.0)


@dataclass(frozen=True, slots=True)
class ExitCode:
    """The code that the daemon ended with last."""

    unit: str = ""

    def value(self, evidence: Evidence, windows: Sequence[Span]) -> float:
        ended = [e for e in evidence.events if e.kind is Happened.DAEMON and "code" in e.data]
        codes = [event.data["code"] for event in ended]
        if not codes or not isinstance(codes[-1], int | float):
            raise CannotTell("the run does not tell what the daemon ended with")
        return float(codes[-1])
