"""A world without physics: a site's devices, showing their first values until somebody writes to them.

For benches that want devices and nothing else: a driver or a profile can be tried against devices that answer.
"""

from __future__ import annotations

from datetime import datetime

from energyctl.config import Site

from .device import SimDevice
from .events import EventLog
from .world import Influences, Row


class Still:
    """The site's devices at a standstill; time passes and nothing else happens."""

    def __init__(self, site: Site, start: datetime) -> None:
        self.time = start
        self.devices = {device.id: SimDevice(device.id, device.profile) for device in site.devices.values()}
        self.trace: list[Row] = []
        self.influences = Influences()
        self.log = EventLog()
        for device in self.devices.values():
            device.time = start

    def step(self, to: datetime) -> None:
        """Let time pass."""
        self.time = max(self.time, to)
