"""Options out of a site file or a profile, checked against a driver's own model; problems become lines for a person."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from energyctl.core.units import parse_quantity

Model = TypeVar("Model", bound=BaseModel)

Seconds = Annotated[
    float, BeforeValidator(lambda value: parse_quantity(value, "s") if isinstance(value, str) else value)
]
"""A duration [s]; a text must carry its unit."""


class Options(BaseModel):
    """Base of every options model: nothing unknown, nothing converted by guessing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def checked(model: type[Model], options: Mapping[str, Any], path: str, problems: list[str]) -> Model | None:
    """`options` as a model; or None, and a line "path.field: what is wrong" per problem appended to `problems`."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as exc:
        problems.extend(_line(model, path, error) for error in exc.errors())
        return None


def _line(model: type[BaseModel], path: str, error: Any) -> str:
    where = ".".join((path, *(str(part) for part in error["loc"])))
    match error["type"]:
        case "missing":
            return f"{where}: missing"
        case "extra_forbidden":
            known = [field.alias or name for name, field in model.model_fields.items()]
            near = get_close_matches(str(error["loc"][-1]), known, 1)
            return f"{where}: unknown option; " + (
                f"did you mean '{near[0]}'?" if near else f"there is {', '.join(known)}"
            )
        case "value_error":
            return f"{where}: {error['ctx']['error']}"
        case _:
            return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}, not {error['input']!r}"
