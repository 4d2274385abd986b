"""The faults and stimuli that are installed, as tables for people, taken from the kinds themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energyctl.config.problems import did_you_mean
from energyctl.core.errors import ConfigError

from .faults import KINDS, SUBJECTS, Fault

Row = tuple[str, ...]
_TARGETS = {"readings": "a point, or a device for all its readings", "link": "a connection, or a device on it"}


def kinds() -> list[Row]:
    """A row per kind below the headings: its name, what it is done to, the mode of run it needs, what it is."""
    rows = [(one.kind, one.target, one.needs or "any", one.about) for kinds in SUBJECTS.values() for one in kinds]
    return [("kind", "on", "mode", "about"), *rows]


def parameters(name: str) -> list[Row]:
    """A row per parameter of a kind below the headings. Raises ConfigError for a kind that is not there."""
    if name not in KINDS:
        raise ConfigError(f"no fault or stimulus is called '{name}'{did_you_mean(name, KINDS, 'there are')}")
    kind = KINDS[name]
    schema = kind.model_json_schema()
    rows = [(key, _told(one, key in schema.get("required", ()))) for key, one in schema["properties"].items()]
    return [("parameter", "value"), *((key, _target(kind) if key == "on" else told) for key, told in rows)]


def _target(kind: type[Fault]) -> str:
    if kind.target in ("site", "daemon"):
        return f"left out: it is done to the whole {kind.target}"
    return _TARGETS.get(kind.target, f"a {kind.target}")


def _told(schema: Mapping[str, Any], needed: bool) -> str:
    parts = (schema, *schema.get("anyOf", ()))
    choices = [option for part in parts for option in part.get("enum", ())]
    examples = [option for part in parts for option in part.get("examples", ())]
    text = "one of " + ", ".join(map(str, choices)) if choices else f"such as {examples[0]}" if examples else ""
    default = schema.get("default")
    usual = "" if default in (None, "") or examples else f"default {default}"
    return ", ".join(filter(None, ["needed" if needed else "", text, usual]))
