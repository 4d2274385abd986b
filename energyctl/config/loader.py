"""Reads a site file and gives a `Site`, or every mistake in it at once.

Rule: a section with mistakes does not hide those of the others. Each line of the error is
"file:line: path: value: what is wrong; what would be right".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from energyctl.core.comfort import Comfort
from energyctl.core.planner import Goals, GridLimits
from energyctl.core.resources import Binding, Resource, SiteView
from energyctl.core.tariff import Tariff

from . import checks, plugins
from .alarm_routes import read_webhook
from .connections import check_with_drivers, read_devices, read_links, read_modes
from .options import ids, read_secrets, sweep
from .problems import Report, did_you_mean, nearest
from .rules import read_rules
from .site import (
    AlarmsSection,
    GoalsSection,
    GridSection,
    PlannerSection,
    PlannerSettings,
    RuleSection,
    Safety,
    SafetySection,
    Section,
    Site,
    SiteSection,
)
from .tariffs import KINDS, Files
from .yaml_source import read_yaml

REQUIRED = ("site", "connections", "devices", "grid", "resources", "tariff")
OPTIONAL = ("secrets", "comfort", "safety", "rules", "goals", "planner", "alarms")

_S = TypeVar("_S", bound=Section)


def load_site(path: Path, *, resolve_secrets: bool = False) -> Site:
    """Read and check a site file. Raises ConfigError with every problem.

    Secrets are looked up only with `resolve_secrets` (to run the site, not to look at it); otherwise *** stands for them.
    """
    report = Report(read_yaml(path))
    if not isinstance(report.document.data, dict):
        report.add((), f"must begin with sections ({', '.join(REQUIRED)}), like 'site:' and indented lines below it")
        report.raise_if_any()
    site = _Loading(report, path, resolve_secrets).site()
    report.raise_if_any()
    assert site is not None
    return site


class _Loading:
    """One pass over a file; every step notes its mistakes in the report and goes on with what is right."""

    def __init__(self, report: Report, path: Path, resolve_secrets: bool) -> None:
        self.report = report
        self.path = path
        self.base_dir = path.parent.resolve()
        self.data: Mapping[str, Any] = report.document.data
        self._sections()
        self.secrets = read_secrets(report, self.base_dir, resolve_secrets)

    def _sections(self) -> None:
        unknown = [key for key in self.data if key not in REQUIRED + OPTIONAL]
        meant = {nearest(key, REQUIRED + OPTIONAL) for key in unknown}
        for key in unknown:
            self.report.add((key,), f"unknown section '{key}'{did_you_mean(key, REQUIRED + OPTIONAL)}")
        for key in REQUIRED:
            if key not in self.data and key not in meant:
                self.report.add((), f"section '{key}:' is missing")
        sweep(self.report)

    def section(self, name: str, model: type[_S]) -> _S | None:
        """A section as its model, also when it is absent and may be."""
        if name not in self.data:
            return None if name in REQUIRED else model()
        return self.report.validate((name,), model, self.report.mapping((name,), "'key: value' lines"))

    def site(self) -> Site | None:
        head, grid = self.section("site", SiteSection), self.section("grid", GridSection)
        safety = self.section("safety", SafetySection) or SafetySection()
        goals, planner = self.section("goals", GoalsSection), self._planner()
        links = read_links(self.report, self.secrets, safety.bacnet_priority)
        devices, link_of = read_devices(self.report, self.secrets, links)
        check_with_drivers(self.report, links, devices, link_of)
        by_id = {point.id: point for device in devices.values() for point in device.points.values()}
        points = checks.Points(self.report, devices, by_id)
        comforts, resources = self._comforts(), self._resources()
        meter = points.find(("grid", "meter"), grid.meter, "kW") if grid else None
        limits, rules = self._cross(points, comforts, resources, safety, meter.id if meter else None)
        steps, interlocks = checks.read_steps(points, safety.limits), checks.read_interlocks(points, safety.interlocks)
        modes = read_modes(self.report, head.mode if head else "control", devices, meter.id if meter else None)
        webhook = read_webhook(self.report, self.section("alarms", AlarmsSection), self.secrets)
        tariff = self._tariff(head.timezone if head else "UTC")
        if head is None or grid is None or goals is None or tariff is None:
            return None
        return Site(
            id=head.id,
            name=head.name or head.id,
            timezone=head.timezone,
            currency=head.currency,
            view=SiteView(head.timezone, head.latitude, head.longitude, comforts),
            mode=head.mode,
            modes=modes,
            period_s=head.period,
            links=tuple(links.values()),
            devices=devices,
            link_of=link_of,
            meter=grid.meter,
            limits=GridLimits(grid.import_limit, grid.export_limit),
            resources=tuple(one.built for one in resources.values() if one.built is not None),
            tariff=tariff,
            safety=Safety(
                safety.bacnet_priority,
                safety.lease,
                tuple(safety.accept_no_watchdog),
                limits,
                steps,
                {name: limit.every for name, limit in safety.limits.items() if limit.every is not None},
                checks.read_ramps(points, safety.limits),
                checks.read_dwells(points, safety.limits),
                interlocks,
                safety.require_commissioning,
                safety.clock_step,
                safety.clock_settle,
            ),
            goals=Goals(goals.co2_price, goals.change_price),
            planner=planner,
            points=by_id,
            path=self.path,
            rules=rules,
            webhook=webhook,
        )

    def _planner(self) -> PlannerSettings:
        planner, names = (
            self.section("planner", PlannerSection) or PlannerSection(),
            plugins.installed(plugins.PLANNERS),
        )
        if planner.use not in names:
            self.report.add(
                ("planner", "use"), f"no such planner{did_you_mean(planner.use, names, 'installed')}", planner.use
            )
        return PlannerSettings(planner.use, planner.every, planner.horizon, int(planner.step))

    def _comforts(self) -> dict[str, Comfort]:
        found = {}
        for name, data in ids(
            self.report, "comfort", 'hours and temperatures, like {occupied: "Mo-Fr 08:00-16:00", ...}'
        ):
            comfort = self.report.validate(("comfort", name), Comfort, data)
            if comfort is not None:
                checks.check_comfort(self.report, name, comfort)
                found[name] = comfort
        return found

    def _resources(self) -> dict[str, _Loaded]:
        return {
            name: self._resource(name, data) for name, data in ids(self.report, "resources", "a kind and its points")
        }

    def _resource(self, name: str, data: Mapping[str, Any]) -> _Loaded:
        path, kinds = ("resources", name), plugins.installed(plugins.RESOURCES)
        if "id" in data:
            self.report.add((*path, "id"), f"unknown key 'id'; the id is '{name}' already")
        kind = data.get("kind")
        if kind is None:
            self.report.add(path, f"has no kind{did_you_mean('', kinds, 'installed')}")
        elif not isinstance(kind, str) or kind not in kinds:
            self.report.add((*path, "kind"), f"unknown kind{did_you_mean(kind, kinds, 'installed')}", kind)
        else:
            model = self.report.attempt((*path, "kind"), lambda: plugins.load_resource(kind))
            if isinstance(model, type) and issubclass(model, BaseModel):
                return self._build(path, model, data)
        return _Loaded(data, None, ())

    def _build(self, path: tuple[str, str], model: type[BaseModel], data: Mapping[str, Any]) -> _Loaded:
        full = {**data, "id": path[1]}
        built: Any = self.report.ask(
            path, f"kind '{data['kind']}'", lambda: self.report.validate(path, model, full, self._context())
        )
        return _Loaded(data, built, _bindings(built or _sketch(model, full), data))

    def _context(self) -> dict[str, Any]:
        """What a resource may use while it is validated: where files are, and all resources as they are written."""
        return {"base_dir": self.base_dir, "resources": self.report.section("resources")}

    def _cross(
        self,
        points: checks.Points,
        comforts: Mapping[str, Comfort],
        resources: Mapping[str, _Loaded],
        safety: SafetySection,
        meter: str | None,
    ) -> tuple[dict[str, checks.Limits], tuple[RuleSection, ...]]:
        """What must hold between sections; gives the limits of safety.limits, and the rules."""
        raw = {name: one.raw for name, one in resources.items()}
        bound = {name: one.bindings for name, one in resources.items()}
        checks.check_bindings(points, bound, meter)
        checks.check_references(self.report, raw, self.report.section("comfort"))
        limits = checks.read_limits(points, safety.limits)
        checks.check_comfort_reachable(points, raw, comforts, limits)
        rules = read_rules(self.report, points, limits)
        commanded = {**bound, **{rule.name: rule.bindings() for rule in rules}}
        checks.check_watchdogs(points, commanded, safety.accept_no_watchdog)
        return limits, rules

    def _tariff(self, timezone: str) -> Tariff | None:
        if "tariff" not in self.data:
            return None
        data = self.report.mapping(("tariff",), "a kind and its prices")
        kind = data.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            self.report.add(("tariff", "kind"), f"must be a kind of tariff{did_you_mean(kind, KINDS, 'one of')}", kind)
            return None
        spec = self.report.validate(("tariff",), KINDS[kind], data)
        return spec.tariff(Files(self.report, self.base_dir, timezone)) if spec is not None else None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A resource as written, as built (None with too many mistakes), and the points it is bound to."""

    raw: Mapping[str, Any]
    built: Resource | None
    bindings: Sequence[Binding]


def _sketch(model: type[BaseModel], data: Mapping[str, Any]) -> Any:
    """An unvalidated instance of a model that could not be built, to ask it for its bindings all the same."""
    required = dict.fromkeys(name for name, field in model.model_fields.items() if field.is_required())
    numbers = dict.fromkeys((name for name, field in model.model_fields.items() if field.annotation is float), 0.0)
    return model.model_construct(**{**required, **data, **numbers})


def _bindings(resource: Any, data: Mapping[str, Any]) -> Sequence[Binding]:
    """Those bindings that the file really says, whatever else is wrong with the resource."""
    try:
        return [one for one in resource.bindings() if isinstance(one.point, str) and one.point == data.get(one.field)]
    except (AttributeError, TypeError, ValueError):
        return ()
