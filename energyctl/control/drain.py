"""Draining: before a daemon ends on purpose nothing new is written, and everything that is held is handed back."""

from __future__ import annotations

from energyctl.core.points import ProcessImage

from .seams import Ban


class Drain:
    """A ban on everything once it has begun; a restart knows nothing of it."""

    def __init__(self) -> None:
        self.by = ""
        """Who began it; "" while nobody has."""

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """Everything, once it has begun."""
        return Ban("drain", {"*": f"the daemon is being drained by {self.by} and will end"}) if self.by else None
