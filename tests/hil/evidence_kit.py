"""Evidence made by hand: a run of the example site, told in minutes from its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from energyctl.config import Site, load_site
from energyctl.core.points import Quality, Sample
from energyctl.core.records import JournalEntry, JournalKind
from hil.device import WriteRecord
from hil.events import Event, Happened
from hil.testing.evidence import Evidence
from hil.world import Row

ROOT = Path(__file__).parents[2]
START = datetime(2019, 1, 30, 22, 0, tzinfo=UTC)
"""Midnight in Athens."""


@cache
def town_hall() -> Site:
    return load_site(ROOT / "sites/larissa/town-hall.yaml")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def rows(
    minutes: int, grid: Callable[[int], float] | float = 10.0, **states: Callable[[int], float] | float
) -> list[Row]:
    """A row a minute: the grid's power on "base", and states by name with "__" for the dot."""

    def number(value: Callable[[int], float] | float, minute: int) -> float:
        return value(minute) if callable(value) else value

    return [
        Row(
            time=at(minute),
            seconds=60.0,
            powers_kw={"base": number(grid, minute)},
            states={name.replace("__", "."): number(value, minute) for name, value in states.items()},
        )
        for minute in range(minutes)
    ]


def event(minutes: float, happened: Happened, subject: str, text: str = "", /, **data: Any) -> Event:
    return Event(at(minutes), happened, subject, text, data)


def began(minutes: float, name: str, on: str = "", kind: str = "silent", target: str = "device") -> Event:
    return event(minutes, Happened.BEGAN, name, kind=kind, on=on, target=target)


def ended(minutes: float, name: str) -> Event:
    return event(minutes, Happened.ENDED, name)


def commanded(minutes: float, point: str) -> Event:
    return event(minutes, Happened.COMMANDED, point)


def local(minutes: float, point: str, why: str = "released") -> Event:
    return event(minutes, Happened.LOCAL, point, why=why)


def daemon(minutes: float, text: str, **data: Any) -> Event:
    return event(minutes, Happened.DAEMON, "daemon", text, **data)


def write(minutes: float, point: str, value: float | None, via: str = "modbus fc 16", reason: str = "") -> WriteRecord:
    device, _, name = point.partition(".")
    return WriteRecord(at(minutes), device, name, value, via, not reason, reason)


def line(minutes: float, kind: JournalKind, point: str, value: float | None = None, detail: str = "") -> JournalEntry:
    return JournalEntry(int(minutes), at(minutes), kind, point, value, detail=detail)


def alarm(minutes: float, name: str, subject: str, cleared: bool = False) -> JournalEntry:
    return line(minutes, JournalKind.CLEARED if cleared else JournalKind.ALARM, subject, detail=f"{name}: why")


def guided(minutes: float, level: str) -> JournalEntry:
    return line(minutes, JournalKind.NOTE, "site", detail=level)


def samples(point: str, values: Mapping[float, float], quality: Quality = Quality.GOOD) -> dict[str, list[Sample]]:
    return {point: [Sample(point, at(minute), value, quality) for minute, value in values.items()]}


def run(minutes: int = 60, events: Sequence[Event] = (), trace: Sequence[Row] | None = None, **other: Any) -> Evidence:
    """An hour of the town hall, with all in order of time."""
    trace = rows(minutes) if trace is None else trace
    found = Evidence(town_hall(), START, at(len(trace)), trace, events=sorted(events, key=lambda e: e.time))
    return replace(found, **other)


def steered(point: str, found: float, values: Mapping[float, float], via: str = "opcua") -> dict[str, Any]:
    """Writes and journal of a plain point that is taken over, then told these values by minute, properly."""
    journal, writes = [line(min(values), JournalKind.OWN, point, found)], []
    for minute, value in values.items():
        journal.append(line(minute, JournalKind.INTENT, point, value))
        writes.append(write(minute, point, value, via=via))
    return {"journal": journal, "writes": writes}
