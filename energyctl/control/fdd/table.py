"""All rules there are."""

from .equipment import EQUIPMENT
from .metering import METERING
from .rule import Rule

RULES: tuple[Rule, ...] = (*EQUIPMENT, *METERING)
BESIDES = ("poor-round-trip", "night-load-up")
"""Alarms of what takes days to see; see `round_trip` and `nights`."""
