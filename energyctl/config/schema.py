"""The JSON schema of a site file, for editors to complete and check: `python -m energyctl.config.schema` prints it.

Sections are those of `site`; resources and tariffs are one-of by their `kind`, over the kinds that are installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from energyctl.core.comfort import Comfort

from . import plugins
from .loader import REQUIRED
from .rules import KINDS as RULES
from .site import (
    MODES,
    AlarmsSection,
    GoalsSection,
    GridSection,
    PlannerSection,
    SafetySection,
    SecretSpec,
    SiteSection,
)
from .tariffs import KINDS

SECRET = {
    "type": "object",
    "properties": {"secret": {"type": "string", "description": "a name under secrets:"}},
    "required": ["secret"],
    "additionalProperties": False,
}
OPTION = {"anyOf": [{"type": ["string", "number", "boolean"]}, {"$ref": "#/$defs/SecretReference"}]}
ID = {"pattern": "^[a-z][a-z0-9_-]*$"}


def site_schema() -> dict[str, Any]:
    """The schema as plain data."""
    defs: dict[str, Any] = {"SecretReference": SECRET}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "energyctl site",
        "type": "object",
        "properties": {
            "site": _add(defs, SiteSection),
            "secrets": _by_id(_add(defs, SecretSpec), "where secrets come from"),
            "connections": _by_id(_connection(), "buses and servers, by the id that devices name in via"),
            "devices": _by_id(_device(), "devices by id"),
            "grid": _add(defs, GridSection),
            "resources": _by_id(_resource(defs), "what consumes, generates or stores, bound to points"),
            "tariff": {"oneOf": [_add(defs, model) for model in KINDS.values()]},
            "comfort": _by_id(_add(defs, Comfort), "hours of use and temperatures, by the name zones use"),
            "safety": _add(defs, SafetySection),
            "rules": {"type": "array", "items": {"oneOf": [_rule(defs, model) for model in RULES.values()]}},
            "goals": _add(defs, GoalsSection),
            "planner": _add(defs, PlannerSection),
            "alarms": _add(defs, AlarmsSection),
        },
        "required": list(REQUIRED),
        "additionalProperties": False,
        "$defs": dict(sorted(defs.items())),
    }


def _by_id(value: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "propertyNames": ID, "additionalProperties": value}


def _add(defs: dict[str, Any], model: type[BaseModel], kind: str = "") -> dict[str, Any]:
    """Put a model into `defs` and refer to it. A resource has its `kind` required, and no `id`: that is its key."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    defs.update({name: _plain(inner) for name, inner in schema.pop("$defs", {}).items()})
    if kind:
        schema["properties"].pop("id", None)
        schema["properties"]["kind"] = {"const": kind}
        schema["required"] = ["kind", *(name for name in schema.get("required", ()) if name not in ("id", "kind"))]
    defs[model.__name__] = _plain(schema)
    return {"$ref": f"#/$defs/{model.__name__}"}


def _rule(defs: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """A rule; what it may take from its zone is not required."""
    reference = _add(defs, model)
    for name in (model.__name__, "Asker"):
        rule = defs.get(name, {})
        if "zone" in rule.get("properties", {}):
            rule["required"] = [key for key in rule["required"] if key not in ("temp", "setpoint")]
    return reference


def _plain(schema: Any) -> Any:
    """Without what pydantic adds for itself: a title per field, defaults in canonical units where text is written."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    unfit = schema.get("type") == "string" and not isinstance(schema.get("default"), str)
    return {
        key: {name: _plain(item) for name, item in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key != "title" and not (unfit and key == "default")
    }


def _connection() -> dict[str, Any]:
    protocols = {name: {"type": "string", "description": "the transport"} for name in _names(plugins.DRIVERS)}
    return {
        "type": "object",
        "properties": protocols,
        "oneOf": [{"required": [name]} for name in protocols],
        "additionalProperties": OPTION,
    }


def _device() -> dict[str, Any]:
    known = {"enum": sorted(plugins.load_profiles())}
    return {
        "type": "object",
        "properties": {
            "profile": {"anyOf": [known, {"type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9.-]+@[0-9]+$"}]},
            "via": {"type": "string", "description": "id of a connection"},
            "mode": {"enum": list(MODES), "description": "how far energyctl may go with it; never beyond site.mode"},
        },
        "required": ["profile", "via"],
        "additionalProperties": OPTION,
    }


def _resource(defs: dict[str, Any]) -> dict[str, Any]:
    kinds: Iterable[tuple[str, Any]] = ((kind, plugins.load_resource(kind)) for kind in _names(plugins.RESOURCES))
    return {"oneOf": [_add(defs, model, kind) for kind, model in kinds]}


def _names(group: str) -> list[str]:
    return sorted(plugins.installed(group))


def schema_text() -> str:
    """The schema as it is kept in docs/site.schema.json."""
    return json.dumps(site_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
