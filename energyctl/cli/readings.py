"""Current and past values: from the daemon, or from its store when it is down, saying so and how old they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from energyctl.core.durations import words
from energyctl.core.errors import ConfigError, DaemonDown
from energyctl.core.points import Point, Sample
from energyctl.store import Store

from . import client
from .output import note
from .values import show_value
from .where import Where

Reading = dict[str, Any]
"""{point, value, unit, quality, reason, time}, as the daemon says it; with kind and choices where they are known."""


def current(where: Where, match: str) -> list[Reading]:
    """The newest reading of every point that matches a glob. Raises ConfigError when none does."""
    try:
        found = client.ask(where.paths.socket, "points", match=match)
    except DaemonDown as down:
        found = _stored_latest(where, match, down)
    if not found:
        raise ConfigError(f"no point matches '{match}'; 'energyctl point get' lists them all")
    return list(found)


def past(where: Where, point: str, since_s: float) -> list[Reading]:
    """The readings of a point over the last `since_s` seconds, oldest first. Raises ConfigError for an unknown point."""
    try:
        return list(client.ask(where.paths.socket, "history", point=point, since_s=since_s))
    except DaemonDown as down:
        now = datetime.now(UTC)
        with open_store(where, down) as store:
            samples = store.history(point, now - timedelta(seconds=since_s), now + timedelta(seconds=1))
            if not samples and point not in store.latest():
                raise ConfigError(f"no point '{point}'; 'energyctl point get' lists them all") from None
        return _readings(samples, where)


def open_store(where: Where, down: DaemonDown) -> Store:
    """The store of a daemon that is down, for reading; says on standard error how old it is."""
    if not where.paths.store.exists():
        raise down
    store = Store.open(where.paths.store, read_only=True)
    _, last = store.acknowledged()
    age = words(max(datetime.now(UTC) - last, timedelta())) if last else None
    note(f"the daemon is not running; this is from its store, {f'{age} old' if age else 'which is empty'}")
    return store


def points_of_site(where: Where) -> Mapping[str, Point]:
    """Every point by id, from the site file where we know it; otherwise nothing."""
    if where.site is None:
        return {}
    from energyctl.config import load_site

    return load_site(where.site).points


def points_of_device(where: Where, device: str) -> Mapping[str, Point]:
    """The points of a device that the running daemon has, by id; nothing for a device it does not know."""
    from energyctl.config import load_profiles

    for known in client.ask(where.paths.socket, "devices"):
        if known["device"] == device:
            return load_profiles()[known["profile"]].points_of(device)
    return {}


def _stored_latest(where: Where, match: str, down: DaemonDown) -> list[Reading]:
    with open_store(where, down) as store:
        samples = [s for point, s in store.latest().items() if fnmatch.fnmatchcase(point, match)]
    return _readings(samples, where)


def _readings(samples: Sequence[Sample], where: Where) -> list[Reading]:
    points = points_of_site(where)
    return [_reading(sample, points.get(sample.point)) for sample in samples]


def _reading(sample: Sample, point: Point | None) -> Reading:
    reading = {
        "point": sample.point,
        "value": sample.value,
        "unit": point.unit if point else "",
        "quality": sample.quality.value,
        "reason": sample.reason,
        "time": sample.time.isoformat(),
    }
    return reading | ({"kind": point.kind, "choices": dict(point.choices)} if point else {})


def shown(reading: Reading) -> str:
    """A reading's value as people read it; switches and choices by name where the reading says what it is."""
    point = Point(
        id=reading["point"],
        unit=reading["unit"],
        kind=reading.get("kind", "number"),
        choices=reading.get("choices", {}),
    )
    return show_value(reading["value"], point)
