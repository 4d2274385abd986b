"""A world without physics: a site's devices, showing their first values until somebody writes to them.

For sites that no scenario fits: a driver or a profile can still be tried against devices that answer.
"""

from __future__ import annotations

from datetime import datetime

from energyctl.config import Site

from .device import SimDevice


class Still:
    """The site's devices at a standstill; time passes and nothing else happens."""

    def __init__(self, site: Site, start: datetime) -> None:
        self.time = start
        self.devices = {device.id: SimDevice(device.id, device.profile) for device in site.devices.values()}
        self.trace: list[object] = []
        for device in self.devices.values():
            device.time = start

    def step(self, to: datetime) -> None:
        """Let time pass."""
        self.time = max(self.time, to)
