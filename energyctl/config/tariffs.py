"""The kinds of tariff that a site file can name, and the tariff they become: an import, an export and a carbon source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from energyctl.core.comfort import WeekSchedule
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon
from energyctl.core.units import PricePerKw, PricePerKwh, parse_quantity

from .problems import Report
from .rate_sources import Band, Bands, Constant, Published, Scaled, Source
from .series_csv import CARBON, PRICE, Column
from .site import Section

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS_TEXT = re.compile(r"([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))?")


def parse_months(text: Any) -> frozenset[int]:
    """The months of "Nov-Mar" or "Aug" as numbers. Raises ValueError."""
    match = _MONTHS_TEXT.fullmatch(text) if isinstance(text, str) else None
    first, last = match.groups() if match else (None, None)
    if first not in _MONTHS or (last or first) not in _MONTHS:
        raise ValueError("must be months like 'Nov-Mar' or 'Aug'")
    begin, end = _MONTHS.index(first), _MONTHS.index(last or first)
    return frozenset((begin + step) % 12 + 1 for step in range((end - begin) % 12 + 1))


Months = Annotated[
    frozenset[int], BeforeValidator(parse_months), WithJsonSchema({"type": "string", "examples": ["Nov-Mar"]})
]


@dataclass(frozen=True, slots=True)
class SourcedTariff:
    """A tariff whose prices, carbon and demand charge each come from their own source. Implements core's Tariff."""

    import_price: Source
    export_price: Source
    carbon: Source
    demand_price: float = 0.0

    def rates(self, horizon: Horizon) -> RateTable:
        """Prices and carbon per step; a step is `guessed` when one of its two prices is a stand-in."""
        columns = [source.values(horizon) for source in (self.import_price, self.export_price, self.carbon)]
        imports, exports, carbon = (tuple(value for value, _ in column) for column in columns)
        bought, sold, emitted = (tuple(flag for _, flag in column) for column in columns)
        guessed = tuple(one or other for one, other in zip(bought, sold, strict=True))
        return RateTable(horizon, imports, exports, carbon, guessed, self.demand_price, guessed_carbon=emitted)


@dataclass(frozen=True, slots=True)
class Files:
    """Opens the files that a tariff names; what is wrong with them is noted in the report, and 0 stands in."""

    report: Report
    base_dir: Path
    timezone: str

    def open(self, key: str, name: str, column: Column) -> Source:
        """The series in file `name`, which the tariff's `key` gives, relative to the site file."""
        path = self.base_dir / name
        if not _is_file(path):
            self.report.add(("tariff", key), f"no such file; looked for {path}", name)
            return Constant(0.0)
        read = self.report.attempt(("tariff", key), lambda: Published.read(path, column, self.timezone), elsewhere=True)
        return read or Constant(0.0)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class TariffSection(Section):
    """What every kind of tariff may say."""

    carbon: Annotated[
        str | None,
        Field(description="a constant, or a CSV file with time_utc,carbon_kg_per_kwh", examples=["265 g/kWh"]),
    ] = None
    demand_charge: Annotated[PricePerKw, Field(description="on the highest 15-min mean import of the month")] = 0.0

    @field_validator("carbon")
    @classmethod
    def _carbon(cls, text: str | None) -> str | None:
        if text is None or text.endswith(".csv"):
            return text
        if not 0.0 <= parse_quantity(text, "kg/kWh") <= CARBON.most:
            raise ValueError(f"must be 0 to {CARBON.most:g} kg/kWh, or the name of a .csv file")
        return text

    def carbon_source(self, files: Files) -> Source:
        """Where carbon comes from; 0 when nothing is said."""
        if self.carbon is None:
            return Constant(0.0)
        if self.carbon.endswith(".csv"):
            return files.open("carbon", self.carbon, CARBON)
        return Constant(parse_quantity(self.carbon, "kg/kWh"))


class FlatTariff(TariffSection):
    """One price at all times."""

    kind: Literal["flat"]
    import_price: PricePerKwh
    export_price: PricePerKwh = 0.0

    def tariff(self, files: Files) -> SourcedTariff:
        """The tariff itself."""
        carbon = self.carbon_source(files)
        return SourcedTariff(Constant(self.import_price), Constant(self.export_price), carbon, self.demand_charge)


class BandSection(Section):
    """Hours of the week in site-local time, in some months or all year, with their price."""

    hours: WeekSchedule
    months: Months = frozenset(range(1, 13))
    import_price: PricePerKwh


class TimeOfUseTariff(TariffSection):
    """Prices by hours of the week; the first band that covers a time counts."""

    kind: Literal["time-of-use"]
    import_price: Annotated[PricePerKwh, Field(description="outside all bands")]
    bands: Annotated[list[BandSection], Field(min_length=1)]
    export_price: PricePerKwh = 0.0

    def tariff(self, files: Files) -> SourcedTariff:
        """The tariff itself."""
        bands = tuple(Band(band.hours, band.months, band.import_price) for band in self.bands)
        imports = Bands(bands, self.import_price, files.timezone)
        return SourcedTariff(imports, Constant(self.export_price), self.carbon_source(files), self.demand_charge)


class DayAheadTariff(TariffSection):
    """Prices of the day-ahead market from a file, with what is added to or taken from them."""

    kind: Literal["day-ahead"]
    file: Annotated[str, Field(examples=["prices/day_ahead.csv"], description="CSV with time_utc,price_eur_per_mwh")]
    import_factor: float = 1.0
    import_adder: PricePerKwh = 0.0
    export_factor: float = 1.0
    export_adder: PricePerKwh = 0.0

    def tariff(self, files: Files) -> SourcedTariff:
        """The tariff itself."""
        market = files.open("file", self.file, PRICE)
        imports = Scaled(market, self.import_factor, self.import_adder)
        exports = Scaled(market, self.export_factor, self.export_adder)
        return SourcedTariff(imports, exports, self.carbon_source(files), self.demand_charge)


KINDS: Mapping[str, type[FlatTariff] | type[TimeOfUseTariff] | type[DayAheadTariff]] = {
    "flat": FlatTariff,
    "time-of-use": TimeOfUseTariff,
    "day-ahead": DayAheadTariff,
}
