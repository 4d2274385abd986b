"""A copy of the town hall with two days of prices and carbon, to be spoiled in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 12, tzinfo=UTC)

Spoil = Callable[..., Path]


def csv(header: str, step: timedelta, count: int, value: str, start: datetime = START) -> str:
    times = (start + step * index for index in range(count))
    return "\n".join([header, *(f"{time:%Y-%m-%dT%H:%MZ},{value}" for time in times)]) + "\n"


@pytest.fixture
def town_hall() -> str:
    return (ROOT / "sites" / "larissa" / "town-hall.yaml").read_text("utf-8")


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    (tmp_path / "prices").mkdir()
    (tmp_path / "measured").mkdir()
    quarter, hour = timedelta(minutes=15), timedelta(hours=1)
    prices = csv("time_utc,price_eur_per_mwh", quarter, 192, "100")
    (tmp_path / "prices" / "greek_profile.csv").write_text(prices)
    (tmp_path / "measured" / "carbon.csv").write_text(csv("time_utc,carbon_kg_per_kwh", hour, 48, "0.25"))
    (tmp_path / "measured" / "base_load_history.csv").write_text(csv("time_utc,load_kw", hour, 48, "12"))
    return tmp_path


@pytest.fixture
def spoil(site_dir: Path, town_hall: str) -> Spoil:
    """spoil(old, new, old, new, ...): the town hall's site file with texts replaced."""

    def make(*texts: str) -> Path:
        text = town_hall
        for old, new in zip(texts[::2], texts[1::2], strict=True):
            assert text.count(old) == 1, f"'{old}' is {text.count(old)} times in the town hall's file"
            text = text.replace(old, new)
        path = site_dir / "site.yaml"
        path.write_text(text, "utf-8")
        return path

    return make
