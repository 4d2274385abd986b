"""What is found out about a point when a device is commissioned."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["right", "wrong", "not shown"]


class Finding(BaseModel):
    """One thing found; "not shown" when there was nothing to judge by, as with the sign of a PV system at night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: str
    what: Literal["reading", "sum", "write", "effect", "meter", "hand-back"]
    verdict: Verdict
    text: str


def quantity(value: float, unit: str) -> str:
    """A value as people write it; a ratio as per cent."""
    return f"{100 * value:.4g} %" if unit == "1" else f"{value:.4g} {unit}".rstrip()
