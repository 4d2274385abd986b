"""Who joins the control cycle of a site: rules, people, modes and watchers (see `control.seams`), in the order they are asked."""

from __future__ import annotations

from dataclasses import dataclass

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.seams import Seams
from energyctl.core.clock import Clock

from .paths import StatePaths


@dataclass(frozen=True)
class Place:
    """What those who join may need."""

    site: Site
    clock: Clock
    alarms: Alarms
    paths: StatePaths


def joined(place: Place) -> Seams:
    """Everybody who has something to say in a site's cycle."""
    return Seams()
