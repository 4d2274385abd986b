"""The published JSON schema: current, and it says of the town hall what the loader says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from energyctl.config.schema import schema_text, site_schema
from energyctl.config.yaml_source import parse_yaml

ROOT = Path(__file__).parents[2]
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}
UNDERSTOOD = {"$ref", "type", "properties", "required", "additionalProperties", "propertyNames", "pattern", "items"}
UNDERSTOOD |= {"anyOf", "oneOf", "enum", "const", "minimum", "maximum", "minItems", "$defs", "$schema"}
UNDERSTOOD |= {"title", "description", "examples", "default", "deprecated"}


def mistakes(schema: dict[str, Any], value: Any, root: dict[str, Any], path: str = "") -> Iterator[str]:
    """A small validator, enough for the words this schema uses."""
    assert schema.keys() <= UNDERSTOOD, schema.keys() - UNDERSTOOD
    if "$ref" in schema:
        yield from mistakes(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root, path)
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if types and not any(TYPES[name](value) for name in types):
        yield f"{path}: not {types}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: not {schema['const']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path}: not like {schema['pattern']}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: out of range"
    for word, count in (("anyOf", range(1, 99)), ("oneOf", range(1, 2))):
        if word in schema:
            found = [list(mistakes(option, value, root, path)) for option in schema[word]]
            if sum(not problems for problems in found) not in count:
                yield f"{path}: {word}: {min((p for p in found if p), key=len)}"
    if isinstance(value, dict):
        yield from inside(schema, value, root, path)
    if isinstance(value, list):
        assert len(value) >= schema.get("minItems", 0)
        for index, item in enumerate(value):
            yield from mistakes(schema.get("items", {}), item, root, f"{path}[{index}]")


def inside(schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name}: missing" for name in schema.get("required", ()) if name not in value)
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        yield from mistakes(schema.get("propertyNames", {}), name, root, f"{path}.{name}")
        if name in schema.get("properties", {}):
            yield from mistakes(schema["properties"][name], item, root, f"{path}.{name}")
        elif others is False:
            yield f"{path}.{name}: unknown"
        elif others is not True:
            yield from mistakes(others, item, root, f"{path}.{name}")


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs" / "site.schema.json").read_text("utf-8")
    how = "run: python -m energyctl.config.schema > docs/site.schema.json"
    assert published == schema_text(), how


def test_the_town_hall_fits(town_hall: str) -> None:
    schema = site_schema()
    assert list(mistakes(schema, parse_yaml(town_hall, "f").data, schema)) == []
    assert "$schema=../../docs/site.schema.json" in town_hall.splitlines()[0]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("  timezone: Europe/Athens\n", "", ".site.timezone: missing"),
        ("goals:", "gaols:", ".gaols: unknown"),
        ("capacity: 60", "capcity: 60", ".resources.battery"),
        ("{kind: pv,", "{kind: pvv,", ".resources.roof"),
        ("mode: control", "mode: controll", ".site.mode: not one of"),
        ("import_limit: 60 kW", "import_limit: 60", ".grid.import_limit: not ['string']"),
        ("kind: day-ahead", "kind: dayahead", ".tariff"),
        ("profile: generic/ahu@1", "profile: ahu", ".devices.airhandler.profile"),
        ("{bacnet: ip,", "{", ".connections.bms"),
        ("timeout: 1 s", "timeout: [1]", ".connections.plant-room.timeout"),
        ("max: 30 °C", "maxx: 30 °C", ".safety.limits.heatpump.zone1_setpoint.maxx: unknown"),
    ],
)
def test_it_finds_mistakes(town_hall: str, old: str, new: str, where: str) -> None:
    schema = site_schema()
    data = parse_yaml(town_hall.replace(old, new), "f").data
    assert any(problem.startswith(where) for problem in mistakes(schema, data, schema))


def test_every_key_that_a_person_may_write_has_a_type() -> None:
    definitions = site_schema()["$defs"]
    assert {"Battery", "Zone", "FlatTariff", "TimeOfUseTariff", "DayAheadTariff", "SafetySection"} <= definitions.keys()
    for name, definition in definitions.items():
        for key, field in definition["properties"].items():
            assert field.keys() & {"type", "$ref", "anyOf", "oneOf", "const", "enum"}, f"{name}.{key}"
            assert "id" not in definition["properties"] or name == "SiteSection"


def test_it_is_json_all_the_way() -> None:
    assert json.loads(schema_text()) == site_schema()
