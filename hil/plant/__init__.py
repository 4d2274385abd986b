"""The simulated plant: physics as pure steps, parts that bind it to a site's points, and the truth of what happened."""

from .compose import Course, build
from .plant import Plant

__all__ = ["Course", "Plant", "build"]
