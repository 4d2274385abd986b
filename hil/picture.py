"""A day as a picture: power by resource, price, state of charge, and the zones' temperatures against their bands.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; strategies differ by dash as well as by colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from energyctl.core.timeline import Series

from .outcome import Day, Outcome

COLOURS = {
    "base_kw": ("#999999", "base load (measured)"),
    "hp_kw": ("#D55E00", "heat pump"),
    "ev_kw": ("#0072B2", "car"),
    "ahu_kw": ("#CC79A7", "air handling"),
    "battery_kw": ("#009E73", "battery"),
    "pv_kw": ("#F0E442", "roof"),
}
LINES = (("#000000", "-"), ("#56B4E9", "--"), ("#E69F00", ":"))
"""Colour and dash of the shown strategy, and of the others in turn."""
SIZE_IN, DPI = (10.0, 11.0), 100


def draw(day: Day, shown: Outcome, others: Sequence[Outcome], file: Path) -> None:
    """Write a PNG, 1000 pixels wide, of `shown` in full with the `others` as lines. Raises ImportError without matplotlib."""
    from matplotlib import dates
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    zone, ticks = ZoneInfo(day.site.timezone), cast(Any, dates)
    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{day.site.name}, {day.scenario.about}", fontsize=12)
    zones = list(day.comforts)
    axes = figure.subplots(3 + len(zones), 1, sharex=True, height_ratios=(3.2, 1.0, 1.2, *(1.5 for _ in zones)))
    _powers(axes[0], day, shown, others, zone)
    _price(axes[1], day, zone)
    _charge(axes[2], (shown, *others), zone)
    for axis, room in zip(axes[3:], zones, strict=True):
        _temperature(axis, day, (shown, *others), room, zone)
    axes[-1].xaxis.set_major_locator(ticks.HourLocator(interval=2, tz=zone))
    axes[-1].xaxis.set_major_formatter(ticks.DateFormatter("%H:%M", tz=zone))
    axes[-1].set_xlim(day.rates.horizon.start, day.rates.horizon.end)
    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.6)
    figure.savefig(file)


def _times(series: Series, zone: ZoneInfo) -> list[datetime]:
    step = timedelta(seconds=series.step_s)
    return [(series.start + step * k).astimezone(zone) for k in range(len(series.values))]


def quarters(series: Series) -> Series:
    """Means over quarter hours of a series by the minute; a coarser one as it is."""
    per = max(1, 900 // series.step_s)
    known = [value or 0.0 for value in series.values]
    groups = [known[k : k + per] for k in range(0, len(known), per)]
    return Series(series.start, series.step_s * per, tuple(sum(group) / len(group) for group in groups))


def stack(powers: Mapping[str, Series]) -> list[tuple[str, list[float], list[float]]]:
    """(name, bottom, height) of stacked areas: what consumes upwards from zero, what gives downwards."""
    steps = len(next(iter(powers.values())).values)
    up, down = [0.0] * steps, [0.0] * steps
    layers: list[tuple[str, list[float], list[float]]] = []
    for name in COLOURS:
        for side, sign in ((up, 1.0), (down, -1.0)):
            heights = [sign * max(0.0, sign * (value or 0.0)) for value in powers[name].values]
            if any(heights):
                layers.append((name, list(side), heights))
                side[:] = [low + height for low, height in zip(side, heights, strict=True)]
    return layers


def _powers(axis: Any, day: Day, shown: Outcome, others: Sequence[Outcome], zone: ZoneInfo) -> None:
    powers = {name: quarters(shown.series[name]) for name in COLOURS}
    named: set[str] = set()
    for name, bottom, height in stack(powers):
        colour, words = COLOURS[name]
        top = [low + high for low, high in zip(bottom, height, strict=True)]
        label = None if name in named else words
        axis.fill_between(
            _times(powers[name], zone), bottom, top, step="post", color=colour, alpha=0.85, linewidth=0, label=label
        )
        named.add(name)
    for outcome, (colour, dash) in zip((shown, *others), LINES, strict=False):
        grid = quarters(outcome.series["grid_kw"])
        label = f"grid, {outcome.strategy}"
        axis.plot(
            _times(grid, zone), grid.values, dash, color=colour, linewidth=1.4, drawstyle="steps-post", label=label
        )
    limits = day.site.limits
    axis.axhline(limits.import_kw, color="#000000", linewidth=0.8, dashes=(6, 2, 1, 2), label="import limit")
    axis.axhline(0.0, color="#000000", linewidth=0.6)
    axis.set_ylabel("power [kW]\nareas: " + shown.strategy)
    axis.legend(fontsize=8, ncols=4, loc="upper left")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * 1.25)


def _price(axis: Any, day: Day, zone: ZoneInfo) -> None:
    prices = Series(day.rates.horizon.start, day.rates.horizon.step_s, day.rates.import_price)
    axis.step(_times(prices, zone), prices.values, where="post", color="#000000", linewidth=1.2)
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("import price\n[EUR/kWh]")


def _charge(axis: Any, outcomes: Sequence[Outcome], zone: ZoneInfo) -> None:
    for outcome, (colour, dash) in zip(outcomes, LINES, strict=False):
        soc = outcome.series["soc"]
        percent = [100 * (value or 0.0) for value in soc.values]
        axis.plot(_times(soc, zone), percent, dash, color=colour, linewidth=1.4, label=outcome.strategy)
    axis.set_ylim(0, 103)
    axis.set_ylabel("battery\ncharge [%]")
    axis.legend(fontsize=8, ncols=3, loc="upper left")


def _temperature(axis: Any, day: Day, outcomes: Sequence[Outcome], room: str, zone: ZoneInfo) -> None:
    for outcome, (colour, dash) in zip(outcomes, LINES, strict=False):
        temp = outcome.series[f"{room}.air_c"]
        axis.plot(_times(temp, zone), temp.values, dash, color=colour, linewidth=1.4)
    low, high = axis.get_ylim()
    horizon, comfort = day.rates.horizon, day.comforts[room]
    bands = [comfort.band(time, day.site.timezone) for time in horizon.times()]
    times = [time.astimezone(zone) for time in horizon.times()]
    bottom, top = zip(*bands, strict=True)
    axis.fill_between(times, bottom, top, step="post", color="#009E73", alpha=0.15, linewidth=0)
    axis.set_ylim(low - 0.7, high + 0.7)
    axis.set_ylabel(f"{room} [°C]\nshaded: comfort")
