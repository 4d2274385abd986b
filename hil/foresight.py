"""Perfect foresight: the least a scenario can cost, as one plan of the whole run made with the plant's own truth.

It bounds from below what any strategy pays that keeps comfort and fills the cars, because the planner (the site's own, by
its entry point) is told the true weather, load and visits, and every loss at its most favourable: the battery at the best
point of its efficiency curve and undiminished at its ends, the heat pump at full-load COP, the car without taper or least
current, quarter hours netted. It minimises exactly what `hil.outcome` adds up: energy bought less energy sold, plus the
worth of what is missing in the stores at the end, no wear and no CO2 price. Left aside: heat between the zones is taken from
a first solution, and the heat that an airing carries out. A zone's comfort costs so much to break that it is not broken
where it can be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from energyctl.config import Site
from energyctl.core.comfort import Comfort, WeekSchedule
from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Flexibility, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import RESERVE, GridLimits, Planner, PlanRequest, SolverSettings
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, mean

from .measured import Measured, Weather
from .plant.battery import BatteryParams
from .plant.building import ZoneInputs, ZoneParams, ZoneState, gains, zone_step
from .plant.ev import Visit, present
from .plant.generation import available_kw
from .plant.heat_pump import full_cop
from .scenario import Scenario

STEP_S = 900
_MINUTES = STEP_S // 60
_COMFORT_PRICE = 100.0
"""For a kelvin out of the band at the end of a step [EUR]."""
_SHORT_PRICE = 2.0
"""For a kWh missing when a car leaves [EUR/kWh]."""


@dataclass(frozen=True, slots=True)
class Known:
    """A resource whose flexibility is known beforehand; it reads and sets nothing."""

    id: str
    flex: tuple[Flexibility, ...]
    kind: str = "known"
    power: str | None = None

    def bindings(self) -> Sequence[Binding]:
        return ()

    def needs(self) -> Sequence[Need]:
        return ()

    def flexibility(self, outlook: Outlook) -> Sequence[Flexibility]:
        return self.flex

    def follow(self, plan: Plan, step: int, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()

    def rule(self, now: datetime, image: ProcessImage, site: SiteView) -> Sequence[Target]:
        return ()


@dataclass(frozen=True)
class Truth:
    """A scenario over a horizon of quarter hours, as it will be: weather by the minute, means by the step."""

    scenario: Scenario
    site: Site
    horizon: Horizon
    measured: Measured
    zone: ZoneInfo

    @classmethod
    def of(cls, scenario: Scenario, site: Site) -> Truth:
        """The whole run of a scenario."""
        steps = int(scenario.hours * 3600 // STEP_S)
        horizon = Horizon(scenario.start(site.timezone), STEP_S, steps)
        return cls(scenario, site, horizon, scenario.series(site.path.parent, site.timezone), ZoneInfo(site.timezone))

    def minutes(self, step: int) -> range:
        """The minutes of the measured series in a step."""
        first = self.measured.minute(self.horizon.time(step))
        return range(first, first + _MINUTES)

    def weather(self, step: int) -> Weather:
        """Mean weather of a step."""
        rows = [self.measured.weather(minute) for minute in self.minutes(step)]
        return Weather(
            mean([row.temp_c for row in rows]),
            mean([row.humidity_pct for row in rows]),
            mean([r.ghi_w_m2 for r in rows]),
        )

    def load_kw(self, step: int) -> float:
        """Mean base load of a step."""
        return mean([self.measured.load_kw[minute] for minute in self.minutes(step)])

    def covers(self, schedule: WeekSchedule, step: int) -> bool:
        """Whether a weekly schedule covers the start of a step."""
        return schedule.covers(self.horizon.time(step).astimezone(self.zone))


def foresee(
    scenario: Scenario,
    site: Site,
    planner: Planner,
    rates: RateTable,
    stock_price_eur: float,
    comforts: Sequence[Comfort],
    airing: Shiftable | None = None,
) -> Plan:
    """The plan of a scenario by one who knew it; `comforts` per zone. Raises PlanError."""
    truth = Truth.of(scenario, site)
    fixed = [*_fixed(truth), *([] if airing is None else [airing])]
    fixed += [_battery(truth, stock_price_eur), *_cars(truth, stock_price_eur), _heat_pump(truth)]
    neighbours: list[Sequence[float]] = [[mean([c.heat, c.cool])] * truth.horizon.steps for c in comforts]
    plan: Plan | None = None
    for _ in range(2):
        zones = [_zone(truth, i, comforts[i], neighbours[1 - i]) for i in range(len(comforts))]
        plan = planner.plan(_request(truth, site, rates, [*fixed, *zones]))
        neighbours = [[state[0] for state in plan.states[zone.id]][:-1] for zone in zones]
    assert plan is not None
    return plan


def _request(truth: Truth, site: Site, rates: RateTable, flex: Sequence[Flexibility]) -> PlanRequest:
    more = 1 / (1 - RESERVE)  # what a planner leaves free; the bound need not
    return PlanRequest(
        issued_at=truth.horizon.start,
        horizon=truth.horizon,
        site=site.view,
        resources=tuple(Known(item.id, (item,)) for item in flex),
        values={},
        history={},
        rates=rates,
        limits=GridLimits(site.limits.import_kw * more, site.limits.export_kw * more),
        settings=SolverSettings(gap=1e-4),
    )


def _fixed(truth: Truth) -> list[Flexibility]:
    """Base load, what runs in any case, and the sun."""
    plant, steps = truth.scenario.plant, range(truth.horizon.steps)
    opening = WeekSchedule(plant.ahu.hours)
    always = [plant.heat_pump.standby_kw + (plant.ahu.fan_kw if truth.covers(opening, k) else 0.0) for k in steps]
    base = tuple(truth.load_kw(k) + always[k] for k in steps)
    roof = tuple(
        mean([available_kw(plant.pv, truth.measured.weather(minute)) for minute in truth.minutes(k)]) for k in steps
    )
    return [Fixed("base", base), Curtailable("roof", roof, price=0.0)]


def _battery(truth: Truth, price_eur: float) -> Storage:
    battery, steps, hours = truth.scenario.plant.battery, truth.horizon.steps, truth.horizon.hours
    best = best_efficiency(battery)
    return Storage(
        id="battery",
        port=AC,
        unit="kWh",
        transition=((1.0,),),
        charge_gain=(best * hours,),
        discharge_gain=(-hours / best,),
        drift=((-battery.drain_kw * hours,),) * steps,
        initial=(battery.initial_soc * battery.capacity_kwh,),
        lower=((battery.floor * battery.capacity_kwh,),) * steps,
        upper=((battery.capacity_kwh,),) * steps,
        slack_price=(HARD,),
        max_charge_kw=(battery.charge_kw,) * steps,
        max_discharge_kw=(battery.discharge_kw,) * steps,
        terminal_value=(price_eur / best,),
    )


def best_efficiency(battery: BatteryParams) -> float:
    """One-way efficiency at its best point."""
    return max(eta for _, eta in battery.curve)


def _stays(truth: Truth) -> dict[str, tuple[Visit, int, int]]:
    """Every stay of a car in the horizon by name: the visit, its first step, the step after its last."""
    ev = truth.scenario.plant.ev
    there = [present(ev, time.astimezone(truth.zone)) for time in truth.horizon.times()]
    stays: list[tuple[Visit, int, int]] = []
    for step, visit in enumerate(there):
        if visit is not None and step and there[step - 1] == visit:
            stays[-1] = (*stays[-1][:2], step + 1)
        elif visit is not None:
            stays.append((ev.visits[visit], step, step + 1))
    return {f"car{n}": stay for n, stay in enumerate(stays, 1)}


def car_needs(scenario: Scenario, site: Site) -> dict[str, float]:
    """What every car in the plan needs [kWh], by its name there."""
    return {name: visit.needs_kwh for name, (visit, _, _) in _stays(Truth.of(scenario, site)).items()}


def _cars(truth: Truth, price_eur: float) -> list[Flexibility]:
    """A storage per stay: full when it leaves within the horizon; if it stays longer, what is missing has its price."""
    return [_car(truth, name, *stay, price_eur) for name, stay in _stays(truth).items()]


def _car(truth: Truth, name: str, visit: Visit, first: int, end: int, price_eur: float) -> Storage:
    ev, steps, hours = truth.scenario.plant.ev, truth.horizon.steps, truth.horizon.hours
    most = min(ev.car_max_kw, ev.own_limit_a * ev.volts * ev.phases / 1000)
    leaves = end < steps
    lower = [float("-inf")] * steps
    if leaves:
        lower[end - 1] = min(visit.needs_kwh, most * hours * (end - first))
    return Storage(
        id=name,
        port=AC,
        unit="kWh",
        transition=((1.0,),),
        charge_gain=(hours,),
        discharge_gain=(0.0,),
        drift=((0.0,),) * steps,
        initial=(0.0,),
        lower=tuple((bound,) for bound in lower),
        upper=((visit.needs_kwh,),) * steps,
        slack_price=(_SHORT_PRICE,),
        max_charge_kw=tuple(most if first <= k < end else 0.0 for k in range(steps)),
        max_discharge_kw=(0.0,) * steps,
        terminal_value=() if leaves else (price_eur,),
    )


def _heat_pump(truth: Truth) -> Converter:
    plant, steps = truth.scenario.plant, range(truth.horizon.steps)
    ratio = tuple(full_cop(plant.heat_pump, plant.mode, truth.weather(k)) for k in steps)
    return Converter("heating", ratio, (plant.heat_pump.max_kw,) * len(steps))


def _zone(truth: Truth, index: int, comfort: Comfort, neighbour_c: Sequence[float]) -> Storage:
    """A zone as two linear states, found by stepping the plant's own zone from unit states through a quarter hour."""
    plant, horizon = truth.scenario.plant, truth.horizon
    params = plant.zones[index]
    calm = ZoneInputs(0.0, 0.0, 0.0, 0.0, 0.0)
    air, mass = (_after(params, plant.wall_kw_k, start, 0.0, calm) for start in ((1.0, 0.0), (0.0, 1.0)))
    push = _after(params, plant.wall_kw_k, (0.0, 0.0), 0.0, ZoneInputs(0.0, 0.0, 0.0, 1.0, 0.0))
    sign = 1.0 if plant.mode == "heat" else -1.0
    ends = [comfort.band(horizon.time(k + 1), truth.site.timezone) for k in range(horizon.steps)]
    edge = comfort.heat if plant.mode == "heat" else comfort.cool
    drift = tuple(_drift(truth, params, k, neighbour_c[k], edge) for k in range(horizon.steps))
    return Storage(
        id=f"zone{index + 1}",
        port="heating",
        unit="°C",
        transition=((air[0], mass[0]), (air[1], mass[1])),
        charge_gain=(sign * push[0], sign * push[1]),
        discharge_gain=(0.0, 0.0),
        drift=drift,
        initial=(plant.initial_air_c[index], plant.initial_mass_c[index]),
        lower=tuple((low, float("-inf")) for low, _ in ends),
        upper=tuple((high, float("inf")) for _, high in ends),
        slack_price=(_COMFORT_PRICE, 0.0),
        max_charge_kw=(params.emitter_kw,) * horizon.steps,
        max_discharge_kw=(0.0,) * horizon.steps,
        label=f"comfort in zone{index + 1}",
    )


