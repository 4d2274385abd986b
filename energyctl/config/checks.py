"""What must hold between the sections of a site file: points exist and fit, limits do not contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energyctl.core.comfort import Comfort
from energyctl.core.driver import Device
from energyctl.core.interlock import Interlock, parse
from energyctl.core.points import Access, Point
from energyctl.core.resources import Binding
from energyctl.core.units import parse_quantity

from .problems import Report, did_you_mean, nearest
from .site import InterlockSection, PointLimit
from .yaml_source import YamlPath

Limits = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Points:
    """All points of the site, to look one up that a person wrote."""

    report: Report
    devices: Mapping[str, Device]
    by_id: Mapping[str, Point] = field(default_factory=dict)

    def find(self, path: YamlPath, name: str, unit: str | None = None, writes: bool = False) -> Point | None:
        """The point called `name` if it is there and fits; else what is wrong is noted, with the nearest that fits."""
        point = self.by_id.get(name)
        if point is None:
            if name.partition(".")[0] not in self._unresolved():
                self.report.add(path, f"no such point{self._suggest(name, unit, writes)}", name)
        elif unit is not None and point.unit != unit:
            self.report.add(path, f"is in {_named(point.unit)}, but {_named(unit)} is needed here", name)
        elif writes and point.access is not Access.READ_WRITE:
            self.report.add(path, f"is read-only, but must be writable here{self._suggest(name, unit, True)}", name)
        return point

    def _unresolved(self) -> set[str]:
        """Devices that are in the file but whose profile is not known: nothing can be said of their points."""
        return {key for key in self.report.section("devices") if key not in self.devices}

    def _suggest(self, name: str, unit: str | None, writes: bool) -> str:
        fitting = {
            point.id
            for point in self.by_id.values()
            if (unit is None or point.unit == unit) and (not writes or point.access is Access.READ_WRITE)
        }
        device = name.partition(".")[0] + "."
        near = {point for point in fitting if point.startswith(device)}
        if len(near) == 1 and nearest(name, near) is None:
            return f"; did you mean '{min(near)}'?"
        return did_you_mean(name, near if near else fitting, "points that fit")


def _named(unit: str) -> str:
    return {"": "no unit (a switch or a mode)", "1": "% (a ratio)"}.get(unit, unit)


def check_bindings(points: Points, bound: Mapping[str, Iterable[Binding]], meter: str | None) -> None:
    """Every point a resource is bound to exists and fits; no point is written, or measured as power, by two."""
    writers: dict[str, str] = {}
    meters: dict[str, str] = {meter: "grid.meter"} if meter else {}
    for resource, bindings in bound.items():
        for binding in bindings:
            path = ("resources", resource, binding.field)
            points.find(path, binding.point, binding.unit, binding.writes)
            users = writers if binding.writes else meters if binding.field == "power" else {}
            other = users.setdefault(binding.point, ".".join(path))
            if other != ".".join(path):
                verb = "sets" if binding.writes else "measures with"
                points.report.add(path, f"{other} {verb} this point too; a point belongs to one", binding.point)


def check_references(report: Report, raw: Mapping[str, Mapping[str, Any]], comforts: Iterable[str]) -> None:
    """`fed_by` names another resource, one that can feed; `comfort` names an entry of the section comfort."""
    comforts = list(comforts)
    for resource, data in raw.items():
        feeder, comfort = data.get("fed_by"), data.get("comfort")
        path = ("resources", resource)
        others = [name for name, other in raw.items() if other.get("kind") != data.get("kind")]
        if isinstance(feeder, str) and feeder not in raw:
            report.add((*path, "fed_by"), f"no such resource{did_you_mean(feeder, others)}", feeder)
        elif isinstance(feeder, str) and feeder not in others:
            report.add(
                (*path, "fed_by"), f"is a {data.get('kind')} too and feeds nothing{did_you_mean('', others)}", feeder
            )
        if isinstance(comfort, str) and comfort not in comforts:
            report.add(
                (*path, "comfort"), f"the section comfort has no such entry{did_you_mean(comfort, comforts)}", comfort
            )


def check_comfort(report: Report, name: str, comfort: Comfort) -> None:
    """heat < cool, and the setback band is no narrower."""
    path = ("comfort", name)
    if comfort.heat >= comfort.cool:
        report.add((*path, "heat"), f"must be below cool ({comfort.cool:g} °C)", f"{comfort.heat:g} °C")
    if comfort.setback_heat > comfort.heat:
        report.add((*path, "setback_heat"), _tighter(comfort.setback_heat, "above heat", comfort.heat))
    if comfort.setback_cool < comfort.cool:
        report.add((*path, "setback_cool"), _tighter(comfort.setback_cool, "below cool", comfort.cool))


def _tighter(setback: float, relation: str, other: float) -> str:
    return f"{setback:g} °C is {relation} ({other:g} °C); the band out of hours must not be tighter than in use"


DWELL_MAX_S = 86_400.0
PER = {"s": 1.0, "min": 60.0, "h": 3600.0}
"""Spans of time that a ramp is written in [s]."""


def read_limits(points: Points, limits: Mapping[str, PointLimit]) -> dict[str, Limits]:
    """The section safety.limits in canonical units: of writable points, not empty, inside the device's own limits."""
    found: dict[str, Limits] = {}
    for name, limit in limits.items():
        path = ("safety", "limits", name)
        point = points.find(path, name, writes=True)
        if point is None:
            continue
        low, high = (_quantity(points.report, (*path, key), getattr(limit, key), point) for key in ("min", "max"))
        if limit.empty:
            points.report.add(path, f"says nothing; write e.g. {{min: 0 {point.unit}}}")
        if low is not None and high is not None and low >= high:
            points.report.add((*path, "min"), f"must be below max ({limit.max})", limit.min)
            continue
        _inside(points.report, (*path, "min"), limit.min, low, point)
        _inside(points.report, (*path, "max"), limit.max, high, point)
        if low is not None or high is not None:
            found[name] = (low, high)
    return found


