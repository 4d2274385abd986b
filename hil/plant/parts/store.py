"""A battery that obeys a power setpoint and, left alone, keeps the grid at zero down to its own reserve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from hil.plant.battery import BatteryParams, battery_step, power_limits

from .base import Moment, Part, Wires


def self_consumption(net_kw: float, energy_kwh: float, reserve_kwh: float, hours: float) -> float:
    """What a battery left alone wants [kW]: the opposite of the site's net power, discharging down to its reserve."""
    return max(-net_kw, min(0.0, (reserve_kwh - energy_kwh) / hours))


class Store(Part):
    """A battery. The world steps it last, with what it shall do (see `charge`)."""

    turn = 8

    def __init__(self, part_id: str, wires: Wires, params: BatteryParams) -> None:
        super().__init__(part_id, wires)
        _check(params)
        self.params = params
        self.energy_kwh = params.initial_soc * params.capacity_kwh
        self.loss_kw = 0.0

    @property
    def soc(self) -> float:
        return self.energy_kwh / self.params.capacity_kwh

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
        return self_consumption(net_kw, self.energy_kwh, self.params.own_reserve * self.params.capacity_kwh, hours)

    def room_kw(self, net_kw: float, hours: float) -> float:
        """How much of `net_kw` it can take up by itself, as a share of its rating."""
        least, most = power_limits(self.params, self.energy_kwh)
        return abs(min(most, max(least, self.by_itself(net_kw, hours)))) / self.rating_kw

    def charge(self, wanted_kw: float, hours: float) -> None:
        """Do what is wanted as far as it can."""
        self.energy_kwh, flow = battery_step(self.params, self.energy_kwh, wanted_kw, hours)
        self.power_kw, self.loss_kw = flow.power_kw, flow.loss_kw

    def states(self) -> dict[str, float]:
        return {"soc": self.soc, "energy_kwh": self.energy_kwh}

    def quantities(self) -> dict[str, float]:
        return {
            "soc": self.soc,
            "soh": 0.97,
            "capacity": self.params.capacity_kwh,
            "stored_energy": self.energy_kwh,
            "rated_power": self.params.discharge_kw,
        }

    def condition(self) -> tuple[str, ...]:
        if self.power_kw > 0:
            return ("charging", "running", "on")
        if self.power_kw < 0:
            return ("discharging", "running", "on")
        return ("holding", "idle", "standby", "off")


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
            store.charge(wanted, now.hours)
            net += store.power_kw
    alone = sorted((s for s in stores if told[s.id] is None), key=lambda store: store.room_kw(net, now.hours))
    rating = sum(store.rating_kw for store in alone)
    for store in alone:  # what the first ones, which can do least, leave over is for the others
        store.charge(store.by_itself(net * store.rating_kw / rating, now.hours), now.hours)
        net += store.power_kw
        rating -= store.rating_kw
