"""A scenario: which day of measured data a simulated building lives through, with which parameters, weather and luck.

A YAML file; what it leaves out has the defaults of `hil.plant.params`. File names are relative to the site file's folder.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from energyctl.config.yaml_source import read_yaml
from energyctl.core.errors import ConfigError

from .measured import Measured, read
from .plant.params import PlantParams

SCENARIOS = Path(__file__).parent / "scenarios"


class Scenario(BaseModel):
    """A day to live through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str = ""
    day: date
    """Site-local; it starts at midnight."""
    hours: Annotated[float, Field(gt=0, le=96)] = 24.0
    seed: int = 1
    measured: str
    """CSV with hourly load_kw, temp_c, rel_humidity_pct and ghi_w_m2 around the day, seen by the simulation alone."""
    load_flicker: Annotated[float, Field(ge=0, le=1)] = 0.06
    cloud_flicker: Annotated[float, Field(ge=0, le=1)] = 0.12
    """What happens within an hour was not measured: standard deviations relative to the value."""
    plant: PlantParams = PlantParams()

    def start(self, timezone: str) -> datetime:
        """The first instant, aware UTC."""
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)

    def end(self, timezone: str) -> datetime:
        """The instant after the last."""
        return self.start(timezone) + timedelta(hours=self.hours)

    def series(self, folder: Path, timezone: str) -> Measured:
        """What happens outside and in the base load, by the minute. Raises ConfigError naming file and line."""
        path = folder / self.measured
        return read(path, self.start(timezone), self.seed, self.load_flicker, self.cloud_flicker)


def load(name: str | Path) -> Scenario:
    """A scenario by file, or by the name of one that ships ("town-hall-winter"). Raises ConfigError."""
    path = Path(name)
    if not path.suffix and not path.exists():
        path = SCENARIOS / f"{name}.yaml"
        if not path.is_file():
            raise ConfigError(f"no scenario '{name}'; there are {', '.join(shipped())}, or give a file")
    document = read_yaml(path)
    problems = [f"{path}:{line}: {text}" for line, text in document.problems]
    if problems:
        raise ConfigError(problems)
    try:
        return Scenario.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(
            [
                f"{path}:{document.line(entry['loc'])}: {'.'.join(map(str, entry['loc'])) or 'scenario'}: {entry['msg']}"
                for entry in error.errors()
            ]
        ) from None


def shipped() -> list[str]:
    """The names of the scenarios that ship."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
