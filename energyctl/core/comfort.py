"""When rooms are in use and how warm they must be then: a weekly schedule and a band of temperatures.

Schedules are written in site-local time as "Mo-Fr 07:00-18:00; Sa 09:00-13:00" (the OpenStreetMap opening-hours style
that people already know); several parts are joined by ";".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from .units import PricePerKh, TempC

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_PART = re.compile(r"^(?:(Mo|Tu|We|Th|Fr|Sa|Su)(?:-(Mo|Tu|We|Th|Fr|Sa|Su))?\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)$")


@dataclass(frozen=True)
class WeekSchedule:
    """Hours of the week, written as text; `text` is kept as it was written."""

    text: str

    def __post_init__(self) -> None:
        if not self._spans:
            raise ValueError("no hours; write e.g. 'Mo-Fr 07:00-18:00'")

    @cached_property
    def _spans(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(self._parse())

    def _parse(self) -> Iterator[tuple[int, int, int]]:
        for part in filter(None, (p.strip() for p in self.text.split(";"))):
            match = _PART.match(part)
            if match is None:
                raise ValueError(f"'{part}' is not like 'Mo-Fr 07:00-18:00'")
            first, last, *clock = match.groups()
            start, end = int(clock[0]) * 60 + int(clock[1]), int(clock[2]) * 60 + int(clock[3])
            if not 0 <= start < end <= 24 * 60:
                raise ValueError(f"'{part}' must end after it starts, within one day")
            day = _DAYS.index(first) if first else 0
            until = _DAYS.index(last or first) if first else 6
            while True:
                yield day, start, end
                if day == until:
                    break
                day = (day + 1) % 7

    def covers(self, local: datetime) -> bool:
        """Whether a site-local time lies in the schedule."""
        minute = local.hour * 60 + local.minute
        return any(day == local.weekday() and start <= minute < end for day, start, end in self._spans)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": ["Mo-Fr 07:00-18:00"]}

    @classmethod
    def _validate(cls, value: Any) -> WeekSchedule:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError("write the hours as text, e.g. 'Mo-Fr 07:00-18:00'")
        return cls(value)


class Comfort(BaseModel):
    """The band of temperatures while rooms are in use, and the wider one while they are not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    occupied: Annotated[WeekSchedule, ...]
    heat: TempC
    cool: TempC
    setback_heat: TempC = 16.0
    setback_cool: TempC = 30.0
    price: PricePerKh = 0.5
    """What a degree too cold or too warm for an hour is worth in the plan."""

    def in_use(self, time: datetime, timezone: str) -> bool:
        """Whether rooms are in use at an aware UTC time."""
        return self.occupied.covers(time.astimezone(ZoneInfo(timezone)))

    def band(self, time: datetime, timezone: str) -> tuple[float, float]:
        """Lowest and highest temperature [°C] wanted at an aware UTC time."""
        return (self.heat, self.cool) if self.in_use(time, timezone) else (self.setback_heat, self.setback_cool)
