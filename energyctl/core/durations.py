"""Durations as people type them: "90s", "10m", "2h", "1h30m", "1 d"."""

from __future__ import annotations

import re
from datetime import timedelta

from energyctl.core.errors import ConfigError

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse_duration(text: str) -> float:
    """Seconds, more than 0. Raises ConfigError saying what would be right."""
    parts = _PART.findall(text)
    known = all(unit in _SECONDS for _, unit in parts)
    if not parts or not known or _PART.sub("", text).strip():
        raise ConfigError(f"'{text}' is not a duration; write e.g. 90s, 10m, 2h or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ConfigError(f"'{text}' is no time at all; write e.g. 10m")
    return seconds


def words(time: timedelta) -> str:
    """How long something took or how old it is, in one or two units: "12 s", "3 min", "2 h 5 min", "4 d"."""
    seconds = round(time.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} d"
