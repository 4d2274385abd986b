"""How much an alarm matters: who has to be told of it, and how soon."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """info: good to know; warning: look at it today; critical: now, the site is at risk or not under control."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def level(self) -> int:
        """0 for the least."""
        return list(Severity).index(self)
