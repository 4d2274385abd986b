"""The section `rules`: comfort and safety rules of the site, by kind. What each does stands in `control.rules`.

A rule that keeps a zone may name it (`zone: office`) instead of the points: its temperature and setpoint are then those of
the resource.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from energyctl.core.comfort import WeekSchedule
from energyctl.core.points import Rank
from energyctl.core.resources import Binding
from energyctl.core.units import DeltaK, Seconds, TempC

from . import checks
from .problems import Report, did_you_mean
from .site import PointId, RuleSection, Section

_DAY_S = 86_400.0


def _of_zone(data: Any, info: ValidationInfo) -> Any:
    """`zone: NAME` as the points of that resource; what is written beside it counts more."""
    if not isinstance(data, Mapping) or "zone" not in data:
        return data
    resources = (info.context or {}).get("resources", {})
    zones = {name: raw for name, raw in resources.items() if isinstance(raw, Mapping) and raw.get("kind") == "zone"}
    zone = zones.get(data["zone"])
    if zone is None:
        raise ValueError(f"zone '{data['zone']}': no such zone{did_you_mean(data['zone'], zones)}")
    return {key: zone[key] for key in ("temp", "setpoint") if key in zone} | dict(data)


class _Kept(RuleSection):
    """A rule that keeps one place: a temperature and the setpoint that moves it."""

    zone: Annotated[str | None, Field(description="a zone of the resources, in place of temp and setpoint")] = None
    temp: PointId
    setpoint: PointId

    @model_validator(mode="before")
    @classmethod
    def _take_zone(cls, data: Any, info: ValidationInfo) -> Any:
        return _of_zone(data, info)

    @property
    def point(self) -> str:
        return self.setpoint

    def bindings(self) -> Sequence[Binding]:
        return (Binding("temp", self.temp, "°C"), Binding("setpoint", self.setpoint, "°C", writes=True))


class Frost(_Kept):
    """Frost protection: `temp` below `below` raises `setpoint` to at least `to`, until `temp` has reached `until`."""

    kind: Literal["frost"]
    below: TempC = 5.0
    until: Annotated[TempC, Field(description="well above below")] = 8.0
    to: Annotated[TempC, Field(description="the least setpoint meanwhile")] = 12.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.below + 1.0 <= self.until <= self.to:
            raise ValueError("below must be at least 1 K less than until, and until not more than to")
        return self

    def values(self) -> Mapping[str, tuple[str, float]]:
        return {"to": (self.setpoint, self.to)}


class Legionella(_Kept):
    """A hot water tank proves `reach` for `hold` at least once `every`; it begins in `hours` of the last day, if it can."""

    kind: Literal["legionella"]
    reach: Annotated[TempC, Field(description="measured where the tank is coldest")] = 60.0
    to: Annotated[TempC, Field(description="the setpoint meanwhile")] = 65.0
    hold: Seconds = 3600.0
    every: Seconds = 7 * _DAY_S
    hours: Annotated[WeekSchedule | None, Field(description="when it may begin early, e.g. when power is cheap")] = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.reach < 55.0:
            raise ValueError("reach must be at least 55 °C; legionella live through less")
        if self.to <= self.reach:
            raise ValueError("to must be above reach, or it is never proven")
        if not 60.0 <= self.hold <= _DAY_S / 4 or not 2 * _DAY_S <= self.every <= 31 * _DAY_S:
            raise ValueError("hold must be 1 min to 6 h, and every 2 d to 31 d")
        return self

    def values(self) -> Mapping[str, tuple[str, float]]:
        return {"to": (self.setpoint, self.to)}


class HeatWave(RuleSection):
    """After `days` days with `outdoor` above `above`: by night rooms are cooled ahead, or aired with outdoor air."""

    rank: ClassVar[Rank] = Rank.RULE

    kind: Literal["heat-wave"]
    outdoor: PointId
    above: TempC = 35.0
    days: Annotated[int, Field(ge=1, le=14, description="hot days in a row")] = 2
    zone: Annotated[str | None, Field(description="a zone of the resources, in place of temp and setpoint")] = None
    temp: PointId
    setpoint: Annotated[PointId | None, Field(description="where the rooms are cooled ahead")] = None
    vent: Annotated[PointId | None, Field(description="a switch that airs the rooms with outdoor air")] = None
    mode: Annotated[PointId | None, Field(description="1 heat, 2 cool: cooled ahead is only what cools")] = None
    down_to: TempC = 23.0
    hours: Annotated[WeekSchedule, Field(description="the night")] = WeekSchedule("00:00-07:00; 22:00-24:00")

    @model_validator(mode="before")
    @classmethod
    def _take_zone(cls, data: Any, info: ValidationInfo) -> Any:
        return _of_zone(data, info)

    @property
    def point(self) -> str:
        return self.temp

    def bindings(self) -> Sequence[Binding]:
        always = (Binding("outdoor", self.outdoor, "°C"), Binding("temp", self.temp, "°C"))
        setpoint = (Binding("setpoint", self.setpoint, "°C", writes=True),) if self.setpoint else ()
        vent = (Binding("vent", self.vent, "", writes=True),) if self.vent else ()
        mode = (Binding("mode", self.mode, ""),) if self.mode else ()
        return (*always, *setpoint, *vent, *mode)

    def values(self) -> Mapping[str, tuple[str, float]]:
        return {"down_to": (self.setpoint, self.down_to)} if self.setpoint else {}


class Asker(Section):
    """A zone that may ask for more: its points, or its name, and how many times it counts."""

    zone: str | None = None
    temp: PointId
    setpoint: PointId
    importance: Annotated[int, Field(ge=0, le=100)] = 1

    @model_validator(mode="before")
    @classmethod
    def _take_zone(cls, data: Any, info: ValidationInfo) -> Any:
        return _of_zone(data, info)


class TrimRespond(RuleSection):
    """Trim and respond on a supply temperature setpoint, by ASHRAE Guideline 36-2021, 5.1.14."""

    rank: ClassVar[Rank] = Rank.RULE

    kind: Literal["trim-respond"]
    setpoint: PointId
    start: Annotated[TempC, Field(description="SP0, also while it is off")]
    min: Annotated[TempC, Field(description="SPmin")]
    max: Annotated[TempC, Field(description="SPmax")]
    delay: Annotated[Seconds, Field(description="Td, from when it starts to run")] = 600.0
    every: Annotated[Seconds, Field(description="T")] = 300.0
    ignore: Annotated[int, Field(ge=0, description="I, requests that count for nothing")] = 0
    trim: Annotated[DeltaK, Field(description="SPtrim; below 0 where less is cheaper, as in heating")]
    respond: Annotated[DeltaK, Field(description="SPres per request, of the other sign")]
    most: Annotated[DeltaK, Field(description="SPres-max, the largest response at once, of the sign of respond")]
    requests: Annotated[list[Asker], Field(min_length=1, description="the zones that may ask")]
    running: Annotated[
        PointId | None, Field(description="above 0 while the plant runs; without it, it always does")
    ] = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.min <= self.start <= self.max or self.min == self.max:
            raise ValueError("start must lie between min and max")
        if not self.trim * self.respond < 0:
            raise ValueError("trim and respond must be of opposite signs, and neither 0 K")
        if not self.most * self.respond > 0 or abs(self.most) < abs(self.respond):
            raise ValueError("most must have the sign of respond and be no smaller")
        if self.delay < 0 or self.every < 30.0:
            raise ValueError("delay must not be negative, and every at least 30 s")
        return self

    @property
    def point(self) -> str:
        return self.setpoint

    def bindings(self) -> Sequence[Binding]:
        own = (Binding("setpoint", self.setpoint, "°C", writes=True),)
        asked = [
            (Binding("requests", one.temp, "°C"), Binding("requests", one.setpoint, "°C")) for one in self.requests
        ]
        return (*own, *chain.from_iterable(asked))

    def values(self) -> Mapping[str, tuple[str, float]]:
        return {"min": (self.setpoint, self.min), "max": (self.setpoint, self.max)}


KINDS: Mapping[str, type[RuleSection]] = {
    "frost": Frost,
    "legionella": Legionella,
    "heat-wave": HeatWave,
    "trim-respond": TrimRespond,
}
"""The kinds of rules by name; `control.rules` has what each of them does."""


def read_rules(report: Report, points: checks.Points, limits: Mapping[str, checks.Limits]) -> tuple[RuleSection, ...]:
    """The section `rules`; every mistake goes into the report."""
    written = report.document.data.get("rules", [])
    if not isinstance(written, list):
        report.add(("rules",), "must be a list of rules, like [{kind: frost, zone: office}]")
        return ()
    found: dict[str, RuleSection] = {}
    for index, raw in enumerate(written):
        rule = _read_rule(report, points, limits, index, raw)
        if rule is not None and rule.name in found:
            report.add(("rules", index), f"there is another {rule.kind} rule for {rule.point}; one of them is too many")
        elif rule is not None:
            found[rule.name] = rule
    return tuple(found.values())


def _read_rule(
    report: Report, points: checks.Points, limits: Mapping[str, checks.Limits], index: int, raw: Any
) -> RuleSection | None:
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        message = f"must be a rule with a kind{did_you_mean(kind or '', KINDS)}"
        if kind is None:
            report.add(("rules", index), message)
        else:
            report.add(("rules", index, "kind"), message, kind)
        return None
    rule = report.validate(("rules", index), KINDS[kind], raw, {"resources": report.section("resources")})
    if rule is None:
        return None
    for binding in rule.bindings():
        points.find(("rules", index, binding.field), binding.point, binding.unit, binding.writes)
    for field, (name, value) in rule.values().items():
        point = points.by_id.get(name)
        if point is not None:
            low, high = checks.allowed(point, limits.get(name, (None, None)))
            if (low is not None and value < low) or (high is not None and value > high):
                message = f"{value:g} °C cannot be set: {name} is limited to {checks.span((low, high), '°C')}"
                report.add(("rules", index, field), message)
    return rule
