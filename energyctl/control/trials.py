"""Trials: the points of a device that is being commissioned are moved a little, one by one, to see what comes of it.

While a device is on trial its points are kept from everybody, and so handed back, except the one that is moved now. For that
one point the bans do not hold that wait for a commissioned device in control; everything else of the gate does. A move
expires by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from energyctl.config.site import Site
from energyctl.core.points import ProcessImage, Rank, Setpoint

from .seams import Ban

SOURCE = "commissioning"
RULE = "trial"


class Trials:
    """The device on trial and the move that is on, if any."""

    def __init__(self, site: Site) -> None:
        self._points = {device.id: tuple(device.points) for device in site.devices.values()}
        self._move: Setpoint | None = None
        self.device: str | None = None
        """The device that is on trial; whoever sets it takes it back."""

    def move(self, point: str, value: float, reason: str, expires_at: float) -> Setpoint:
        """Want a value until `expires_at` (monotonic), instead of any other move."""
        self._move = Setpoint(point, value, Rank.OPERATOR, SOURCE, reason, expires_at)
        return self._move

    def end(self) -> None:
        """Want nothing any more; what is held is handed back."""
        self._move = None

    def wishes(self, image: ProcessImage, now_s: float, expires_at: float) -> Sequence[Setpoint]:
        """See `seams.Wants`."""
        return (self._move,) if self._move is not None and self._move.expires_at > now_s else ()

    def ban(self, image: ProcessImage, now_s: float) -> Ban | None:
        """See `seams.Bans`."""
        if self.device is None:
            return None
        return Ban(RULE, self.spared({self.device: f"{self.device} is being commissioned"}, now_s))

    def spared(self, reasons: Mapping[str, str], now_s: float) -> Mapping[str, str]:
        """Reasons by device without the point that is moved now: that of its device is given for its other points."""
        point = self._move.point if self._move is not None and self._move.expires_at > now_s else ""
        device = point.partition(".")[0]
        if device not in reasons:
            return reasons
        others = {other: reasons[device] for other in self._points[device] if other != point}
        return {one: reason for one, reason in reasons.items() if one != device} | others