def read_steps(points: Points, limits: Mapping[str, PointLimit]) -> dict[str, float]:
    """The `step` of safety.limits by point, in canonical units; temperatures step in kelvin."""
    steps = {name: _change(points, name, "step", limit.step, limit.step) for name, limit in limits.items()}
    return {name: step for name, step in steps.items() if step is not None}


def read_ramps(points: Points, limits: Mapping[str, PointLimit]) -> dict[str, float]:
    """The `ramp` of safety.limits by point, in canonical units per second."""
    found: dict[str, float] = {}
    for name, limit in limits.items():
        if limit.ramp is None or name not in points.by_id:
            continue
        amount, _, time = limit.ramp.rpartition("/")
        seconds = PER.get(time.strip())
        if seconds is None:
            unit = _difference(points.by_id[name])
            points.report.add(
                ("safety", "limits", name, "ramp"), f"write it per s, min or h: '10 {unit}/min'", limit.ramp
            )
        elif (change := _change(points, name, "ramp", amount, limit.ramp)) is not None:
            found[name] = change / seconds
    return found


def _change(points: Points, name: str, key: str, amount: str | float | None, written: object) -> float | None:
    """A change of a point, more than 0, in its canonical unit; temperatures change in kelvin."""
    point = points.by_id.get(name)
    if point is None or amount is None:
        return None
    path = ("safety", "limits", name, key)
    try:
        change = parse_quantity(amount, _difference(point))
    except ValueError as exc:
        points.report.add(path, str(exc), written)
        return None
    if change <= 0:
        points.report.add(path, "must be more than 0", written)
    return change


def _difference(point: Point) -> str:
    return "K" if point.unit == "°C" else point.unit


def read_dwells(points: Points, limits: Mapping[str, PointLimit]) -> dict[str, tuple[float, float]]:
    """The `min_on` and `min_off` of safety.limits by point [s]."""
    found: dict[str, tuple[float, float]] = {}
    for name, limit in limits.items():
        for key in ("min_on", "min_off"):
            seconds = getattr(limit, key)
            if seconds is not None and not 0 <= seconds <= DWELL_MAX_S:
                points.report.add(("safety", "limits", name, key), "must be 0 s to 24 h", f"{seconds:g} s")
        if limit.min_on is not None or limit.min_off is not None:
            found[name] = (limit.min_on or 0.0, limit.min_off or 0.0)
    return found


