"""Times of day that people write ("07:30", "02:00-07:30"), as instants.

They are site-local; a time that a clock change skips or repeats means its first possible instant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, WithJsonSchema

_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")


def parse_clock(text: str) -> time:
    """Read "07:30". Raises ValueError saying what would be right."""
    match = _CLOCK.match(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a time of day; write e.g. \"07:30\" (in quotes)")
    return time(int(match.group(1)), int(match.group(2)))


def parse_window(text: str) -> tuple[time, time]:
    """Read "02:00-07:30"; a window may pass midnight. Raises ValueError saying what would be right."""
    first, dash, last = text.partition("-")
    if not dash:
        raise ValueError(f"'{text}' is not a span of hours; write e.g. \"02:00-07:30\" (in quotes)")
    start, end = parse_clock(first), parse_clock(last)
    if start == end:
        raise ValueError(f"'{text}' starts and ends at the same time; write e.g. \"02:00-07:30\"")
    return start, end


def _checked_clock(text: str) -> str:
    parse_clock(text)
    return text


def _checked_window(text: str) -> str:
    parse_window(text)
    return text


ClockText = Annotated[
    str,
    AfterValidator(_checked_clock),
    WithJsonSchema({"type": "string", "pattern": "^([01]\\d|2[0-3]):[0-5]\\d$", "examples": ["07:30"]}),
]
"""A field for a time of day, kept as written."""

WindowText = Annotated[
    str,
    AfterValidator(_checked_window),
    WithJsonSchema({"type": "string", "examples": ["02:00-07:30"], "description": "from-to, site-local time"}),
]
"""A field for a daily span of hours, kept as written."""


def instant(local_day: datetime, clock: time, timezone: str) -> datetime:
    """A time of day on the day of `local_day`, as aware UTC."""
    return datetime.combine(local_day.date(), clock, ZoneInfo(timezone)).astimezone(UTC)


def next_clock(after: datetime, text: str, timezone: str) -> datetime:
    """The first instant later than `after` (aware UTC) at which clocks on site show `text`."""
    clock, local = parse_clock(text), after.astimezone(ZoneInfo(timezone))
    days = (instant(local + timedelta(days=day), clock, timezone) for day in range(3))
    return next(time for time in days if time > after)


def windows(around: datetime, text: str, timezone: str) -> Iterator[tuple[datetime, datetime]]:
    """The windows `text` from the one that `around` (aware UTC) lies in, or else the next one, for four days."""
    (first, last), local = parse_window(text), around.astimezone(ZoneInfo(timezone))
    for day in range(-1, 4):
        on = local + timedelta(days=day)
        start = instant(on, first, timezone)
        end = instant(on if last > first else on + timedelta(days=1), last, timezone)
        if end > around:
            yield start, end
