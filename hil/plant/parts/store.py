"""A battery that obeys a power setpoint and, left alone, keeps the grid at zero down to its own reserve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from pydantic import ConfigDict, with_config

from hil.plant.battery import BatteryParams, battery_step, power_limits
from hil.plant.wear import WearParams, as_it_is, cell_power_limits, new, soc, worn_step

from .base import Moment, Part, Wires


def self_consumption(net_kw: float, energy_kwh: float, reserve_kwh: float, hours: float) -> float:
    """What a battery left alone wants [kW]: the opposite of the site's net power, discharging down to its reserve."""
    return max(-net_kw, min(0.0, (reserve_kwh - energy_kwh) / hours))


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class StoreParams(BatteryParams):
    """A battery that never changes, or with `wear` one that feels its temperature and its age."""

    wear: WearParams | None = None


class Store(Part):
    """A battery. The world steps it last, with what it shall do (see `charge`)."""

    turn = 8

    def __init__(self, part_id: str, wires: Wires, params: StoreParams) -> None:
        super().__init__(part_id, wires)
        _check(params)
        self.params = params
        self.energy_kwh = params.initial_soc * params.capacity_kwh
        self.loss_kw = 0.0

    @property
    def soc(self) -> float:
        return self.energy_kwh / self.capacity_kwh

    @property
    def capacity_kwh(self) -> float:
        """What fits in now."""
        return self.params.capacity_kwh

    def limits(self) -> tuple[float, float]:
        """(most discharge <= 0, most charge >= 0) [kW] as it is now."""
        return power_limits(self.params, self.energy_kwh)

    @property
    def rating_kw(self) -> float:
        """What its share of a task of several batteries goes by."""
        return self.params.charge_kw + self.params.discharge_kw

    def command(self, now: datetime) -> float | None:
        """The power it is told [kW]; None when it is its own master."""
        wire = self.wires.get("setpoint")
        return wire.control.command(now) if wire is not None and wire.control is not None else None

    def by_itself(self, net_kw: float, hours: float) -> float:
        """What it wants when the others leave `net_kw` for it."""
        return self_consumption(net_kw, self.energy_kwh, self.params.own_reserve * self.capacity_kwh, hours)

    def room_kw(self, net_kw: float, hours: float) -> float:
        """How much of `net_kw` it can take up by itself, as a share of its rating."""
        least, most = self.limits()
        return abs(min(most, max(least, self.by_itself(net_kw, hours)))) / self.rating_kw

    def charge(self, wanted_kw: float, now: Moment) -> None:
        """Do what is wanted as far as it can."""
        self.energy_kwh, flow = battery_step(self.params, self.energy_kwh, wanted_kw, now.hours)
        self.power_kw, self.loss_kw = flow.power_kw, flow.loss_kw

    def states(self) -> dict[str, float]:
        return {"soc": self.soc, "energy_kwh": self.energy_kwh}

    def quantities(self) -> dict[str, float]:
        return {
            "soc": self.soc,
            "soh": 0.97,
            "capacity": self.capacity_kwh,
            "stored_energy": self.energy_kwh,
            "rated_power": self.params.discharge_kw,
        }

    def condition(self) -> tuple[str, ...]:
        if self.power_kw > 0:
            return ("charging", "running", "on")
        if self.power_kw < 0:
            return ("discharging", "running", "on")
        return ("holding", "idle", "standby", "off")


class WornStore(Store):
    """A battery that warms up, does less in cold and heat, and grows old; see `hil.plant.wear`."""

    def __init__(self, part_id: str, wires: Wires, params: StoreParams, wear: WearParams) -> None:
        super().__init__(part_id, wires, params)
        self.wear, self.worn = wear, new(params, wear)
        self.energy_kwh = self.worn.energy_kwh

    @property
    def soc(self) -> float:
        return soc(self.params, self.worn)

    @property
    def capacity_kwh(self) -> float:
        return self.params.capacity_kwh * self.worn.health

    def limits(self) -> tuple[float, float]:
        worn = self.worn
        least, most = power_limits(as_it_is(self.params, self.wear, worn.cells_c, worn.health), worn.energy_kwh)
        weakest, strongest = cell_power_limits(self.params, self.wear, worn.cells_c)
        return max(least, weakest), min(most, strongest)

    def charge(self, wanted_kw: float, now: Moment) -> None:
        around_c = now.weather.temp_c if self.wear.around_c is None else self.wear.around_c
        self.worn, flow = worn_step(self.params, self.wear, self.worn, wanted_kw, around_c, now.hours)
        self.energy_kwh, self.power_kw, self.loss_kw = self.worn.energy_kwh, flow.power_kw, flow.loss_kw

    def states(self) -> dict[str, float]:
        return super().states() | {"temp_c": self.worn.cells_c, "health": self.worn.health}

    def quantities(self) -> dict[str, float]:
        return super().quantities() | {"soh": self.worn.health, "body_temp": self.worn.cells_c}


def make_store(part_id: str, wires: Wires, params: StoreParams) -> Store:
    """The battery of these parameters. Raises ValueError for shares and a curve that contradict themselves."""
    if params.wear is None:
        return Store(part_id, wires, params)
    return WornStore(part_id, wires, params, params.wear)


def _check(params: BatteryParams) -> None:
    """Raises ValueError for shares and a curve that contradict themselves."""
    if not 0 <= params.floor < params.slow_below <= params.slow_above < 1:
        raise ValueError("floor, slow_below and slow_above must rise in this order between 0 and 1")
    if not 0 <= params.initial_soc <= 1 or not 0 <= params.own_reserve <= 1:
        raise ValueError("initial_soc and own_reserve must lie between 0 and 1")
    shares = [share for share, _ in params.curve]
    rising = all(a < b for a, b in pairwise(shares))
    if (
        len(shares) < 2
        or shares[0] != 0
        or shares[-1] < 1
        or not rising
        or not all(0 < eta <= 1 for _, eta in params.curve)
    ):
        raise ValueError("curve must have efficiencies above 0 and up to 1 for rising shares of power from 0 to 1")


def share_out(stores: Sequence[Store], others_kw: float, now: Moment) -> None:
    """Step all batteries: those that are told first, then the rest keep what is left at zero, each by its rating."""
    told = {store.id: store.command(now.time) for store in stores}
    net = others_kw
    for store in stores:
        wanted = told[store.id]
        if wanted is not None:
            store.charge(wanted, now)
            net += store.power_kw
    alone = sorted((s for s in stores if told[s.id] is None), key=lambda store: store.room_kw(net, now.hours))
    rating = sum(store.rating_kw for store in alone)
    for store in alone:  # what the first ones, which can do least, leave over is for the others
        store.charge(store.by_itself(net * store.rating_kw / rating, now.hours), now)
        net += store.power_kw
        rating -= store.rating_kw
