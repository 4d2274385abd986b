"""What can be asked of the shadow: what would have been written, and what the plan is expected to save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energyctl.config.partaking import mode_of, partaking
from energyctl.config.site import Site
from energyctl.planning.saving import METHOD, saving

from .cycle import Controller
from .server import Handler


class ShadowHandlers:
    """Answers from the controller's shadow."""

    def __init__(self, site: Site, controller: Controller) -> None:
        self._site, self._controller = site, controller
        resources = {one.id: one for one in partaking(site)}
        self._shadowed = {name for name, one in resources.items() if mode_of(site, one) == "shadow"}
        feeders = {getattr(resources[name], "fed_by", None) for name in self._shadowed}
        self._shadowed |= {str(name) for name in feeders if name is not None}

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {"shadow": self.shadow}

    async def shadow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The devices in shadow, the last wish for each point, how many there were, and the expected saving."""
        shadow = self._controller.shadow
        return {
            "site": self._site.id,
            "modes": dict(self._site.modes),
            "devices": sorted(shadow.devices),
            "count": shadow.count,
            "last": [
                {
                    "point": one.point,
                    "value": one.value,
                    "unit": self._site.points[one.point].unit,
                    "time": one.time.isoformat(),
                    "by": one.source,
                    "reason": one.reason,
                }
                for _, one in sorted(shadow.last.items())
            ],
            "saving": self._saving(),
        }

    def _saving(self) -> dict[str, Any] | None:
        plan = self._controller.plan
        if plan is None or not self._shadowed:
            return None
        found = saving(plan, self._shadowed)
        return {
            "eur": round(found.eur, 3),
            "eur_per_day": round(found.eur * 24 / found.hours, 3),
            "hours": found.hours,
            "energy_by_plan_eur": round(found.planned_eur, 3),
            "energy_evenly_eur": round(found.even_eur, 3),
            "wear_eur": round(found.wear_eur, 3),
            "method": METHOD,
        }
