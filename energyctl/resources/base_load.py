"""The part of a site's consumption that nobody controls: what the grid meter sees beyond all other resources.

It is a forecast and nothing else. The daemon keeps its measured value as the virtual point "site.base_load".
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf, ValidationInfo, WithJsonSchema

from energyctl.core.flexibility import Fixed, Flexibility
from energyctl.core.plan import Plan
from energyctl.core.points import ProcessImage
from energyctl.core.resources import BASE_LOAD, Binding, Need, Outlook, SiteView, Target
from energyctl.core.timeline import Series

from .common import Kind


def read_load_csv(path: Path) -> Series:
    """Read `time_utc,load_kw` rows into a Series; a missing row or an empty value is None.

    Raises ValueError naming file and line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            if rows.fieldnames is None or not {"time_utc", "load_kw"} <= set(rows.fieldnames):
                raise ValueError(f"{path}: expected the columns time_utc and load_kw")
            known = dict(_reading(path, rows.line_num, row) for row in rows)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if len(known) < 2:
        raise ValueError(f"{path}: holds fewer than two readings")
    return _on_grid(sorted(known.items()))


def _reading(path: Path, line: int, row: dict[str, str]) -> tuple[datetime, float | None]:
    try:
        time = datetime.fromisoformat(row["time_utc"].replace("Z", "+00:00"))
        value = float(row["load_kw"]) if row["load_kw"].strip() else None
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"{path}, line {line}: expected e.g. '2018-01-01T00:00:00Z,12.3'") from None
    good = value is not None and abs(value) < float("inf")
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC), value if good else None


def _on_grid(known: Sequence[tuple[datetime, float | None]]) -> Series:
    start = known[0][0]
    seconds = [int((time - start).total_seconds()) for time, _ in known]
    step_s = min(after - before for before, after in pairwise(seconds))
    values: list[float | None] = [None] * (seconds[-1] // step_s + 1)
    for second, (_, value) in zip(seconds, known, strict=True):
        values[second // step_s] = value
    return Series(start, step_s, tuple(values))


def _load_prior(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    base = info.context.get("base_dir") if info.context else None
    return read_load_csv(Path(base or ".") / value)


PriorFile = Annotated[
    InstanceOf[Series] | None,
    BeforeValidator(_load_prior),
    WithJsonSchema({"type": "string", "description": "CSV file with the columns time_utc and load_kw"}),
]


class BaseLoad(Kind):
    """What the grid meter sees beyond all other resources."""

    kind: Literal["base-load"] = "base-load"
    prior: PriorFile = None
    """Measured load from before this site had a historian; a file name in the site file."""

    @property
    def power(self) -> None:
        return None

    def bindings(self) -> Sequence[Binding]:
        return ()

    def needs(self) -> Sequence[Need]:
        return (Need(BASE_LOAD, "load", "kW", self.prior),)

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        return (Fixed(self.id, outlook.forecasts[BASE_LOAD].values),)

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()
