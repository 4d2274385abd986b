"""What can be asked of a running daemon over its control socket."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from energyctl.config.site import Site
from energyctl.control.alarms import Alarms
from energyctl.control.arbitrate import Verdict
from energyctl.control.dispatch import Dispatcher
from energyctl.control.estop import EmergencyStop
from energyctl.control.leases import Holding, dead_band
from energyctl.core.clock import Clock
from energyctl.core.errors import ConfigError, PlanError
from energyctl.core.points import Point, Sample
from energyctl.field.acquire import Acquisition
from energyctl.store import plan_to_json

from .cycle import Controller
from .handling_people import People
from .jobs import Planning
from .server import Handler
from .storing import StoreThread

MOST_SAMPLES = 100_000


class Handlers:
    """Answers requests from the parts of a running daemon."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        acquisition: Acquisition,
        dispatcher: Dispatcher,
        controller: Controller,
        planning: Planning | None,
        store: StoreThread,
        alarms: Alarms,
        stop: Callable[[], None],
        estop: EmergencyStop,
        people: People,
    ) -> None:
        self._site, self._clock, self._acquisition, self._dispatcher = site, clock, acquisition, dispatcher
        self._controller, self._planning, self._store, self._alarms = controller, planning, store, alarms
        self._stop, self._estop, self._people = stop, estop, people
        self._started = clock.monotonic()

    def table(self) -> Mapping[str, Handler]:
        """The handlers by the name they are asked for with."""
        return {
            "status": self.status,
            "devices": self.devices,
            "points": self.points,
            "history": self.history,
            "journal": self.journal,
            "plan": self.plan,
            "replan": self.replan,
            "stop": self.stop,
        }

    async def status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Everything at a glance."""
        controller, now_s = self._controller, self._clock.monotonic()
        held = {
            point: _held(holding, self._site.points[point], controller.verdicts.get(point), now_s)
            for point, holding in sorted(self._dispatcher.held.items())
        }
        return {
            "site": self._site.id,
            "name": self._site.name,
            "mode": self._site.mode,
            "timezone": self._site.timezone,
            "time": self._clock.now().isoformat(),
            "up_s": round(now_s - self._started, 1),
            "cycle": controller.cycle,
            "missed_cycles": controller.missed,
            "guided_by": controller.guidance.level.value,
            "guided_reason": controller.guidance.reason,
            "grid_kw": controller.image.value(self._site.meter),
            "import_limit_kw": self._site.limits.import_kw,
            "export_limit_kw": self._site.limits.export_kw,
            "plan_issued_at": controller.plan.issued_at.isoformat() if controller.plan else None,
            "plan_not_met": list(dict.fromkeys(one.what for one in controller.plan.relaxed)) if controller.plan else [],
            "plans_made": self._planning.made if self._planning else 0,
            "plans_failed": self._planning.failed if self._planning else 0,
            "refused": controller.refusals,
            "refused_by": dict(controller.refused_by),
            "writes_today": self._dispatcher.wear.today(),
            "writes": self._dispatcher.counts,
            "held": held,
            "estop": str(standing) if (standing := self._estop.standing) else None,
            "overrides": self._people.overrides(),
            "alarms": [alarm.as_json() for alarm in self._alarms.standing],
            "devices": await self.devices({}),
            "committed": self._store.sequence,
            "lost_samples": self._store.lost_samples,
        }

    async def devices(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every device and how it is."""
        blocked, standing = self._acquisition.blocked(), self._estop.standing
        today = self._dispatcher.wear.today()
        return [
            {
                "device": name,
                "profile": device.profile.profile,
                "link": self._site.link_of[name],
                "answers": self._acquisition.states[name].failures == 0 and self._acquisition.states[name].reads > 0,
                "identity": self._acquisition.states[name].identity,
                "reads": self._acquisition.states[name].reads,
                "errors": self._acquisition.states[name].errors,
                "mode": self._site.modes[name],
                "writes_blocked": str(standing) if standing else blocked.get(name) or self._banned(name),
                "writes_today": {p: n for p, n in today.items() if p.startswith(f"{name}.")},
            }
            for name, device in sorted(self._site.devices.items())
        ]

    def _banned(self, device: str) -> str | None:
        """Why a device may not be written to as a whole, whoever wants it."""
        bans = (ban.on(device) for ban in self._controller.bans if ban.sources == ("",))
        return next((reason for reason in bans if reason), None)

    async def points(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The latest sample of the points that match "match" (a glob)."""
        wanted = str(request.get("match", "*"))
        image = self._controller.image
        return [self._sample(image[point]) for point in sorted(image) if fnmatch.fnmatchcase(point, wanted)]

    def _sample(self, sample: Sample) -> dict[str, Any]:
        point = self._site.points.get(sample.point)
        return {
            "point": sample.point,
            "value": sample.value,
            "unit": point.unit if point else "kW",
            "kind": point.kind if point else "number",
            "choices": dict(point.choices) if point else {},
            "quality": sample.quality.value,
            "reason": sample.reason,
            "time": sample.time.isoformat(),
        }

    async def history(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Stored samples of one point over the last "since_s" seconds."""
        point, now = self._named(request), self._clock.now()
        start = now - timedelta(seconds=float(request.get("since_s", 3600)))
        samples = await self._store.look(lambda store: store.history(point, start, now + timedelta(seconds=1)))
        if len(samples) > MOST_SAMPLES:
            raise ConfigError(
                f"{len(samples)} samples are too many for one answer ({MOST_SAMPLES}); ask for a shorter time"
            )
        return [self._sample(sample) for sample in samples]

    async def journal(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The newest "limit" lines of the journal."""
        limit = int(request.get("limit", 50))
        entries = await self._store.look(lambda store: store.journal(limit=limit))
        return [{**asdict(entry), "time": entry.time.isoformat(), "kind": entry.kind.value} for entry in entries]

    async def plan(self, request: Mapping[str, Any]) -> Any:
        """The plan that guides now."""
        if self._controller.plan is None:
            raise PlanError("there is no plan yet")
        return plan_to_json(self._controller.plan)

    async def replan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make a plan now."""
        if self._planning is None:
            raise PlanError("this daemon runs by rules alone")
        with self._clock.busy():
            await self._planning.replan()
        return {"made": self._planning.made, "failed": self._planning.failed}

    async def stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Stop the daemon gracefully."""
        self._stop()
        return {"stopping": True}

    def _named(self, request: Mapping[str, Any]) -> str:
        """The point a request is about, where nothing is to be written. Raises ConfigError."""
        point = str(request["point"])
        if point not in self._controller.image:
            raise ConfigError(f"no point '{point}'; 'energyctl point get' lists them all")
        return point


def _held(holding: Holding, point: Point, verdict: Verdict | None, now_s: float) -> dict[str, Any]:
    """What is held of a point: who wants it so and why (now, where it was somebody else who had it written), and what
    others want instead.
    """
    wish = holding.setpoint
    if verdict is not None and abs(verdict.winner.value - wish.value) <= dead_band(point):
        wish = verdict.winner
    wanted = () if verdict is None else (verdict.winner, *verdict.losers)
    others = [one for one in wanted if one.source != wish.source]
    return {
        "value": holding.setpoint.value,
        "unit": point.unit,
        "source": wish.source,
        "reason": wish.reason,
        "effect": holding.effect.value,
        "lease_s": round(holding.expires_at - now_s, 1),
        "instead_of": [{"value": one.value, "source": one.source, "reason": one.reason} for one in others],
    }
