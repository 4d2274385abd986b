"""Fits a scenario to a site: names that begin with `@` become the site's own ids.

`@meter` is the device that measures the connection and `@meter.power` its point. For a kind of resource, `@battery` is the
device of the site's first one, `@battery.soc` the point it is bound to as `soc`, `@battery#` the id of the resource. They may
stand in the texts of events and in sentences, and as keys of `plant`, where both `@battery` and `@battery#` mean the
resource. A site that has no such thing, or where it cannot have such a fault, is one that the scenario does not apply to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from energyctl.config import Site
from energyctl.core.errors import ConfigError
from energyctl.core.resources import Resource

from .model import Planned, Scenario

ALIAS = re.compile(r"@([a-z][a-z-]*[a-z])(?:(#)|\.([a-z][a-z0-9_]*))?")


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why a scenario does not apply to a site."""

    reason: str


class _Missing(Exception):
    """The site does not have it."""


def fitted(scenario: Scenario, site: Site) -> Scenario | NotApplicable:
    """The scenario with the ids of `site`. Raises ConfigError for an id that is written out and cannot be meant."""
    names = _Names(site)
    try:
        return scenario.model_copy(
            update={
                "events": tuple(names.event(event) for event in scenario.events),
                "expect": tuple(names.text(sentence) for sentence in scenario.expect),
                "plant": {names.part(part): values for part, values in scenario.plant.items()},
            }
        )
    except _Missing as missing:
        return NotApplicable(str(missing))


class _Names:
    """What the aliases mean on a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def text(self, text: str) -> str:
        """A text with every alias in it replaced."""
        return ALIAS.sub(lambda found: self._id(*found.groups(default="")), text)

    def part(self, name: str) -> str:
        """The part of the plant that a key of `plant` means."""
        return self.text(name if not name.startswith("@") or name.endswith("#") else f"{name}#")

    def event(self, event: Planned) -> Planned:
        """An event at the site's own device, point, connection or part. Not every device can have every fault."""
        written = {name: value for name, value in event.fault if isinstance(value, str)}
        here = {name: self.text(value) for name, value in written.items()}
        if event.fault.target == "part":
            here["on"] = self.part(event.fault.on)
        fault = event.fault.model_copy(update=here)
        try:
            fault.check(self._site)
        except ConfigError as error:
            if here == written:
                raise ConfigError([f"event '{event.name}': {problem}" for problem in error.problems]) from None
            raise _Missing(str(error)) from None
        return event.model_copy(update={"fault": fault})

    def _id(self, kind: str, resource: str, name: str) -> str:
        if kind == "meter":
            return self._meter(resource, name)
        found = self._first(kind)
        if resource:
            return found.id
        bound = {binding.field: binding.point for binding in found.bindings()}
        if name:
            return self._or_missing(bound.get(name), f"its {kind} '{found.id}' has no point bound as '{name}'")
        return self._or_missing(next(iter(bound.values()), None), f"its {kind} has no device").partition(".")[0]

    def _meter(self, resource: str, name: str) -> str:
        if resource or name not in ("", "power"):
            raise ConfigError(f"'@meter{resource or '.' + name}' means nothing; write @meter or @meter.power")
        return self._site.meter if name else self._site.meter.partition(".")[0]

    def _first(self, kind: str) -> Resource:
        for found in self._site.resources:
            if found.kind == kind:
                return found
        raise _Missing(f"the site has no {kind}")

    @staticmethod
    def _or_missing(found: str | None, reason: str) -> str:
        if found is None:
            raise _Missing(reason)
        return found
