"""A plan as JSON text and back, without loss: infinite numbers are written as strings, times in UTC with microseconds."""

from __future__ import annotations

from functools import cache

from pydantic import ConfigDict, TypeAdapter

from energyctl.core.plan import Plan


@cache
def _adapter() -> TypeAdapter[tuple[Plan]]:
    # A stdlib dataclass takes the configuration of what contains it, hence a tuple of one.
    return TypeAdapter(tuple[Plan], config=ConfigDict(ser_json_inf_nan="strings"))


def plan_to_json(plan: Plan) -> str:
    """A plan with its forecasts as one line of JSON."""
    return _adapter().dump_json((plan,)).decode()[1:-1]


def plan_from_json(text: str) -> Plan:
    """The inverse of `plan_to_json`. Raises ValueError (pydantic's) when the text is not a plan."""
    return _adapter().validate_json(f"[{text}]")[0]
