"""The simulated building: physics as pure steps, the devices' own logic on top, and the truth of what happened."""

from .params import PlantParams, SensorParams
from .plant import Plant
from .trace import TraceRow

__all__ = ["Plant", "PlantParams", "SensorParams", "TraceRow"]