def read_interlocks(points: Points, interlocks: Sequence[InterlockSection]) -> tuple[Interlock, ...]:
    """The section safety.interlocks with points that are there and values in their units."""
    found = []
    for index, item in enumerate(interlocks):
        path: YamlPath = ("safety", "interlocks", index)
        guarded = points.find((*path, "point"), item.point, writes=True)
        try:
            watched_id, comparison, text = parse(item.when)
        except ValueError as exc:
            points.report.add((*path, "when"), str(exc), item.when)
            continue
        watched = points.find((*path, "when"), watched_id)
        if guarded is None or watched is None:
            continue
        value = _named_value(text, watched)
        if value is None:
            value = _quantity(points.report, (*path, "when"), text, watched)
        if value is not None:
            found.append(Interlock(guarded.id, watched.id, comparison, value, item.when))
    return tuple(found)


def _named_value(text: str, point: Point) -> float | None:
    """on, off, or one of the point's choices."""
    names = {"off": 0, "on": 1} if point.kind == "bool" else point.choices
    return float(names[text]) if text in names else None


def _quantity(report: Report, path: YamlPath, text: Any, point: Point) -> float | None:
    if text is None:
        return None
    try:
        return parse_quantity(text, point.unit)
    except ValueError as exc:
        report.add(path, str(exc), text)
        return None


def _inside(report: Report, path: YamlPath, text: Any, value: float | None, point: Point) -> None:
    low, high = point.minimum, point.maximum
    if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
        report.add(path, f"outside the device's own limits, {span((low, high), point.unit)}", text)


def span(limits: Limits, unit: str) -> str:
    """Limits in words: "15 °C to 30 °C"."""
    low, high = ("" if limit is None else f"{limit:g} {unit}" for limit in limits)
    return f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"


def check_comfort_reachable(
    points: Points, raw: Mapping[str, Mapping[str, Any]], comforts: Mapping[str, Comfort], limits: Mapping[str, Limits]
) -> None:
    """No resource is asked for a temperature that its setpoint's limits forbid."""
    for resource, data in raw.items():
        comfort, point = comforts.get(str(data.get("comfort"))), points.by_id.get(str(data.get("setpoint")))
        if comfort is None or point is None or point.unit != "°C":
            continue
        low, high = allowed(point, limits.get(point.id, (None, None)))
        for key in ("heat", "cool", "setback_heat", "setback_cool"):
            wanted: float = getattr(comfort, key)
            if (low is not None and wanted < low) or (high is not None and wanted > high):
                reach = span((low, high), "°C")
                message = f"{wanted:g} °C cannot be set for resources.{resource}: {point.id} is limited to {reach}"
                points.report.add(("comfort", str(data["comfort"]), key), message)


def allowed(point: Point, limits: Limits) -> Limits:
    """The tighter of the device's own limits and the site's."""
    lows = [limit for limit in (point.minimum, limits[0]) if limit is not None]
    highs = [limit for limit in (point.maximum, limits[1]) if limit is not None]
    return (max(lows) if lows else None, min(highs) if highs else None)


def check_watchdogs(points: Points, bound: Mapping[str, Iterable[Binding]], accepted: Iterable[str]) -> None:
    """A device that would obey a dead controller for ever is written to only if the site file accepts that by name."""
    accepted, report = list(accepted), points.report
    for index, name in enumerate(accepted):
        if name not in points.devices and name not in report.section("devices"):
            path = ("safety", "accept_no_watchdog", index)
            report.add(path, f"no such device{did_you_mean(name, points.devices)}", name)
    written: dict[str, list[str]] = {}
    for bindings in bound.values():
        for binding in bindings:
            if binding.writes and binding.point in points.by_id:
                written.setdefault(points.by_id[binding.point].device, []).append(binding.point)
    for device, names in written.items():
        if points.devices[device].profile.watchdog.kind == "none" and device not in accepted:
            what = f"is controlled ({', '.join(sorted(set(names)))}) but has no watchdog: it would obey the last value for ever"
            line = f"accept_no_watchdog: [{', '.join([*accepted, device])}]"
            report.add(("devices", device), f"{what}; if you accept that, write '{line}' under safety:")
