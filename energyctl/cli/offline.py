"""A plan made in this process, for a look: by the site file, with what the site's store knows and what is given by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from energyctl.config import load_planner, load_site
from energyctl.config.site import Site
from energyctl.core.durations import words
from energyctl.core.errors import ConfigError, PlanError
from energyctl.core.plan import Plan
from energyctl.core.points import Point, ProcessImage, Quality, Sample
from energyctl.core.timeline import floor_time
from energyctl.daemon.paths import state_dir
from energyctl.planning.history import DAYS, STEP_S, History
from energyctl.planning.requests import needed_points, request
from energyctl.store import Store

from .output import note
from .values import parse_value


def plan_offline(path: Path, state: Path | None, given: Sequence[str]) -> Plan:
    """Raises ConfigError for the site file or a value given, PlanError saying which value is missing."""
    site, now = load_site(path), datetime.now(UTC)
    history = History(needed_points(site))
    samples = _stored(state_dir(site.id, state).store, history, now)
    samples |= {sample.point: sample for sample in _given(site, given, now)}
    try:
        return load_planner(site.planner.use).plan(
            request(site, ProcessImage(now, 0, samples), history, None, live=True)
        )
    except PlanError as error:
        raise PlanError(f"{error} (a value can be given with --value POINT=VALUE)") from error


def _stored(path: Path, history: History, now: datetime) -> dict[str, Sample]:
    """The newest good values and the history of a site that has run; nothing otherwise."""
    if not path.exists():
        return {}
    start, steps = floor_time(now - timedelta(days=DAYS), STEP_S), DAYS * 24 * 3600 // STEP_S
    with Store.open(path, read_only=True) as store:
        for point in history.points:
            history.load(point, store.means(point, start, STEP_S, steps))
        latest = store.latest()
    if latest:
        newest = max(sample.time for sample in latest.values())
        note(f"measured values are from the store, {words(max(now - newest, timedelta()))} old")
    return latest


def _given(site: Site, given: Iterable[str], now: datetime) -> Iterable[Sample]:
    forecast = [need for resource in site.resources for need in resource.needs()]
    points = {need.point: Point(id=need.point, unit=need.unit) for need in forecast} | dict(site.points)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in points:
            raise ConfigError(f"--value '{text}': write POINT=VALUE with a point of the site, e.g. storage.soc='50 %'")
        yield Sample(name, now, parse_value(value, points[name]), Quality.GOOD, "given by hand")
