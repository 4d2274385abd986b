"""The truth of a simulated run, as no sensor sees it: one row a minute, mean powers and the states at its end."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

ROW_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Powers:
    """Electric power of everything on the site [kW], consuming positive, and what the roof could have given."""

    base_kw: float
    pv_kw: float = 0.0
    battery_kw: float = 0.0
    ev_kw: float = 0.0
    hp_kw: float = 0.0
    ahu_kw: float = 0.0
    pv_available_kw: float = 0.0

    @property
    def grid_kw(self) -> float:
        """Power at the connection: the sum of all of them, import positive."""
        return self.base_kw + self.pv_kw + self.battery_kw + self.ev_kw + self.hp_kw + self.ahu_kw


@dataclass(frozen=True, kw_only=True)
class States:
    """What else there is to know, at the end of a step."""

    soc: float
    battery_kwh: float
    ev_connected: bool
    ev_charged_kwh: float
    ev_missing_kwh: float
    """What the car that is there still needs."""
    ev_unserved_kwh: float
    """What cars that have left were missing, in all."""
    zone1_c: float
    zone2_c: float
    zone1_setpoint_c: float
    zone2_setpoint_c: float
    outdoor_c: float
    ghi_w_m2: float
    flush: bool


@dataclass(frozen=True, kw_only=True)
class TraceRow(Powers, States):
    """Powers are means over the `seconds` from `time` (aware UTC) on; states are those at the end."""

    time: datetime
    seconds: float


_POWERS = [field.name for field in fields(Powers)]
_STATES = [field.name for field in fields(States)]


class Recorder:
    """Joins steps into rows of at least a minute, so that a bench running in real time does not fill the memory."""

    def __init__(self) -> None:
        self.rows: list[TraceRow] = []
        self._steps: list[tuple[datetime, float, Powers]] = []

    def add(self, time: datetime, seconds: float, powers: Powers, states: States) -> None:
        """Record a step that began at `time`."""
        self._steps.append((time, seconds, powers))
        total = sum(step_s for _, step_s, _ in self._steps)
        if total >= ROW_S:
            means: dict[str, Any] = {name: self._mean(name, total) for name in _POWERS}
            kept: dict[str, Any] = {name: getattr(states, name) for name in _STATES}
            self.rows.append(TraceRow(time=self._steps[0][0], seconds=total, **means, **kept))
            self._steps.clear()

    def _mean(self, name: str, total: float) -> float:
        return sum(float(getattr(powers, name)) * seconds for _, seconds, powers in self._steps) / total
