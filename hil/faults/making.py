"""Makes a fault of what a person wrote: its kind and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from energyctl.config.problems import did_you_mean, words
from energyctl.core.errors import ConfigError

from .base import KINDS, Fault

_NAMES = ("kind", "fault", "do")


def make(data: Mapping[str, Any]) -> Fault:
    """The fault or stimulus of {"fault": KIND, "on": ..., parameters}. Raises ConfigError saying what would be right."""
    named = [key for key in _NAMES if key in data]
    if len(named) != 1:
        raise ConfigError("needs one 'fault: KIND' or 'do: KIND'")
    name = data[named[0]]
    found = KINDS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigError(f"no fault or stimulus is called '{name}'{did_you_mean(name, KINDS, 'there are')}")
    try:
        return found.model_validate({key: value for key, value in data.items() if key != named[0]})
    except ValidationError as error:
        raise ConfigError([f"{name}: {problem}" for problem in _problems(found, error)]) from None


def _problems(kind: type[Fault], error: ValidationError) -> list[str]:
    found = []
    fields = [field.alias or name for name, field in kind.model_fields.items()]
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            found.append(f"unknown parameter '{key}'{did_you_mean(key, fields)}")
        elif detail["type"] == "missing":
            found.append(f"{key} is missing")
        else:
            shown = f"'{detail['input']}': " if isinstance(detail["input"], str | int | float) else ""
            found.append(f"{key}: {shown}{words(detail)}" if key else words(detail))
    return list(dict.fromkeys(found))
