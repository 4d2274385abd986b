"""What the planner gets to see: the good values of the process image, history, prices, and the site's resources."""

from __future__ import annotations

from energyctl.config.partaking import partaking
from energyctl.config.site import Site
from energyctl.core.plan import Plan
from energyctl.core.planner import PlanRequest, SolverSettings
from energyctl.core.points import ProcessImage
from energyctl.core.timeline import Horizon, Series, floor_time

from .history import History

LIVE_LIMIT_S = 20.0
"""Last resort for a solver on a real site; in lockstep only nodes and gap may end it."""


def needed_points(site: Site) -> list[str]:
    """The points that forecasts are made of, for `History`."""
    return sorted({need.point for resource in partaking(site) for need in resource.needs()})


def request(site: Site, image: ProcessImage, history: History, previous: Plan | None, live: bool) -> PlanRequest:
    """The request for a plan from the planning step that the image lies in. `live` allows a limit in seconds."""
    step_s = int(site.planner.step_s)
    horizon = Horizon(floor_time(image.time, step_s), step_s, int(site.planner.horizon_s // step_s))
    values = {point: value for point in image if (value := image.value(point)) is not None}
    series: dict[str, Series] = {}
    for point in history.points:
        known = history.series(point)
        if known is not None:
            series[point] = known
    return PlanRequest(
        issued_at=image.time,
        horizon=horizon,
        site=site.view,
        resources=partaking(site),
        values=values,
        history=series,
        rates=site.tariff.rates(horizon),
        limits=site.limits,
        goals=site.goals,
        settings=SolverSettings(time_limit_s=LIVE_LIMIT_S if live else None),
        previous=previous,
    )
