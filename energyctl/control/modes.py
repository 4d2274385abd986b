"""Modes: only devices in mode control are written to, by anybody. The exception is a point on trial (see `trials`).

off: not even read. monitor: read and stored. shadow: what would be written is decided and told (see `shadow`).
"""

from __future__ import annotations

from energyctl.config.site import Site
from energyctl.core.points import ProcessImage

from .seams import Ban
from .trials import Trials

RULE = "mode"


class Modes:
    """Keeps from us what is not in control."""

    def __init__(self, site: Site, trials: Trials) -> None:
        self._trials = trials
        self._off = {device: _why(site, device) for device, mode in site.modes.items() if mode == "off"}
        self._others = {d: _why(site, d) for d, mode in site.modes.items() if mode not in ("off", "control")}

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """See `seams.Bans`."""
        reasons = {**self._off, **self._trials.spared(self._others, now_s)}
        return Ban(RULE, reasons) if reasons else None


def _why(site: Site, device: str) -> str:
    mode = site.modes[device]
    where = "the site" if mode == site.mode else device
    then = {"off": "is not even read", "monitor": "is only read", "shadow": "gets nothing written"}
    return f"{where} is in mode '{mode}': {device} {then[mode]}"
