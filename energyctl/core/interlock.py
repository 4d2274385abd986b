"""Interlocks: conditions of the site under which a point may not be ours.

Written as "storage.soc < 5 %": a point, a comparison, a value with its unit. While it holds, or while the point it looks at
has no good value, the guarded point is refused to everybody and handed back.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from .points import ProcessImage

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"^\s*([^\s<>=]+)\s*(<=|>=|<|>|=)\s*(\S.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Interlock:
    """`point` may not be ours while `watched` compares so with `value` [the watched point's canonical unit]."""

    point: str
    watched: str
    comparison: str
    value: float
    text: str
    """The condition as it was written."""

    def tripped(self, image: ProcessImage) -> str | None:
        """Why it holds now, or None."""
        now = image.value(self.watched)
        if now is None:
            return f"{self.watched} has no good value, and '{self.text}' cannot be ruled out"
        return f"{self.text} (it is {now:g})" if COMPARE[self.comparison](now, self.value) else None


def parse(condition: str) -> tuple[str, str, str]:
    """Point, comparison and value of a condition as text. Raises ValueError saying how to write one."""
    match = _CONDITION.match(condition)
    if match is None:
        raise ValueError("write a point, a comparison and a value, like 'storage.soc < 5 %'")
    return match.group(1), match.group(2), match.group(3)
