"""What a scenario file says: which day, which course of weather and people, what goes wrong when, and what must hold.

Quantities are written with their unit, as in site files. Nothing in here knows a site: names that begin with `@` stand for
whatever a site has of that kind (see `fitting`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from energyctl.core.errors import ConfigError
from energyctl.core.units import Seconds
from hil.faults.base import Fault
from hil.outside import Outside

DEFAULT_DAY = date(2026, 1, 14)
"""A Wednesday in winter, for scenarios that do not care."""
LONGEST_S = 96 * 3600.0
LONGEST_LIVE_S = 3600.0
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_ACTS = ("fault", "do")


def _date(text: Any) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be a date like 2026-01-14") from None


def _clock(text: Any) -> str:
    if not isinstance(text, str) or _CLOCK.fullmatch(text) is None:
        raise ValueError('must be a time like "07:30"')
    return text


def _made(data: Any) -> Fault:
    from hil.faults import make

    if isinstance(data, Fault):
        return data
    try:
        return make(data)
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None


class Planned(BaseModel):
    """A fault or stimulus of a scenario: `at_s` seconds after the start, for `for_s` seconds or to the end."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    at_s: Annotated[Seconds, Field(alias="at", ge=0)] = 0.0
    for_s: Annotated[Seconds | None, Field(alias="for", gt=0)] = None
    name: Annotated[str, Field(min_length=1)]
    """What expectations and reports call it; the kind, when nothing is written."""
    fault: Annotated[Fault, BeforeValidator(_made)]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, data: Any) -> Any:
        """What is not about time or name belongs to the fault, whose own key is `fault:` or `do:`."""
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("fault"), Fault):
            return {"name": data["fault"].kind, **data}
        acts = [key for key in _ACTS if key in data]
        if len(acts) != 1:
            raise ValueError("needs one of 'fault: KIND' and 'do: KIND', like {at: 5 min, fault: silent, on: meter}")
        kind = data[acts[0]]
        own = {key: value for key, value in data.items() if key in ("at", "for", "name")}
        rest = {key: value for key, value in data.items() if key not in own and key not in _ACTS}
        return {"name": str(kind), **own, "fault": {"kind": kind, **rest}}


class Scenario(BaseModel):
    """A scenario as it is written; `fitting.fitted` makes one with a site's own ids of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = ""
    """The file's, without ".yaml" or ".hil.yaml", when nothing is written."""
    about: str = ""
    site: str | None = None
    """The site file it is made for, seen from the scenario's folder, or the name of a shipped example. None: any site."""
    patch: Mapping[str, Any] = {}
    """Merged over the site file; null takes a key out."""
    day: Annotated[date, BeforeValidator(_date)] = DEFAULT_DAY
    starts: Annotated[str, Field(alias="start"), BeforeValidator(_clock)] = "00:00"
    """Site-local, on `day`."""
    lasts: Annotated[Seconds, Field(gt=0, le=LONGEST_S)] = 24 * 3600.0
    step: Annotated[Seconds, Field(ge=0.1, le=900)] = 60.0
    """The control period of a lockstep run [s]."""
    mode: Literal["lockstep", "live"] = "lockstep"
    strategy: Literal["plan", "rules"] = "plan"
    seed: Annotated[int, Field(ge=0)] = 1
    outside: Outside = Outside()
    plant: Mapping[str, Mapping[str, Any]] = {}
    """What the simulated plant has otherwise than by default, by part id."""
    events: Annotated[tuple[Planned, ...], Field(strict=False)] = ()
    expect: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Sentences of `hil.testing.expect`."""
    waive: Mapping[str, str] = {}
    """Standard checks that are not made of this scenario, and why."""
    tags: Annotated[tuple[str, ...], Field(strict=False)] = ()

    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path:
        """The file it came from. Raises ValueError for one that came from none."""
        if self._file is None:
            raise ValueError(f"scenario '{self.name}' has no file")
        return self._file

    @field_validator("events")
    @classmethod
    def _distinct(cls, events: tuple[Planned, ...]) -> tuple[Planned, ...]:
        """Names tell events apart: a second 'silent' without a name of its own becomes 'silent-2'."""
        seen: dict[str, int] = {}
        named = []
        for event in events:
            count = seen[event.name] = seen.get(event.name, 0) + 1
            if count > 1 and event.name != event.fault.kind:
                raise ValueError(f"two events are called '{event.name}'; give each a 'name:' of its own")
            named.append(event if count == 1 else event.model_copy(update={"name": f"{event.name}-{count}"}))
        return tuple(named)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.mode == "live" and self.lasts > LONGEST_LIVE_S:
            raise ValueError(f"a live run takes as long as it lasts, {self.lasts:g} s; write e.g. 'lasts: 2 min'")
        for event in self.events:
            self._can_happen(event)
        return self

    def _can_happen(self, event: Planned) -> None:
        needs = event.fault.needs
        if event.at_s >= self.lasts:
            raise ValueError(f"'{event.name}' is at {event.at_s:g} s, but the scenario lasts {self.lasts:g} s")
        if needs in ("live", "lockstep") and needs != self.mode:
            raise ValueError(f"'{event.name}' is possible in a {needs} run only; write 'mode: {needs}'")
        if needs == "start" and event.at_s > 0:
            raise ValueError(f"'{event.name}' must be there from the start; leave 'at:' out")

    def start(self, timezone: str) -> datetime:
        """The first instant, aware UTC."""
        hour, minute = map(int, self.starts.split(":"))
        day = self.day
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(timezone)).astimezone(UTC)

    def end(self, timezone: str) -> datetime:
        """The instant after the last."""
        return self.start(timezone) + timedelta(seconds=self.lasts)
