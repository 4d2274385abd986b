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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from energyctl.config import Site
from energyctl.core.comfort import Comfort
from energyctl.core.flexibility import AC, HARD, Converter, Curtailable, Fixed, Flexibility, Shiftable, Storage
from energyctl.core.plan import Plan
from energyctl.core.planner import RESERVE, GridLimits, Planner, PlanRequest, SolverSettings
from energyctl.core.points import ProcessImage
from energyctl.core.resources import Binding, Need, Outlook, SiteView, Target
from energyctl.core.tariff import RateTable
from energyctl.core.timeline import Horizon, mean

from .measured import Measured, Weather
from .plant import Plant, build
from .plant.battery import BatteryParams
from .plant.building import ZoneInputs, ZoneParams, ZoneState, gains, zone_step
from .plant.ev import Visit, present
from .plant.generation import available_kw
from .plant.heat_pump import full_cop
from .plant.parts import AirHandler, Charger, HeatPump, Roof, Room, Store, Wing
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
    """A scenario over a horizon of quarter hours, as it will be: weather by the minute, means by the step, every part."""

    site: Site
    horizon: Horizon
    plant: Plant
    zone: ZoneInfo

    @classmethod
    def of(cls, scenario: Scenario, site: Site) -> Truth:
        """The whole run of a scenario."""
        horizon = Horizon(scenario.start(site.timezone), STEP_S, int(scenario.lasts // STEP_S))
        return cls(site, horizon, build(site, scenario), ZoneInfo(site.timezone))

    @property
    def measured(self) -> Measured:
        """What happens outside."""
        return self.plant.measured

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

    def local(self, step: int) -> datetime:
        """The start of a step, site-local."""
        return self.horizon.time(step).astimezone(self.zone)

    def blown(self, step: int) -> float:
        """Share of the air handlers whose fan runs by its hours."""
        airs = self.plant.of_kind(AirHandler)
        return sum(air.hours.cover(self.local(step)) for air in airs) / len(airs) if airs else 0.0


def foresee(
    truth: Truth,
    planner: Planner,
    rates: RateTable,
    stock_price_eur: float,
    comforts: Mapping[str, Comfort],
    runs: Sequence[Shiftable] = (),
) -> Plan:
    """The plan by one who knew it all; `comforts` by zone, `runs` are those that are due. Raises PlanError."""
    plant, steps = truth.plant, range(truth.horizon.steps)
    fixed = [*_fixed(truth), *runs, *(_battery(truth, store, stock_price_eur) for store in plant.of_kind(Store))]
    fixed += [*_cars(truth, stock_price_eur), *(_heat_pump(truth, pump) for pump in plant.of_kind(HeatPump))]
    air = {room.id: [_middle(comforts[room.id]) for _ in steps] for room in plant.of_kind(Room) if room.id in comforts}
    plan: Plan | None = None
    for _ in range(2):
        zones = [zone for pump in plant.of_kind(HeatPump) for zone in _zones(truth, pump, comforts, air)]
        plan = planner.plan(_request(truth, rates, [*fixed, *zones]))
        air |= {zone.id: [state[0] for state in plan.states[zone.id]][:-1] for zone in zones}
    assert plan is not None
    return plan


def _middle(comfort: Comfort) -> float:
    return mean([comfort.heat, comfort.cool])


def _request(truth: Truth, rates: RateTable, flex: Sequence[Flexibility]) -> PlanRequest:
    more = 1 / (1 - RESERVE)  # what a planner leaves free; the bound need not
    limits = truth.site.limits
    return PlanRequest(
        issued_at=truth.horizon.start,
        horizon=truth.horizon,
        site=truth.site.view,
        resources=tuple(Known(item.id, (item,)) for item in flex),
        values={},
        history={},
        rates=rates,
        limits=GridLimits(limits.import_kw * more, limits.export_kw * more),
        settings=SolverSettings(gap=1e-4),
    )


def _fixed(truth: Truth) -> list[Flexibility]:
    """Base load, what runs in any case, and the sun."""
    plant, steps = truth.plant, range(truth.horizon.steps)
    standby = sum(pump.params.standby_kw for pump in plant.of_kind(HeatPump))
    fans = [_fans(truth, k) for k in steps]
    base: list[Flexibility] = [Fixed("base", tuple(truth.load_kw(k) + standby + fans[k] for k in steps))]
    return base + [Curtailable(roof.id, _sun(truth, roof), price=0.0) for roof in plant.of_kind(Roof)]


def _fans(truth: Truth, step: int) -> float:
    local = truth.local(step)
    return sum(air.params.fan_kw for air in truth.plant.of_kind(AirHandler) if air.hours.cover(local))


def _sun(truth: Truth, roof: Roof) -> tuple[float, ...]:
    """What a roof can give in every step [kW]."""

    def at(step: int) -> float:
        local = truth.local(step)
        return mean([available_kw(roof.params, truth.measured.weather(m), local) for m in truth.minutes(step)])

    return tuple(at(step) for step in range(truth.horizon.steps))


def _battery(truth: Truth, store: Store, price_eur: float) -> Storage:
    battery, steps, hours = store.params, truth.horizon.steps, truth.horizon.hours
    best = best_efficiency(battery)
    return Storage(
        id=store.id,
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


def _stays(truth: Truth, charger: Charger) -> list[tuple[str, Visit, int, int]]:
    """Every stay of a car at a charger in the horizon: its name, the visit, its first step, the step after its last."""
    ev = charger.params
    there = [present(ev, time.astimezone(truth.zone)) for time in truth.horizon.times()]
    stays: list[tuple[Visit, int, int]] = []
    for step, visit in enumerate(there):
        if visit is not None and step and there[step - 1] == visit:
            stays[-1] = (*stays[-1][:2], step + 1)
        elif visit is not None:
            stays.append((ev.visits[visit], step, step + 1))
    return [(f"{charger.id}:{n}", *stay) for n, stay in enumerate(stays, 1)]


def car_needs(truth: Truth) -> dict[str, float]:
    """What every car in the plan needs [kWh], by its name there, "<charger>:<number>"."""
    chargers = truth.plant.of_kind(Charger)
    return {name: visit.needs_kwh for charger in chargers for name, visit, _, _ in _stays(truth, charger)}


def _cars(truth: Truth, price_eur: float) -> list[Flexibility]:
    """A storage per stay: full when it leaves within the horizon; if it stays longer, what is missing has its price."""
    chargers = truth.plant.of_kind(Charger)
    return [_car(truth, charger, *stay, price_eur) for charger in chargers for stay in _stays(truth, charger)]


def _car(truth: Truth, charger: Charger, name: str, visit: Visit, first: int, end: int, price_eur: float) -> Storage:
    ev, steps, hours = charger.params, truth.horizon.steps, truth.horizon.hours
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


def _heat_pump(truth: Truth, pump: HeatPump) -> Converter:
    steps = range(truth.horizon.steps)
    ratio = tuple(full_cop(pump.params, pump.params.mode, truth.weather(k)) for k in steps)
    return Converter(pump.id, ratio, (pump.params.max_kw,) * len(steps))


def _zones(
    truth: Truth, pump: HeatPump, comforts: Mapping[str, Comfort], air_c: Mapping[str, Sequence[float]]
) -> list[Storage]:
    """The zones that a heat pump feeds, with `air_c` of all of them by step for what goes through their walls."""
    wing = pump.wing
    found = []
    for index, room in enumerate(wing.rooms):
        beside = [
            wing.neighbours(index, [air_c[other.id][k] for other in wing.rooms]) for k in range(truth.horizon.steps)
        ]
        found.append(zone_of(truth, pump, wing, index, comforts[room.id], beside))
    return found


def zone_of(
    truth: Truth,
    pump: HeatPump,
    wing: Wing,
    index: int,
    comfort: Comfort,
    beside: Sequence[tuple[float, float]],
) -> Storage:
    """A zone as two linear states, found by stepping the plant's own zone from unit states through a quarter hour.

    `beside` holds what lies behind its walls in every step: its air [degC] and the walls' conductance [kW/K].
    """
    horizon, room, mode = truth.horizon, wing.rooms[index], pump.params.mode
    params, wall, calm = room.params, beside[0][1], ZoneInputs(0.0, 0.0, 0.0, 0.0, 0.0)
    air, mass = (_after(params, wall, start, 0.0, calm) for start in ((1.0, 0.0), (0.0, 1.0)))
    push = _after(params, wall, (0.0, 0.0), 0.0, ZoneInputs(0.0, 0.0, 0.0, 1.0, 0.0))
    sign = 1.0 if mode == "heat" else -1.0
    ends = [comfort.band(horizon.time(k + 1), truth.site.timezone) for k in range(horizon.steps)]
    edge = comfort.heat if mode == "heat" else comfort.cool
    drift = tuple(_drift(truth, room, k, beside[k], edge) for k in range(horizon.steps))
    return Storage(
        id=room.id,
        port=pump.id,
        unit="°C",
        transition=((air[0], mass[0]), (air[1], mass[1])),
        charge_gain=(sign * push[0], sign * push[1]),
        discharge_gain=(0.0, 0.0),
        drift=drift,
        initial=(params.initial_air_c, params.initial_mass_c),
        lower=tuple((low, float("-inf")) for low, _ in ends),
        upper=tuple((high, float("inf")) for _, high in ends),
        slack_price=(_COMFORT_PRICE, 0.0),
        max_charge_kw=(params.emitter_kw,) * horizon.steps,
        max_discharge_kw=(0.0,) * horizon.steps,
        label=f"comfort in {room.id}",
    )


def _drift(truth: Truth, room: Room, step: int, beside: tuple[float, float], edge_c: float) -> tuple[float, float]:
    """Where a zone at 0 degC would be after the step, with the sun, the people and the neighbour but no heat pump.

    The air handler's fresh air is reckoned against a room at the edge of its band, the favourable side.
    """
    zone, weather, base = room.params, truth.weather(step), truth.load_kw(step)
    sun, people = gains(zone, weather.ghi_w_m2, base, room.occupied.cover(truth.local(step)))
    vent = zone.vent_kw_k * truth.blown(step)
    outdoor = weather.temp_c + vent / zone.ua_kw_k * (weather.temp_c - edge_c)
    return _after(zone, beside[1], (0.0, 0.0), beside[0], ZoneInputs(outdoor, sun, people, 0.0, 0.0))


def _after(
    zone: ZoneParams, wall: float, start: tuple[float, float], neighbour_c: float, inputs: ZoneInputs
) -> tuple[float, float]:
    state = ZoneState(*start)
    for _ in range(_MINUTES):
        zone_step(zone, state, neighbour_c, wall, inputs, 1 / 60)
    return state.air_c, state.mass_c
