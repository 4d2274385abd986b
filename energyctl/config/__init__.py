"""Site configuration: what a facility manager writes, checked as a whole, with every mistake named by file and line."""

from .loader import load_site
from .plugins import load_driver, load_planner, load_profiles, load_resource
from .site import Mode, PlannerSettings, Safety, Site

__all__ = [
    "Mode",
    "PlannerSettings",
    "Safety",
    "Site",
    "load_driver",
    "load_planner",
    "load_profiles",
    "load_resource",
    "load_site",
]
