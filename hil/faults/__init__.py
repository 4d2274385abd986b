"""Faults and stimuli: a small vocabulary of what can be done to a bench, from scenarios, the command line and tests alike."""

from . import comms, device, people, process, readings, stimuli
from .base import KINDS, Bench, Fault
from .making import make
from .schedule import Planned, Schedule

SUBJECTS = {
    module.__name__.rpartition(".")[2]: tuple(kind for kind in KINDS.values() if kind.__module__ == module.__name__)
    for module in (readings, comms, device, people, process, stimuli)
}
"""All kinds by what they are about."""

__all__ = [
    "KINDS",
    "SUBJECTS",
    "Bench",
    "Fault",
    "Planned",
    "Schedule",
    "make",
]
