"""Scenarios: a day to live through, what goes wrong in it, and in domain words what must hold all the same."""

from .fitting import ALIAS, NotApplicable, fitted
from .loading import SCENARIOS, load, shipped
from .model import DEFAULT_DAY, Planned, Scenario
from .patching import patched, saved
from .sites import example, examples, site_of

__all__ = [
    "ALIAS",
    "DEFAULT_DAY",
    "SCENARIOS",
    "NotApplicable",
    "Planned",
    "Scenario",
    "example",
    "examples",
    "fitted",
    "load",
    "patched",
    "saved",
    "shipped",
    "site_of",
]