def _drift(truth: Truth, zone: ZoneParams, step: int, neighbour_c: float, edge_c: float) -> tuple[float, float]:
    """Where a zone at 0 degC would be after the step, with the sun, the people and the neighbour but no heat pump.

    The air handler's fresh air is reckoned against a room at the edge of its band, the favourable side.
    """
    plant, weather, base = truth.scenario.plant, truth.weather(step), truth.load_kw(step)
    sun, people = gains(zone, weather.ghi_w_m2, base, truth.covers(WeekSchedule(zone.occupied), step))
    vent = zone.vent_kw_k if truth.covers(WeekSchedule(plant.ahu.hours), step) else 0.0
    outdoor = weather.temp_c + vent / zone.ua_kw_k * (weather.temp_c - edge_c)
    return _after(zone, plant.wall_kw_k, (0.0, 0.0), neighbour_c, ZoneInputs(outdoor, sun, people, 0.0, 0.0))


def _after(
    zone: ZoneParams, wall: float, start: tuple[float, float], neighbour_c: float, inputs: ZoneInputs
) -> tuple[float, float]:
    state = ZoneState(*start)
    for _ in range(_MINUTES):
        zone_step(zone, state, neighbour_c, wall, inputs, 1 / 60)
    return state.air_c, state.mass_c
